"""The figures of a report."""

from collections import Counter
from collections.abc import Sequence
from math import log

import numpy as np

from prom_reward.evaluation.agreement import pairwise_accuracy, pearson, spearman
from prom_reward.pages.plots import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    RED,
    VIOLET,
    YELLOW,
    Axis,
    Box,
    Boxes,
    Dots,
    Figure,
    Line,
    Plot,
    histogram,
    stacked,
)
from prom_reward.reports.report_data import ReportData

COLORS = {
    "chosen": BLUE,
    "rejected": ORANGE,
    "response": BLUE,
    "agrees": GREEN,
    "disagrees": RED,
    "tie": GRAY,
    "scored": GREEN,
    "forced": YELLOW,
}
FAILED = RED
_MAX_POINTS = 2_000
_MAX_RUBRICS = 6
_NOTABLE = 0.3  # a correlation with length from which the caption warns


def label_figures(data: ReportData) -> list[Figure]:
    """Return the figures that labels and trainings share; one without data is left out."""
    made = [_scores(data), _rubrics(data), _margins(data), _lengths(data), _entropies(data), _confidence(data)]
    return [figure for figure in [*made, _outcomes(data)] if figure is not None]


def _kind(side: str) -> str:
    """Return the side to draw a response under; the numbers of several responses mean nothing."""
    return "response" if side.isdecimal() else side


def _scores(data: ReportData) -> Figure | None:
    if not data.scores:
        return None
    sides: dict[str, list[float]] = {}
    for (_, side), scores in sorted(data.scores.items()):
        sides.setdefault(_kind(side), []).extend(scores)
    edges = np.linspace(*data.scale, 33).tolist()
    bars = [
        histogram(scores, edges, name=side, color=COLORS[side], opacity=0.8 if len(sides) == 1 else 0.55)
        for side, scores in sides.items()
    ]
    plot = Plot(marks=bars, x=Axis(title="expected score", limits=data.scale), y=Axis(title="responses", is_whole=True))
    return Figure(title="Scores", note=_scores_note(sides) + scales_note(data), plot=plot)


def scales_note(data: ReportData) -> str:
    """Return a remark on an axis of scores that rubrics of different scales share."""
    if data.has_one_scale:
        return ""
    return f" The rubrics have different scales: {', '.join(f'{low} to {high}' for low, high in data.scales)}."


def _scores_note(sides: dict[str, list[float]]) -> str:
    if sides.keys() >= {"chosen", "rejected"}:
        chosen, rejected = (float(np.mean(sides[side])) for side in ("chosen", "rejected"))
        return f"Mean of the chosen responses {chosen:.2f}, of the rejected ones {rejected:.2f}."
    low, middle, high = np.quantile(np.concatenate([np.array(scores) for scores in sides.values()]), [0.25, 0.5, 0.75])
    return f"Median {middle:.2f}; half of the scores lie between {low:.2f} and {high:.2f}."


def _rubrics(data: ReportData) -> Figure | None:
    """Quartiles by rubric and side, as boxes, of the rubrics with most judgments."""
    rubrics = Counter[str]()
    for (rubric, _), scores in data.scores.items():
        rubrics[rubric] += len(scores)
    if len(rubrics) < 2:
        return None
    shown = [name for name, _ in rubrics.most_common(_MAX_RUBRICS)]
    parts: dict[tuple[str, str], list[float]] = {}
    for (rubric, side), scores in data.scores.items():
        parts.setdefault((rubric, _kind(side)), []).extend(scores)
    sides = sorted({side for _, side in parts})
    height = 0.7 / len(sides)
    marks = []
    for number, side in enumerate(sides):
        boxes = []
        for at, rubric in enumerate(shown):
            if (rubric, side) in parts:
                boxes += _quartiles(parts[rubric, side], at - 0.35 + number * height, height * 0.9)
        marks.append(Boxes(boxes=boxes, name=side, color=COLORS[side]))
    more = f" The {_MAX_RUBRICS} most frequent of {len(rubrics)}." if len(rubrics) > _MAX_RUBRICS else ""
    note = f"Boxes hold the middle half of the expected scores, whiskers 90 %.{more}{scales_note(data)}"
    plot = Plot(marks=marks, x=Axis(title="expected score", limits=data.scale), y=Axis(names=shown))
    return Figure(title="Scores by rubric", note=note, plot=plot)


def _quartiles(scores: Sequence[float], top: float, height: float) -> list[Box]:
    """Return a whisker from 5 to 95 %, a box from 25 to 75 % and a line at the median."""
    ends = [float(value) for value in np.quantile(scores, [0.05, 0.25, 0.5, 0.75, 0.95])]
    label = f"median {ends[2]:.2f}, half from {ends[1]:.2f} to {ends[3]:.2f}, 90 % from {ends[0]:.2f} to {ends[4]:.2f}"
    middle = top + height / 2
    return [
        Box(ends[0], ends[4], middle - 0.01, middle + 0.01, label),
        Box(ends[1], ends[3], top, top + height, label, opacity=0.55),
        Box(ends[2] - 0.01, ends[2] + 0.01, top, top + height, label, opacity=1.0),
    ]


def _margins(data: ReportData) -> Figure | None:
    if not data.pairs:
        return None
    margins = np.array([pair.margin for pair in data.pairs])
    bound = max(0.1, float(np.abs(margins).max()) * 1.02)
    edges = np.linspace(-bound, bound, 41).tolist()  # an edge at 0
    parts = {"agrees": margins[margins > 0], "disagrees": margins[margins < 0], "tie": margins[margins == 0]}
    bars = [histogram(part.tolist(), edges, name=name, color=COLORS[name]) for name, part in parts.items() if len(part)]
    note = "Above 0 the judge prefers the chosen response; near 0 it hardly sees a difference."
    plot = Plot(
        marks=stacked(bars),
        x=Axis(title="margin in logits", limits=(-bound, bound)),
        y=Axis(title="pairs", is_whole=True),
    )
    return Figure(title="Margins", note=note, plot=plot)


def _lengths(data: ReportData) -> Figure | None:
    if len(data.lengths) < 2:
        return None
    lengths, scores = (np.array(values, dtype=float) for values in zip(*data.lengths, strict=True))
    drawn = np.random.default_rng(0).permutation(len(lengths))[:_MAX_POINTS]
    sample = f" {len(drawn):,} of {len(lengths):,} are drawn." if len(drawn) < len(lengths) else ""
    dots = Dots(x=lengths[drawn].tolist(), y=scores[drawn].tolist(), color=BLUE, opacity=0.35)
    plot = Plot(
        marks=[dots, *_trend(lengths, scores, data.scale)],
        x=Axis(title="characters of the response"),
        y=Axis(title="expected score", limits=data.scale),
    )
    return Figure(
        title="Length against score", note=_length_note(lengths, scores) + sample + scales_note(data), plot=plot
    )


def _trend(lengths: np.ndarray, scores: np.ndarray, scale: tuple[float, float]) -> list[Line]:
    """Return the straight line of least squares, within the scale."""
    low, high = float(lengths.min()), float(lengths.max())
    if low == high:
        return []
    slope, start = np.polyfit(lengths, scores, 1)
    x = np.linspace(low, high, 40)
    return [Line(x=x.tolist(), y=np.clip(start + slope * x, *scale).tolist(), color=GRAY, is_dotted=True)]


def _length_note(lengths: np.ndarray, scores: np.ndarray) -> str:
    r, rank = pearson(lengths, scores), spearman(lengths, scores)
    if r is None or rank is None:
        return "No correlation: all lengths, or all scores, are the same."
    figures = f"Pearson {r:.2f}, Spearman {rank:.2f}: "
    if max(r, rank) >= _NOTABLE:
        return figures + "longer responses score higher, so look whether they are better."
    return figures + ("longer responses score lower." if min(r, rank) <= -_NOTABLE else "length explains little.")


def _entropies(data: ReportData) -> Figure | None:
    if not data.entropies:
        return None
    low, high = data.scale
    even = log(high - low + 1)
    top = max([even, *data.entropies])
    bars = histogram(data.entropies, np.linspace(0, top, 33).tolist(), name="judgments", color=VIOLET)
    note = f"0 is certain; {even:.2f} is an even guess between {high - low + 1:.0f} scores."
    plot = Plot(
        marks=[bars], x=Axis(title="entropy in nats", limits=(0, top)), y=Axis(title="judgments", is_whole=True)
    )
    return Figure(title="Entropy", note=note, plot=plot)


def _confidence(data: ReportData) -> Figure | None:
    """Agreement in bins of equally many pairs, from the smallest absolute margin to the largest."""
    if len(data.pairs) < 20:
        return None
    margins = np.array([pair.margin for pair in data.pairs])
    sizes = np.abs(margins)
    parts = np.array_split(np.argsort(sizes, kind="stable"), min(4, len(margins) // 10))
    shares = [(pairwise_accuracy(margins[part]) or 0) * 100 for part in parts]
    names = [f"{sizes[part].min():.2f}–{sizes[part].max():.2f}" for part in parts]
    boxes = [
        Box(at - 0.4, at + 0.4, 0, share, f"{name}: {share:.1f} % of {len(part):,} pairs")
        for at, (name, share, part) in enumerate(zip(names, shares, parts, strict=True))
    ]
    coin = Line(x=[-0.5, len(parts) - 0.5], y=[50, 50], color=GRAY, is_dotted=True)
    clear = f"{shares[-1]:.0f} % of the clearest pairs agree, {shares[0]:.0f} % of the least clear"
    note = f"{clear}; the dotted line is chance. --min-margin exports the clear ones."
    plot = Plot(
        marks=[Boxes(boxes=boxes, color=GREEN), coin],
        x=Axis(title="absolute margin", names=names),
        y=Axis(title="agreement in %", limits=(0, 100)),
    )
    return Figure(title="Does a larger margin mean more?", note=note, plot=plot)


def _outcomes(data: ReportData) -> Figure | None:
    if data.has_steps or data.outcomes.keys() <= {"scored"}:
        return None
    counts = data.outcomes.most_common()
    marks = [
        Boxes(
            boxes=[Box(0, count, at - 0.35, at + 0.35, f"{name}: {count:,}", f"{count:,}")],
            color=COLORS.get(name, FAILED),
        )
        for at, (name, count) in enumerate(counts)
    ]
    plot = Plot(
        marks=marks,
        x=Axis(title="judgments", limits=(0, counts[0][1] * 1.05), is_whole=True),
        y=Axis(names=[name for name, _ in counts]),
    )
    return Figure(title="Outcomes", note="Scored and forced judgments have a score; the others do not.", plot=plot)
