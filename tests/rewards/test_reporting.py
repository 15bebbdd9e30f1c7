from types import SimpleNamespace

import pytest

from prom_reward import PrometheusJudge, PrometheusReward, ScriptedEngine
from prom_reward.errors import ConfigError
from prom_reward.rewards.reporting import CallingTrainer


class Trainer:
    """What TRL's trainers have: the loggers are its methods."""

    def __init__(self, *reward_funcs, is_training=True):
        self.reward_funcs = list(reward_funcs)
        self.model = SimpleNamespace(training=is_training)
        self.metrics, self.columns = {}, {}

    def log_metric(self, name, value):
        assert name not in self.metrics  # two values under one name would be merged
        self.metrics[name] = value

    def log_extra(self, name, values):
        self.columns.setdefault(name, []).extend(values)


def reward_of(name, score=3):
    return PrometheusReward(PrometheusJudge(ScriptedEngine([f"{name} [RESULT] {score}"])), "helpfulness", name=name)


def call(trainer, reward):
    reward(["Q"] * 2, ["A"] * 2, log_metric=trainer.log_metric, log_extra=trainer.log_extra)


def test_a_single_reward_has_plain_names():
    reward = reward_of("one")
    trainer = Trainer(reward)
    call(trainer, reward)
    assert set(trainer.columns) == {"judge_score", "judge_feedback"}
    assert "judge/score/helpfulness" in trainer.metrics


@pytest.mark.parametrize("form", [lambda reward: reward, PrometheusReward.as_async])
def test_of_several_rewards_none_vanishes(form):
    one, two = reward_of("one", 1), reward_of("two", 5)
    trainer = Trainer(form(one), form(two))
    call(trainer, one)
    call(trainer, two)
    assert trainer.columns["one/judge_feedback"] == ["one"] * 2
    assert trainer.columns["two/judge_feedback"] == ["two"] * 2
    assert set(trainer.columns) == {f"{name}/judge_{what}" for name in ("one", "two") for what in ("score", "feedback")}
    means = [trainer.metrics[f"{name}/judge/score/helpfulness"] for name in ("one", "two")]
    assert means == pytest.approx([1.25, 4.75])
    assert all(name.startswith(("one/", "two/")) for name in trainer.metrics)


def test_rewards_inside_another_function_carry_their_names():
    one, two = reward_of("one"), reward_of("two")
    trainer = Trainer(lambda **batch: [a + b for a, b in zip(one(**batch), two(**batch), strict=True)])
    call(trainer, one)
    call(trainer, two)
    assert {"one/judge_score", "two/judge_score"} <= set(trainer.columns)


def test_two_rewards_of_one_name_are_refused():
    reward = reward_of("same")
    with pytest.raises(ConfigError, match=r"^got two reward functions named 'same'; give each a name of its own"):
        call(Trainer(reward, reward_of("same")), reward)


@pytest.mark.parametrize(
    ("logger", "mode"),
    [
        (Trainer(is_training=True).log_metric, "train"),
        (Trainer(is_training=False).log_extra, "eval"),
        ({}.__setitem__, None),
        (lambda *_: None, None),
        (None, None),
    ],
)
def test_the_trainers_mode_is_known_by_its_loggers(logger, mode):
    assert CallingTrainer.of("name", logger, None).mode == mode


@pytest.mark.parametrize("functions", [None, len])
def test_a_trainer_of_another_kind_is_no_error(functions):
    trainer = Trainer()
    trainer.reward_funcs = functions
    call(trainer, reward_of("one"))
    assert "judge_score" in trainer.columns
