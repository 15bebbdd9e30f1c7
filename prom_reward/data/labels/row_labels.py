"""The labels of a row: its scores, its feedback, their scale, and the question or document that the row belongs to."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from prom_reward.data.cells import is_missing
from prom_reward.data.columns import shown_names
from prom_reward.errors import InputError, RowError
from prom_reward.types import ScoreScale

SCORE_COLUMNS = ("gpt4_score", "human_score", "orig_score", "score")
FEEDBACK_COLUMNS = ("orig_feedback", "gpt4_feedback")  # and "feedback", which may be a judge's
CLUSTER_COLUMNS = ("question_id", "doc", "idx")


class OffScaleError(RowError):
    """A label is not on its scale."""

    def __init__(self, score: float, scale: ScoreScale) -> None:
        super().__init__(f"got the score {score:g}; expected {scale.low} to {scale.high}")
        self.score, self.scale = score, scale


class SeveralScoresError(RowError):
    """A row has several scores that differ, and nobody said which is the label."""


def score_column(values: Mapping[str, Any], named: str | None) -> str | None:
    """Return the column of a row's score: the named one, else the known one that has a value.

    Raises:
        SeveralScoresError: Several known ones have values that differ.
        RowError: It is a judge's, as of `prom-reward grade`.
    """
    columns = (named,) if named else SCORE_COLUMNS
    found = [name for name in columns if not is_missing(values.get(name))]
    if found == ["score"] and named is None and _is_judged(values, ""):
        people = f"{_own_prefix(values)}score"
        raise RowError(
            "got a judge's score, beside its outcome and its rubric's name; name people's with --score-column "
            f"{people if people in values else 'NAME'}, or the judge's with --score-column score"
        )
    if _is_judged(values, "") and len(found) > 1:
        found = [name for name in found if name != "score"]
    if other := next((name for name in found if not _are_equal(values[name], values[found[0]])), None):
        raise SeveralScoresError(
            f"got {found[0]}={values[found[0]]!r:.40} and {other}={values[other]!r:.40}; choose one for all rows: "
            f"--score-column {found[0]} or --score-column {other}"
        )
    if found:
        return found[0]
    return "output" if named is None and "[RESULT]" in str(values.get("output") or "") else None


def _are_equal(label: Any, other: Any) -> bool:
    """Whether two labels are the same numbers; CSV files hold them as text."""
    try:
        return scores_of(label) == scores_of(other)
    except RowError:
        return bool(label == other)


def label_of(values: Mapping[str, Any], named: str | None) -> tuple[Any, str, int]:
    """Return a row's score or scores, its first feedback, and how many feedbacks it has."""
    name = score_column(values, named)
    if name is None:
        expected = named or f"{', '.join(SCORE_COLUMNS)}; name another with --score-column"
        raise RowError(f"no score; got the columns {shown_names(values)}, expected one of {expected}")
    if name == "output" and named is None:
        written, _, verdict = str(values["output"]).rpartition("[RESULT]")
        return verdict.strip(), written.removeprefix("Feedback:").strip(), 1
    given = (values.get(column) for column in (*FEEDBACK_COLUMNS, f"{_own_prefix(values, name)}feedback"))
    feedback = next((one for one in given if one and not is_missing(one)), "")
    feedbacks = feedback if isinstance(feedback, list | tuple) else [feedback]
    return values[name], "" if is_missing(feedbacks[0]) else str(feedbacks[0]), len(feedbacks)


def _own_prefix(values: Mapping[str, Any], score: str = "") -> str:
    """Return what stands before a row's own columns, beside those of the judge that did not give this score.

    It is "input_" once for each time that `prom-reward grade` or `label` judged the row.
    """
    prefix = ""
    while _is_judged(values, prefix) and score != f"{prefix}score":
        prefix = f"input_{prefix}"
    return prefix


def _is_judged(values: Mapping[str, Any], prefix: str) -> bool:
    """Whether the columns under a prefix are a judge's, of `grade`, `label` or a judgment log."""
    named = values.keys() & {f"{prefix}rubric_name", f"{prefix}rubric_digest"}
    return bool(named) and f"{prefix}outcome" in values


def scores_of(label: Any) -> tuple[float, ...]:
    """Return a label, or several annotators' labels, as numbers; RowError if one is none."""
    scores = label if isinstance(label, list | tuple) else [label]
    try:
        numbers = tuple(float(score) for score in scores if not isinstance(score, bool))
    except (TypeError, ValueError, OverflowError):
        numbers = ()
    if not numbers or len(numbers) < len(scores) or not all(map(isfinite, numbers)):
        raise RowError(f"got {label!r:.60} as the score; expected a number or a list of numbers")
    return numbers


def on_scale(scores: tuple[float, ...], scale: ScoreScale, label_scale: ScoreScale | None) -> tuple[float, ...]:
    """Return labels on a rubric's scale, mapped linearly if they have a scale of their own.

    Raises:
        OffScaleError: A label is not on its scale.
    """
    given = label_scale or scale
    wrong = [score for score in scores if not given.low <= score <= given.high]
    if wrong:
        raise OffScaleError(wrong[0], given)
    if label_scale is None:
        return scores
    return tuple(scale.low + given.to_unit(score) * (scale.high - scale.low) for score in scores)


def scale_of(text: str, given: str) -> ScoreScale:
    """Return the scale of a text such as `1-10`; `given` names its option or key.

    Raises:
        InputError: It has another form.
    """
    match = re.fullmatch(r"([0-9]{1,4})-([0-9]{1,4})", text.strip())
    if match is None:
        raise InputError(f"got {given} {text!r}; expected LOW-HIGH, for example 1-10")
    return ScoreScale(int(match[1]), int(match[2]))


def soft_labels(scores: tuple[float, ...], scale: ScoreScale) -> dict[int, float]:
    """Return a distribution over the scale's labels whose mean is that of the scores."""
    probs = dict.fromkeys(scale.labels, 0.0)
    for score in scores:
        below = min(int(score), scale.high - 1)
        probs[below] += (below + 1 - score) / len(scores)
        probs[below + 1] += (score - below) / len(scores)
    return probs


def cluster_of(values: Mapping[str, Any], column: str | None = None) -> str:
    """Return the question or document that a row names, by this column or a known one; empty if it names none.

    Raises:
        RowError: There is no such column.
    """
    columns = (known_column(values, column),) if column else CLUSTER_COLUMNS
    return str(next((values[name] for name in columns if not is_missing(values.get(name))), ""))


def known_column(values: Mapping[str, Any], column: str) -> str:
    """Return a column that the row has; RowError if it has not."""
    if column not in values:
        raise RowError(f"no column {column!r}; got {shown_names(values)}")
    return column
