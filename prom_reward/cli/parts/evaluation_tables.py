"""The tables of `prom-reward evaluate`."""

from collections.abc import Iterable, Mapping

from rich.table import Table

from prom_reward.cli.parts.console import stdout
from prom_reward.evaluation.agreement import Estimate
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
    table = Table(title=f"{name}: {evaluation.num_rows} rows", title_justify="left")
    for heading in ("", *kinds):
        table.add_column(heading)
    for measure, estimates in {**evaluation.measures, "pearson, length held": evaluation.partial}.items():
        table.add_row(measure.replace("_", " "), *(_shown(estimates.get(kind)) for kind in kinds))
    stdout.print(table)
    for outcome, count in evaluation.unscored.items():
        stdout.print(f"{count} rows unscored: {outcome}")
    _show_warnings(one for estimates in evaluation.measures.values() for one in estimates.values())
    if evaluation.groups:
        _show_groups(evaluation.groups)


def _show_groups(groups: Mapping[str, Evaluation]) -> None:
    shown = ("pearson", "spearman", "mae")
    table = Table(title="by group, expected score (length)", title_justify="left")
    for heading in ("", "rows", *shown):
        table.add_column(heading, overflow="fold")
    for name, one in groups.items():
        cells = []
        for measure in shown:
            length = one.measures[measure].get("length")
            cells.append(_shown(one.measures[measure]["expected"]) + (f" ({_value(length)})" if length else ""))
        table.add_row(name, str(one.num_rows), *cells)
    stdout.print(table)


def _show_pairs(name: str, evaluation: PairEvaluation) -> None:
    """Print a judge's accuracy on preference pairs beside that of length."""
    table = Table(title=f"{name}: {evaluation.num_pairs} pairs, accuracy (ties half)", title_justify="left")
    for heading in ("", "pairs", *evaluation.accuracy):
        table.add_column(heading)
    for label, one in {"all": evaluation, **evaluation.groups}.items():
        table.add_row(label, str(one.num_pairs), *(_shown(estimate) for estimate in one.accuracy.values()))
    stdout.print(table)
    if evaluation.num_unscored:
        stdout.print(f"{evaluation.num_unscored} pairs unscored")
    _show_warnings(evaluation.accuracy.values())


def _show_criteria(name: str, evaluation: CriteriaEvaluation) -> None:
    """Print a judge's figures on verdicts, then those of every group and of the criteria with the most verdicts."""
    kinds = list(dict.fromkeys(kind for one in evaluation.measures.values() for kind in one))
    table = Table(title=f"{name}: {evaluation.num_verdicts} verdicts on criteria", title_justify="left")
    for heading in ("", *kinds):
        table.add_column(heading)
    for measure, estimates in evaluation.measures.items():
        table.add_row(measure.replace("_", " "), *(_shown(estimates.get(kind)) for kind in kinds))
    stdout.print(table)
    if evaluation.num_unscored:
        stdout.print(f"{evaluation.num_unscored} verdicts on criteria that the judge could not tell")
    _show_warnings(one for estimates in evaluation.measures.values() for one in estimates.values())
    shown = ("accuracy", "kappa", "tpr", "tnr", "auc", "ece")
    table = Table(title="by group and criterion", title_justify="left")
    for heading in ("", "verdicts", *shown):
        table.add_column(heading, overflow="fold")
    criteria = list(evaluation.criteria.items())
    for label, one in (*evaluation.groups.items(), *criteria[:_NUM_CRITERIA]):
        table.add_row(label, str(one.num_verdicts), *(_value(one.measures[measure]["judge"]) for measure in shown))
    stdout.print(table)
    if len(criteria) > _NUM_CRITERIA:
        stdout.print(f"... and {len(criteria) - _NUM_CRITERIA} more criteria; --json has all")


def _show_gaps(title: str, gaps: Mapping[str, Estimate]) -> None:
    """Print the paired differences of two judges."""
    table = Table(title=title, title_justify="left")
    for heading in ("", "difference", "p"):
        table.add_column(heading)
    for measure, gap in gaps.items():
        table.add_row(measure, _shown(gap), "-" if gap.p_value is None else f"{gap.p_value:.3f}")
    stdout.print(table)
    _show_warnings(gaps.values())


def _show_warnings(estimates: Iterable[Estimate]) -> None:
    for warning in dict.fromkeys(one.warning for one in estimates if one.warning):
        stdout.print(f"warning: {warning}", soft_wrap=True)


def _shown(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    if estimate.value is None:
        return f"undefined ({estimate.undefined})"
    interval = "" if estimate.low is None else f" [{estimate.low:z.2f}, {estimate.high:z.2f}]"
    return f"{estimate.value:z.3f}{interval}"


def _value(estimate: Estimate) -> str:
    return "-" if estimate.value is None else f"{estimate.value:z.2f}"
