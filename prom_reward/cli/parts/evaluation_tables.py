"""The tables of `prom-reward evaluate`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.table import Table

from prom_reward.cli.parts.console import stdout
from prom_reward.cli.parts.estimates import Cell, brief, show_fitting
from prom_reward.errors import number_of
from prom_reward.evaluation.agreement import Estimate, warnings_of
from prom_reward.evaluation.checklists.criteria import CriteriaEvaluation
from prom_reward.evaluation.evaluate import JudgeEvaluation
from prom_reward.evaluation.pairs import PairEvaluation
from prom_reward.evaluation.scores import Evaluation

_NUM_CRITERIA = 20


def show_evaluation(found: JudgeEvaluation) -> None:
    """Print the figures of one judge, or of two with their paired difference."""
    _show_figures(found)
    if found.against is not None:
        _show_figures(found.against)
        of = "verdicts" if found.checklists else "expected score"
        _show_gaps(f"{found.judge} minus {found.against.judge}, {of}", found.difference)


def _show_figures(found: JudgeEvaluation) -> None:
    if isinstance(found.figures, PairEvaluation):
        _show_pairs(found.judge, found.figures)
    elif isinstance(found.figures, CriteriaEvaluation):
        _show_criteria(found.judge, found.figures)
    else:
        _show_scores(found.judge, found.figures)
    if found.note:
        stdout.print(found.note, soft_wrap=True)


def _show_scores(name: str, evaluation: Evaluation) -> None:
    """Print a judge's figures beside the baselines'."""
    kinds = list(dict.fromkeys(kind for one in evaluation.measures.values() for kind in one))
    measures = {**evaluation.measures, "pearson, length held": evaluation.partial}
    _show_measures(f"{name}: {number_of(evaluation.num_rows, 'row')}", kinds, measures)
    for outcome, count in evaluation.unscored.items():
        stdout.print(f"{number_of(count, 'row')} unscored: {outcome}")
    groups = {name: _estimates(one.measures) for name, one in evaluation.groups.items()}
    _show_warnings(_estimates(measures), groups)
    if groups:
        _show_groups(evaluation.groups)


def _show_groups(groups: Mapping[str, Evaluation]) -> None:
    shown = ("pearson", "spearman", "mae")

    def rows(cell: Cell) -> Iterator[Sequence[str]]:
        for name, one in groups.items():
            pairs = ((one.measures[measure]["expected"], one.measures[measure].get("length")) for measure in shown)
            yield name, str(one.num_rows), *(cell(judged, length) for judged, length in pairs)

    show_fitting("by group, expected score (length)", ("", "rows", *shown), rows)


def _show_pairs(name: str, evaluation: PairEvaluation) -> None:
    """Print a judge's accuracy on preference pairs beside that of length."""

    def rows(cell: Cell) -> Iterator[Sequence[str]]:
        for label, one in {"all": evaluation, **evaluation.groups}.items():
            yield label, str(one.num_pairs), *map(cell, one.accuracy.values())

    title = f"{name}: {number_of(evaluation.num_pairs, 'pair')}, accuracy (ties half)"
    show_fitting(title, ("", "pairs", *evaluation.accuracy), rows)
    if evaluation.num_unscored:
        stdout.print(f"{number_of(evaluation.num_unscored, 'pair')} unscored")
    groups = {name: one.accuracy.values() for name, one in evaluation.groups.items()}
    _show_warnings(evaluation.accuracy.values(), groups)


def _show_criteria(name: str, evaluation: CriteriaEvaluation) -> None:
    """Print a judge's figures on verdicts, then those of every group and of the criteria with the most verdicts."""
    kinds = list(dict.fromkeys(kind for one in evaluation.measures.values() for kind in one))
    _show_measures(f"{name}: {number_of(evaluation.num_verdicts, 'verdict')} on criteria", kinds, evaluation.measures)
    if evaluation.num_unscored:
        stdout.print(f"{number_of(evaluation.num_unscored, 'verdict')} on criteria that the judge could not tell")
    groups = {name: _estimates(one.measures) for name, one in evaluation.groups.items()}
    _show_warnings(_estimates(evaluation.measures), groups)
    shown = ("accuracy", "kappa", "tpr", "tnr", "auc", "ece")
    table = Table(title="by group and criterion", title_justify="left")
    for heading in ("", "verdicts", *shown):
        table.add_column(heading, overflow="fold")
    criteria = list(evaluation.criteria.items())
    for label, one in (*evaluation.groups.items(), *criteria[:_NUM_CRITERIA]):
        table.add_row(label, str(one.num_verdicts), *(brief(one.measures[measure]["judge"]) for measure in shown))
    stdout.print(table)
    if len(criteria) > _NUM_CRITERIA:
        stdout.print(f"... and {len(criteria) - _NUM_CRITERIA} more criteria; --json has all")


def _show_gaps(title: str, gaps: Mapping[str, Estimate]) -> None:
    """Print the paired differences of two judges."""

    def rows(cell: Cell) -> Iterator[Sequence[str]]:
        for measure, gap in gaps.items():
            yield measure, cell(gap), "-" if gap.p_value is None else f"{gap.p_value:.3f}"

    show_fitting(title, ("", "difference", "p"), rows)
    _show_warnings(gaps.values(), {})


def _show_measures(title: str, kinds: Sequence[str], measures: Mapping[str, Mapping[str, Estimate]]) -> None:
    """Print a row for each measure and a column for each kind of score."""

    def rows(cell: Cell) -> Iterator[Sequence[str]]:
        for measure, found in measures.items():
            yield measure.replace("_", " "), *(cell(found.get(kind)) for kind in kinds)

    show_fitting(title, ("", *kinds), rows)


def _estimates(measures: Mapping[str, Mapping[str, Estimate]]) -> list[Estimate]:
    return [one for estimates in measures.values() for one in estimates.values()]


def _show_warnings(estimates: Iterable[Estimate], groups: Mapping[str, Iterable[Estimate]]) -> None:
    found = list(estimates)
    for why in dict.fromkeys(_undefined(one) for one in found if one.undefined):
        stdout.print(why, soft_wrap=True)
    for warning in warnings_of(found, groups):
        stdout.print(f"warning: {warning}", soft_wrap=True, markup=False)


def _undefined(estimate: Estimate) -> str:
    """Return the note on a figure that the table shows as -, or without an interval."""
    return f"- is undefined ({estimate.undefined})" if estimate.value is None else str(estimate.undefined)
