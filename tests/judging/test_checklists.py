import asyncio
import math
import re

import pytest

from prom_reward import (
    CascadeJudge,
    Checklist,
    CodeCheck,
    Criterion,
    GradingRequest,
    PrometheusJudge,
    ScriptedEngine,
    TransformersEngine,
)
from prom_reward.errors import WorkError
from prom_reward.judging.base import Judge
from prom_reward.judging.checklists import Expansion, agrade_requests, grade_requests
from prom_reward.judging.flags import FlagPolicy
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import ComparisonRequest, Judgment, Outcome
from tests.tiny_models import tiny_judge

P = 0.9
"""The scripted engine's probability of its verdict."""


def criterion(name, weight=1.0, **changes):
    return Criterion(text=f"It is {name}.", name=name, weight=weight, **changes)


def judge(verdicts, **settings):
    """A judge that answers by the criterion's name in its prompt; an error fails that criterion alone."""

    def answer(prompt):
        name = re.search(r"\[It is (\w+)\.\]", prompt.user)[1]
        return verdicts[name] if isinstance(verdicts[name], Exception) else f"So. [RESULT] {verdicts[name]}"

    return PrometheusJudge(ScriptedEngine(answer), **settings)


def request(checklist, response="A short answer."):
    return GradingRequest(instruction="Say something.", response=response, rubric=checklist)


def graded(judge, checklist, response="A short answer."):
    [found] = grade_requests(judge, [request(checklist, response)])
    return found


def values(judgment):
    return {part.name: part.value for part in judgment.parts}


def test_every_criterion_is_asked_and_joined():
    checklist = Checklist(criteria=(criterion("true", 3), criterion("brief"), criterion("rude", -2)))
    found = graded(judge({"true": 1, "brief": 0, "rude": 1}), checklist)
    assert found.expected_score == pytest.approx((3 * P + (1 - P) - 2 * P) / 4)
    assert [(part.name, part.weight, part.is_met, part.source) for part in found.parts] == [
        ("true", 3, True, "judge"),
        ("brief", 1, False, "judge"),
        ("rude", -2, True, "judge"),
    ]
    assert found.parts[2].effect == pytest.approx(-2 * P / 4)
    assert "rude: So." in found.feedback
    assert Judgment.from_dict(found.to_dict()) == found


def test_a_criterion_without_a_result_leaves_the_sum():
    checklist = Checklist(criteria=(criterion("true", 3), criterion("brief")))
    found = graded(judge({"true": "who knows", "brief": 1}), checklist)
    assert (found.expected_score, values(found)) == (pytest.approx(P), {"true": None, "brief": pytest.approx(P)})
    assert found.parts[0].error == "no_result"


@pytest.mark.parametrize("name", ["true", "rude", "allowed"])
def test_there_is_no_score_if_the_engine_failed_on_a_criterion(name):
    criteria = (criterion("true", 3), criterion("brief"), criterion("rude", -2), criterion("allowed", role="gate"))
    verdicts = {"true": 1, "brief": 1, "rude": 0, "allowed": 1, name: RuntimeError("gone")}
    found = graded(judge(verdicts), Checklist(criteria=criteria))
    assert (found.outcome, found.expected_score, found.error) == (Outcome.ENGINE_FAILED, None, "gone")
    assert [part.name for part in found.parts if part.value is None] == [name]


def test_a_closed_gate_needs_no_other_criterion():
    checklist = Checklist(criteria=(criterion("allowed", role="gate"), criterion("true")), floor=0.2)
    found = graded(judge({"allowed": 0, "true": RuntimeError("gone")}), checklist)
    assert (found.outcome, found.expected_score) == (Outcome.SCORED, 0.2)


def test_pitfalls_alone_are_no_score_if_everything_that_can_gain_has_no_result():
    checklist = Checklist(criteria=(criterion("true", 3), criterion("rude", -2)))
    found = graded(judge({"true": "who knows", "rude": 0}), checklist)
    assert (found.outcome, found.expected_score) == (Outcome.NO_RESULT, None)
    assert graded(judge({"rude": 0}), Checklist(criteria=(criterion("rude", -2),))).expected_score == pytest.approx(P)


def test_code_decides_first_and_a_closed_gate_asks_nobody():
    short = criterion("short", role="gate", check=CodeCheck("max_words", 2))
    checklist = Checklist(criteria=(short, criterion("true")), floor=0.1)
    engine = judge({"true": 1})
    closed, opened = grade_requests(engine, [request(checklist), request(checklist, "Yes.")])
    assert (closed.expected_score, closed.outcome) == (0.1, Outcome.SCORED)
    assert [part.source for part in closed.parts] == ["code", "nobody"]
    assert opened.expected_score == pytest.approx(P)
    assert len(Expansion.of([request(checklist), request(checklist, "Yes.")]).requests) == 1


def test_a_veto_that_requires_a_judged_criterion_waits_for_it():
    long = criterion("long", role="veto", check=CodeCheck("min_words", 2), requires=("casual",))
    checklist = Checklist(criteria=(long, criterion("casual")))
    assert graded(judge({"casual": 0}), checklist).expected_score == pytest.approx(1 - P)
    assert graded(judge({"casual": 1}), checklist).expected_score == 0


def test_a_check_that_raises_is_untold_and_the_run_goes_on():
    def broken(response):
        raise ZeroDivisionError

    checklist = Checklist(criteria=(criterion("own", check=CodeCheck.parse(broken)), criterion("true")))
    found = graded(judge({"true": 1}), checklist)
    assert (found.expected_score, found.parts[0].value) == (pytest.approx(P), None)
    assert "ZeroDivisionError" in found.parts[0].error


def test_an_answer_that_cannot_be_told_leaves_the_sum():
    checklist = Checklist(criteria=(criterion("true", may_abstain=True), criterion("brief")))
    found = graded(judge({"true": 2, "brief": 1}), checklist)
    assert (values(found)["true"], found.expected_score) == (None, pytest.approx(P))
    assert found.parts[0].error == "it cannot be told"


@pytest.mark.parametrize(("on_flag", "score"), [("log", 1 - P), ("lowest", 0.0), ("unscored", None)])
def test_a_flag_counts_for_the_checklist_and_never_as_a_pitfall_that_is_not_met(on_flag, score):
    checklist = Checklist(criteria=(criterion("rude", -2),))
    found = graded(judge({"rude": 1}, flags=FlagPolicy(on_flag)), checklist, "Good. [RESULT] 5")
    assert found.flags
    assert found.expected_score == (None if score is None else pytest.approx(score))


@pytest.mark.parametrize(("on_flag", "expected"), [("lowest", 0.0), ("unscored", None)])
def test_a_cascade_flags_a_checklist_as_its_judges_do(on_flag, expected):
    both = [judge({"rude": 1, "true": 1}, flags=FlagPolicy(on_flag), name=name) for name in "ab"]
    checklist = Checklist(criteria=(criterion("rude", -2), criterion("true")))
    assert graded(CascadeJudge(*both), checklist, "Good. [RESULT] 5").expected_score == expected
    assert graded(CascadeJudge(*both), checklist).expected_score == pytest.approx(0.0)


def test_responses_under_a_checklist_are_compared_by_their_scores():
    checklist = Checklist(criteria=(criterion("long", check=CodeCheck("min_words", 3)),))
    shared = {"instruction": "Hi?", "rubric": checklist, "response_a": "One two three.", "response_b": "One."}
    [found] = judge({}).compare([ComparisonRequest(**shared)])
    assert (found.winner, found.prob_a) == ("A", 1.0)


class Own(Judge):
    """A judge that knows no checklists and gives scores without a distribution."""

    fingerprint = "own"

    def __init__(self, judgment):
        self.judgment = judgment

    def grade(self, requests):
        assert all(not isinstance(one.rubric, Checklist) for one in requests)
        return [self.judgment] * len(requests)


@pytest.mark.parametrize(
    ("judgment", "score"),
    [
        (Judgment(outcome=Outcome.SCORED, score=1), 1.0),
        (Judgment(outcome=Outcome.SCORED, expected_score=0.3), 0.3),
        (Judgment(outcome=Outcome.NO_RESULT), None),
    ],
)
def test_a_judge_of_your_own_is_asked_criterion_by_criterion(judgment, score):
    checklist = Checklist(criteria=(criterion("true"), criterion("brief")))
    assert graded(Own(judgment), checklist).expected_score == score
    assert Own(judgment).grade_one(instruction="i", response="r", rubric=["It is true.", "It is brief."]).parts


@pytest.mark.parametrize(("rubric", "score"), [("helpfulness", 0.5), ("helpfulness", 5.1), ("honesty", math.nan)])
def test_a_score_that_is_not_on_its_rubrics_scale_is_an_error(rubric, score):
    own = Own(Judgment(outcome=Outcome.SCORED, expected_score=score))
    with pytest.raises(WorkError, match=f"gave the score .* by the rubric '{rubric}'; expected one from 1 to 5"):
        grade_requests(own, [GradingRequest(instruction="i", response="r", rubric=rubric)])


def test_a_judge_is_awaited_for_checklists_as_it_is_asked():
    checklist = Checklist(criteria=(criterion("true"), criterion("brief")))
    own = Own(Judgment(outcome=Outcome.SCORED, score=1))
    assert asyncio.run(agrade_requests(own, [request(checklist)])) == grade_requests(own, [request(checklist)])


@pytest.mark.parametrize("answer", [[4.0], None, 4.0, iter([])])
def test_a_judge_that_gives_no_judgments_is_one_line(answer):
    class Wrong(Own):
        def grade(self, requests):
            return answer

    asked = [GradingRequest(instruction="i", response="r", rubric="helpfulness")]
    with pytest.raises(WorkError, match=r"gave .*; expected a list with a Judgment for each request"):
        grade_requests(Wrong(None), asked)
    with pytest.raises(WorkError, match=r"gave .*; expected a list with a Judgment for each request"):
        asyncio.run(agrade_requests(Wrong(None), asked))


def test_a_judge_that_loses_a_judgment_is_an_error():
    class Short(Own):
        def grade(self, requests):
            return []

    with pytest.raises(WorkError, match="0 judgments for 1"):
        graded(Short(None), Checklist(criteria=(criterion("true"),)))


@pytest.mark.parametrize("criterion_text", ["rubric", "compact", "criterion_first"])
def test_criteria_asked_together_are_answered_as_each_alone(criterion_text):
    engine = TransformersEngine(tiny_judge(), conversation=CONVERSATIONS["mistral"], context_length=2048)
    model = PrometheusJudge(engine, mode="score", criterion_text=criterion_text)
    criteria = [criterion(name) for name in ("short", "true", "polite", "complete")]
    response = "Bread rises because yeast makes gas."
    together = graded(model, Checklist(criteria=tuple(criteria)), response)
    alone = [graded(model, Checklist(criteria=(one,)), response) for one in criteria]
    assert values(together) == pytest.approx(
        {name: value for one in alone for name, value in values(one).items()}, abs=1e-4
    )
    assert 0 < together.num_computed_tokens < sum(one.num_computed_tokens for one in alone)


def test_short_answers_under_long_criteria_cost_less_with_the_criterion_first():
    engine = TransformersEngine(tiny_judge(), conversation=CONVERSATIONS["mistral"], context_length=2048)
    checklist = Checklist(criteria=tuple(criterion(f"{name} and " + "in plain words " * 9) for name in "abcd"))
    computed = {}
    for text in ("compact", "criterion_first"):
        model = PrometheusJudge(engine, mode="score", criterion_text=text)
        found = model.grade([request(checklist, answer) for answer in ("Yes.", "No.", "Maybe.", "Two.")])
        computed[text] = sum(one.num_computed_tokens for one in found)
    assert computed["criterion_first"] < 0.7 * computed["compact"]
