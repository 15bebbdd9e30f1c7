"""Plots as values: marks on two axes. `prom_reward.pages.svg` draws them."""

from collections.abc import Sequence
from dataclasses import dataclass

BLUE, ORANGE, GREEN, RED = "#2f7fd6", "#e8973a", "#2a9d6f", "#d9534f"
GRAY, YELLOW, VIOLET, TEAL = "#98a2b3", "#d9a21b", "#7c5cd6", "#2ab0b0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a plot."""

    title: str = ""
    """The measured quantity, with its unit."""
    names: Sequence[str] = ()
    """Categories at 0, 1, 2...; an axis of numbers if empty."""
    limits: tuple[float, float] | None = None
    """Its ends; None takes those of the marks."""
    is_whole: bool = False
    """Whether it has ticks at whole numbers only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line through points."""

    x: Sequence[float]
    """Positions, in order."""
    y: Sequence[float]
    """Heights."""
    color: str
    """Its color."""
    name: str = ""
    """For the legend."""
    is_dotted: bool = False
    """Whether it is a guide and no data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """An area between two lines."""

    x: Sequence[float]
    """Positions, in order."""
    low: Sequence[float]
    """Its lower edge."""
    high: Sequence[float]
    """Its upper edge."""
    color: str
    """Its color."""
    name: str = ""
    """For the legend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dots:
    """Single points."""

    x: Sequence[float]
    """Positions."""
    y: Sequence[float]
    """Heights."""
    color: str
    """Their color."""
    name: str = ""
    """For the legend."""
    opacity: float = 0.4
    """0 to 1."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the units of the axes."""

    left: float
    right: float
    bottom: float
    top: float
    label: str = ""
    """Shown when the pointer rests on it."""
    text: str = ""
    """Written into it, or to the right of a bar."""
    opacity: float = 0.8
    """0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """Bars, or cells."""

    boxes: Sequence[Box]
    """The rectangles."""
    color: str
    """Their color."""
    name: str = ""
    """For the legend."""


Mark = Line | Band | Dots | Boxes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Marks on two axes, drawn in order."""

    marks: Sequence[Mark]
    """The marks."""
    x: Axis
    """The horizontal axis."""
    y: Axis
    """The vertical axis; categories go from top to bottom."""

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Names and colors, if there is more than one name."""
        found = {mark.name: mark.color for mark in self.marks if mark.name}
        return list(found.items()) if len(found) > 1 else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plot with its caption."""

    title: str
    """The heading."""
    note: str
    """A guide to the plot, in a sentence or two."""
    plot: Plot
    """The plot."""


def histogram(values: Sequence[float], edges: Sequence[float], *, name: str, color: str, opacity: float = 0.8) -> Boxes:
    """Return the counts of values between edges as bars."""
    import numpy as np

    counts, _ = np.histogram(values, bins=np.asarray(edges))
    gap = (edges[1] - edges[0]) * 0.04
    boxes = [
        Box(left + gap, right - gap, 0, int(count), f"{left:.2f} to {right:.2f}: {int(count):,}", opacity=opacity)
        for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
    ]
    return Boxes(boxes=boxes, name=name, color=color)


def stacked(parts: Sequence[Boxes]) -> list[Boxes]:
    """Return vertical bars with each part on top of the parts before it."""
    heights: dict[float, float] = {}
    found = []
    for part in parts:
        boxes = []
        for box in part.boxes:
            bottom = heights.get(box.left, 0.0)
            heights[box.left] = bottom + box.top - box.bottom
            boxes.append(Box(box.left, box.right, bottom, heights[box.left], box.label, box.text, box.opacity))
        found.append(Boxes(boxes=boxes, name=part.name, color=part.color))
    return found
