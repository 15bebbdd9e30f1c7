from pathlib import Path

import pytest

from prom_reward.training.arguments import DEFAULTS, AdapterRun
from prom_reward.training.plan import ENOUGH_STEPS, plan_steps
from tests.training.tiny_examples import example


def examples_of(number, *, length=350, passes=1):
    return [example([3, at, *range(2, length)], family=at) for at in range(number)] * passes


def planned(examples, **settings):
    return plan_steps(examples, AdapterRun(out=Path("out"), **settings), shares=True)


def test_many_examples_keep_the_defaults():
    plan = planned(examples_of(600))
    assert plan.run.pack_tokens == 2048
    assert plan.run.trainer["gradient_accumulation_steps"] == DEFAULTS["gradient_accumulation_steps"]
    assert plan.run.trainer["warmup_steps"] == min(DEFAULTS["warmup_steps"], plan.steps // 5)
    assert "max_steps" not in plan.run.trainer
    assert plan.steps == plan.all_steps == plan.epoch_steps >= ENOUGH_STEPS


def test_few_examples_are_trained_on_in_many_small_steps():
    plan = planned(examples_of(33, passes=2))
    assert plan.steps >= ENOUGH_STEPS
    assert plan.run.trainer["gradient_accumulation_steps"] == 1
    assert plan.run.trainer["warmup_steps"] == plan.steps // 5 < DEFAULTS["warmup_steps"]
    assert sum(len(pack.examples) for pack in plan.packs) == 66
    assert plan == planned(examples_of(33, passes=2))


def test_more_passes_give_more_steps():
    once, often = (planned(examples_of(3, passes=passes)) for passes in (1, 8))
    assert (once.steps, often.steps) == (3, 24)


def test_what_the_recipe_names_is_kept():
    trainer = {"gradient_accumulation_steps": 2, "warmup_steps": 7, "learning_rate": 1e-4}
    plan = planned(examples_of(12, passes=2), pack_tokens=800, trainer=trainer)
    assert plan.run.pack_tokens == 800
    assert plan.run.trainer == trainer
    assert all(len(pack.ids) <= 800 for pack in plan.packs)
    assert len(plan.packs) == 2 * plan.epoch_steps


@pytest.mark.parametrize(("max_steps", "epochs", "steps"), [(3, 1, 3), (500, 1, 33), (500, 2, 34), (20, 2, 20)])
def test_max_steps_only_shorten_a_training(max_steps, epochs, steps):
    plan = planned(examples_of(33), trainer={"max_steps": max_steps, "num_train_epochs": epochs})
    assert (plan.steps, plan.run.trainer["max_steps"]) == (steps, steps)
    assert plan.all_steps == epochs * plan.epoch_steps
