"""One judgment, or one pair, as a report shows it: from a labeled row, or from a line of a training's log."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from prom_reward.labeling.labeled_rows import LabeledRow
from prom_reward.labeling.verdicts import SIDES, VERDICT_COLUMNS
from prom_reward.pages.text import shortened
from prom_reward.prompts.transcripts import transcript

_MAX_TEXT = 6_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One judgment with its request; long texts are cut."""

    row: int
    """The row, counted from 0, or the step of a training, counted from 1."""
    side: str
    """"chosen", "rejected", "response", or "1", "2"... of several responses."""
    rubric: str
    """The rubric's name."""
    outcome: str
    """The outcome."""
    score: float | None
    """The integer."""
    expected_score: float | None
    """The expected score."""
    probs: Mapping[str, float] | None
    """The distribution."""
    entropy: float | None
    """In nats."""
    length: int
    """Characters of the response."""
    prompt: str
    """The instruction."""
    response: str
    """The response."""
    feedback: str
    """The judge's feedback, or the error."""
    margin: float | None = None
    """Of the pair, in logit units."""
    agreement: str | None = None
    """Of the pair."""
    group: str = ""
    """The part of the data."""
    reward: float | None = None
    """Of the row, in a training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """The figures of a scored pair, chosen against rejected."""

    margin: float
    """The judge's, in logit units."""
    score_gap: float | None
    """Of the integers; None without them."""
    length_gap: int
    """In characters."""
    entropy: float | None
    """The larger one of the sides."""
    cluster: str
    """The prompt."""
    group: str
    """The part of the data."""


def row_judgments(row: LabeledRow, group: str) -> Iterator[Judged]:
    """Yield the judgments of a labeled row, one for each response."""
    values = row.values
    prompt, *responses = row.texts
    shared = {"row": values["row"], "rubric": values["rubric_name"], "group": group}
    shared |= {"margin": values.get("margin"), "agreement": values.get("agreement")}
    sides: Sequence[str]
    match row.example.kind:
        case "pair":
            sides = SIDES
        case "responses":
            sides = [str(number + 1) for number in range(len(responses))]
        case _:
            sides = ["response"]
    verdicts = row.verdicts
    if not verdicts:  # the pair was only ranked
        ranking = {"outcome": values["ranking_outcome"], "feedback": values["ranking_feedback"]}
        ranking["error"] = values["ranking_error"]
        verdicts = [{**dict.fromkeys(VERDICT_COLUMNS), **ranking}] * 2
    for verdict, side, response in zip(verdicts, sides, responses, strict=True):
        instruction, answer = transcript(prompt, response)
        yield Judged(
            side=side,
            outcome=verdict["outcome"],
            score=_number(verdict["score"]),
            expected_score=_number(verdict["expected_score"]),
            probs=_probs(verdict["score_probs"]),
            entropy=_number(verdict["entropy"]),
            length=len(answer),
            prompt=_cut(instruction),
            response=_cut(answer),
            feedback=_cut(verdict["feedback"] or verdict.get("error") or ""),
            **shared,
        )


def row_pairs(row: LabeledRow, group: str) -> list[JudgedPair]:
    """Return the pair of a labeled row, or nothing if it is unscored."""
    values = row.values
    if values["margin"] is None:
        return []
    prompt, *responses = row.texts
    chosen, rejected = (transcript(prompt, response)[1] for response in responses)
    first, second = (values.get(f"{side}_score") for side in SIDES)
    entropies = [verdict["entropy"] for verdict in row.verdicts if verdict["entropy"] is not None]
    return [
        JudgedPair(
            margin=values["margin"],
            score_gap=None if first is None or second is None else first - second,
            length_gap=len(chosen) - len(rejected),
            entropy=max(entropies, default=None),
            cluster=json.dumps(prompt),
            group=group,
        )
    ]


def logged_judgment(record: Mapping[str, Any]) -> Judged:
    """Return the judgment of a log line; raises one of Python's errors if it is none."""
    return Judged(
        row=int(record.get("step") or 0) + 1,
        side="response",
        rubric=_text(record["rubric"]),
        outcome=_text(record["outcome"]),
        score=_number(record["score"]),
        expected_score=_number(record["expected_score"]),
        probs=_probs(record["score_probs"]),
        entropy=_number(record["entropy"]),
        length=len(record["response"]),
        prompt=_cut(_text(record["instruction"])),
        response=_cut(_text(record["response"])),
        feedback=_cut(_text(record["feedback"] or record.get("error") or "")),
        reward=_number(record.get("reward")),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"got {value!r:.40}, expected a text")
    return value


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not isfinite(value):
        raise TypeError(f"got {value!r:.40}, expected a number")
    return float(value)


def _probs(value: Any) -> dict[str, float] | None:
    """Return a distribution; its labels must be integers."""
    return None if value is None else {str(int(label)): float(prob) for label, prob in value.items()}


def _cut(text: str) -> str:
    return shortened(text, _MAX_TEXT)
