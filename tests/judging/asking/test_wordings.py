import pytest

from prom_reward import PrometheusJudge, ScriptedEngine
from prom_reward.judging.asking.wordings import worded_requests


def asked(request, notes):
    return [one.rubric.criteria for one in worded_requests(request, notes)]


def test_each_note_stands_after_the_criteria(request_of):
    request = request_of("An answer.")
    plain = request.rubric.criteria
    assert asked(request, ()) == [plain]
    assert asked(request, ("", "Be brief.")) == [plain, f"{plain} Be brief."]


def test_the_answers_under_several_notes_are_averaged(request_of):
    engine = ScriptedEngine(lambda prompt: f"[RESULT] {5 if 'Be kind.' in prompt.user else 1}", confidence=1.0)
    judge = PrometheusJudge(engine, mode="score", criteria_notes=("", "Be kind."))
    plain = PrometheusJudge(engine, mode="score")
    requests = [request_of("One."), request_of("Two.")]
    assert [one.expected_score for one in judge.grade(requests)] == [pytest.approx(3.0)] * 2
    alone = [plain.with_reading(criteria_notes=(note,)).grade(requests)[0] for note in judge.criteria_notes]
    assert judge.grade(requests)[0].num_prompt_tokens == sum(one.num_prompt_tokens for one in alone) > 0
    assert judge.fingerprint != plain.fingerprint


def test_the_shown_prompt_is_the_one_that_is_asked(request_of):
    engine = ScriptedEngine(lambda prompt: f"[RESULT] {5 if 'Be kind.' in prompt.user else 1}")
    judge = PrometheusJudge(engine, mode="score", criteria_notes=("Be kind.",))
    assert "Be kind." in judge.grading_prompt(request_of("One.")).user
    assert judge.grade([request_of("One.")])[0].score == 5
