from dataclasses import replace

import pytest

from prom_reward.data.labels.judged_rows import JudgedResponse
from prom_reward.evaluation.checklists.criterion_use import MIN_ROWS, lint_use
from prom_reward.rubrics.checklists.checklist import Checklist, Part
from prom_reward.rubrics.checklists.checks import CodeCheck
from prom_reward.rubrics.checklists.criterion import Criterion
from prom_reward.rubrics.rubric import builtin_rubric
from prom_reward.types import Judgment, Outcome

ROWS = 12
MIXED = [0.9, 0.1, 0.8, 0.2, 0.3, 0.9, 0.1, 0.6, 0.7, 0.2, 0.4, 0.8]


def judged(lengths=None, **values):
    """Twelve responses; each name has a value for every one of them."""
    lengths = lengths or [5, 3, 9, 4, 7, 2, 8, 6, 1, 9, 3, 5] * 3
    rows = []
    for at in range(len(next(iter(values.values())))):
        parts = tuple(Part(name=name, weight=1, value=given[at]) for name, given in values.items())
        judgment = Judgment(outcome=Outcome.SCORED, expected_score=0.5, parts=parts)
        response = "word " * lengths[at]
        rows.append(
            JudgedResponse(place=f"line {at + 1}", instruction="Q", response=response, judgments={"list": judgment})
        )
    criteria = tuple(Criterion(text=f"It is {name}.", name=name) for name in values)
    return [Checklist(name="list", criteria=criteria)], rows


def rules(*arguments, **values):
    return [(one.rule, *one.criteria) for one in lint_use(*judged(*arguments, **values))]


def test_criteria_that_tell_responses_apart_are_no_findings():
    other = [0.2, 0.9, 0.9, 0.1, 0.8, 0.6, 0.2, 0.1, 0.9, 0.4, 0.1, 0.9]
    assert not rules(a=MIXED, b=other)


def test_criteria_that_are_always_or_never_met_are_named_with_their_rows():
    found = lint_use(*judged(mixed=MIXED, always=[0.5 + value / 2 for value in MIXED], never=[0.0] * ROWS))
    told = {one.rule: one for one in found}
    assert (told["always_met"].criteria, len(told["always_met"].rows)) == (("2",), ROWS)
    assert told["never_met"].criteria == ("3",)


def test_criteria_that_go_together_are_named_with_the_rows_that_differ_most():
    twin = [value + (0.05 if at == 4 else 0) for at, value in enumerate(MIXED)]
    [found] = lint_use(*judged(a=MIXED, b=twin))
    assert (found.rule, found.criteria, found.rows[0]) == ("correlated", ("1", "2"), "line 5")
    assert rules(a=MIXED, pitfall=[1 - value for value in MIXED]) == [("correlated", "1", "2")]


def test_a_criterion_that_follows_length_is_named():
    lengths = [round(20 * value) for value in MIXED]
    [found] = lint_use(*judged(lengths, a=MIXED))
    assert found.rule == "follows_length"
    assert set(found.rows) >= {"line 2", "line 7", "line 1"}  # shortest and longest


def test_a_check_may_follow_length():
    [checklist], rows = judged([round(20 * value) for value in MIXED], a=MIXED)
    checked = replace(checklist.criteria[0], check=CodeCheck("max_words", 9))
    assert not lint_use([replace(checklist, criteria=(checked,))], rows)


def test_what_nobody_could_tell_is_named_and_counts_for_nothing_else():
    assert rules(a=MIXED, b=[0.9] * 4 + [None] * 8) == [("untold", "2")]


def test_rows_that_nobody_was_asked_about_are_not_untold():
    rubrics, rows = judged(a=MIXED * 3, b=[0.9] * 9 + [None] * 27)
    closed = [Part(name="b", weight=1, value=None, source="nobody")]
    for at, row in enumerate(rows[12:], start=12):
        parts = (row.judgments["list"].parts[0], *closed)
        rows[at] = replace(row, judgments={"list": replace(row.judgments["list"], parts=parts)})
    others = [replace(row, judgments={"other": row.judgments["list"]}) for row in rows]
    assert not lint_use(rubrics, rows + others)
    assert [one.rule for one in lint_use([replace(rubrics[0], name="other")], rows + others[:9])] == ["few_rows"]


def test_gaps_in_other_rows_hide_no_criteria_that_go_together():
    twin = [0.2, 0.7, *MIXED[2:], *MIXED]
    assert rules(a=[None, None, *MIXED[2:], *MIXED], b=twin) == [("correlated", "1", "2")]
    assert not rules(a=[None, *MIXED[1:]], b=[0.5000001, *[0.5] * 11])[1:]  # hardly varies


def test_few_rows_tell_nothing():
    assert rules(a=[1.0] * (MIN_ROWS - 1)) == [("few_rows",)]


@pytest.mark.parametrize(("scores", "rule"), [([3.0] * ROWS, "flat"), ([1.0, 5.0] * 6, None)])
def test_a_rubric_with_levels_is_linted_as_a_whole(scores, rule):
    rubric = builtin_rubric("helpfulness")
    rows = [
        JudgedResponse(
            place=f"line {at}",
            instruction="Q",
            response="same",
            judgments={"helpfulness": Judgment(outcome=Outcome.SCORED, expected_score=score)},
        )
        for at, score in enumerate(scores)
    ]
    assert [one.rule for one in lint_use([rubric], rows)] == ([rule] if rule else [])
