import re
from dataclasses import replace
from math import log
from zlib import crc32

import pytest

from prom_reward.data.labels.labeled_rows import LabeledPair
from prom_reward.engines.base import Generation
from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.errors import ConfigError, InputError
from prom_reward.evaluation.evaluate import labeled_input
from prom_reward.evaluation.tuning.tune import tune
from prom_reward.judging.aggregation import tempered
from prom_reward.judging.cache import JudgmentCache
from prom_reward.judging.calibration import Calibration
from prom_reward.judging.judge import PrometheusJudge

GOOD, USELESS = "Look closely.", "Take your time."


def reads_quality_if_told(prompt):
    """Score a response by its quality, one too low, if the criteria tell the judge to look; else by its number."""
    number, quality = (int(one) for one in re.search(r"answer (\d+) of quality (\d)", prompt.user).groups())
    if GOOD in prompt.user:
        return f"[RESULT] {max(1, quality - 1)}"
    return f"[RESULT] {1 + number * 7 % 5}"


class OverconfidentEngine(ScriptedEngine):
    """Is sure of a score that says nothing; the quality has the second place."""

    def generate(self, prompts, sampling):
        return [self._generation(prompt) for prompt in prompts]

    def _generation(self, prompt):
        number, quality = (int(one) for one in re.search(r"answer (\d+) of quality (\d)", prompt.user).groups())
        probs = {str(label): 0.001 for label in range(1, 6)} | {str(quality): 0.04, str(1 + number * 7 % 5): 0.95}
        logprobs = {label: log(prob) for label, prob in probs.items()}
        return Generation(text=max(probs, key=probs.get), finish_reason="result", score_logprobs=logprobs)


def labeled_rows(num_questions=40):
    rows = [
        {
            "question_id": at // 3,
            "instruction": f"Question {at // 3}?",
            "response": f"answer {at} of quality {1 + at * 3 % 5}",
            "rubric": "helpfulness",
            "score": 1 + at * 3 % 5,
        }
        for at in range(3 * num_questions)
    ]
    return labeled_input(rows)


@pytest.fixture
def judge():
    return PrometheusJudge(ScriptedEngine(reads_quality_if_told, confidence=0.8), mode="score", name="told")


def test_the_sentence_that_helps_is_kept_with_its_gain_on_the_other_half(judge):
    found = tune(labeled_rows(), judge=judge, notes=(USELESS, GOOD), resamples=100)
    assert found.settings == {"criteria_notes": [GOOD]}
    kept = [one for one in found.trials if one.is_kept]
    assert [one.settings for one in kept] == [found.settings]
    assert kept[0].gain.low > 0.3
    assert kept[0].price.num_computed == found.price.num_computed + len(GOOD.split())
    assert kept[0].price.num_generated == 0
    assert judge.criteria_notes == ()


def test_a_gain_that_one_of_seven_looks_finds_by_chance_is_not_kept():
    def reads_quality_of_a_fifth(prompt):
        number, quality = (int(one) for one in re.search(r"answer (\d+) of quality (\d)", prompt.user).groups())
        is_told = GOOD in prompt.user and crc32(str(number).encode()) % 100 < 20
        return f"[RESULT] {quality if is_told else 1 + number * 7 % 5}"

    reads = PrometheusJudge(ScriptedEngine(reads_quality_of_a_fifth, confidence=0.8), mode="score")
    found = tune(labeled_rows(), judge=reads, notes=(GOOD,), resamples=300)
    [trial] = [one for one in found.trials if "criteria_notes" in one.settings]
    assert 0.05 / 7 < trial.gain.p_value < 0.05  # its 95 % interval is over 0
    assert not trial.is_kept


def test_the_kept_settings_give_the_scores_that_were_measured(judge):
    rows = labeled_rows()
    found = tune(rows, judge=judge, notes=(USELESS, GOOD), resamples=100)
    tuned = judge.with_reading(mode="score", layout="prometheus", criteria_notes=found.settings["criteria_notes"])
    scores = [one.score for one in tuned.grade([row.request for row in rows.rows])]
    assert scores == [max(1, int(row.mean_score) - 1) for row in rows.rows]


def test_an_order_that_helps_is_kept():
    def reads_quality_if_the_best_comes_first(prompt):
        number, quality = (int(one) for one in re.search(r"answer (\d+) of quality (\d)", prompt.user).groups())
        is_told = prompt.user.index("Score 5:") < prompt.user.index("Score 1:")
        return f"[RESULT] {quality if is_told else 1 + number * 7 % 5}"

    reads = PrometheusJudge(ScriptedEngine(reads_quality_if_the_best_comes_first, confidence=0.8), mode="score")
    assert tune(labeled_rows(), judge=reads, notes=(), resamples=100).settings == {"level_order": "best_first"}


def test_answers_from_a_cache_have_no_price(tmp_path):
    judge = PrometheusJudge(
        ScriptedEngine(reads_quality_if_told, confidence=0.8),
        mode="score",
        cache=JudgmentCache(tmp_path / "cache.sqlite"),
    )
    fresh, cached = (tune(labeled_rows(), judge=judge, notes=(GOOD,), resamples=100).trials for _ in range(2))
    noted = [[one.price for one in found if "criteria_notes" in one.settings] for found in (fresh, cached)]
    assert noted[0][0].num_computed > 0
    assert noted[1] == [None]


def test_a_temperature_is_tried_without_asking_the_judge(judge):
    asked = []
    found = tune(
        labeled_rows(), judge=judge, notes=(), resamples=100, on_start=lambda name, total: asked.append((name, total))
    )
    tried = [one for one in found.trials if "score_temperature" in one.settings]
    assert [one.settings["score_temperature"] for one in tried] == [0.5, 2.0, 4.0]
    assert [one.price for one in tried] == [found.price] * 3
    assert not any("temperature" in name for name, _ in asked)


def test_a_temperature_that_helps_is_kept_and_gives_the_scores_that_were_measured():
    rows = labeled_rows()
    plain = PrometheusJudge(OverconfidentEngine(["unused"]), mode="score")
    found = tune(rows, judge=plain, notes=(), resamples=100, measure="pearson")
    temperature = found.settings["score_temperature"]
    assert temperature > 1
    requests = [row.request for row in rows.rows]
    tuned = plain.with_reading(score_temperature=temperature).grade(requests)
    assert tuned == [tempered(one, temperature) for one in plain.grade(requests)]


def test_nothing_is_kept_if_nothing_helps(judge):
    found = tune(labeled_rows(), judge=judge, notes=(USELESS,), resamples=100)
    assert (found.settings, any(one.is_kept for one in found.trials)) == ({}, False)
    tried = {"layout", "level_order", "criteria_notes", "score_temperature"}
    assert {key for one in found.trials for key in one.settings} == tried


def test_a_biased_judge_gets_a_calibration_fitted_on_all_rows(judge):
    found = tune(labeled_rows(), judge=judge, notes=(GOOD,), resamples=100)
    assert found.error.high < -0.3
    assert found.calibration.score(2.0) > 2.5
    assert found.calibration.judge == judge.with_reading(**found.settings).scores_identity


def test_a_judge_that_says_one_thing_is_left_as_it_is():
    constant = PrometheusJudge(ScriptedEngine(lambda prompt: "[RESULT] 3"), mode="score")
    found = tune(labeled_rows(), judge=constant, notes=(USELESS,), resamples=100)
    assert (found.calibration, found.error, found.settings) == (None, None, {})


def test_pairs_are_tuned_by_the_share_in_order(judge):
    rows = labeled_rows().rows
    best = {row.cluster: row for row in sorted(rows, key=lambda row: row.mean_score)}
    worst = {row.cluster: row for row in sorted(rows, key=lambda row: -row.mean_score)}
    pairs = [
        LabeledPair(chosen=best[name].request, rejected=worst[name].request, cluster=name, group="") for name in best
    ]
    found = tune(
        replace(labeled_rows(), rows=[], pairs=pairs),
        judge=judge,
        notes=(USELESS, GOOD),
        resamples=100,
    )
    assert (found.measure, found.settings) == ("pairwise_accuracy", {"criteria_notes": [GOOD]})
    assert found.calibration is None


def test_a_feedback_judge_is_tried_in_score_mode(judge):
    writes = judge.with_reading(mode="feedback", layout="prometheus", criteria_notes=())
    found = tune(labeled_rows(), judge=writes, notes=(), resamples=100)
    assert {"mode": "score"} in [one.settings for one in found.trials]


class WritingEngine(ScriptedEngine):
    """Cannot read a score at once, as a server of chat completions alone."""

    def generate(self, prompts, sampling):
        if any(prompt.response_prefix for prompt in prompts):
            raise ConfigError("this server does not go on with a started answer")
        return super().generate(prompts, sampling)


def test_a_change_that_the_judge_cannot_have_is_left_out(caplog):
    judge = PrometheusJudge(WritingEngine(lambda prompt: f"Seen. {reads_quality_if_told(prompt)}"), mode="feedback")
    found = tune(labeled_rows(), judge=judge, resamples=20)
    assert {"mode"} not in [set(one.settings) for one in found.trials]
    assert "mode: score cannot be tried: this server does not go on" in caplog.text


def test_too_few_questions_are_refused(judge):
    with pytest.raises(InputError, match="got 19 questions; expected at least 20"):
        tune(labeled_rows(19), judge=judge)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"calibration": Calibration(low_slope=1.0, high_slope=1.0, shift=0.0)}, "a calibration"),
        ({"score_temperature": 2.0}, "a temperature"),
    ],
)
def test_a_judge_whose_scores_are_changed_is_refused(settings, told):
    with pytest.raises(ConfigError, match=f"with {told}; expected one without"):
        tune(labeled_rows(), judge=PrometheusJudge(ScriptedEngine(["[RESULT] 3"]), **settings))


def test_verdicts_on_criteria_are_refused(judge):
    with pytest.raises(InputError, match="got verdicts on criteria"):
        tune(replace(labeled_rows(), rows=[], checklists=[None]), judge=judge)


def test_an_error_is_no_measure_to_raise(judge):
    with pytest.raises(ConfigError, match="got measure='mae'; expected one of pearson, spearman, kendall"):
        tune(labeled_rows(), judge=judge, measure="mae")
