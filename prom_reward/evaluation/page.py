"""The HTML page of an evaluation: figures with intervals and baselines, plots, and the largest errors."""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from prom_reward.evaluation.agreement import Estimate, warnings_of
from prom_reward.evaluation.checklists.criteria import CriteriaEvaluation
from prom_reward.evaluation.evaluate import JudgeEvaluation
from prom_reward.evaluation.explorer_rows import judged_rows, known_rubrics
from prom_reward.evaluation.figures import pair_figures, score_figures
from prom_reward.evaluation.pairs import PairEvaluation
from prom_reward.evaluation.scores import Evaluation
from prom_reward.explorer.judged import Judged
from prom_reward.explorer.links import explorer_link
from prom_reward.explorer.page import render_explorer
from prom_reward.pages.page import Card
from prom_reward.rubrics.rubric import Rubric

_NUM_WORST = 6
_NUM_CRITERIA = 100  # those with the most verdicts; JSON has all
_NAMES = {
    "pearson": "Pearson",
    "spearman": "Spearman",
    "kendall": "Kendall's tau-b",
    "mae": "mean absolute error",
    "accuracy": "accuracy",
    "accuracy_within_1": "within one point",
    "pairwise_accuracy": "pairwise accuracy",
    "kappa": "Cohen's kappa",
    "tpr": "true positive rate",
    "tnr": "true negative rate",
    "youdens_j": "Youden's J",
    "auc": "area under the ROC curve",
    "ece": "calibration error (ECE)",
    "brier": "Brier score",
}
_KINDS = {"expected": "expected score", "integer": "integer", "judge": "judge"}
_BASELINES = ("length", "overlap", "constant", "people")

FigureTable = list[tuple[str, list[Estimate | None]]]
"""Rows with a name and a figure for each column."""


Figures = Evaluation | PairEvaluation | CriteriaEvaluation


def evaluation_page(found: JudgeEvaluation, *, title: str = "") -> str:
    """Return the page as HTML.

    Args:
        found: The evaluation.
        title: The heading, as the file's name; the judge's name if empty.
    """
    judgments = judged_rows(found)
    rows = [row for row in found.rows if row.judgment.is_scored and row.has_answer]
    pairs = [pair for pair in found.pairs if pair.is_scored and pair.has_answers]
    columns, table = _table(found)
    clusters = {row.labeled.cluster for row in rows} | {pair.labeled.cluster for pair in pairs}
    clusters |= {one.labeled.cluster for one in found.checklists}
    facts = [
        ("judge", found.judge),
        ("against", found.against.judge if found.against else ""),
        ("pairs" if found.pairs else "rows", f"{len(pairs) or len(rows) or len(found.checklists):,}"),
        ("questions", f"{len(clusters):,}"),
        ("left out", f"{len(found.problems):,}" if found.problems else ""),
        ("date", date.today().isoformat()),
    ]
    rubrics = known_rubrics(found)
    return render_explorer(
        "evaluation/page.html",
        judgments,
        scale=(0, 1) if found.checklists else _scale(rubrics.values()),
        rubrics=rubrics,
        kind="Evaluation of a judge",
        title=title or found.judge,
        facts=facts,
        cards=_cards(found.figures),
        columns=columns,
        figures_table=table,
        warnings=_warnings(found),
        note=found.note,
        groups=_groups(found.figures),
        has_criteria=bool(found.checklists),
        against=found.against,
        gaps=[(_NAMES.get(name, name), gap) for name, gap in found.difference.items()],
        figures=[*score_figures(rows), *pair_figures(pairs)],
        worst=_worst(judgments, without={at for at, row in enumerate(found.rows) if not row.has_answer}),
        worst_link=explorer_link(view="judgments", sort="miss", down="1"),
    )


def _worst(judgments: Sequence[Judged], without: Container[int]) -> list[tuple[str, Judged]]:
    """Return the judgments furthest from their labels, without those of some rows, each with the link to its row."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(one.group for one in judgments), start=1)}
    measured = [(at, one) for at, one in enumerate(judgments, start=1) if one.row not in without]
    labeled = [(abs(one.error), at, one) for at, one in measured if one.error is not None]
    furthest = sorted(labeled, key=lambda found: (-found[0], found[1]))[:_NUM_WORST]
    return [(explorer_link(view="groups", group=str(numbers[one.group]), at=str(at)), one) for _, at, one in furthest]


def _scale(rubrics: Iterable[Rubric]) -> tuple[float, float]:
    """Return the scale that the rubrics share."""
    ends = [end for rubric in rubrics for end in (rubric.scale.low, rubric.scale.high)]
    return (min(ends), max(ends)) if ends else (1, 5)


def _table(found: JudgeEvaluation) -> tuple[list[str], FigureTable]:
    """Return the names of the columns (judge, second judge, baselines) and the rows."""
    sides = [found.figures, *([found.against.figures] if found.against else [])]
    measures = [_measures(side) for side in sides]
    given = {kind for kinds in measures[0].values() for kind in kinds}
    kinds = [kind for kind in _KINDS if kind in given]
    baselines = [kind for kind in _BASELINES if kind in given]
    table: FigureTable = []
    for name, own in measures[0].items():
        cells = [side.get(name, {}).get(kind) for side in measures for kind in kinds]
        table.append((_NAMES.get(name, name), [*cells, *(own.get(kind) for kind in baselines)]))
    headings = [_KINDS[kind] for kind in kinds]
    if found.against is None:
        return [*headings, *baselines], table
    names = (found.judge, found.against.judge)
    return [*(f"{name}, {kind}" for name in names for kind in headings), *baselines], table


def _measures(figures: Figures) -> Mapping[str, Mapping[str, Estimate]]:
    if isinstance(figures, PairEvaluation):
        return {"pairwise_accuracy": figures.accuracy}
    if isinstance(figures, CriteriaEvaluation):
        return figures.measures
    return {**figures.measures, "Pearson, length held": figures.partial}


def _cards(figures: Figures) -> list[Card]:
    """Return the headline figures with their intervals and the best baseline."""
    if isinstance(figures, PairEvaluation):
        accuracy = figures.accuracy
        unscored = figures.num_unscored
        cards = [
            Card(_percent(accuracy["expected"]), "of pairs in the right order", _interval(accuracy["expected"], 100)),
            Card(_percent(accuracy["length"]), "by the longer response alone", _interval(accuracy["length"], 100)),
        ]
    elif isinstance(figures, CriteriaEvaluation):
        told = {name: kinds["judge"] for name, kinds in figures.measures.items()}
        unscored = figures.num_unscored
        names = ("accuracy", "kappa", "youdens_j", "ece")
        cards = [Card(_value(told[name]), _NAMES[name], _interval(told[name])) for name in names]
    else:
        measures = figures.measures
        unscored = sum(figures.unscored.values())
        cards = [
            Card(_value(measures["pearson"]["expected"]), "Pearson", _interval(measures["pearson"]["expected"])),
            Card(_value(measures["spearman"]["expected"]), "Spearman", _interval(measures["spearman"]["expected"])),
            Card(
                _value(measures["pearson"]["length"]),
                "Pearson of length alone",
                _interval(measures["pearson"]["length"]),
            ),
            Card(_value(measures["mae"]["expected"]), "mean absolute error", _interval(measures["mae"]["expected"])),
        ]
    return [*cards, Card(f"{unscored:,}", "unscored", "", "warn" if unscored else "")]


def _warnings(found: JudgeEvaluation) -> list[str]:
    return warnings_of(_estimates(found.figures), {name: _estimates(one) for name, one in found.figures.groups.items()})


def _estimates(figures: Figures) -> list[Estimate]:
    return [one for kinds in _measures(figures).values() for one in kinds.values()]


def _groups(figures: Figures) -> list[tuple[str, dict[str, Any]]]:
    """Return for every group, and for every criterion, its size and its figures by name."""
    if isinstance(figures, CriteriaEvaluation):
        return [
            (
                name,
                {"verdicts": one.num_verdicts, **{_NAMES[key]: kinds["judge"] for key, kinds in one.measures.items()}},
            )
            for name, one in (*figures.groups.items(), *list(figures.criteria.items())[:_NUM_CRITERIA])
        ]
    found: list[tuple[str, dict[str, Any]]] = []
    for name, group in figures.groups.items():
        if isinstance(group, PairEvaluation):
            found.append(
                (
                    name,
                    {
                        "pairs": group.num_pairs,
                        "accuracy": group.accuracy["expected"],
                        "length": group.accuracy["length"],
                    },
                )
            )
        else:
            shown = {_NAMES[key]: group.measures[key]["expected"] for key in ("pearson", "spearman", "mae")}
            found.append(
                (name, {"rows": group.num_rows, **shown, "Pearson of length": group.measures["pearson"]["length"]})
            )
    return found


def _value(estimate: Estimate) -> str:
    return "–" if estimate.value is None else f"{estimate.value:z.2f}"


def _percent(estimate: Estimate) -> str:
    return "–" if estimate.value is None else f"{estimate.value:.1%}"


def _interval(estimate: Estimate, factor: float = 1) -> str:
    if estimate.low is None or estimate.high is None:
        return estimate.undefined or "no interval"
    form = "z.0f" if factor == 100 else "z.2f"
    return f"95 %: {estimate.low * factor:{form}} to {estimate.high * factor:{form}}"
