"""The figures of an evaluation page."""

from collections.abc import Sequence

import numpy as np

from prom_reward.errors import number_of
from prom_reward.evaluation.agreement import spearman
from prom_reward.evaluation.pairs import ScoredPair
from prom_reward.evaluation.scores import ScoredRow
from prom_reward.pages.plots import (
    BLUE,
    GRAY,
    GREEN,
    RED,
    Axis,
    Band,
    Box,
    Boxes,
    Dots,
    Figure,
    Line,
    Mark,
    Plot,
    histogram,
)

_NUM_BINS = 10
_MAX_POINTS = 2_000


def score_figures(rows: Sequence[ScoredRow]) -> list[Figure]:
    """Return the figures of scored rows, which have one scale: reliability, confusion, entropy against error."""
    made = [_reliability(rows), _confusion(rows), _entropy(rows)] if rows else []
    return [figure for figure in made if figure is not None]


def pair_figures(pairs: Sequence[ScoredPair]) -> list[Figure]:
    """Return the figure of scored pairs: their margins."""
    if not pairs:
        return []
    margins = np.array([pair.margin("expected") for pair in pairs])
    bound = max(0.1, float(np.abs(margins).max()) * 1.02)
    edges = np.linspace(-bound, bound, 41).tolist()  # an edge at 0
    bars = [
        histogram(margins[margins > 0].tolist(), edges, name="preferred response ahead", color=GREEN),
        histogram(margins[margins < 0].tolist(), edges, name="rejected response ahead", color=RED),
    ]
    note = f"Mean {margins.mean():+.2f}. The further from 0, the clearer the judge sees a difference."
    plot = Plot(
        marks=bars, x=Axis(title="preferred minus rejected, expected score"), y=Axis(title="pairs", is_whole=True)
    )
    return [Figure(title="Margins", note=note, plot=plot)]


def _labels(rows: Sequence[ScoredRow]) -> np.ndarray:
    return np.array([row.labeled.mean_score for row in rows])


def _expected(rows: Sequence[ScoredRow]) -> np.ndarray:
    return np.array([row.prediction("expected") for row in rows])


def _reliability(rows: Sequence[ScoredRow]) -> Figure:
    """Mean label against mean expected score, in bins of equally many rows."""
    expected, labels = _expected(rows), _labels(rows)
    parts = np.array_split(np.argsort(expected, kind="stable"), min(_NUM_BINS, len(rows)))
    x = [float(expected[part].mean()) for part in parts]
    y = [float(labels[part].mean()) for part in parts]
    spread = [float(labels[part].std()) for part in parts]
    scale = rows[0].labeled.request.rubric.scale
    ends = (float(scale.low), float(scale.high))
    marks: list[Mark] = [
        Band(
            x=x,
            low=[max(ends[0], mean - width) for mean, width in zip(y, spread, strict=True)],
            high=[min(ends[1], mean + width) for mean, width in zip(y, spread, strict=True)],
            color=BLUE,
        ),
        Line(x=ends, y=ends, color=GRAY, name="perfect", is_dotted=True),
        Line(x=x, y=y, color=BLUE, name="judge"),
    ]
    gap = float((expected - labels).mean())
    side = "too high" if gap > 0 else "too low"
    bins = f"{number_of(len(parts), 'bin')} of about {number_of(len(rows) // len(parts), 'row')}"
    note = f"{bins}, the band is one standard deviation. Scores are {abs(gap):.2f} {side} on average."
    axes = (Axis(title="mean expected score", limits=ends), Axis(title="mean label", limits=ends))
    return Figure(title="Reliability", note=note, plot=Plot(marks=marks, x=axes[0], y=axes[1]))


def _confusion(rows: Sequence[ScoredRow]) -> Figure | None:
    if not all(row.gives_integer for row in rows):
        return None
    scale = rows[0].labeled.request.rubric.scale
    size = len(scale.labels)
    counts = np.zeros((size, size), dtype=int)
    for row in rows:
        label, score = (
            min(max(int(value + 0.5), scale.low), scale.high) - scale.low
            for value in (row.labeled.mean_score, row.prediction("integer"))
        )
        counts[label, score] += 1
    boxes = [
        Box(
            score - 0.48,
            score + 0.48,
            label - 0.46,
            label + 0.46,
            f"label {label + scale.low}, judge {score + scale.low}: {number_of(counts[label, score], 'row')}",
            f"{counts[label, score]:,}",
            0.06 + 0.74 * float(counts[label, score]) / int(counts.max()),
        )
        for label in range(size)
        for score in range(size)
    ]
    names = [str(label) for label in scale.labels]
    exact = int(np.trace(counts)) / len(rows)
    used = int((counts.sum(axis=0) > 0).sum())
    note = f"{exact:.1%} of rows lie on the diagonal; the judge uses {used} of {size} scores."
    plot = Plot(
        marks=[Boxes(boxes=boxes, color=BLUE)],
        x=Axis(title="the judge's integer", names=names),
        y=Axis(title="label", names=names),
    )
    return Figure(title="Confusion", note=note, plot=plot)


def _entropy(rows: Sequence[ScoredRow]) -> Figure | None:
    known = [row for row in rows if row.judgment.entropy is not None]
    if len(known) < 2:
        return None
    entropies = np.array([row.judgment.entropy for row in known], dtype=float)
    errors = np.abs(_expected(known) - _labels(known))
    drawn = np.random.default_rng(0).permutation(len(known))[:_MAX_POINTS]
    rank = spearman(entropies, errors)
    figure = "no correlation" if rank is None else f"Spearman {rank:.2f}"
    note = f"{figure}: " + (
        "uncertain scores err more." if (rank or 0) >= 0.1 else "entropy says little about the error."
    )
    plot = Plot(
        marks=[Dots(x=entropies[drawn].tolist(), y=errors[drawn].tolist(), color=BLUE)],
        x=Axis(title="entropy in nats"),
        y=Axis(title="absolute error"),
    )
    return Figure(title="Entropy against error", note=note[0].upper() + note[1:], plot=plot)
