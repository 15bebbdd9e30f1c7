"""The figures of a report, as plotly's JSON; the page gives them its colours and fonts.

It does not know files or HTML.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prom_reward.evaluation.agreement import Estimate, estimate, pairwise_accuracy, pearson, spearman
from prom_reward.reports.data import ReportData
from prom_reward.reports.judgments import JudgedPair

COLORS = {
    "chosen": "#2f7fd6",
    "rejected": "#e8973a",
    "response": "#2f7fd6",
    "agrees": "#2a9d6f",
    "disagrees": "#d9534f",
    "tie": "#98a2b3",
    "scored": "#2a9d6f",
    "forced": "#e8b23a",
}
_OTHERS = ("#7c5cd6", "#2ab0b0", "#c2549d", "#7a8b2f", "#5b6b8c")
_FAILED = "#d9534f"
_MAX_POINTS = 2_000
_MAX_RUBRICS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plot with what it says."""

    title: str
    """The heading."""
    note: str
    """How to read it, in a sentence."""
    plot: Mapping[str, Any]
    """`data` and `layout` for plotly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRow:
    """How often the judge sees the pairs of a group in the given order, ties as half."""

    group: str
    """The group's name, "all" for all pairs."""
    num_pairs: int
    """Scored pairs."""
    judge: Estimate
    """By the judge's margin."""
    integer: Estimate | None
    """By its integers alone; None without them."""
    length: Estimate
    """By the longer response: what needs no judge."""


def figures(data: ReportData) -> list[Figure]:
    """Return the figures that the data has something for."""
    made = [_rewards(data), _step_outcomes(data), _scores(data), _rubrics(data), _margins(data)]
    made += [_lengths(data), _entropies(data), _confidence(data), _outcomes(data)]
    return [figure for figure in made if figure is not None]


def agreement_rows(pairs: Sequence[JudgedPair]) -> list[AgreementRow]:
    """Return the agreement of all pairs, then of each group, with 95 % bootstrap intervals over prompts."""
    if not pairs:
        return []
    groups = sorted({pair.group for pair in pairs} - {""})
    parts = {name: [pair for pair in pairs if pair.group == name] for name in groups}
    return [_agreement("all", pairs), *(_agreement(name, part) for name, part in parts.items() if len(parts) > 1)]


def _agreement(name: str, pairs: Sequence[JudgedPair]) -> AgreementRow:
    clusters = [pair.cluster for pair in pairs]
    resamples = 1000 if len(pairs) <= 5000 else 200

    def share(values: Sequence[float]) -> Estimate:
        gaps = np.array(values, dtype=float)
        return estimate(lambda at: pairwise_accuracy(gaps[at]), clusters, resamples=resamples)

    gaps = [pair.score_gap for pair in pairs if pair.score_gap is not None]
    return AgreementRow(
        group=name,
        num_pairs=len(pairs),
        judge=share([pair.margin for pair in pairs]),
        integer=share(gaps) if len(gaps) == len(pairs) else None,
        length=share([pair.length_gap for pair in pairs]),
    )


def _rewards(data: ReportData) -> Figure | None:
    if not data.rewards:
        return None
    steps = sorted(data.rewards)
    means = np.array([np.mean(data.rewards[step]) for step in steps])
    spreads = np.array([np.std(data.rewards[step]) for step in steps])
    band = {"x": [*steps, *steps[::-1]], "y": numbers([*(means + spreads), *(means - spreads)[::-1]])}
    plot = plot_json(
        [
            {
                **band,
                "fill": "toself",
                "line": {"width": 0},
                "opacity": 0.25,
                "name": "± deviation",
                "hoverinfo": "skip",
            },
            {"x": steps, "y": numbers(means), "name": "mean", "line": {"color": COLORS["chosen"], "width": 2.5}},
        ],
        x="step",
        y="reward",
    )
    return Figure(title="Reward over steps", note="The mean of each step's judgments, and their spread.", plot=plot)


def _step_outcomes(data: ReportData) -> Figure | None:
    if not data.is_training:
        return None
    steps = sorted(data.step_outcomes)
    traces = [
        {
            "type": "bar",
            "x": steps,
            "y": [data.step_outcomes[step][name] for step in steps],
            "name": name,
            "marker": {"color": COLORS.get(name, _FAILED)},
        }
        for name in sorted(data.outcomes)
    ]
    plot = plot_json(traces, x="step", y="judgments", barmode="stack")
    return Figure(title="Outcomes over steps", note="What is neither scored nor forced got no reward.", plot=plot)


def _scores(data: ReportData) -> Figure | None:
    if not data.scores:
        return None
    sides: dict[str, list[float]] = {}
    for (_, side), scores in sorted(data.scores.items()):
        sides.setdefault(side, []).extend(scores)
    everything = np.concatenate([np.array(scores) for scores in sides.values()])
    low = np.floor(everything.min())
    edges = np.linspace(low, max(np.ceil(everything.max()), low + 1), 33)
    traces = [
        _histogram(scores, edges, side, COLORS.get(side, _OTHERS[number % len(_OTHERS)]))
        for number, (side, scores) in enumerate(sides.items())
    ]
    plot = plot_json(traces, x="expected score", y="responses", barmode="overlay")
    note = "Expected scores by side: a judge that sees the data's difference moves them apart."
    return Figure(title="Scores", note=note, plot=plot)


def _rubrics(data: ReportData) -> Figure | None:
    """Quartiles by rubric and side, as boxes, of the rubrics with most judgments."""
    rubrics = Counter[str]()
    for (rubric, _), scores in data.scores.items():
        rubrics[rubric] += len(scores)
    if len(rubrics) < 2:
        return None
    shown = [name for name, _ in rubrics.most_common(_MAX_RUBRICS)]
    traces = []
    for side in sorted({side for _, side in data.scores}):
        parts = [(rubric, data.scores[rubric, side]) for rubric in shown if (rubric, side) in data.scores]
        quartiles = np.array([np.quantile(scores, [0.05, 0.25, 0.5, 0.75, 0.95]) for _, scores in parts])
        fences = dict(zip(("lowerfence", "q1", "median", "q3", "upperfence"), map(numbers, quartiles.T), strict=True))
        names = [rubric if len(rubric) <= 28 else f"{rubric[:27]}…" for rubric, _ in parts]
        color = {"color": COLORS.get(side, _OTHERS[0])}
        traces.append({"type": "box", "orientation": "h", "y": names, "name": side, "marker": color, **fences})
    more = f" The {_MAX_RUBRICS} most frequent of {len(rubrics)}." if len(rubrics) > _MAX_RUBRICS else ""
    note = f"Boxes hold the middle half of the expected scores, whiskers nine tenths.{more}"
    plot = plot_json(traces, x="expected score", y="", boxmode="group", yaxis_autorange="reversed")
    return Figure(title="Scores by rubric", note=note, plot=plot)


def _margins(data: ReportData) -> Figure | None:
    if not data.pairs:
        return None
    margins = np.array([pair.margin for pair in data.pairs])
    bound = max(0.1, float(np.abs(margins).max()) * 1.02)
    edges = np.linspace(-bound, bound, 41)  # an edge at 0
    parts = {"agrees": margins[margins > 0], "disagrees": margins[margins < 0], "tie": margins[margins == 0]}
    traces = [_histogram(part, edges, name, COLORS[name]) for name, part in parts.items() if len(part)]
    note = "Over 0 the judge sees the pair as the data does; near 0 it hardly sees a difference."
    return Figure(title="Margins", note=note, plot=plot_json(traces, x="margin in logits", y="pairs", barmode="stack"))


def _lengths(data: ReportData) -> Figure | None:
    if len(data.lengths) < 2:
        return None
    lengths, scores = (np.array(values, dtype=float) for values in zip(*data.lengths, strict=True))
    r, rank = pearson(lengths, scores), spearman(lengths, scores)
    told = "one of them is constant" if r is None else f"Pearson {r:.2f}, Spearman {rank or 0:.2f}"
    drawn = np.random.default_rng(0).permutation(len(lengths))[:_MAX_POINTS]
    dots = {
        "x": numbers(lengths[drawn]),
        "y": numbers(scores[drawn]),
        "mode": "markers",
        "marker": {"color": COLORS["chosen"], "opacity": 0.35, "size": 6},
        "name": "response",
    }
    sample = f" {len(drawn):,} of {len(lengths):,} are drawn." if len(drawn) < len(lengths) else ""
    note = f"{told}: a judge that pays for length can be gamed by it.{sample}"
    plot = plot_json([dots], x="characters of the response", y="expected score")
    return Figure(title="Length against score", note=note, plot=plot)


def _entropies(data: ReportData) -> Figure | None:
    if not data.entropies:
        return None
    edges = np.linspace(0, max(0.1, max(data.entropies) * 1.02), 33)
    plot = plot_json([_histogram(data.entropies, edges, "judgments", _OTHERS[0])], x="entropy in nats", y="judgments")
    return Figure(title="Entropy", note="0 is certain; 1.61 is a judge that cannot tell five scores apart.", plot=plot)


def _confidence(data: ReportData) -> Figure | None:
    """Agreement in bins of equally many pairs, from the smallest absolute margin to the largest."""
    if len(data.pairs) < 20:
        return None
    margins = np.array([pair.margin for pair in data.pairs])
    parts = np.array_split(np.argsort(np.abs(margins), kind="stable"), min(8, len(margins) // 10))
    bars = {
        "type": "bar",
        "x": [f"{np.abs(margins[part]).min():.2f}–{np.abs(margins[part]).max():.2f}" for part in parts],
        "y": numbers([(pairwise_accuracy(margins[part]) or 0) * 100 for part in parts]),
        "marker": {"color": COLORS["agrees"]},
        "name": "agreement",
    }
    half = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 50, "y1": 50, "line": {"dash": "dot", "width": 1}}
    plot = plot_json([bars], x="margin, without its sign", y="agreement in %", shapes=[half], xaxis_type="category")
    note = "Where bars rise, a larger --min-margin buys cleaner exports; the dotted line is a coin."
    return Figure(title="Does a larger margin mean more?", note=note, plot=plot)


def _outcomes(data: ReportData) -> Figure | None:
    if data.is_training or not data.outcomes:
        return None
    names = sorted(data.outcomes, key=lambda name: -data.outcomes[name])
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": names,
        "x": [data.outcomes[name] for name in names],
        "text": [f"{data.outcomes[name]:,}" for name in names],
        "marker": {"color": [COLORS.get(name, _FAILED) for name in names]},
        "name": "judgments",
    }
    plot = plot_json([bars], x="judgments", y="", yaxis_autorange="reversed")
    return Figure(title="Outcomes", note="Scored and forced judgments have a score, the others say why not.", plot=plot)


def _histogram(values: Sequence[float] | np.ndarray[Any, Any], edges: Any, name: str, color: str) -> dict[str, Any]:
    """Return bars of counted values, so that the page's size does not grow with them."""
    counts, _ = np.histogram(values, bins=edges)
    middles = (edges[:-1] + edges[1:]) / 2
    return {
        "type": "bar",
        "x": numbers(middles),
        "y": counts.tolist(),
        "width": float(edges[1] - edges[0]) * 0.94,
        "name": name,
        "marker": {"color": color, "opacity": 0.72},
    }


def plot_json(traces: Sequence[Mapping[str, Any]], *, x: str, y: str, **layout: Any) -> dict[str, Any]:
    """Return a plot as plotly's JSON."""
    return {"data": list(traces), "layout": {"xaxis_title": x, "yaxis_title": y, **layout}}


def numbers(values: Any) -> list[float]:
    """Return values as short as JSON should hold them."""
    return [round(float(value), 5) for value in values]
