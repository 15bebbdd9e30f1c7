"""Rows with labels of people or of a stronger judge: scores, preference pairs, and verdicts on criteria."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from prom_reward.data.formats import Example, RowFormat
from prom_reward.data.labels.criterion_labels import (
    has_verdicts,
    labeled_checklist,
    text_as_criterion,
    verdict_column,
)
from prom_reward.data.labels.labeled_rows import LabeledFile, LabeledPair, LabeledRequest
from prom_reward.data.labels.repeats import repeated_labels
from prom_reward.data.labels.row_labels import (
    SCORE_COLUMNS,
    OffScaleError,
    SeveralScoresError,
    cluster_of,
    known_column,
    label_of,
    on_scale,
    score_column,
    scores_of,
)
from prom_reward.data.pairs.preferences import NumberedVerdicts
from prom_reward.data.pairs.spreading import spread_pairs
from prom_reward.data.recognition import Recognition
from prom_reward.data.rows import BrokenRow, Row, read_rows
from prom_reward.errors import InputError, RowError, check_flags, number_of
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.reading import AnyRubric, with_levels
from prom_reward.types import GradingRequest, ScoreScale

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelColumns:
    """The columns that have no known name, and the scale of the scores; None takes the known names."""

    score: str | None = None
    """The score, or a list of several annotators'."""
    cluster: str | None = None
    """Which rows belong to one question or document."""
    group: str | None = None
    """The part of the data to report under; "rubric" takes the criteria."""
    scale: ScoreScale | None = None
    """The scale of the scores, if it is not the rubric's: they are mapped linearly."""
    strict: bool = False
    """Refuse a file in which a column of known meaning, or an image in messages, stays unread, instead of warning; also
    one whose rows are read from several columns."""
    named: Mapping[str, str] = field(default_factory=dict)
    """A column or path for each role whose name says nothing; see `prom_reward.data.columns.COLUMN_NAMES`."""

    def __post_init__(self) -> None:
        check_flags(strict=self.strict)


def read_labeled(
    path: str | Path,
    default_rubrics: tuple[AnyRubric, ...] = (),
    *,
    columns: LabelColumns | None = None,
    limit: int | None = None,
) -> LabeledFile:
    """Read a file of labeled responses, of preference pairs, or of verdicts on criteria.

    Args:
        path: A file or folder that `prom_reward.data.rows.read_rows` reads.
        default_rubrics: For rows without a rubric.
        columns: Columns without a known name.
        limit: The most rows to read.

    Raises:
        InputError: The file cannot be read, none of its rows can be used, a label is off the scale, or its verdicts
            count the answers from another number than its columns do, or its scores stand in several columns.
    """
    rows = islice(read_rows(path), limit)
    return collect_labeled(rows, default_rubrics, columns=columns, where=str(path))


def collect_labeled(
    rows: Iterable[Row | BrokenRow],
    default_rubrics: tuple[AnyRubric, ...] = (),
    *,
    columns: LabelColumns | None = None,
    where: str,
) -> LabeledFile:
    """Collect labeled responses and preference pairs from rows; arguments as in `read_labeled`.

    Raises:
        InputError: No row can be used, or a label leaves the scale; the message begins with `where`.
    """
    columns = columns or LabelColumns()
    row_format = RowFormat(columns=dict(columns.named), kinds=("response", "pair"))
    labeled = LabeledFile(rows=[], pairs=[], checklists=[], problems=[], recognition=Recognition(where))
    off_scale: dict[str, OffScaleError] = {}
    verdicts = NumberedVerdicts(columns.named)
    for row in spread_pairs(rows, columns.named):
        if isinstance(row, BrokenRow):
            labeled.problems.append(f"{row.place}: {row.problem}")
            continue
        verdicts.note(row.values)
        try:
            example, label = row_format.example(row.values), None
            if example.kind == "pair":
                labeled.pairs.extend(labeled_pairs(example, default_rubrics, columns=columns))
            elif example.kind == "response":
                label = _add_response(labeled, example, default_rubrics, columns)
            else:
                raise RowError(
                    "got several responses in a row; expected one with its label, or a pair: write a row for each "
                    "response, with its rating as `human_score`"
                )
            labeled.recognition.note(example, row.place, label=label)
        except OffScaleError as error:
            off_scale[row.place] = error
        except SeveralScoresError as error:  # the rows in which they agree would show that they do
            raise InputError(f"{where}, {row.place}: {error}") from error
        except InputError as error:
            labeled.problems.append(f"{row.place}: {error}")
    verdicts.check(where)
    _check_whole(labeled, off_scale, columns, where)
    return labeled


def _check_whole(found: LabeledFile, off_scale: Mapping[str, OffScaleError], columns: LabelColumns, where: str) -> None:
    """Refuse a file as a whole if some of its labels are off the scale, if it has none, or has them in two columns."""
    if off_scale:
        others = [] if columns.scale else [score for row in found.rows for score in row.scores]
        raise InputError(f"{where}: {_off_scale_problem(off_scale, others)}")
    if not found.rows and not found.pairs and not found.checklists:
        if not found.problems:
            raise InputError(f"{where}: no labeled row; it has no rows")
        raise InputError(f"{where}: no labeled row of {len(found.problems):,}; {found.problems[0]}")
    _check_one_label(found.recognition.columns.get("label", ()), where)
    found.recognition.check(strict=columns.strict)
    if repeated := repeated_labels(found):
        logger.warning("%s: %s", where, repeated)


def _check_one_label(names: Sequence[str], where: str) -> None:
    """Refuse a file that keeps the scores of some rows in one column and those of others in another."""
    scores = [name for name in names if name in SCORE_COLUMNS]
    if len(scores) > 1:
        raise InputError(
            f"{where}: got scores in {' and '.join(scores)}, some rows in each; expected one column: name it with "
            "--score-column"
        )


def _add_response(
    found: LabeledFile, example: Example, default_rubrics: tuple[AnyRubric, ...], columns: LabelColumns
) -> str | None:
    """Add a row's scores, or its verdicts if its rubrics are checklists; return the column that they stand in."""
    if has_verdicts(example.columns, columns.score):
        text_as_criterion(example.columns)
    [requests] = example.requests(default_rubrics)
    checklists = [(one, one.rubric) for one in requests if isinstance(one.rubric, Checklist)]
    if not checklists:
        found.rows.extend(labeled_requests(example, default_rubrics, columns=columns))
        return score_column(example.columns.values, columns.score)
    if len(requests) > 1:
        raise RowError(
            f"got {len(requests)} rubrics with a checklist among them; expected a checklist alone, for verdicts"
        )
    values = example.columns.values
    [(request, checklist)] = checklists
    found.checklists.append(
        labeled_checklist(
            example,
            request,
            checklist,
            column=columns.score,
            cluster=cluster_of(values, columns.cluster),
            group=_group(values, columns.group, request),
        )
    )
    return verdict_column(values, columns.score) or example.columns.read.get("rubric")


def _off_scale_problem(errors: Mapping[str, OffScaleError], others: Sequence[float]) -> str:
    """Say why a file is refused as a whole, by the errors of its rows: other labels may be on the wrong scale too."""
    (place, first), scores = next(iter(errors.items())), [*(error.score for error in errors.values()), *others]
    which = f"{'' if len(errors) == 1 else 'the first '}{place} with {first.score:g}"
    return (
        f"labels from {min(scores):g} to {max(scores):g}, outside the scale {first.scale.low} to {first.scale.high} in "
        f"{number_of(len(errors), 'row')} ({which}); expected labels on the rubric's scale: correct them, or map all "
        "with --label-scale LOW-HIGH (label_scale in a recipe)"
    )


def labeled_pairs(
    example: Example, default_rubrics: tuple[AnyRubric, ...] = (), *, columns: LabelColumns | None = None
) -> list[LabeledPair]:
    """Return the preference pairs of a row, one per rubric.

    Raises:
        RowError: Both answers are the same, or as `prom_reward.data.formats.Example.requests`.
        RubricError: As there.
    """
    columns = columns or LabelColumns()
    values = example.columns.values
    cluster = cluster_of(values, columns.cluster)
    if example.responses[0] == example.responses[1]:
        raise RowError("got the same answer as chosen and rejected; expected two answers")
    return [
        LabeledPair(
            chosen=chosen,
            rejected=rejected,
            cluster=cluster or chosen.instruction,
            group=_group(values, columns.group, chosen),
        )
        for chosen, rejected in zip(*example.requests(default_rubrics), strict=True)
    ]


def labeled_requests(
    example: Example,
    default_rubrics: tuple[AnyRubric, ...] = (),
    *,
    columns: LabelColumns | None = None,
) -> list[LabeledRequest]:
    """Return the labeled requests of a row with one response, one per rubric.

    Args:
        example: A row with a score or a list of scores (`gpt4_score`, `human_score`, `orig_score` or `score`) and
            perhaps a feedback (`orig_feedback`, `gpt4_feedback` or `feedback`; of a list the first). A
            Feedback-Collection row may hold both in `output` alone.
        default_rubrics: For rows without a rubric.
        columns: Columns without a known name; rows of one `question_id`, `doc`, `idx` or instruction belong
            together.

    Raises:
        RowError: There is no score, or it is no number.
        OffScaleError: A score is not on the rubric's scale.
        RubricError: There is no rubric, or it cannot be read.
    """
    columns = columns or LabelColumns()
    values = example.columns.values
    label, feedback, num_feedbacks = label_of(values, columns.score)
    scores = scores_of(label)
    cluster = cluster_of(values, columns.cluster)
    [requests] = example.requests(default_rubrics)
    found = []
    for request in requests:
        own = on_scale(scores, with_levels(request.rubric).scale, columns.scale)
        found.append(
            LabeledRequest(
                request=request,
                scores=own,
                cluster=cluster or request.instruction,
                feedback=feedback or None,
                feedback_score=own[0] if feedback and num_feedbacks == len(own) else None,
                group=_group(values, columns.group, request),
            )
        )
    return found


def _group(values: Mapping[str, Any], column: str | None, request: GradingRequest) -> str:
    if column is None:
        return ""
    if column == "rubric" and isinstance(request.rubric, Checklist):
        return request.rubric.name
    return with_levels(request.rubric).criteria if column == "rubric" else str(values[known_column(values, column)])
