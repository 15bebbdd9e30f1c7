"""Integrations that are functions: verl, slime, AReaL and TRL's shape."""

import asyncio
import pickle  # noqa: TID251  AReaL sends its reward to worker processes
from types import SimpleNamespace

import numpy as np
import pytest

from prom_reward import Judge, Judgment, Outcome, PrometheusReward
from prom_reward.errors import ConfigError, RowError, UnscoredError
from prom_reward.integrations import configured
from prom_reward.integrations.areal import reward_fn
from prom_reward.integrations.configured import reward_of
from prom_reward.integrations.slime import custom_rm
from prom_reward.integrations.trl import prometheus_reward
from prom_reward.integrations.verl import compute_score
from tests.prompts.test_rendered import CHATML

S4, S2 = pytest.approx(0.71875), pytest.approx(0.28125)


PAPER = [{"role": "user", "content": "How many apples?"}]


@pytest.fixture
def shown(monkeypatch):
    """The requests that a judge gets."""
    asked = []

    class Recording(Judge):
        fingerprint = "recording"

        def grade(self, requests):
            asked.extend(requests)
            return [Judgment(outcome=Outcome.SCORED, score=4)] * len(requests)

    reward = PrometheusReward(Recording(), "helpfulness", on_unscored="raise")
    monkeypatch.setattr(configured, "configured_reward", lambda: reward)
    return asked


@pytest.mark.parametrize(
    "ask",
    [
        lambda: reward_fn("Q", "It is 72", [], [], answer="72", reference_answer=None),
        lambda: asyncio.run(compute_score("d", "It is 72", "72", {"prompt": "Q", "ground_truth": None})),
        lambda: asyncio.run(compute_score("d", "It is 72", "72", {"prompt": "Q", "reference_answer": ""})),
        lambda: asyncio.run(compute_score("d", "It is 72", "72", {"prompt": PAPER, "instruction": "Box it."})),
        lambda: asyncio.run(custom_rm(SINGLE, sample("x", "72", reference_answer=None, prompt=None))),
        lambda: asyncio.run(custom_rm(SINGLE, sample("x", '{"reference_answer": "72"}', reference_answer=""))),
        lambda: asyncio.run(custom_rm(SINGLE, sample("x", None, '{"reference_answer": "72"}'))),
        lambda: reward_of("Q", "x", {"reference_answer": " ", "ground_truth": "72"}),
    ],
)
def test_a_column_that_holds_nothing_hides_no_other(shown, ask):
    ask()
    [request] = shown
    assert request.reference_answer == "72"
    assert request.instruction in ("Q", "How many apples?", "Be brief.\n\nHi")


def test_a_reference_that_is_a_list_without_entries_is_one(shown):
    asyncio.run(compute_score("d", "[1]", "[]", {"prompt": "Q"}))
    assert shown[0].reference_answer == "[]"


def test_columns_that_are_no_mapping_are_refused(shown):
    with pytest.raises(RowError, match="got 'notes' as columns of a row; expected a mapping"):
        asyncio.run(custom_rm(SINGLE, sample("x", None, "notes")))


def verl(solution, **extra_info):
    """Call as verl 0.9.1's `NaiveRewardManager.run_single` does."""
    score = compute_score(
        data_source="math",
        solution_str=solution,
        ground_truth="Seven",
        extra_info=extra_info,
        reward_router_address="x",
    )
    return asyncio.run(score)


def test_verl_gets_a_score(settings):
    assert verl("s4", question="Hi", num_turns=None, rollout_reward_scores={}) == {"score": S4}


def test_an_array_as_verls_ground_truth_is_refused_in_one_line(settings):
    several = compute_score("math", "s4", np.array(["Seven", "7"]), {"question": "Hi"})
    with pytest.raises(RowError, match="ndarray as the reference answer"):
        asyncio.run(several)


def test_verl_has_no_word_for_an_unscored_rollout(settings):
    for on_unscored in ("raise", "none"):
        settings(on_unscored)
        with pytest.raises(UnscoredError):
            verl("fail", question="Hi")
    settings("0")
    assert verl("fail", question="Hi") == {"score": 0.0}


def test_verl_rows_without_a_prompt_are_refused(settings):
    with pytest.raises(RowError, match="no prompt"):
        verl("s4")


SINGLE, GROUPS = SimpleNamespace(group_rm=False), SimpleNamespace(group_rm=True)


def sample(response, label="Seven", metadata=None, **columns):
    return SimpleNamespace(
        prompt=CHATML, response=f"{response}<|im_end|>", label=label, metadata=metadata or columns, remove_sample=False
    )


def test_slime_gets_the_reward_of_a_sample_or_of_each_in_a_group(settings):
    assert asyncio.run(custom_rm(SINGLE, sample("s4"))) == S4
    assert asyncio.run(custom_rm(GROUPS, [sample("s4"), sample("s2")], evaluation=False)) == [S4, S2]


def test_a_slip_in_slimes_label_is_refused(settings):
    with pytest.raises(RowError, match=r"^label: unknown key 'rubrc'; .*Did you mean 'rubric'"):
        asyncio.run(custom_rm(SINGLE, sample("s4", label='{"rubrc": "honesty"}')))


def test_a_slip_in_a_row_is_warned_of_once(settings, caplog):
    for _ in range(2):
        verl("s4", question="Hi", refrence_answer="It is seven, for all of us.")
    told = [one.getMessage() for one in caplog.records if "does not see" in one.getMessage()]
    assert len(told) == 1
    assert "fields refrence_answer of the rows" in told[0]


def test_slimes_group_is_compared_if_a_topology_is_set(settings, monkeypatch):
    monkeypatch.setenv("PROM_REWARD_TOPOLOGY", "circular")
    group = [sample("s4"), sample("fail"), sample("s2")]
    high, failed, low = asyncio.run(custom_rm(GROUPS, group))
    assert low < 0 < high
    assert (failed, group[1].remove_sample) == (pytest.approx((low + high) / 2), True)
    monkeypatch.setenv("PROM_REWARD_TOPOLOGY", "circle")
    with pytest.raises(ConfigError, match="topology='circle'"):
        asyncio.run(custom_rm(GROUPS, group))


def test_the_parts_of_one_rollout_of_slime_are_graded_alone(settings, monkeypatch):
    monkeypatch.setenv("PROM_REWARD_TOPOLOGY", "circular")
    parts = [sample("s4"), sample("s2")]
    assert asyncio.run(custom_rm(SINGLE, parts)) == [S4, S2]
    with pytest.raises(UnscoredError):
        asyncio.run(custom_rm(SINGLE, [*parts, sample("fail")]))


def test_an_unscored_sample_of_slime_leaves_the_loss_and_not_the_mean(settings):
    group = [sample("s4"), sample("fail"), sample("s2")]
    rewards = asyncio.run(custom_rm(GROUPS, group))
    assert [one.remove_sample for one in group] == [False, True, False]
    assert rewards == [S4, pytest.approx((0.71875 + 0.28125) / 2), S2]


@pytest.mark.parametrize("samples", [sample("fail"), [sample("fail"), sample("fail")]])
def test_slime_without_any_score_is_an_error(settings, samples):
    with pytest.raises(UnscoredError):
        asyncio.run(custom_rm(GROUPS, samples))


def test_areal_gets_a_number_from_a_function_that_pickles(settings):
    function = pickle.loads(pickle.dumps(reward_fn))
    assert function(CHATML, "s4<|im_end|>", [1], [2], answer="Seven", rubric="honesty") == S4
    assert function("ignored", "s4", [1], [2], messages=[{"role": "user", "content": "Hi"}]) == S4
    settings("none")
    with pytest.raises(UnscoredError):
        function(CHATML, "fail", [1], [2])


def test_trls_shape_leaves_unscored_rows_out(settings):
    settings("none")
    assert prometheus_reward(["Hi"] * 2, ["s4", "fail"], rubric=["honesty"] * 2, trainer_state=None) == [S4, None]
