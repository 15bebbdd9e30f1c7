import re

import pytest

from prom_reward import PrometheusJudge, ScriptedEngine
from prom_reward.judging.checklists import ChecklistGrading, grade_checklists
from prom_reward.rubrics.checklist import Checklist, Criterion
from prom_reward.rubrics.checks import CodeCheck


def criterion(name, weight=1.0, **changes):
    return Criterion(text=f"It is {name}.", name=name, weight=weight, **changes)


def judge(verdicts):
    """A judge that answers by the criterion's name in its prompt; an error fails that criterion alone."""

    def answer(prompt):
        name = re.search(r"\[It is (\w+)\.\]", prompt.user)[1]
        return verdicts[name] if isinstance(verdicts[name], Exception) else f"So. [RESULT] {verdicts[name]}"

    return PrometheusJudge(ScriptedEngine(answer))


def grading(checklist, response="A short answer."):
    return ChecklistGrading.of(checklist, instruction="Say something.", response=response)


def test_every_criterion_is_asked_and_joined():
    checklist = Checklist(criteria=(criterion("true", 3), criterion("brief"), criterion("rude", -2)))
    [found] = grade_checklists(judge({"true": 1, "brief": 0, "rude": 1}), [grading(checklist)])
    assert found.score == pytest.approx((3 * 0.9 + 0.1 - 2 * 0.9) / 4)
    assert [(part.criterion.name, part.is_met) for part in found.parts] == [
        ("true", True),
        ("brief", False),
        ("rude", True),
    ]


def test_what_the_judge_fails_on_leaves_the_sum():
    checklist = Checklist(criteria=(criterion("true", 3), criterion("brief")))
    [found] = grade_checklists(judge({"true": RuntimeError("gone"), "brief": 1}), [grading(checklist)])
    assert (found.score, found.num_untold) == (pytest.approx(0.9), 1)  # the scripted engine's P(yes)
    [found] = grade_checklists(judge(dict.fromkeys(("true", "brief"), RuntimeError("gone"))), [grading(checklist)])
    assert found.score is None


def test_code_decides_first_and_a_closed_gate_asks_nobody():
    short = criterion("short", role="gate", check=CodeCheck("max_words", 2))
    checklist = Checklist(criteria=(short, criterion("true")))
    closed = grading(checklist)
    assert (closed.requests, closed.score([]).score) == ((), 0.0)
    opened = grading(checklist, "Yes.")
    assert len(opened.requests) == 1
    assert grade_checklists(judge({"true": 1}), [closed, opened])[1].score == pytest.approx(0.9)


def test_a_check_that_raises_is_untold_and_the_run_goes_on():
    def broken(response):
        raise ZeroDivisionError

    checklist = Checklist(criteria=(criterion("own", check=CodeCheck.parse(broken)), criterion("true")))
    [found] = grade_checklists(judge({"true": 1}), [grading(checklist)])
    assert (found.score, found.num_untold) == (pytest.approx(0.9), 1)  # the scripted engine's P(yes)
