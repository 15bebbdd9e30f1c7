import random
from dataclasses import replace

import pytest

from prom_reward import GradingRequest, Judgment, Outcome
from prom_reward.evaluation.groups.labeled_groups import LabeledGroup
from prom_reward.evaluation.groups.methods import evaluate_groups
from tests.rewards.groups.quality_judge import QualityJudge


def groups(count=12, size=5, seed=0):
    """Return groups whose labels are the qualities in the answers' texts."""
    draw = random.Random(seed)
    found = []
    for at in range(count):
        labels = draw.sample([1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5], size)
        asked = [
            GradingRequest(instruction=f"p{at}", response=f"{'x' * draw.randint(1, 40)} {one}", rubric="helpfulness")
            for one in labels
        ]
        found.append(LabeledGroup(asked, labels))
    return found


class GradesAlike(QualityJudge):
    """Compares well and grades everything alike."""

    def _graded(self, request):
        counts = {"num_prompt_tokens": 10, "num_generated_tokens": 2}
        return Judgment(outcome=Outcome.SCORED, score=3, expected_score=3.0, **counts)


def test_every_method_is_measured_on_the_same_judgments():
    judge, counted = QualityJudge(bias=1), []
    found = evaluate_groups(judge, groups(), resamples=50, on_batch=counted.append)
    assert (found.num_groups, found.num_answers) == (12, 60)
    assert found.methods["pointwise"].tau.value == pytest.approx(1)
    assert found.methods["round_robin"].tau.value == pytest.approx(1)
    assert found.methods["length"].tau.value < 0.5
    assert sum(counted) == 60 + 12 * 20  # each answer once, each pair in both orders
    assert found.methods["round_robin"].num_prompts == 25
    assert found.methods["elimination"].num_prompts == 13
    assert 0 < found.methods["round_robin"].flips < 1
    assert found.methods["pointwise"].flips is None
    assert found.methods["pointwise"].num_read is None  # its grades do not tell
    assert "anchor" not in found.methods


def test_the_anchor_is_tried_if_there_are_references():
    with_reference = [
        LabeledGroup([replace(one, reference_answer="the reference 3") for one in group.requests], group.labels)
        for group in groups(4)
    ]
    judge = QualityJudge()
    found = evaluate_groups(judge, with_reference, resamples=20)
    assert found.methods["anchor"].tau.value == pytest.approx(1)
    assert found.methods["anchor"].num_prompts == 15  # five grades, five pairs in both orders
    references = [one for call in judge.compared for one in call if "reference" in one.response_a + one.response_b]
    assert references and all(one.reference_answer is None for one in references)


def test_a_judge_that_grades_perfectly_deserves_grades():
    found = evaluate_groups(QualityJudge(), groups(), resamples=50)
    assert found.deserves == "pointwise"
    assert "take PrometheusReward" in found.verdict
    assert found.to_dict()["deserves"] == "pointwise"


def test_a_judge_that_compares_better_deserves_comparisons():
    found = evaluate_groups(GradesAlike(), groups(), resamples=50)
    assert found.methods["pointwise"].ties == 1
    assert found.deserves == "round_robin"
    assert found.verdict.startswith("judge deserves round_robin; its noise suggests prior_weight=0.")
    assert found.methods["round_robin"].gain.low > 0.5
    assert (found.methods["pointwise"].num_read, found.methods["pointwise"].num_written) == (50, 10)
    assert (found.methods["round_robin"].num_read, found.methods["round_robin"].num_written) == (50 + 20 * 7, 10 + 20)
    assert found.methods["length"].num_read == 0
    mixed = found.methods["adaptive for 30%"]
    assert found.methods["pointwise"].tau.value < mixed.tau.value < found.methods["adaptive"].tau.value
    assert mixed.num_prompts < found.methods["adaptive"].num_prompts


def test_a_judge_that_is_no_better_than_length_deserves_nothing():
    class Worst(QualityJudge):
        def grade(self, requests):
            return [
                type(one)(**{**one.to_dict(), "outcome": one.outcome, "expected_score": 6 - one.expected_score})
                for one in super().grade(requests)
            ]

    found = evaluate_groups(Worst(bias=50), groups(), resamples=50)
    assert "no better than their length" in found.verdict


def test_a_judge_that_does_not_rank_is_asked_for_grades_alone():
    class Grader(QualityJudge):
        ranks = False

    judge = Grader()
    found = evaluate_groups(judge, groups(2), resamples=0)
    assert judge.compared == []
    assert found.methods["round_robin"].num_prompts == 5
    assert found.methods["round_robin"].flips is None


def test_groups_that_cannot_be_scored_are_left_out():
    judge = QualityJudge(fails=lambda request: request.instruction == "p0")
    assert evaluate_groups(judge, groups(4), resamples=0).num_groups == 3
    assert evaluate_groups(QualityJudge(fails=lambda _: True), groups(2), resamples=0).num_groups == 0
