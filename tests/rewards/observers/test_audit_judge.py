import dataclasses
import json
import logging
from types import SimpleNamespace

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainerState, TrainingArguments

from prom_reward import AuditJudge, DivergenceCallback, Judge, PrometheusJudge, PrometheusReward, ScriptedEngine
from prom_reward.errors import ConfigError, ServerGoneError
from prom_reward.rewards.observers.audit_judge import AuditTotals


def judge(score):
    return PrometheusJudge(ScriptedEngine([f"[RESULT] {score}"], confidence=1.0))


def test_a_second_judge_scores_a_sample_and_the_gap_is_logged():
    audit = AuditJudge(judge=judge(2), share=0.5)
    logged = {}
    reward = PrometheusReward(judge(5), rubric="helpfulness", observers=[audit])
    assert reward(["i"] * 4, list("abcd"), log_metric=logged.__setitem__) == pytest.approx([1.0] * 4)
    assert len(audit.judge.engine.prompts) == 2
    assert logged["audit/score"] == pytest.approx(0.25)
    assert logged["audit/gap"] == pytest.approx(0.75)
    assert 0 <= logged["audit/seconds"] < 60
    assert dataclasses.astuple(audit.take()) == pytest.approx((2, 2.0, 0.5))
    assert audit.take() == AuditTotals()


def test_the_judgment_log_has_the_second_judges_scores_where_it_was_asked(tmp_path):
    path = tmp_path / "log.jsonl"
    audit = AuditJudge(judge=judge(2), share=0.5)
    rubrics = [{"rubric": "helpfulness", "weight": 1}, {"rubric": "honesty", "weight": 0.5}]
    PrometheusReward(judge(5), rubrics, observers=[audit], log_path=path)(["i"] * 4, list("abcd"))
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(records) == 8
    found = [record["audit_score"] for record in records if "audit_score" in record]
    assert found == pytest.approx([2.0] * 4)
    seen = "".join(prompt.user for prompt in audit.judge.engine.prompts)
    audited = [record for record in records if "audit_score" in record]
    assert all(f"###Response to evaluate:\n{record['response']}\n" in seen for record in audited)


def test_what_the_second_judge_cannot_score_is_not_in_the_log(tmp_path):
    path = tmp_path / "log.jsonl"
    silent = PrometheusJudge(ScriptedEngine(["[RESULT] 9"]))
    PrometheusReward(judge(5), "helpfulness", observers=[AuditJudge(judge=silent, share=1)], log_path=path)(
        ["i"], ["a"]
    )
    assert "audit_score" not in json.loads(path.read_text())


def test_a_sample_holds_at_least_one_response_and_needs_no_logger():
    audit = AuditJudge(judge=judge(3), share=0.01)
    PrometheusReward(judge(3), rubric="helpfulness", observers=[audit])(["i", "i"], ["a", "b"])
    assert audit.take().num_pairs == 1


def test_an_audit_judge_that_fails_ends_no_training_and_is_not_asked_at_every_step(caplog):
    class Gone(Judge):
        calls, fingerprint = 0, "gone"

        def grade(self, requests):
            self.calls += 1
            raise ServerGoneError("the server gave no answer for 600 s")

    audit = AuditJudge(judge=Gone())
    reward = PrometheusReward(judge(5), rubric="helpfulness", observers=[audit])
    logged = []
    for _ in range(15):
        assert reward(["i"], ["a"], log_metric=lambda *pair: logged.append(pair)) == pytest.approx([1.0])
    assert audit.judge.calls == 4  # at the batches 1, 3, 7 and 15
    assert sum(value for name, value in logged if name == "audit/failed") == 4
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "audit failed (ServerGoneError: the server gave no answer for 600 s)" in warnings[0]
    audit.judge = judge(2)
    for _ in range(20):
        reward(["i"], ["a"])
    assert audit.take().num_pairs == 5  # the first 15 were skipped


def steps(callback, audit, pairs):
    control = SimpleNamespace(should_training_stop=False)
    for step, pair in enumerate(pairs, start=1):
        audit._totals = AuditTotals(1, *pair) if pair else AuditTotals()
        callback.on_step_end(None, TrainerState(global_step=step), control)
        if control.should_training_stop:
            return step
    return None


START = [(0.5, 0.3)] * 3  # two judges may differ by a constant


def test_a_run_stops_when_the_gap_has_grown_for_some_steps(caplog):
    audit = AuditJudge(judge=judge(3))
    callback = DivergenceCallback(audit, max_growth=0.2, patience=2)
    pairs = [*START, (0.8, 0.2), (0.6, 0.4), (0.9, 0.2), (0.9, 0.1), (0.9, 0.1)]
    assert steps(callback, audit, pairs) == 7
    assert callback.diverged_at == 7
    assert "step 7: the judge's score has grown 0.60 further than the audit judge's" in caplog.text
    assert [point.score for point in callback.history] == [0.5, 0.5, 0.5, 0.8, 0.6, 0.9, 0.9]


def test_a_run_goes_on_when_both_judges_see_the_gain_or_it_is_only_to_be_logged():
    audit = AuditJudge(judge=judge(3))
    rising = [*START, (0.7, 0.5), None, (0.9, 0.7), (1.0, 0.8)]
    assert steps(DivergenceCallback(audit, patience=1), audit, rising) is None
    watching = DivergenceCallback(audit, patience=1, stops=False)
    assert steps(watching, audit, [*START, (1.0, 0.0), (1.0, 0.0)]) is None
    assert watching.diverged_at == 4


def test_all_processes_see_the_same_totals(tmp_path):
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        audit = AuditJudge(judge=judge(3))
        callback = DivergenceCallback(audit)
        steps(callback, audit, [(0.5, 0.25)])
        assert (callback.history[0].score, callback.history[0].audit_score) == (0.5, 0.25)
    finally:
        torch.distributed.destroy_process_group()


class Judged(torch.nn.Module):
    """A policy of one weight; the audit's judges say what the test says of its training and of its evaluations."""

    def __init__(self, audit):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.audit, self.gap = audit, 0.0

    def forward(self, x, labels=None):
        number, own, other = dataclasses.astuple(self.audit._totals)
        more = (0.5 + self.gap, 0.5) if self.training else (1.0, 0.0)
        self.audit._totals = AuditTotals(number + 1, own + more[0], other + more[1])
        return {"loss": ((self.weight * x - labels) ** 2).mean(), "logits": x}


class Hack(TrainerCallback):
    """Lets the gap grow from a step on."""

    def __init__(self, policy, start):
        self.policy, self.start = policy, start

    def on_step_begin(self, args, state, control, **_):
        self.policy.gap = 0.4 if state.global_step >= self.start else 0.0


def trained(folder, *, max_steps, resume=None, hacked_from=5, **settings):
    audit = AuditJudge(judge=judge(3))
    watch, policy = DivergenceCallback(audit, patience=4, warmup=3), Judged(audit)
    rows = [{"x": torch.ones(1), "labels": torch.ones(1)}] * 4
    arguments = TrainingArguments(
        str(folder), max_steps=max_steps, per_device_train_batch_size=1, save_steps=7, report_to="none", use_cpu=True,
        disable_tqdm=True, **settings,
    )  # fmt: skip
    trainer = Trainer(
        policy, arguments, train_dataset=rows, eval_dataset=rows, callbacks=[watch, Hack(policy, hacked_from)]
    )
    trainer.train(resume_from_checkpoint=resume)
    return watch, trainer.state.global_step


@pytest.mark.parametrize("restores", [False, True])
def test_a_resumed_run_is_compared_with_the_start_of_the_first(tmp_path, restores):
    first, stopped = trained(tmp_path, max_steps=7)
    assert (stopped, first.diverged_at) == (7, None)  # two steps over the limit, of four
    settings = {"restore_callback_states_from_checkpoint": restores}
    watch, stopped = trained(tmp_path, max_steps=20, resume=str(tmp_path / "checkpoint-7"), **settings)
    assert (stopped, watch.diverged_at) == (9, 9)
    assert [round(point.score, 3) for point in watch.history] == [0.5] * 5 + [0.9] * 4
    assert [point.step for point in watch.history] == list(range(1, 10))


def test_what_is_said_of_an_evaluation_does_not_count(tmp_path):
    watch, stopped = trained(
        tmp_path, max_steps=6, hacked_from=99, eval_on_start=True, eval_strategy="steps", eval_steps=2
    )
    assert stopped == 6
    assert [(point.score, point.audit_score) for point in watch.history] == [(0.5, 0.5)] * 6


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError, match=r"^got share=0; expected a share over 0 and up to 1$"):
        AuditJudge(judge=judge(3), share=0)
    with pytest.raises(ConfigError, match=r"^got 'x' as the audit's judge; expected a judge$"):
        AuditJudge(judge="x")
    with pytest.raises(ConfigError, match=r"^got max_growth=0, patience=3, warmup=3; expected a growth over 0"):
        DivergenceCallback(AuditJudge(judge=judge(3)), max_growth=0)
