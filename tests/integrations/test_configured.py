import asyncio

import pytest

from prom_reward import CascadeJudge, PrometheusJudge, PrometheusReward, ScriptedEngine
from prom_reward.errors import ConfigError, RowError, UnscoredError
from prom_reward.integrations import configured
from prom_reward.integrations.configured import configured_reward, prompt_of, reward_of, rollout_reward

S4 = pytest.approx(0.71875)


def test_a_reward_of_the_environment_is_made_once(settings):
    assert configured_reward() is configured_reward()
    assert reward_of("Hi", "s4", {}) == S4
    assert asyncio.run(rollout_reward("Hi", "s4", {"rubric": "honesty", "other": 3})) == S4


@pytest.mark.parametrize(("on_unscored", "expected"), [("none", None), ("-1", -1.0)])
def test_an_unscored_rollout_gets_what_the_user_says(settings, on_unscored, expected):
    settings(on_unscored)
    assert reward_of("Hi", "fail", {}) == expected


def test_by_default_an_unscored_rollout_is_an_error(settings):
    with pytest.raises(UnscoredError, match="engine_failed"):
        reward_of("Hi", "fail", {})
    with pytest.raises(UnscoredError, match="engine_failed"):
        asyncio.run(rollout_reward("Hi", "fail", {}))


def test_missing_or_wrong_settings_are_one_line(settings, monkeypatch):
    settings("zero")
    with pytest.raises(ConfigError, match="PROM_REWARD_ON_UNSCORED='zero'"):
        configured_reward()
    settings()
    with monkeypatch.context() as without:
        without.delenv(configured.JUDGE)
        with pytest.raises(ConfigError, match="PROM_REWARD_JUDGE"):
            configured_reward()


def test_thoughts_that_the_template_opens_and_nobody_closes_are_no_answer(settings, monkeypatch):
    monkeypatch.setenv(configured.OPENS_THOUGHTS, "1")
    settings()
    assert not reward_texts("I wonder")
    assert reward_texts("I wonder</think>s4") == "s4"


def test_an_empty_variable_for_opened_thoughts_is_unset(settings, monkeypatch):
    monkeypatch.setenv(configured.OPENS_THOUGHTS, "")
    settings()
    assert reward_texts("I wonder") == "I wonder"


def test_another_word_for_opened_thoughts_is_refused(settings, monkeypatch):
    with monkeypatch.context() as other:
        other.setenv(configured.OPENS_THOUGHTS, "yes")
        with pytest.raises(ConfigError, match="PROM_REWARD_OPENS_THOUGHTS='yes'; expected 1 or 0"):
            configured_reward()


def reward_texts(completion):
    return configured_reward().rows.texts([{"role": "user", "content": "Hi"}], completion)[1]


def test_a_prompt_is_found_by_its_known_names():
    assert prompt_of({"index": 3, "question": "Hi"}) == "Hi"
    with pytest.raises(RowError, match="no prompt in index"):
        prompt_of({"index": 3})


def test_a_checklist_is_judged_alike_by_both_hooks(monkeypatch):
    cascade = CascadeJudge(*(PrometheusJudge(ScriptedEngine(["So. [RESULT] 1"]), name=name) for name in "ab"))
    reward = PrometheusReward(cascade, rubric=["It is true indeed.", "It is brief enough."])
    monkeypatch.setattr(configured, "configured_reward", lambda: reward)
    found = asyncio.run(rollout_reward("Hi", "yes", {}))
    assert found == reward_of("Hi", "yes", {}) > 0.5
