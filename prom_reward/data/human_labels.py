"""Labelled rows: responses with the scores that people or a stronger judge gave them, and preference pairs.

It does not know judges, measures or training.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from prom_reward.data.grading import row_requests
from prom_reward.data.rows import BrokenRow, Row, read_rows
from prom_reward.errors import InputError, RowError
from prom_reward.types import GradingRequest, Rubric, ScoreScale

SCORE_COLUMNS = ("gpt4_score", "human_score", "orig_score", "score")
FEEDBACK_COLUMNS = ("orig_feedback", "gpt4_feedback", "feedback")
CLUSTER_COLUMNS = ("question_id", "doc", "idx")


_SIDES = ("chosen", "rejected")
_WHOLE_SIDES = ("chosen_instruction", "rejected_instruction")  # of the published HHH file


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRequest:
    """A response with the scores that it was given."""

    request: GradingRequest
    """What a judge is asked."""
    scores: tuple[float, ...]
    """The annotators' scores on the rubric's scale, at least one; fractions are fine."""
    cluster: str
    """The question or document that it belongs to: rows of one cluster are not independent."""
    feedback: str | None = None
    """A written feedback that goes with the scores."""
    feedback_score: float | None = None
    """The score of the annotator who wrote it; None where it goes with all scores."""
    group: str = ""
    """The part of the data that it is reported under."""

    @property
    def mean_score(self) -> float:
        """The mean of the annotators' scores."""
        return sum(self.scores) / len(self.scores)

    @property
    def label_probs(self) -> dict[int, float]:
        """The share of every label; a fractional score is split between its two neighbours."""
        return soft_labels(self.scores, self.request.rubric.scale)

    @property
    def feedback_probs(self) -> dict[int, float]:
        """The same of the scores that the feedback goes with."""
        scores = self.scores if self.feedback_score is None else (self.feedback_score,)
        return soft_labels(scores, self.request.rubric.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPair:
    """Two responses of which people preferred one."""

    chosen: GradingRequest
    """The preferred response."""
    rejected: GradingRequest
    """The other one, by the same rubric."""
    cluster: str
    """The prompt that it belongs to."""
    group: str = ""
    """The part of the data that it is reported under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFile:
    """What a labelled file holds."""

    rows: list[LabelledRequest]
    """Responses with scores."""
    pairs: list[LabelledPair]
    """Preference pairs."""
    problems: list[str]
    """Rows that cannot be used, each with its place and what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelColumns:
    """Where a file keeps what has no known name; None takes the known names."""

    score: str | None = None
    """The score, or a list of several annotators'."""
    cluster: str | None = None
    """Which rows belong to one question or document."""
    group: str | None = None
    """The part of the data to report under; "rubric" takes the criteria."""


def read_labelled(
    path: str | Path,
    default_rubrics: tuple[Rubric, ...] = (),
    *,
    columns: LabelColumns | None = None,
    limit: int | None = None,
) -> LabelledFile:
    """Read a file of labelled responses or of preference pairs.

    Args:
        path: A file or folder that `prom_reward.data.rows.read_rows` takes.
        default_rubrics: For rows without a rubric.
        columns: Columns without a known name.
        limit: Rows to read at most.

    Raises:
        InputError: The file cannot be read, or none of its rows can be used.
    """
    return collect_labelled(islice(read_rows(path), limit), default_rubrics, columns=columns, where=str(path))


def collect_labelled(
    rows: Iterable[Row | BrokenRow],
    default_rubrics: tuple[Rubric, ...] = (),
    *,
    columns: LabelColumns | None = None,
    where: str,
) -> LabelledFile:
    """Collect labeled responses and preference pairs from rows; arguments as in `read_labelled`.

    Raises:
        InputError: No row can be used; the message begins with `where`.
    """
    columns = columns or LabelColumns()
    found = LabelledFile(rows=[], pairs=[], problems=[])
    for row in rows:
        if isinstance(row, BrokenRow):
            found.problems.append(f"{row.place}: {row.problem}")
            continue
        try:
            if is_pair(row.values):
                found.pairs.extend(labelled_pairs(row.values, default_rubrics, columns=columns))
            else:
                found.rows.extend(labelled_requests(row.values, default_rubrics, columns=columns))
        except InputError as error:
            found.problems.append(f"{row.place}: {error}")
    if not found.rows and not found.pairs:
        raise InputError(f"{where}: no labelled row; {found.problems[0] if found.problems else 'it has no rows'}")
    return found


def is_pair(values: Mapping[str, Any]) -> bool:
    """Whether a row holds a preference pair: two responses, or two whole Prometheus prompts."""
    return any(all(values.get(side) is not None for side in sides) for sides in (_SIDES, _WHOLE_SIDES))


def labelled_pairs(
    values: Mapping[str, Any], default_rubrics: tuple[Rubric, ...] = (), *, columns: LabelColumns | None = None
) -> list[LabelledPair]:
    """Return the preference pairs of a row, one per rubric.

    Args:
        values: A row with `chosen` and `rejected`, else as `prom_reward.data.grading.row_requests` reads it; or
            with a whole Prometheus prompt in each of `chosen_instruction` and `rejected_instruction`.
        default_rubrics: For rows without a rubric.
        columns: Columns without a known name.

    Raises:
        RowError, RubricError: As `row_requests`.
    """
    columns = columns or LabelColumns()
    if values.get(_SIDES[0]) is not None:
        sides = [row_requests({**values, "response": values[side]}, default_rubrics) for side in _SIDES]
    else:
        sides = [row_requests({"instruction": values[side]}, default_rubrics) for side in _WHOLE_SIDES]
    cluster = cluster_of(values, columns.cluster)
    return [
        LabelledPair(
            chosen=chosen,
            rejected=rejected,
            cluster=cluster or chosen.instruction,
            group=_group(values, columns.group, chosen),
        )
        for chosen, rejected in zip(*sides, strict=True)
    ]


def common_scale(rows: Sequence[LabelledRequest]) -> ScoreScale:
    """Return the scale that all rows' rubrics have.

    Raises:
        InputError: There are several.
    """
    scales = sorted({(row.request.rubric.scale.low, row.request.rubric.scale.high) for row in rows})
    if len(scales) > 1:
        shown = " and ".join(f"{low} to {high}" for low, high in scales)
        raise InputError(f"got rubrics on the scales {shown}; expected one scale, so measure each in a file of its own")
    return rows[0].request.rubric.scale


def soft_labels(scores: tuple[float, ...], scale: ScoreScale) -> dict[int, float]:
    """Return a distribution over the scale's labels whose mean is that of the scores."""
    probs = dict.fromkeys(scale.labels, 0.0)
    for score in scores:
        below = min(int(score), scale.high - 1)
        probs[below] += (below + 1 - score) / len(scores)
        probs[below + 1] += (score - below) / len(scores)
    return probs


def labelled_requests(
    values: Mapping[str, Any],
    default_rubrics: tuple[Rubric, ...] = (),
    *,
    columns: LabelColumns | None = None,
) -> list[LabelledRequest]:
    """Return the labelled requests of a row, one per rubric.

    Args:
        values: A row as `prom_reward.data.grading.row_requests` reads it, with a score or a list of scores
            (`gpt4_score`, `human_score`, `orig_score` or `score`) and perhaps a feedback (`orig_feedback`,
            `gpt4_feedback` or `feedback`; of a list the first). A Feedback-Collection row may hold both in
            `output` alone.
        default_rubrics: For rows without a rubric.
        columns: Columns without a known name; rows of one `question_id`, `doc`, `idx` or instruction belong
            together.

    Raises:
        RowError: There is no score, or one that is not on the rubric's scale.
        RubricError: There is no rubric, or it cannot be read.
    """
    columns = columns or LabelColumns()
    label, feedback, num_feedbacks = _label(values, columns.score)
    scores = _scores(label)
    cluster = cluster_of(values, columns.cluster)
    requests = row_requests(values, default_rubrics)
    for request in requests:
        scale = request.rubric.scale
        wrong = [score for score in scores if not scale.low <= score <= scale.high]
        if wrong:
            raise RowError(f"got the score {wrong[0]:g}; expected {scale.low} to {scale.high}, the rubric's scale")
    return [
        LabelledRequest(
            request=request,
            scores=scores,
            cluster=cluster or request.instruction,
            feedback=feedback or None,
            feedback_score=scores[0] if feedback and num_feedbacks == len(scores) else None,
            group=_group(values, columns.group, request),
        )
        for request in requests
    ]


def _label(values: Mapping[str, Any], score_column: str | None) -> tuple[Any, str, int]:
    """Return a row's score or scores, its first feedback, and how many feedbacks it has."""
    columns = (score_column,) if score_column else SCORE_COLUMNS
    name = next((name for name in columns if values.get(name) is not None), None)
    feedback = next((values[column] for column in FEEDBACK_COLUMNS if values.get(column)), "")
    feedbacks = feedback if isinstance(feedback, list | tuple) else [feedback]
    if name is not None:
        return values[name], str(feedbacks[0]), len(feedbacks)
    written, marker, verdict = str(values.get("output") or "").rpartition("[RESULT]")
    if marker:
        return verdict.strip(), written.removeprefix("Feedback:").strip(), 1
    known = ", ".join(sorted(map(str, values)))
    raise RowError(f"no score; got the columns {known}, expected one of {', '.join(columns)}")


def _scores(label: Any) -> tuple[float, ...]:
    scores = label if isinstance(label, list | tuple) else [label]
    try:
        numbers = tuple(float(score) for score in scores)
    except (TypeError, ValueError, OverflowError):
        numbers = ()
    if not numbers:
        raise RowError(f"got {label!r:.60} as the score; expected a number or a list of numbers")
    return numbers


def cluster_of(values: Mapping[str, Any], column: str | None = None) -> str:
    """Return the question or document that a row names, by this column or a known one; empty where it names none.

    Raises:
        RowError: There is no such column.
    """
    columns = (_known(values, column),) if column else CLUSTER_COLUMNS
    return str(next((values[name] for name in columns if values.get(name) is not None), ""))


def _group(values: Mapping[str, Any], column: str | None, request: GradingRequest) -> str:
    if column is None:
        return ""
    return request.rubric.criteria if column == "rubric" else str(values[_known(values, column)])


def _known(values: Mapping[str, Any], column: str) -> str:
    if column not in values:
        raise RowError(f"no column {column!r}; got {', '.join(sorted(map(str, values)))}")
    return column
