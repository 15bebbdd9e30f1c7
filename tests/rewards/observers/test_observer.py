import json
import logging
from math import isnan

import pytest

from prom_reward import PrometheusJudge, PrometheusReward, ScriptedEngine
from prom_reward.errors import ConfigError
from prom_reward.rewards.batch import JudgedBatch
from prom_reward.rewards.observers.observer import Findings, Observer, Watch


class Look(Observer):
    """Fails before batch 10, and looks at even or at all batches."""

    name, metrics = "look", ("found",)

    def __init__(self, *, only_even=False):
        self.seen, self.only_even = [], only_even

    def is_due(self, number):
        return not self.only_even or number % 2 == 0

    def observe(self, batch):
        self.seen.append(batch.number)
        if batch.number < 10:
            raise OSError("down")
        return Findings(metrics={"found": 3.0})


def batch(number):
    judge = PrometheusJudge(ScriptedEngine(["[RESULT] 3"]))
    return JudgedBatch(number=number, judge=judge, requests=[], judgments=[], rewards=[], seconds=0.0)


def test_after_failures_ever_more_batches_are_skipped_until_a_look_succeeds():
    look, logged = Look(), []
    watch = Watch(look)
    for number in range(20):
        watch.look(batch(number), lambda *pair: logged.append(pair))
    assert look.seen == [0, 2, 6, *range(14, 20)]
    assert [value for name, value in logged if name == "look/failed"] == [number in (0, 2, 6) for number in range(20)]


def test_every_due_batch_logs_every_metric_whatever_happens():
    logged = {number: {} for number in range(20)}
    watch = Watch(Look(only_even=True))
    for number, metrics in logged.items():
        watch.look(batch(number), metrics.__setitem__)
    assert all(set(logged[number]) == {"look/found", "look/failed", "look/seconds"} for number in range(0, 20, 2))
    assert not any(logged[number] for number in range(1, 20, 2))
    assert isnan(logged[2]["look/found"]) and logged[18]["look/found"] == 3


def test_an_interrupt_is_not_a_failed_look():
    class Interrupted(Observer):
        def observe(self, batch):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Watch(Interrupted()).look(batch(1), None)


def test_a_failure_is_one_warning(caplog):
    watch = Watch(Look())
    with caplog.at_level(logging.WARNING):
        for number in range(9):
            watch.look(batch(number), None)
    assert caplog.messages == ["look failed (OSError: down); rewards stay as they are, later batches try again"]


def test_an_observer_of_ones_own_sees_the_batch_and_writes_into_the_log(tmp_path):
    class Lengths(Observer):
        name, metrics = "lengths", ("mean",)

        def observe(self, batch):
            lengths = [len(request.response) for request, _ in batch.pairs]
            columns = {"length": [length or None for length in lengths]}
            return Findings(metrics={"mean": sum(lengths) / len(lengths)}, columns=columns)

    judge, logged = PrometheusJudge(ScriptedEngine(["[RESULT] 3"])), {}
    path = tmp_path / "log.jsonl"
    reward = PrometheusReward(judge, "helpfulness", observers=[Lengths()], log_path=path)
    reward(["Q"] * 2, ["abcd", ""], log_metric=logged.__setitem__)
    assert logged["lengths/mean"] == 2
    first, second = path.read_text().splitlines()
    assert '"length": 4' in first and '"length"' not in second


@pytest.mark.parametrize("wrong", ["canaries", ["canaries"], 3])
def test_something_else_than_observers_is_refused(wrong):
    judge = PrometheusJudge(ScriptedEngine(["[RESULT] 3"]))
    with pytest.raises(ConfigError, match=r"as an observer; expected for example Canaries\(\) or AuditJudge"):
        PrometheusReward(judge, "helpfulness", observers=wrong)


@pytest.mark.parametrize(
    "found",
    [
        None,
        {"metrics": {}},
        Findings(metrics={"mean": "high"}),
        Findings(columns={"length": [1]}),
        Findings(columns={"length": [object(), object()]}),
    ],
)
def test_findings_that_cannot_be_logged_are_a_failed_look(found, tmp_path, caplog):
    class Wrong(Observer):
        name = "wrong"

        def observe(self, batch):
            return found

    judge, logged = PrometheusJudge(ScriptedEngine(["[RESULT] 3"])), {}
    reward = PrometheusReward(judge, "helpfulness", observers=[Wrong()], log_path=tmp_path / "log.jsonl")
    assert reward(["Q"] * 2, ["a", "b"], log_metric=logged.__setitem__) == pytest.approx([0.5, 0.5])
    assert logged["wrong/failed"] == 1
    assert "wrong failed" in caplog.text


def test_an_observer_that_fails_to_say_whether_it_is_due_ends_no_training(caplog):
    class Broken(Observer):
        name = "broken"

        def is_due(self, number):
            raise OSError("down")

    assert Watch(Broken()).look(batch(1), None) == {}
    assert "broken failed" in caplog.text


def test_an_observers_column_does_not_overwrite_the_logs_own(tmp_path):
    class Same(Observer):
        def observe(self, batch):
            return Findings(columns={"reward": [99]})

    path = tmp_path / "log.jsonl"
    judge = PrometheusJudge(ScriptedEngine(["[RESULT] 3"]))
    PrometheusReward(judge, "helpfulness", observers=[Same()], log_path=path)(["Q"], ["a"])
    assert json.loads(path.read_text())["reward"] == pytest.approx(0.5)
