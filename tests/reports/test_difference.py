import re

import pytest

from prom_reward.errors import InputError
from prom_reward.reports.comparison import compare
from prom_reward.reports.difference import compare_with
from prom_reward.reports.page import report_page
from prom_reward.reports.report_data import ReportData
from tests.explorer.judged import UNSCORED, judged


def source(name, rows):
    data = ReportData(title=name, is_training=True, judgments=list(rows))
    for one in data.judgments:
        data.count(one)
    return data


def rows(scores, rubric="r", **changes):
    return [
        judged(member=at, response=f"Response {at}", rubric=rubric, score=score, **changes)
        for at, score in enumerate(scores)
    ]


def test_judgments_of_the_same_response_and_rubric_stand_side_by_side():
    first = source("first", rows([1.0, 2.0, 3.0, 4.0]) + rows([5.0] * 4, rubric="s"))
    second = source("second", rows([2.0, 3.0, 4.0, 4.0], feedback="Again.")[::-1])
    found = compare_with(first, second)
    assert [one.other_score for one in found.judgments] == [2.0, 3.0, 4.0, 4.0, None, None, None, None]
    assert [one.change for one in found.judgments[:5]] == [1.0, 1.0, 1.0, 0.0, None]
    assert found.judgments[0].other_feedback == "Again."
    assert (found.num_matched, found.num_unmatched) == (4, 4)
    [row] = found.rows
    assert (row.rubric, row.count, row.change, row.same_share) == ("r", 4, 0.75, 0.25)
    assert row.spearman == pytest.approx(0.9487, abs=1e-4)
    assert first.judgments[0].other_score is None  # the first source is left as it was


def test_judgments_without_an_integer_have_none_in_common():
    [row] = compare_with(*(source(name, [judged(score=None, expected_score=0.4)]) for name in ("one", "two"))).rows
    assert (row.count, row.same_share, row.change) == (1, None, 0.0)


def test_equal_responses_are_matched_in_order():
    first = source("first", [judged(member=at, response="same", score=1.0) for at in range(3)])
    second = source("second", [judged(member=at, response="same", score=2.0 + at) for at in range(2)])
    assert [one.other_score for one in compare_with(first, second).judgments] == [2.0, 3.0, 3.0]


def test_a_single_other_rubric_is_matched_by_the_texts():
    first = source("first", rows([1.0, 2.0]) + rows([3.0, 4.0], rubric="s"))
    found = compare_with(first, source("second", rows([4.0, 5.0], rubric="t")))
    assert [row.rubric for row in found.rows] == ["r", "s"]
    assert found.rows[0].change == 3.0


def test_an_unscored_counterpart_says_why():
    found = compare_with(source("a", rows([1.0])), source("b", [*rows([None], entropy=None, outcome="too_long")]))
    assert (found.judgments[0].other_score, found.judgments[0].other_feedback) == (None, "(too_long) ")
    assert found.rows == []


def test_sources_without_a_common_response_are_one_line():
    with pytest.raises(InputError, match="first and second have no prompt and response under"):
        compare_with(source("first", rows([1.0])), source("second", [judged(response="else", **UNSCORED)]))


def test_the_page_shows_what_changed():
    first, second = source("first", rows([1.0, 2.0])), source("<second>", rows([3.0, 2.0]))
    page = report_page(first, comparison=compare(first, against=second))
    part = page[page.index('id="difference"') :]
    assert "Beside &lt;second&gt;" in part
    assert re.search(r"\+1\.00</td>\s*<td class=\"number\">50 %", part)


def test_equal_responses_beside_other_references_are_told_apart():
    asked = [judged(score=score, reference=text) for score, text in ((3.1, ""), (4.5, "7"))]
    found = compare_with(source("first", asked), source("again", asked[::-1]))
    assert [one.change for one in found.judgments] == [0, 0]
