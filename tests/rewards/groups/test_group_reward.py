import asyncio
import json
import logging
import pickle  # noqa: TID251  what a reward survives, not what it reads
from math import isnan
from types import SimpleNamespace

import pytest

from prom_reward import GroupReward, PrometheusJudge, PrometheusReward, ScriptedEngine
from prom_reward.errors import ConfigError, RowError, UnscoredError
from prom_reward.rewards.groups.verdicts import judge_groups
from prom_reward.rewards.observers.observer import Findings, Observer
from tests.rewards.groups.quality_judge import QualityJudge
from tests.rewards.groups.test_ranks import two_ranks

ROUND_ROBIN = {"topology": "round_robin", "name": "group"}


class Trainer:
    """What TRL's trainers have: the loggers are its methods."""

    def __init__(self, reward, num_generations):
        self.reward_funcs = [reward]
        self.num_generations, self.num_generations_eval = num_generations, 1
        self.model = SimpleNamespace(training=True)
        self.metrics, self.columns = {}, {}

    def log_metric(self, name, value):
        assert name not in self.metrics
        self.metrics[name] = value

    def log_extra(self, name, values):
        self.columns[name] = values


def group_reward(judge=None, rubric="helpfulness", **settings):
    return GroupReward(judge or QualityJudge(), rubric, **{**ROUND_ROBIN, **settings})


def call(reward, prompts, *qualities, **columns):
    return reward(prompts=prompts, completions=[f"answer {one}" for one in qualities], **columns)


def test_rewards_rank_each_group_and_have_mean_zero():
    rewards = call(group_reward(), ["p", "p", "p", "q", "q"], 1, 4, 2, 5, 3)
    assert rewards[0] < rewards[2] < rewards[1]
    assert rewards[3] > rewards[4]
    assert sum(rewards[:3]) == pytest.approx(0, abs=1e-6)
    assert sum(rewards[3:]) == pytest.approx(0, abs=1e-6)


def test_its_async_form_gives_the_same_rewards_and_only_one_rank_may_await_it(monkeypatch):
    reward = group_reward()
    batch = {"prompts": ["p"] * 3, "completions": ["answer 1", "answer 4", "answer 2"]}
    function = reward.as_async()
    assert asyncio.run(function(**batch)) == reward(**batch)
    assert function.__name__ == "group"
    two_ranks(monkeypatch, ([], None))
    with pytest.raises(ConfigError, match="expected the reward itself"):
        asyncio.run(function(**batch))


def test_equal_groups_have_equal_rewards_whatever_stands_beside_them():
    alone = call(group_reward(), ["p"] * 3, 1, 4, 2)
    beside = call(group_reward(), ["q", "p", "q", "p", "p"], 5, 1, 3, 4, 2)
    assert [beside[at] for at in (1, 3, 4)] == pytest.approx(alone, abs=1e-6)


def test_a_prompt_that_stands_twice_is_two_groups_under_a_trainer():
    reward = group_reward()
    trainer = Trainer(reward, num_generations=2)
    rewards = call(reward, ["p"] * 4, 1, 2, 4, 5, log_metric=trainer.log_metric)
    assert rewards[:2] == pytest.approx(rewards[2:], abs=1e-6)
    assert trainer.metrics["judge/group/size"] == 2
    assert call(group_reward(num_generations=2), ["p"] * 4, 1, 2, 4, 5) == pytest.approx(rewards)
    assert call(group_reward(), ["p"] * 4, 1, 2, 4, 5)[0] < rewards[0]


def test_an_evaluations_groups_have_their_own_size():
    reward = group_reward()
    trainer = Trainer(reward, num_generations=2)
    trainer.model.training = False
    assert call(reward, ["p"] * 2, 1, 5, log_metric=trainer.log_metric) == [0, 0]


def test_a_group_of_one_is_named_once(caplog):
    reward = group_reward()
    assert call(reward, ["p"], 4) == [0.0]
    call(reward, ["p"], 4)
    assert [record.message for record in caplog.records if "one response" in record.message] != []
    assert len(caplog.records) == 1


def test_groups_of_another_size_than_was_said_are_named_once(caplog):
    reward = group_reward(num_generations=3)
    assert call(reward, []) == []
    call(reward, ["p"] * 3 + ["q"] * 3, 1, 2, 3, 3, 2, 1)
    assert not caplog.records
    for _ in range(2):
        call(reward, ["p"] * 4 + ["q"] * 2, 1, 2, 4, 5, 3, 4)
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "got groups of 2 and 4, not of num_generations=3"
    ]


def test_equal_responses_have_equal_rewards():
    first, other, again = call(group_reward(QualityJudge(bias=2)), ["p"] * 3, 3, 1, 3)
    assert first == again > other
    assert call(group_reward(QualityJudge(bias=2)), ["p"] * 3, 3, 3, 3) == [0, 0, 0]


def test_all_failed_is_none_or_what_was_asked_for():
    def judge():
        return QualityJudge(fails=lambda _: True)

    assert call(group_reward(judge()), ["p"] * 2, 1, 2) == [None, None]
    assert call(group_reward(judge(), on_unscored=-1.5), ["p"] * 2, 1, 2) == [-1.5, -1.5]
    with pytest.raises(UnscoredError, match="no answer"):
        call(group_reward(judge(), on_unscored="raise"), ["p"] * 2, 1, 2)


def test_several_rubrics_are_ranked_apart_and_added_with_their_weights():
    rubrics = [{"rubric": "helpfulness", "weight": 3}, {"rubric": "honesty", "weight": 1}]
    judge = QualityJudge(fails=lambda request: request.rubric.name == "honesty")
    only = call(group_reward(), ["p"] * 2, 1, 4)
    assert call(group_reward(judge, rubrics), ["p"] * 2, 1, 4) == [None, None]
    renormalized = call(group_reward(judge, rubrics, on_unscored_rubric="renormalize"), ["p"] * 2, 1, 4)
    assert renormalized == pytest.approx([4 * one for one in only])
    assert call(group_reward(rubric=rubrics), ["p"] * 2, 1, 4) == pytest.approx([4 * one for one in only])


def test_rubrics_and_references_come_from_the_rows():
    judge = QualityJudge()
    columns = {"rubric": ["honesty"] * 2 + [None], "reference_answer": ["R"] * 2 + [None]}
    call(group_reward(judge), ["p"] * 3, 1, 2, 3, **columns)
    assert [(one.rubric.name, one.reference_answer) for one in judge.compared[0]] == [("honesty", "R")] * 2


def test_the_anchor_gives_rewards_that_mean_the_same_in_every_group():
    reward = group_reward(topology="anchor", scale="anchor", baseline_column="base")
    low, high, other = call(reward, ["p", "p", "q"], 2, 4, 4, base=["base 3", "base 3", "base 3"])
    assert low < 0.5 < high
    assert other > 0.5
    with pytest.raises(RowError, match="no reference answer and no baseline"):
        call(group_reward(topology="anchor"), ["p"] * 2, 1, 2)


def test_completions_of_several_messages_are_refused():
    """Their earlier messages belong to the instruction, so that no two of them answer the same."""
    steps = [
        [
            {"role": "assistant", "content": f"step {at}"},
            {"role": "user", "content": "go on"},
            {"role": "assistant", "content": "answer 3"},
        ]
        for at in range(2)
    ]
    prompt = [{"role": "user", "content": "p"}]
    with pytest.raises(RowError, match="several messages"):
        group_reward()(prompts=[prompt] * 2, completions=steps)


def test_metrics_columns_and_log(tmp_path):
    judge = QualityJudge(bias=3, fails=lambda request: getattr(request, "response_a", "").endswith(" 5"))
    reward = group_reward(judge, log_path=tmp_path / "log.jsonl")
    trainer = Trainer(reward, num_generations=3)
    state = SimpleNamespace(global_step=7)
    loggers = {"log_metric": trainer.log_metric, "log_extra": trainer.log_extra, "trainer_state": state}
    rewards = call(reward, ["p"] * 3, 1, 3, 5, **loggers)
    assert trainer.metrics["judge/group/pairs"] == 3
    assert trainer.metrics["judge/group/failed_pairs"] == 2
    assert trainer.metrics["judge/group/order_flips"] == 1.0
    assert trainer.metrics["judge/group/standard_error"] > 0
    assert trainer.metrics["judge/score/helpfulness"] == 3
    assert trainer.columns["judge_score"] == ["1.00", "3.00", "5.00"]
    records = [json.loads(line) for line in reward.log.path.read_text().splitlines()]
    assert [(one["step"], one["mode"], one["group"], one["place"]) for one in records] == [
        (7, "train", 0, at) for at in range(3)
    ]
    assert [one["reward"] for one in records] == [one["group_score"] for one in records] == rewards
    [[other, prob, *orders], [_, failed, *failed_orders]] = records[0]["comparisons"]
    assert (other, prob) == (1, pytest.approx(0.25, abs=0.2))
    assert sum(orders) / 2 == pytest.approx(prob)
    assert orders[0] > 0.5 > orders[1]  # the judge prefers what it sees first
    assert (failed, failed_orders[1]) == (None, None)  # only the order that shows the last one first failed
    assert failed_orders[0] is not None
    assert [one["comparison_tokens"]["num_prompt_tokens"] for one in records] == [
        None,
        None,
        0,
    ]  # failed ones tell none
    [back, _] = records[2]["comparisons"]
    assert back == [0, None, None, pytest.approx(1 - failed_orders[0])]


def test_the_names_of_metrics_do_not_depend_on_the_batch():
    names = []
    for judge, size in ((QualityJudge(), 2), (QualityJudge(fails=lambda _: True), 1)):
        reward = group_reward(judge)
        trainer = Trainer(reward, num_generations=size)
        call(reward, ["p"] * size, *range(1, size + 1), log_metric=trainer.log_metric)
        names.append(sorted(trainer.metrics))
    assert names[0] == names[1]
    assert isnan(trainer.metrics["judge/group/order_flips"])


def test_observers_look_at_the_grades():
    class Count(Observer):
        def observe(self, batch):
            self.seen = [judgment.score for row in batch.judgments for judgment in row]
            return Findings()

    observer = Count()
    call(group_reward(observers=[observer]), ["p"] * 2, 1, 4)
    assert observer.seen == [1, 4]


def test_a_judge_that_cannot_rank_grades_and_says_so_once(caplog):
    engine = ScriptedEngine(lambda prompt: f"[RESULT] {prompt.user.partition('answer ')[2][0]}")
    with caplog.at_level(logging.WARNING):
        reward = group_reward(PrometheusJudge(engine, prompt_style="prometheus-v1"))
        for _ in range(2):
            low, high = call(reward, ["p"] * 2, 2, 4)
    assert low < high
    assert [record.message for record in caplog.records] == [
        "the judge 'judge' does not rank: its comparisons are made of its grades"
    ]
    assert len(engine.prompts) == 4


def test_a_judge_that_was_not_trained_to_rank_is_named(caplog):
    judge = QualityJudge()
    judge.taught_to_rank = False
    group_reward(judge)
    assert "not trained for pairwise ranking" in caplog.text


def test_a_split_group_is_judged_as_a_whole(monkeypatch):
    """This is rank 1 with the second half of a group; rank 0 judges it, and this rank has none to judge."""
    alone = call(group_reward(), ["p"] * 4, 1, 4, 2, 3)
    halves = [group_reward(), group_reward()]
    exchanged = []

    def keep(answers, own):
        exchanged.append(own)
        raise InterruptedError

    two_ranks(monkeypatch, None)
    monkeypatch.setattr("torch.distributed.all_gather_object", keep)
    with pytest.raises(InterruptedError):
        call(halves[0], ["p"] * 2, 1, 4)  # rank 0 reads its half
    parts = [exchanged[0]]

    def answer_of_rank_0(answers, own):
        if len(parts) == 1:  # the halves are read: rank 0 judges the group
            parts.append(own)
            answers[:] = parts
            return
        answers[:] = [(judged(parts[0][0] + parts[1][0]), None), own]

    def judged(members):
        return judge_groups(halves[0].judge, halves[0].group_rule, members, {0: range(4)})

    two_ranks(monkeypatch, None, rank=1)
    monkeypatch.setattr("torch.distributed.all_gather_object", answer_of_rank_0)
    assert call(halves[1], ["p"] * 2, 2, 3) == pytest.approx(alone[2:])
    assert halves[1].judge.compared == []


def test_names_come_from_all_settings():
    names = {
        GroupReward(QualityJudge(), "helpfulness", **settings).__name__
        for settings in ({}, {"topology": "swiss"}, {"prior_weight": 2}, {"on_unscored": 0}, {"group_column": "id"})
    }
    assert len(names) == 5
    assert all(name.startswith("group_helpfulness_") for name in names)
    assert GroupReward(QualityJudge()).__name__.startswith("group_rubric_column_")


def test_a_reward_pickles():
    judge = PrometheusJudge(ScriptedEngine(["[RESULT] 3"]))
    reward = pickle.loads(pickle.dumps(GroupReward(judge, "helpfulness", name="mine")))
    assert (reward.__name__, reward.rubrics[0].name, "mine" in repr(reward)) == ("mine", "helpfulness", True)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"topology": "star"}, "round_robin"),
        ({"num_generations": 0}, "over 0"),
        ({"observers": [3]}, "observer"),
        ({"on_unscored": "zero"}, "finite number"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        GroupReward(QualityJudge(), "helpfulness", **settings)
    with pytest.raises(ConfigError, match="judge"):
        GroupReward("smollm2-135m", "helpfulness")


def test_the_reward_takes_the_place_of_a_prometheus_reward():
    """The same call, for the same trainers."""
    arguments = {
        "prompts": ["p", "p"],
        "completions": ["answer 1", "answer 5"],
        "trainer_state": None,
        "extra": ["x", "y"],
    }
    pointwise, grouped = (kind(QualityJudge(), "helpfulness")(**arguments) for kind in (PrometheusReward, GroupReward))
    assert (pointwise[0] < pointwise[1], grouped[0] < grouped[1]) == (True, True)
