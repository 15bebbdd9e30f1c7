"""Reads one judgment, or one pair, from a labeled row or from a line of a training's log."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from prom_reward.explorer.fields import judgment_fields, number_in, request_texts, text_in, token_counts
from prom_reward.explorer.judged import Judged, Meeting, Standing
from prom_reward.labeling.labeled_rows import LabeledRow
from prom_reward.labeling.verdicts import SIDES, VERDICT_COLUMNS
from prom_reward.prompts.transcripts import PromptValue


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
    for verdict, side, (instruction, answer) in zip(verdicts, sides, row.example.texts(), strict=True):
        reference = row.example.reference_answer or ""
        for judgment in verdict.get("judgments") or [{**verdict, "rubric_name": values["rubric_name"]}]:
            yield Judged(
                side=side,
                member=str(values["row"] + 1) if is_single else side,
                rubric=text_in(judgment["rubric_name"]),
                **request_texts(instruction, answer, reference),
                reward=number_in(verdict.get("unit_score")),
                **judgment_fields(judgment),
                **shared,
            )


def row_pairs(row: LabeledRow, part: str) -> list[JudgedPair]:
    """Return the pair of a labeled row, or nothing if it is unscored."""
    values = row.values
    if values["margin"] is None:
        return []
    chosen, rejected = (answer for _, answer in row.example.texts())
    first, second = (values.get(f"{side}_score") for side in SIDES)
    entropies = [verdict["entropy"] for verdict in row.verdicts if verdict["entropy"] is not None]
    return [
        JudgedPair(
            margin=values["margin"],
            score_gap=None if first is None or second is None else first - second,
            length_gap=len(chosen) - len(rejected),
            entropy=max(entropies, default=None),
            cluster=json.dumps(row.texts[0]),
            part=part,
        )
    ]


def logged_judgment(record: Mapping[str, Any], rank: int = 0) -> Judged:
    """Return the judgment of a log line; raises one of Python's errors if it is none.

    Args:
        record: The line.
        rank: The process that wrote it.
    """
    step = 0 if record.get("step") is None else int(record["step"]) + 1
    row = record.get("row")
    fields = judgment_fields(record)
    return Judged(
        row=step,
        group=" ".join([str(step), _digest(text_in(record["instruction"])), *_group(record)]),
        side="response",
        member="" if row is None else f"{rank}.{int(row) + 1}" if rank else str(int(row) + 1),
        rubric=text_in(record["rubric"]),
        digest=text_in(record.get("rubric_digest") or ""),
        standing=_standing(record),
        **request_texts(record["instruction"], record["response"], record.get("reference_answer") or ""),
        reward=number_in(record.get("reward")),
        weight=number_in(record.get("weight")) or 1.0,
        judge=text_in(record.get("judge") or ""),
        **{**fields, "tokens": _with_comparisons(fields["tokens"], record.get("comparison_tokens"))},
    )


def _with_comparisons(tokens: Mapping[str, float | None], more: Any) -> dict[str, float | None]:
    """Return the counts of a grade with those of the comparisons that stand at it."""
    if more is None:
        return dict(tokens)
    pairs = {name: (tokens[name], count) for name, count in token_counts(more).items()}
    return {name: None if None in pair else sum(one or 0 for one in pair) for name, pair in pairs.items()}


def _group(record: Mapping[str, Any]) -> list[str]:
    """Return the number that GroupReward gives a group in a step, or a call: one prompt may have several."""
    if "comparisons" not in record or record.get("group") is None:
        return []
    return [str(int(record["group"])), text_in(record.get("call") or "")]


def _standing(record: Mapping[str, Any]) -> Standing | None:
    """Return what GroupReward logs; older logs have no single orders."""
    if "comparisons" not in record:
        return None
    return Standing(
        place=int(record["place"]),
        score=number_in(record.get("group_score")),
        standard_error=number_in(record.get("standard_error")),
        meetings=[_meeting(_comparison_feedback(record), *one) for one in record["comparisons"]],
    )


def _comparison_feedback(record: Mapping[str, Any]) -> dict[int, tuple[str, str]]:
    """Return the feedback on a response's comparisons, by the other one's place; older logs have none."""
    written = record.get("comparison_feedback") or ()
    return {int(other): (text_in(first), text_in(second)) for other, first, second in written}


def _meeting(feedback: Mapping[int, tuple[str, str]], other: Any, prob: Any, *orders: Any) -> Meeting:
    first, second = map(number_in, orders or (None, None))
    return Meeting(int(other), number_in(prob), (first, second), feedback.get(int(other), ("", "")))


def prompt_of(group: str) -> str:
    """Return the digest of the prompt of a training's group."""
    return group.partition(" ")[2].partition(" ")[0]


def _digest(prompt: PromptValue) -> str:
    """Return a short digest of a whole prompt; the text that a report shows may be cut."""
    return blake2b(json.dumps(prompt).encode(), digest_size=8).hexdigest()
