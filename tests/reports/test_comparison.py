from dataclasses import replace

import pytest

from prom_reward.errors import InputError
from prom_reward.reports.comparison import compare
from prom_reward.reports.difference import has_same_responses
from prom_reward.reports.page import report_page
from prom_reward.reports.report_data import ReportData
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.types import Rubric
from tests.reports.test_prompt_difference import run


def source(title, judgments):
    data = ReportData(title=title, judgments=list(judgments), is_training=True)
    for one in judgments:
        data.count(one)
        data.count_step(one)
    return data


def test_two_runs_are_matched_by_prompt_and_one_log_judged_twice_by_response():
    first = source("first", run(1, 1.0, 2.0, 3.0))
    again = source("again", run(1, 3.0, 3.0, 3.0))
    other = source("other", [*run(1, 3.0), *run(1, 4.0, 5.0, 4.0, said="Other")])  # one response by chance
    assert has_same_responses(first, again)
    assert not has_same_responses(first, other)
    page = report_page(first, comparison=compare(first, against=other))
    assert "A: first, B: other" in page
    assert "The same responses judged twice" not in page
    assert "The same responses judged twice" in report_page(first, comparison=compare(first, against=again))


def test_the_steps_of_a_training_are_two_sides():
    data = source("log", [*run(1, 1.0, 2.0), *run(9, 4.0, 5.0)])
    page = report_page(data, comparison=compare(data, since=4))
    assert "A: steps to 4, B: later steps" in page
    assert ">+3.00" in page


@pytest.mark.parametrize("since", [9, 50])
def test_a_step_with_nothing_after_it_is_one_line(since):
    data = source("log", [*run(2, 1.0, 2.0), *run(9, 4.0, 5.0)])
    said = f"log: got the step {since} to compare since, and judgments of the steps 2 to 9; expected one with steps be"
    with pytest.raises(InputError, match=said):
        compare(data, since=since)
    with pytest.raises(InputError, match="steps 2 to 9"):
        compare(data, since=1)
    with pytest.raises(InputError, match="steps to 4 and later steps have no prompt in common"):
        compare(source("log", [*run(2, 1.0), *run(9, 4.0, prompt="q")]), since=4)


@pytest.mark.parametrize(
    ("is_training", "judgments", "kind"),
    [(False, [], "labels"), (True, [], "calls without a trainer"), (True, run(0, 1.0), "calls without a trainer")],
)
def test_what_has_no_steps_is_one_line(is_training, judgments, kind):
    data = replace(source("log", judgments), is_training=is_training)
    said = f"^log: got the step 3 to compare since, and {kind}, which have no steps; expected a training$"
    with pytest.raises(InputError, match=said):
        compare(data, since=3)


def test_steps_whose_texts_are_left_out_are_steps():
    data = source("log", [*run(1, 1.0, 2.0), *run(9, 4.0, 5.0)])
    data.judgments = [one for one in data.judgments if one.row == 1]
    said = (
        "steps to 4 and later steps have no prompt in common; expected answers to the same prompts; 2 of 4 judgments "
        "are compared, and `prom-reward report --limit` takes more"
    )
    with pytest.raises(InputError, match=f"^{said}$"):
        compare(data, since=4)
    with pytest.raises(InputError, match="judgments of the steps 1 to 9"):
        compare(data, since=9)


def test_a_comparison_says_what_it_covers():
    data = source("log", [*run(1, 1.0, 2.0), *run(9, 4.0, 5.0), *run(9, 4.0, prompt="q")])
    said = "4 judgments of 1 prompt, steps to 4 beside later steps; left out: 1 prompt that one side alone answered"
    assert str(compare(data, since=4)) == said
    first, again = source("first", run(1, 1.0, 2.0, 3.0)), source("again", run(1, 3.0, 3.0))
    assert str(compare(first, against=again)) == "2 judgments beside those of again, 1 without a second one"
    assert compare(first) is None


def test_rubrics_of_one_name_with_different_texts_are_named():
    texts = [replace(Rubric.parse("honesty"), criteria=criteria) for criteria in ("Honest?", "Truly honest?")]
    sides = [
        source(str(at), [replace(one, digest=rubric_digest(text)) for one in run(1, 1.0)])
        for at, text in enumerate(texts)
    ]
    assert "different texts under the rubric's name r<" in report_page(
        sides[0], comparison=compare(sides[0], against=sides[1])
    )
    assert "different texts" not in report_page(sides[0], comparison=compare(sides[0], against=sides[0]))
