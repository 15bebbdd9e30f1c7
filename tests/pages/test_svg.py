import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, strategies as st

from prom_reward.pages.plots import BLUE, Axis, Band, Box, Boxes, Dots, Line, Plot, histogram, stacked
from prom_reward.pages.svg import draw, ticks

numbers = st.floats(-1e6, 1e6, allow_nan=False)


def drawn(*marks, x=None, y=None):
    """Draw marks and parse the SVG, which must be well-formed."""
    return ElementTree.fromstring(draw(Plot(marks=marks, x=x or Axis(title="x"), y=y or Axis(title="y")), label="plot"))


def texts(element):
    return [text.text for text in element.iter("text")]


@given(numbers, st.floats(1e-3, 1e6), st.booleans())
def test_ticks_are_round_numbers_inside_the_limits(low, width, is_whole):
    found = ticks(low, low + width, is_whole=is_whole)
    assert len(found) <= 12
    assert all(low - width * 1e-6 <= tick <= low + width * (1 + 1e-6) for tick in found)
    if is_whole:
        assert all(tick == round(tick) for tick in found)
    elif width > 1e-3 * abs(low):
        assert len(found) >= 2


@pytest.mark.parametrize(
    ("limits", "is_whole", "expected"),
    [((1, 5), False, [1, 2, 3, 4, 5]), ((0, 1), False, [0, 0.2, 0.4, 0.6, 0.8, 1]), ((0.5, 3.5), True, [1, 2, 3])],
)
def test_ticks_of_common_axes(limits, is_whole, expected):
    assert ticks(*limits, is_whole=is_whole) == pytest.approx(expected)


def test_an_axis_of_steps_begins_at_1():
    line = Line(x=range(1, 121), y=[0.5] * 120, color=BLUE)
    assert texts(drawn(line, x=Axis(title="step", is_whole=True)))[-5:-2] == ["1", "50", "100"]


@given(st.lists(st.tuples(numbers, numbers), max_size=30))
def test_whatever_the_points_all_coordinates_are_numbers_inside_the_plot(points):
    x, y = [at for at, _ in points], [height for _, height in points]
    marks = (
        Line(x=x, y=y, color=BLUE),
        Band(x=x, low=y, high=y, color=BLUE),
        Dots(x=x, y=y, color=BLUE),
        Boxes(boxes=[Box(at, at, height, height) for at, height in points], color=BLUE),
    )
    for mark in marks:
        svg = draw(Plot(marks=[mark], x=Axis(), y=Axis()), label="")
        paths = " ".join(re.findall(r' d="(.*?)"', svg) + re.findall(r' (?:c?x|c?y)="(.*?)"', svg))
        coordinates = [float(number) for number in re.findall(r"-?\d+\.\d", paths)]
        assert all(-1 <= number <= 470 for number in coordinates)
        assert "nan" not in svg
        assert "inf" not in svg


def test_names_and_labels_are_escaped_and_cut():
    boxes = Boxes(boxes=[Box(0, 2, -0.3, 0.3, "<b>\u202e", "&")], color=BLUE, name="a")
    found = draw(Plot(marks=[boxes], x=Axis(title="<x>"), y=Axis(names=["</svg>" + "x" * 100])), label='"><script>')
    assert "<script>" not in found
    assert "</svg>x" not in found
    assert "…" in found
    ElementTree.fromstring(found)


def test_a_bar_lies_at_its_place():
    [rect] = drawn(Boxes(boxes=[Box(1, 3, 0, 10)], color=BLUE), x=Axis(limits=(0, 4)), y=Axis(limits=(0, 10))).iter(
        "rect"
    )
    assert float(rect.get("width")) == pytest.approx((460 - 16 - 50) / 2, abs=0.1)
    assert float(rect.get("height")) == pytest.approx(260 - 44 - 10, abs=0.1)


def test_long_lines_are_thinned_to_means():
    line = Line(x=range(10_000), y=[at % 2 for at in range(10_000)], color=BLUE)
    path = next(path for path in drawn(line).iter("path") if path.get("class") == "line")
    assert path.get("d").count("L") < 600


def test_bars_count_values_and_stack():
    bars = histogram([1, 1, 2.5], [1, 2, 3], name="a", color=BLUE)
    assert [(box.bottom, box.top) for box in bars.boxes] == [(0, 2), (0, 1)]
    first, second = stacked([bars, bars])
    assert [(box.bottom, box.top) for box in second.boxes] == [(2, 4), (1, 2)]
    assert first.boxes == bars.boxes


def test_a_legend_needs_two_names():
    line = Line(x=[0], y=[0], color=BLUE, name="one")
    plot = Plot(marks=[line], x=Axis(), y=Axis())
    assert plot.legend == []
    both = Plot(marks=[line, Dots(x=[], y=[], color="red", name="two")], x=Axis(), y=Axis())
    assert both.legend == [("one", BLUE), ("two", "red")]


def test_the_vertical_axis_leaves_room_for_its_title_and_its_longest_label():
    found = drawn(Line(x=(1, 2), y=(134.4, 135.2), color=BLUE), y=Axis(title="characters"))
    ends = {float(text.get("x")) for text in found.iter("text") if text.get("text-anchor") == "end"}
    assert min(ends) - len("134.8") * 6.6 >= 20
