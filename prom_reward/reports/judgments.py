"""Reads one judgment, or one pair, from a labeled row or from a line of a training's log."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import isfinite
from typing import Any

from prom_reward.explorer.judged import Judged, Meeting, Standing
from prom_reward.labeling.labeled_rows import LabeledRow
from prom_reward.labeling.verdicts import SIDES, VERDICT_COLUMNS
from prom_reward.pages.text import shortened
from prom_reward.prompts.transcripts import PromptValue, transcript
from prom_reward.rubrics.checklists.checklist import Part

_MAX_TEXT = 20_000


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
    part: str
    """The part of the data."""


def row_judgments(row: LabeledRow, part: str) -> Iterator[Judged]:
    """Yield the judgments of a labeled row: one for each response and rubric."""
    values = row.values
    prompt, *responses = row.texts
    is_single = row.example.kind == "response"
    shared = {"row": values["row"], "part": part, "group": _digest(prompt) if is_single else str(values["row"])}
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
        reference = row.example.reference_answer or ""
        for judgment in verdict.get("judgments") or [{**verdict, "rubric_name": values["rubric_name"]}]:
            yield Judged(
                side=side,
                member=str(values["row"] + 1) if is_single else side,
                rubric=_text(judgment["rubric_name"]),
                **_texts(instruction, answer, reference),
                reward=_number(verdict.get("unit_score")),
                **_judgment_fields(judgment),
                **shared,
            )


def row_pairs(row: LabeledRow, part: str) -> list[JudgedPair]:
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
            part=part,
        )
    ]


def logged_judgment(record: Mapping[str, Any], rank: int = 0) -> Judged:
    """Return the judgment of a log line; raises one of Python's errors if it is none.

    Args:
        record: The line.
        rank: The process that wrote it.
    """
    step = int(record.get("step") or 0) + 1
    row = record.get("row")
    return Judged(
        row=step,
        group=" ".join([str(step), _digest(_text(record["instruction"])), *_group(record)]),
        side="response",
        member="" if row is None else f"{rank}.{int(row) + 1}" if rank else str(int(row) + 1),
        rubric=_text(record["rubric"]),
        digest=_text(record.get("rubric_digest") or ""),
        standing=_standing(record),
        **_texts(record["instruction"], record["response"], record.get("reference_answer") or ""),
        reward=_number(record.get("reward")),
        weight=_number(record.get("weight")) or 1.0,
        judge=_text(record.get("judge") or ""),
        **_judgment_fields(record),
    )


def _judgment_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Judgment.to_dict` that a report shows."""
    return {
        "outcome": _text(values["outcome"]),
        "score": _number(values["score"]),
        "expected_score": _number(values["expected_score"]),
        "probs": _probs(values["score_probs"]),
        "entropy": _number(values["entropy"]),
        "feedback": _cut(_text(values["feedback"] or values.get("error") or "")),
        "flags": tuple(map(_text, values.get("flags") or ())),
        "given_by": _text(values.get("given_by") or ""),
        "judge_scores": {_text(name): _number(score) for name, score in (values.get("judge_scores") or {}).items()},
        "parts": tuple(_part(part) for part in values.get("parts") or ()),
    }


def _part(values: Mapping[str, Any]) -> Part:
    """Return a checklist's criterion; its texts are as bounded as feedback."""
    said = [_text(values.get(name) or "") for name in ("source", "feedback", "error")]
    return Part(
        name=_text(values["name"]),
        weight=_number(values["weight"]) or 0.0,
        value=_number(values.get("value")),
        effect=_number(values.get("effect")),
        source=said[0],
        feedback=_cut(said[1]),
        error=said[2] or None,
    )


def _group(record: Mapping[str, Any]) -> list[str]:
    """Return the number that GroupReward gives a group: one prompt may have two in a step."""
    return [str(int(record["group"]))] if "comparisons" in record and record.get("group") is not None else []


def _standing(record: Mapping[str, Any]) -> Standing | None:
    """Return what GroupReward logs; older logs have no single orders."""
    if "comparisons" not in record:
        return None
    return Standing(
        place=int(record["place"]),
        score=_number(record.get("group_score")),
        standard_error=_number(record.get("standard_error")),
        meetings=[_meeting(*one) for one in record["comparisons"]],
    )


def _meeting(other: Any, prob: Any, *orders: Any) -> Meeting:
    first, second = map(_number, orders or (None, None))
    return Meeting(int(other), _number(prob), (first, second))


def _texts(prompt: str, response: str, reference: str) -> dict[str, Any]:
    """Return the texts of a request as a report shows them, and the response's whole length."""
    texts = {"prompt": _text(prompt), "response": _text(response), "reference": _text(reference)}
    is_cut = any(len(text) > _MAX_TEXT for text in texts.values())
    return {**{name: _cut(text) for name, text in texts.items()}, "length": len(response), "is_cut": is_cut}


def _digest(prompt: PromptValue) -> str:
    """Return a short digest of a whole prompt; the text that a report shows may be cut."""
    return blake2b(json.dumps(prompt).encode(), digest_size=8).hexdigest()


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
