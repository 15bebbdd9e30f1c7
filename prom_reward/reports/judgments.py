"""One judgment, or one pair, as a report shows it: from a labelled row, or from a line of a training's log.

It does not know files, figures or HTML.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prom_reward.labeling.exports import LabeledRow, texts
from prom_reward.prompts.transcripts import transcript

_NAMES = ("outcome", "score", "expected_score", "score_probs", "entropy", "feedback", "error")
_MAX_TEXT = 6_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One judgment with what it was on; texts are cut."""

    row: int
    """The row, or the step of a training, counted from 0."""
    side: str
    """"chosen", "rejected", "response", or "1", "2"... of several."""
    rubric: str
    """The rubric's name."""
    outcome: str
    """How it ended."""
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
    """What was asked."""
    response: str
    """What was judged."""
    feedback: str
    """What the judge wrote, or the error."""
    margin: float | None = None
    """Of the pair, in logit units."""
    agreement: str | None = None
    """Of the pair."""
    group: str = ""
    """The part of the data."""
    reward: float | None = None
    """In a training."""


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
    """Yield the judgments of a labelled row, one a response."""
    values, example = row.values, row.example
    prompt, *responses = texts(example)
    shared = {"row": values["row"], "rubric": values["rubric_name"], "group": group}
    shared |= {"margin": values.get("margin"), "agreement": values.get("agreement")}
    labels: Sequence[Mapping[str, Any]]
    match example.kind:
        case "pair" if "chosen_outcome" in values:
            labels = [{name: values.get(f"{side}_{name}") for name in _NAMES} for side in ("chosen", "rejected")]
            sides = ["chosen", "rejected"]
        case "pair":
            ranking = {"outcome": values["ranking_outcome"], "feedback": values["ranking_feedback"]}
            labels, sides = [{**dict.fromkeys(_NAMES), **ranking}] * 2, ["chosen", "rejected"]
        case "responses":
            labels, sides = values["labels"], [str(number + 1) for number in range(len(responses))]
        case _:
            labels, sides = [values], ["response"]
    for label, side, response in zip(labels, sides, responses, strict=True):
        instruction, answer = transcript(prompt, response)
        yield Judged(
            side=side,
            outcome=label["outcome"],
            score=label["score"],
            expected_score=label["expected_score"],
            probs=label["score_probs"],
            entropy=label["entropy"],
            length=len(answer),
            prompt=_cut(instruction),
            response=_cut(answer),
            feedback=_cut(label["feedback"] or label.get("error") or ""),
            **shared,
        )


def row_pairs(row: LabeledRow, group: str) -> list[JudgedPair]:
    """Return the pair of a labelled row, or nothing where it is unscored."""
    values = row.values
    if values["margin"] is None:
        return []
    prompt, *responses = texts(row.example)
    chosen, rejected = (transcript(prompt, response)[1] for response in responses)
    first, second = (values.get(f"{side}_score") for side in ("chosen", "rejected"))
    entropies = [values[name] for name in ("chosen_entropy", "rejected_entropy") if values.get(name) is not None]
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
    """Return the judgment of a log line; raises an error of Python's where it is none."""
    probs = record["score_probs"]
    return Judged(
        row=int(record.get("step") or 0),
        side="response",
        rubric=_text(record["rubric"]),
        outcome=_text(record["outcome"]),
        score=_number(record["score"]),
        expected_score=_number(record["expected_score"]),
        probs=None if probs is None else {label: float(prob) for label, prob in probs.items()},
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
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"got {value!r:.40}, expected a number")
    return None if value is None else float(value)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]} … [{len(text) - _MAX_TEXT:,} characters more]"
