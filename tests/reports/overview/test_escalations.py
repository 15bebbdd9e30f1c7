import pytest

from prom_reward.reports.overview.escalations import Escalations
from prom_reward.reports.overview.training_figures import training_figures
from prom_reward.reports.report_data import ReportData
from tests.explorer.judged import UNSCORED, judged


def cheap(**values):
    return judged(given_by="cheap", judge_scores={"cheap": values["score"]}, **values)


def strong(was, **values):
    return judged(given_by="strong", judge_scores={"cheap": was, "strong": values["score"]}, **values)


def counted(*judgments):
    found = Escalations()
    for one in judgments:
        found.count(one)
    return found


def test_shares_and_changes_are_by_step():
    found = counted(
        cheap(step=1, member=1, score=3.0),
        strong(2.0, step=1, member=2, score=4.5),
        cheap(step=2, member=1, score=3.0),
        judged(step=2, member=2, score=3.0),  # of a single judge
        judged(step=2, score=2.0, given_by="panel", judge_scores={"a": 1.0, "b": 3.0}),
    )
    assert found.shares() == {1: 0.5, 2: 0.0}
    assert dict(found.changes) == {1: [2.5]}


def test_a_group_counts_as_changed_if_its_best_response_is_another_one():
    turned = [cheap(step=1, member=1, score=3.0), strong(2.0, step=1, member=2, score=4.0)]
    kept = [cheap(step=2, member=1, score=5.0), strong(2.0, step=2, member=2, score=4.0)]
    untouched = [cheap(step=3, member=at, score=5.0) for at in (1, 2)]
    assert counted(*turned, *kept, *untouched).best_changed() == 0.5
    assert counted(*untouched).best_changed() is None


def test_a_judgment_that_one_of_them_could_not_score_has_no_change():
    failed = judged(step=1, given_by="strong", judge_scores={"cheap": None, "strong": 4.0}, score=4.0)
    both = judged(step=1, given_by="cheap", judge_scores={"cheap": None}, **UNSCORED)
    found = counted(failed, both)
    assert found.shares() == {1: 0.5}
    assert found.changes == {}


def test_both_are_drawn():
    data = ReportData(title="t", is_training=True)
    for step in (1, 2):
        for one in (cheap(step=step, member=1, score=3.0), strong(2.0, step=step, member=2, score=4.0)):
            data.count(one)
            data.count_step(one)
    figures = {figure.title: figure for figure in training_figures(data)}
    assert figures["Escalations"].plot.marks[0].y == [50, 50]
    assert figures["What escalations change"].plot.marks[0].y == pytest.approx([2, 2])
    assert "100% of the groups that it changed" in figures["What escalations change"].note
