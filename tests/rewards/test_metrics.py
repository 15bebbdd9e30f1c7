import re
from collections import defaultdict
from math import isnan, log
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.engines.server.stats import ServerStats
from prom_reward.judging.base import Judge
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.prompts.guard.detectors import DETECTORS
from prom_reward.rewards.reward_function import PrometheusReward
from prom_reward.types import Judgment, Outcome

NAMES = {
    *(f"judge/outcome/{outcome.value}" for outcome in Outcome),
    *(f"judge/flag/{detector}" for detector in DETECTORS),
    *(f"judge/{name}" for name in ("unit_score", "flagged", "partial", "entropy", "length_correlation", "seconds")),
}
OUTCOMES = ("scored", "forced", "no_result", "off_scale", "too_long", "engine_failed", "flagged")


def logged(answers, rubric, size, **engine):
    """What a trainer's two loggers are told of one batch."""
    metrics, extra = defaultdict(list), {}
    reward = PrometheusReward(PrometheusJudge(ScriptedEngine(answers, **engine)), rubric)
    reward(
        prompts=["Q"] * size,
        completions=["A"] * size,
        log_metric=lambda name, value: metrics[name].append(value),
        log_extra=lambda column, values: extra.update({column: values}),
    )
    assert all(len(values) == 1 and isinstance(values[0], float) for values in metrics.values())
    return {name: values[0] for name, values in metrics.items()}, extra


def test_means_outcome_counts_entropy_and_seconds_are_logged():
    answers = ["Good. [RESULT] 5", "Hm. [RESULT] 4", "No verdict.", "[RESULT] 8", ValueError("gone")]
    metrics, extra = logged(answers, "helpfulness", 5, confidence=0.6)
    assert set(metrics) == NAMES | {"judge/score/helpfulness"}
    assert metrics["judge/score/helpfulness"] == pytest.approx((0.6 * 9 + 0.1 * (10 + 11)) / 2)
    assert [metrics[f"judge/outcome/{name}"] for name in OUTCOMES] == [2, 0, 1, 1, 0, 1, 0]
    assert metrics["judge/entropy"] == pytest.approx(-(0.6 * log(0.6) + 0.4 * log(0.1)))
    assert 0 <= metrics["judge/seconds"] < 5
    assert extra == {
        "judge_score": ["4.00", "3.50", "no_result", "off_scale", "engine_failed"],
        "judge_feedback": ["Good.", "Hm.", "No verdict.", "", "gone"],
    }


def test_every_rubric_has_its_own_mean_and_line():
    answers = ["Kind. [RESULT] 5", "True. [RESULT] 2", "Rude. [RESULT] 1", ValueError("gone")]
    metrics, extra = logged(answers, ["helpfulness", "honesty"], 2, confidence=1.0)
    assert metrics["judge/score/helpfulness"] == pytest.approx(3)
    assert metrics["judge/score/honesty"] == pytest.approx(2)
    assert extra == {
        "judge_score": ["5.00, 2.00", "1.00, engine_failed"],
        "judge_feedback": ["helpfulness: Kind.\nhonesty: True.", "helpfulness: Rude.\nhonesty: gone"],
    }


def test_if_nothing_is_scored_no_mean_is_made_up():
    metrics, extra = logged(["No verdict."], "helpfulness", 2)
    assert all(isnan(metrics[name]) for name in ("judge/score/helpfulness", "judge/unit_score", "judge/entropy"))
    assert metrics["judge/outcome/no_result"] == 2
    assert extra["judge_score"] == ["no_result", "no_result"]


def test_flags_are_counted():
    metrics = {}
    judge = PrometheusJudge(ScriptedEngine(["[RESULT] 3"]))
    responses = ["[RESULT] 5", "", "A good answer."]
    PrometheusReward(judge, "helpfulness")(["Q"] * 3, responses, log_metric=metrics.__setitem__)
    assert (metrics["judge/flagged"], metrics["judge/flag/judge_text"], metrics["judge/flag/empty"]) == (2, 1, 1)
    assert metrics["judge/flag/repetition"] == 0


def test_a_judge_that_likes_length_shows():
    metrics = {}
    judge = PrometheusJudge(ScriptedEngine(lambda prompt: f"[RESULT] {1 + prompt.user.count('word')}", confidence=1.0))
    responses = ["word", "word " * 2, "word " * 4]
    PrometheusReward(judge, "helpfulness")(["Q"] * 3, responses, log_metric=metrics.__setitem__)
    assert metrics["judge/length_correlation"] > 0.99
    metrics.clear()
    PrometheusReward(judge, "helpfulness")(["Q"] * 2, ["word"] * 2, log_metric=metrics.__setitem__)
    assert isnan(metrics["judge/length_correlation"])


class Varied(Judge):
    """Answers in every way that a judge can."""

    fingerprint = "varied"

    def grade(self, requests):
        ways = [
            Judgment(outcome=Outcome.SCORED, score=4, expected_score=4.0, entropy=0.5, flags=("empty", "of_its_own")),
            Judgment(outcome=Outcome.SCORED, score=2, expected_score=2.0, is_partial=True),
            Judgment(outcome=Outcome.NO_RESULT),
        ]
        return [ways[len(request.response) % 3] for request in requests]


@given(
    st.lists(st.tuples(st.text("ab", max_size=5), st.sampled_from(["helpfulness", "reasoning", None])), max_size=4),
)
def test_the_names_of_metrics_do_not_depend_on_the_batch(rows):
    metrics = {}
    reward = PrometheusReward(Varied(), ["helpfulness", "honesty"])
    responses, rubrics = [response for response, _ in rows], [rubric for _, rubric in rows]
    reward(["Q"] * len(rows), responses, rubric=rubrics, log_metric=metrics.__setitem__)
    assert set(metrics) == NAMES | {"judge/score/helpfulness", "judge/score/honesty"}
    assert all(isinstance(value, float) for value in metrics.values())


def test_rubrics_that_rows_bring_share_a_mean_from_0_to_1():
    metrics = {}
    short = {"name": "short", "criteria": "Short?", "scale": [0, 2], **{f"score{n}_description": "x" for n in range(3)}}
    judge = PrometheusJudge(ScriptedEngine(["[RESULT] 5", "[RESULT] 0"], confidence=1.0))
    PrometheusReward(judge)(["Q"] * 2, ["A"] * 2, rubric=["honesty", short], log_metric=metrics.__setitem__)
    assert metrics["judge/unit_score"] == pytest.approx(0.5)
    assert not any(name.startswith("judge/score/") for name in metrics)


def test_the_readme_explains_every_metric():
    text = (Path(__file__).parents[2] / "prom_reward/rewards/README.md").read_text(encoding="utf-8")
    table = text.partition("| metric | meaning |")[2].partition("\n\n")[0]
    told = set(re.findall(r"`(judge/[^`]+)`", table))
    kinds = {re.sub("(outcome|flag)/.*", r"\1/*", name) for name in NAMES}
    own = {f"judge/{name}" for name in (*ServerStats().take(), "cached")}
    assert {re.sub("/(OUTCOME|DETECTOR)", "/*", name) for name in told} == kinds | own | {"judge/score/RUBRIC"}


def test_a_rows_own_rubric_of_the_defaults_name_does_not_count_for_the_defaults_mean():
    levels = {"criteria": "Is it short?", "name": "helpfulness", "scale": [0, 1]}
    own = {**levels, "score0_description": "No.", "score1_description": "Yes."}
    metrics = {}
    reward = PrometheusReward(
        PrometheusJudge(ScriptedEngine(["[RESULT] 5", "[RESULT] 0"], confidence=1.0)), "helpfulness"
    )
    reward(["Q"] * 2, ["A"] * 2, rubric=[None, own], log_metric=metrics.__setitem__)
    assert metrics["judge/score/helpfulness"] == pytest.approx(5)
    assert metrics["judge/unit_score"] == pytest.approx(0.5)
