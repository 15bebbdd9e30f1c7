import pytest

from prom_reward import PrometheusJudge, ScriptedEngine
from prom_reward.errors import ConfigError
from prom_reward.rubrics.checklists.criterion import Criterion
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import GradingRequest

RUBRIC = Rubric.parse("helpfulness")


def request(rubric=RUBRIC):
    return GradingRequest(instruction="Name a prime.", response="Seven.", rubric=rubric)


def judge_of(script=lambda prompt: "[RESULT] 3", **settings):
    return PrometheusJudge(ScriptedEngine(script, confidence=1.0), mode="score", **settings)


def listed(prompt):
    """The scores in the order in which a prompt describes them."""
    lines = [line for line in prompt.user.splitlines() if line.startswith("Score ")]
    return [line.split()[1].rstrip(":") for line in lines]


def test_the_published_order_is_the_default():
    [prompt] = judge_of().grading_prompts(request())
    assert listed(prompt) == ["1", "2", "3", "4", "5"]


def test_the_best_score_can_come_first_under_the_same_labels():
    published, other = (judge_of(level_order=order) for order in ("worst_first", "best_first"))
    prompts = [judge.grading_prompt(request()) for judge in (published, other)]
    assert listed(prompts[1]) == ["5", "4", "3", "2", "1"]
    assert sorted(prompts[0].user) == sorted(prompts[1].user)
    assert prompts[0].labels == prompts[1].labels
    assert published.fingerprint != other.fingerprint


def reads_the_first_level(prompt):
    return f"[RESULT] {listed(prompt)[0]}"


def test_both_orders_are_averaged_with_every_sentence():
    judge = judge_of(reads_the_first_level, level_order="both", criteria_notes=("", "Be brief."))
    assert [listed(one)[0] for one in judge.grading_prompts(request())] == ["1", "5", "1", "5"]
    [judgment] = judge.grade([request()])
    assert judgment.expected_score == pytest.approx(3.0)
    assert judgment.score_probs == pytest.approx({1: 0.5, 2: 0, 3: 0, 4: 0, 5: 0.5})


def test_criteria_keep_their_answers_order_and_distribution():
    criterion = request(Criterion(text="Is it one?", options=("no", "partly", "yes")).rubric)
    script = {"confidence": 0.6}
    plain, other = (
        PrometheusJudge(ScriptedEngine(lambda prompt: "[RESULT] 1", **script), mode="score", **changes)
        for changes in ({}, {"level_order": "both", "score_temperature": 3.0})
    )
    assert other.grading_prompts(criterion) == plain.grading_prompts(criterion)
    assert other.grade([criterion]) == plain.grade([criterion])
    assert other.grade([request()]) != plain.grade([request()])


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_a_temperature_has_to_be_over_0(temperature):
    with pytest.raises(ConfigError, match="score_temperature"):
        judge_of(score_temperature=temperature)
