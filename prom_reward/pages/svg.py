"""Draws plots as inline SVG: no script, no library, colors of the page's style sheet for axes and text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from prom_reward.pages.plots import Axis, Band, Box, Boxes, Dots, Line, Mark, Plot
from prom_reward.pages.text import visible

_WIDTH, _HEIGHT = 460, 260
_TOP, _RIGHT, _BOTTOM = 10, 16, 44
_LETTER = 6.6  # pixels of a character in an axis label
_TITLE = 27  # pixels of the vertical axis' title and the space around it
_MAX_NAME = 26
_MAX_POINTS = 600  # of a line or band: there are hardly more pixels
_MAX_TARGETS = 80  # points of a line with a tooltip
_NUM_TICKS = 5


@dataclass(frozen=True, slots=True)
class _Frame:
    """Maps the axes' units to pixels."""

    left: float
    x: tuple[float, float]
    y: tuple[float, float]
    is_downward: bool

    def across(self, value: float) -> float:
        share = (value - self.x[0]) / (self.x[1] - self.x[0])
        return self.left + share * (_WIDTH - _RIGHT - self.left)

    def down(self, value: float) -> float:
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return _TOP + (share if self.is_downward else 1 - share) * (_HEIGHT - _TOP - _BOTTOM)


def draw(plot: Plot, *, label: str) -> str:
    """Return a plot as an SVG element.

    Args:
        plot: The plot.
        label: What it shows, for screen readers.
    """
    y = _limits(plot.y, plot.marks, horizontal=False)
    widest = max((len(_name(name)) for name in plot.y.names or [text for _, text in _labels(plot.y, y)]), default=0)
    frame = _Frame(
        left=max(50.0, (14 if plot.y.names else _TITLE) + widest * _LETTER),
        x=_limits(plot.x, plot.marks, horizontal=True),
        y=y,
        is_downward=bool(plot.y.names),
    )
    parts = [*_axes(plot, frame), *(part for mark in plot.marks for part in _mark(mark, frame))]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(visible(label))}">'
        + "".join(parts)
        + "</svg>"
    )


def ticks(low: float, high: float, *, is_whole: bool = False) -> list[float]:
    """Return round numbers from `low` to `high`: multiples of 1, 2 or 5 times a power of ten, about five of them."""
    rough = (high - low) / _NUM_TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    step = max(1.0, round(step)) if is_whole else step
    first = ceil(low / step - 1e-9)
    return [number * step for number in range(first, floor(high / step + 1e-9) + 1)]


def _limits(axis: Axis, marks: Sequence[Mark], *, horizontal: bool) -> tuple[float, float]:
    if axis.names:
        return (-0.5, len(axis.names) - 0.5)
    if axis.limits is not None:
        return axis.limits
    values = [value for mark in marks for value in _extent(mark, horizontal=horizontal)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low == high or (axis.is_whole and horizontal and high - low < _MAX_POINTS):
        return (low - 0.5, high + 0.5)
    starts_at_0 = low == 0 and not horizontal
    pad = (high - low) * 0.04
    return (low if starts_at_0 else low - pad, high + pad)


def _extent(mark: Mark, *, horizontal: bool) -> list[float]:
    if isinstance(mark, Boxes):
        sides = [(box.left, box.right) if horizontal else (box.bottom, box.top) for box in mark.boxes]
        return [value for side in sides for value in side]
    if horizontal:
        return list(mark.x)
    return [*mark.low, *mark.high] if isinstance(mark, Band) else list(mark.y)


def _axes(plot: Plot, frame: _Frame) -> Iterator[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for value, name in _labels(plot.y, frame.y):
        y = frame.down(value)
        if not plot.y.names:
            yield f'<path class="grid" d="M{frame.left:.1f} {y:.1f}H{right}"/>'
        yield f'<text x="{frame.left - 7:.1f}" y="{y + 4:.1f}" text-anchor="end">{name}</text>'
    for value, name in _labels(plot.x, frame.x):
        x = frame.across(value)
        if not plot.x.names:
            yield f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{name}</text>'
    middle = (frame.left + right) / 2
    yield f'<text x="{middle:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(visible(plot.x.title))}</text>'
    turned = f"rotate(-90 12 {(_TOP + bottom) / 2:.1f})"
    title = escape(visible(plot.y.title))
    yield f'<text x="12" y="{(_TOP + bottom) / 2:.1f}" text-anchor="middle" transform="{turned}">{title}</text>'


def _labels(axis: Axis, limits: tuple[float, float]) -> list[tuple[float, str]]:
    if axis.names:
        return [(at, escape(visible(_name(name)))) for at, name in enumerate(axis.names)]
    values = ticks(*limits, is_whole=axis.is_whole)
    first = ceil(limits[0])
    if axis.is_whole and len(values) > 1 and values[0] - first > 0.4 * (values[1] - values[0]):
        values.insert(0, first)  # steps begin at 1
    return [(value, _number(value)) for value in values]


def _name(name: str) -> str:
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _mark(mark: Mark, frame: _Frame) -> Iterator[str]:
    match mark:
        case Line():
            yield from _line(mark, frame)
        case Band():
            x, low, high = _thinned(mark.x, mark.low, mark.high)
            upper, lower = _path(x, high, frame), _path(x[::-1], low[::-1], frame)
            yield f'<path d="M{upper}L{lower}Z" fill="{mark.color}" fill-opacity=".18"/>'
        case Dots():  # one path of round ends is a third of as many circles
            points = "".join(
                f"M{frame.across(x):.1f} {frame.down(y):.1f}h0" for x, y in zip(mark.x, mark.y, strict=True)
            )
            yield f'<path class="dots" d="{points}" stroke="{mark.color}" stroke-opacity="{mark.opacity}"/>'
        case Boxes():
            for box in mark.boxes:
                yield from _box(box, mark.color, frame)


def _line(line: Line, frame: _Frame) -> Iterator[str]:
    x, y = _thinned(line.x, line.y)
    kind = "guide" if line.is_dotted else "line"
    yield f'<path class="{kind}" d="M{_path(x, y, frame)}" stroke="{line.color}"/>'
    if len(x) <= _MAX_TARGETS and not line.is_dotted:
        for at, height in zip(x, y, strict=True):
            told = escape(visible(f"{line.name} {_number(at)}: {_number(height)}".strip()))
            place = f'cx="{frame.across(at):.1f}" cy="{frame.down(height):.1f}"'
            yield f'<circle {place} r="2.5" fill="{line.color}"><title>{told}</title></circle>'


def _box(box: Box, color: str, frame: _Frame) -> Iterator[str]:
    left, right = sorted((frame.across(box.left), frame.across(box.right)))
    top, bottom = sorted((frame.down(box.top), frame.down(box.bottom)))
    size = f'x="{left:.1f}" y="{top:.1f}" width="{max(0.5, right - left):.1f}" height="{max(0.5, bottom - top):.1f}"'
    title = f"<title>{escape(visible(box.label))}</title>" if box.label else ""
    yield f'<rect {size} fill="{color}" fill-opacity="{box.opacity:.3g}">{title}</rect>'
    if box.text:
        place = f'x="{(left + right) / 2:.1f}" y="{(top + bottom) / 2 + 4:.1f}"'
        yield f'<text class="on" {place} text-anchor="middle">{escape(visible(box.text))}</text>'


def _path(x: Sequence[float], y: Sequence[float], frame: _Frame) -> str:
    return "L".join(f"{frame.across(at):.1f} {frame.down(height):.1f}" for at, height in zip(x, y, strict=True))


def _thinned(*columns: Sequence[float]) -> list[list[float]]:
    """Return means of neighbors if there are more points than can be seen."""
    size = ceil(len(columns[0]) / _MAX_POINTS)
    if size <= 1:
        return [list(column) for column in columns]
    parts = [[column[at : at + size] for at in range(0, len(column), size)] for column in columns]
    return [[sum(part) / len(part) for part in column] for column in parts]
