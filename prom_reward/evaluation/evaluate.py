"""Measures how well a judge agrees with labels: scores, preference pairs, or verdicts on criteria."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from prom_reward.data.labels.criterion_labels import LabeledChecklist
from prom_reward.data.labels.human_labels import LabelColumns, collect_labeled, read_labeled
from prom_reward.data.labels.labeled_rows import LabeledFile, LabeledPair, LabeledRequest, common_scale
from prom_reward.data.rows import Row
from prom_reward.errors import InputError, number_of
from prom_reward.evaluation.agreement import Estimate
from prom_reward.evaluation.checklists.criteria import (
    CriteriaEvaluation,
    JudgedChecklist,
    compare_judges_on_criteria,
    evaluate_criteria,
)
from prom_reward.evaluation.pairs import PairEvaluation, ScoredPair, compare_judges_on_pairs, evaluate_pairs
from prom_reward.evaluation.scores import Evaluation, ScoredRow, compare_judges, evaluate_scores, grade_all
from prom_reward.judging.base import Judge
from prom_reward.rubrics.reading import AnyRubric, RubricLike, read_rubrics

LabeledInput = str | Path | Iterable[Mapping[str, Any]] | LabeledFile
"""A file, rows in memory, or what `labeled_input` returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeEvaluation:
    """A judge's figures on labeled rows, with the judgments that they are made of."""

    judge: str
    """The judge's name."""
    figures: Evaluation | PairEvaluation | CriteriaEvaluation
    """Of rows with scores, of preference pairs, or of verdicts on criteria."""
    rows: tuple[ScoredRow, ...] = ()
    """The graded rows."""
    pairs: tuple[ScoredPair, ...] = ()
    """The graded pairs."""
    checklists: tuple[JudgedChecklist, ...] = ()
    """The graded checklists."""
    problems: tuple[str, ...] = ()
    """Rows that were left out, each with its place and the reason."""
    against: "JudgeEvaluation | None" = None
    """A second judge on the same rows."""
    difference: Mapping[str, Estimate] = field(default_factory=dict)
    """The judge's figures minus the second judge's, paired."""

    @property
    def note(self) -> str:
        """A line on the rows with an empty or placeholder answer; empty if there are none."""
        apart = None if isinstance(self.figures, CriteriaEvaluation) else self.figures.without_answer
        if isinstance(apart, PairEvaluation):
            total, scored = apart.num_pairs + apart.num_unscored, apart.num_pairs
            rows = number_of(len(self.pairs), "pair")
            figure = f"accuracy {_shown(apart.accuracy['expected'])}"
        elif apart is not None:
            total = apart.num_rows + sum(apart.unscored.values())
            scored, rows = apart.num_rows, number_of(len(self.rows), "row")
            figure = f"mean absolute error {_shown(apart.measures['mae']['expected'])}"
        else:
            return ""
        return f"empty or placeholder answers, in no other figure: {total:,} of {rows}, {scored:,} scored; {figure}"

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        figures = {"judge": self.judge, "left_out": len(self.problems), **self.figures.to_dict()}
        if self.against is not None:
            gaps = {name: one.to_dict() for name, one in self.difference.items()}
            other = {"judge": self.against.judge, **self.against.figures.to_dict(), "difference": gaps}
            figures["against"] = other
        return figures


def evaluate(
    rows: LabeledInput,
    *,
    judge: Judge,
    against: Judge | None = None,
    rubric: RubricLike | None = None,
    columns: LabelColumns | None = None,
    limit: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
    on_start: Callable[[str, int], None] = lambda _, __: None,
    on_batch: Callable[[int], None] = lambda _: None,
) -> JudgeEvaluation:
    """Measure how well a judge agrees with labels.

    Rows with an empty or placeholder response are measured apart: see `Evaluation.without_answer`.

    Args:
        rows: Rows with scores, pairs or verdicts: a file, or mappings as `data.labels.human_labels` reads them.
        judge: The judge.
        against: A second judge, for a paired test on the same rows.
        rubric: For rows without one, in any form of `prom_reward.rubrics.reading.read_rubrics`.
        columns: Columns of the file that have no known name.
        limit: Rows to read at most.
        resamples: Bootstrap resamples of the intervals; 0 for none.
        seed: Seed of the bootstrap.
        on_start: Called for each judge with its name and the number of gradings to come.
        on_batch: Called after each call of a judge with the number of its gradings.

    Raises:
        InputError: The file cannot be read, no row can be used, the rubrics have several scales, or there are labels
            of several kinds.
    """
    if resamples < 0:
        raise InputError(f"got resamples={resamples}; expected 0 or more")
    labeled = labeled_input(rows, rubric=rubric, columns=columns, limit=limit)

    def measured(one: Judge) -> JudgeEvaluation:
        seeded = one.seeded(seed)
        on_start(one.name, len(labeled.rows) + 2 * len(labeled.pairs) + len(labeled.checklists))
        if labeled.checklists:
            checklists = _judged_checklists(seeded, labeled.checklists, on_batch)
            criteria = evaluate_criteria(checklists, resamples=resamples, seed=seed)
            return JudgeEvaluation(judge=one.name, figures=criteria, checklists=checklists)
        if labeled.pairs:
            pairs = _scored_pairs(seeded, labeled.pairs, on_batch)
            return JudgeEvaluation(
                judge=one.name, figures=evaluate_pairs(pairs, resamples=resamples, seed=seed), pairs=pairs
            )
        graded = _scored_rows(seeded, labeled.rows, on_batch)
        return JudgeEvaluation(
            judge=one.name, figures=evaluate_scores(graded, resamples=resamples, seed=seed), rows=graded
        )

    evaluation = replace(measured(judge), problems=tuple(labeled.problems))
    if against is None:
        return evaluation
    other = measured(against)
    gaps = _differences(evaluation, other, resamples, seed)
    return replace(evaluation, against=other, difference=gaps)


def _differences(first: JudgeEvaluation, second: JudgeEvaluation, resamples: int, seed: int) -> dict[str, Estimate]:
    if first.checklists:
        return compare_judges_on_criteria(first.checklists, second.checklists, resamples=resamples, seed=seed)
    if first.pairs:
        return compare_judges_on_pairs(first.pairs, second.pairs, resamples=resamples, seed=seed)
    return compare_judges(first.rows, second.rows, resamples=resamples, seed=seed)


def labeled_input(
    rows: LabeledInput,
    *,
    rubric: RubricLike | None = None,
    columns: LabelColumns | None = None,
    limit: int | None = None,
) -> LabeledFile:
    """Read and check labeled rows: everything that can be wrong with them before a judge is loaded.

    Arguments and errors are those of `evaluate`.
    """
    labeled = _labeled(rows, read_rubrics(rubric) if rubric is not None else (), columns, limit)
    kinds: dict[str, Sequence[object]] = {
        "rows with scores": labeled.rows,
        "preference pairs": labeled.pairs,
        "rows with verdicts on criteria": labeled.checklists,
    }
    told = [f"{name} ({len(found)})" for name, found in kinds.items() if found]
    if len(told) > 1:
        raise InputError(f"got {' and '.join(told)}; expected one kind, so give each in a file of its own")
    if labeled.rows:
        common_scale(labeled.rows)
    return labeled


def _labeled(
    rows: LabeledInput, rubrics: tuple[AnyRubric, ...], columns: LabelColumns | None, limit: int | None
) -> LabeledFile:
    if isinstance(rows, LabeledFile):
        return rows
    if limit is not None and limit < 0:
        raise InputError(f"got limit={limit}; expected 0 or more")
    if isinstance(rows, str | Path):
        return read_labeled(rows, rubrics, columns=columns, limit=limit)
    taken = list(islice(rows, limit))
    for number, values in enumerate(taken, start=1):
        if not isinstance(values, Mapping):
            raise InputError(f"row {number}: got {type(values).__name__}; expected a mapping with columns")
    numbered = (Row(f"row {number}", values) for number, values in enumerate(taken, start=1))
    return collect_labeled(numbered, rubrics, columns=columns, where="rows")


def _scored_rows(
    judge: Judge, rows: Sequence[LabeledRequest], on_batch: Callable[[int], None]
) -> tuple[ScoredRow, ...]:
    judgments = grade_all(judge, [row.request for row in rows], on_batch=on_batch)
    return tuple(ScoredRow(labeled=row, judgment=one) for row, one in zip(rows, judgments, strict=True))


def _judged_checklists(
    judge: Judge, rows: Sequence[LabeledChecklist], on_batch: Callable[[int], None]
) -> tuple[JudgedChecklist, ...]:
    judgments = grade_all(judge, [row.request for row in rows], on_batch=on_batch)
    return tuple(JudgedChecklist(labeled=row, judgment=one) for row, one in zip(rows, judgments, strict=True))


def _scored_pairs(
    judge: Judge, pairs: Sequence[LabeledPair], on_batch: Callable[[int], None]
) -> tuple[ScoredPair, ...]:
    sides = [side for pair in pairs for side in (pair.chosen, pair.rejected)]
    judgments = grade_all(judge, sides, on_batch=on_batch)
    return tuple(
        ScoredPair(labeled=pair, chosen=chosen, rejected=rejected)
        for pair, chosen, rejected in zip(pairs, judgments[::2], judgments[1::2], strict=True)
    )


def _shown(estimate: Estimate) -> str:
    return "undefined" if estimate.value is None else f"{estimate.value:.2f}"
