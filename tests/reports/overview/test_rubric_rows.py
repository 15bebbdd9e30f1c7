import pytest

from prom_reward.reports.overview.rubric_rows import rubric_rows
from tests.explorer.judged import UNSCORED, judged


def test_the_figures_of_a_rubric():
    rows = [judged(member=at, score=score, length=at * 10) for at, score in enumerate([1.0, 2.0, 4.0, 5.0], 1)]
    [row] = rubric_rows([*rows, judged(member=9, **UNSCORED, outcome="no_result")])
    assert (row.name, row.count, row.mean, row.scale) == ("r", 4, 3.0, (1, 5))
    assert (row.best_share, row.length_correlation) == (0.25, pytest.approx(1.0))
    assert row.deviation == pytest.approx(2.5**0.5)


def test_a_constant_rubric_has_no_correlation_and_no_share_of_the_advantage():
    rows = [judged(member=at, rubric="tone", score=5.0, length=at) for at in range(4)]
    rows += [judged(member=at, rubric="truth", score=1.0 + at, length=at) for at in range(4)]
    found = {row.name: row for row in rubric_rows(rows)}
    assert found["tone"].usual == (5, 1.0)
    assert found["tone"].length_correlation is None
    assert (found["tone"].advantage_share, found["truth"].advantage_share) == (0.0, 1.0)


def test_shares_follow_weights_and_are_within_groups():
    rows = []
    for step in (1, 2):
        for member, score in enumerate([2.0, 4.0]):
            shared = {"step": step, "member": member}
            rows += [judged(**shared, rubric="a", score=score, weight=3.0), judged(**shared, rubric="b", score=score)]
            rows += [judged(**shared, rubric="by step", score=float(step))]
    found = {row.name: row.advantage_share for row in rubric_rows(rows)}
    assert found == {"a": pytest.approx(0.75), "b": pytest.approx(0.25), "by step": pytest.approx(0.0)}


def test_without_spread_nobody_has_a_share():
    assert [row.advantage_share for row in rubric_rows([judged(member=at) for at in range(3)])] == [None]
