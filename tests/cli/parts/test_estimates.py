import re

import pytest

from prom_reward.cli.parts.console import stdout
from prom_reward.cli.parts.estimates import show_fitting
from prom_reward.evaluation.agreement import Estimate

HEADINGS = ("", "tau", "gain", "best of n", "pairs", "ties", "flips", "prompts", "read", "written")
ESTIMATES = [Estimate(-0.41, low=-0.52, high=-0.3), Estimate(1.25, low=0.5, high=2.0)]


def rows(cell):
    for name in ("length", "pointwise", "round_robin"):
        yield name, *map(cell, ESTIMATES), *map(cell, ESTIMATES), "0.50", "-", "28", "711", "1,234"


@pytest.mark.parametrize("width", [30, 50, 80, 120, 200])
def test_every_name_and_number_is_shown_whole_in_any_window(monkeypatch, capsys, width):
    monkeypatch.setattr(stdout, "_width", width)
    show_fitting("all methods", HEADINGS, rows)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= width
    for text in ("all methods", "length", "pointwise", "round_robin", "best of n", "written", "0.50", "711", "1,234"):
        assert text in shown
    assert len(re.findall(r"(?<!\d)711(?!\d)", shown)) == 3
    assert shown.count("[-.52, -.30]") == shown.count("[.50, 2.00]") == 6
    assert "…" not in shown


def test_columns_that_do_not_fit_stand_below_with_the_names_again(monkeypatch, capsys):
    monkeypatch.setattr(stdout, "_width", 50)
    show_fitting("all methods", HEADINGS, rows)
    assert capsys.readouterr().out.count("round_robin") > 1
