import json
import logging
from collections import Counter

import pytest
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from prom_reward import PrometheusJudge, PrometheusReward, ScriptedEngine, UnscoredError, load_judge

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

STANDARD = [{"prompt": "Say hello."}, {"prompt": "Say goodbye."}]
CONVERSATIONAL = [
    {"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": row["prompt"]}]}
    for row in STANDARD
]


def train(policy, tokenizer, reward, rows, folder, *, eval_rows=None, **changes):
    settings = {
        "output_dir": str(folder),
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "num_generations": 2,
        "max_completion_length": 8,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": False,
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "seed": 1,
    }
    trainer = GRPOTrainer(
        model=policy,
        processing_class=tokenizer,
        reward_funcs=reward,
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(eval_rows) if eval_rows else None,
        args=GRPOConfig(**{**settings, **changes}),
    )
    trainer.train()
    return trainer


def test_scores_reach_the_trainer_as_unit_rewards(tiny_policy, small_tokenizer, tmp_path):
    judge = PrometheusJudge(ScriptedEngine(["Poor. [RESULT] 2", "Good. [RESULT] 4"], confidence=1.0))
    reward = PrometheusReward(judge, rubric="helpfulness", name="helpful")
    trainer = train(tiny_policy, small_tokenizer, reward, STANDARD, tmp_path)
    steps = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert [round(entry["reward"], 6) for entry in steps] == [0.5, 0.5]
    assert all(entry["rewards/helpful/mean"] == pytest.approx(0.5) for entry in steps)
    assert all(entry["judge/score/helpfulness"] == pytest.approx(3) for entry in steps)
    assert all(entry["judge/outcome/scored"] == 4 and entry["judge/outcome/no_result"] == 0 for entry in steps)
    assert all(entry["judge/seconds"] >= 0 and entry["judge/entropy"] == pytest.approx(0, abs=1e-9) for entry in steps)


def test_a_conversational_run_sends_the_judge_every_part_of_the_row(tiny_policy, small_tokenizer, tmp_path):
    engine = ScriptedEngine(["[RESULT] 3"])
    rows = [
        {**row, "reference_answer": f"reference {index}", "rubric": {"criteria": f"criteria {index}?", **levels()}}
        for index, row in enumerate(CONVERSATIONAL)
    ]
    reward = PrometheusReward(PrometheusJudge(engine))
    train(tiny_policy, small_tokenizer, reward, rows, tmp_path, max_steps=1)
    assert len(engine.prompts) == 4
    for prompt in engine.prompts:
        index = 0 if "Say hello." in prompt.user else 1
        asked = STANDARD[index]["prompt"]
        assert f"###The instruction to evaluate:\nBe brief.\n\n{asked}\n\n###Response" in prompt.user
        assert f"###Reference Answer (Score 5):\nreference {index}\n" in prompt.user
        assert f"[criteria {index}?]\nScore 1: level 1" in prompt.user


def test_unscored_rollouts_are_left_out_and_counted(tiny_policy, small_tokenizer, tmp_path, caplog):
    judge = PrometheusJudge(ScriptedEngine(["[RESULT] 5", "no verdict"], confidence=1.0))
    reward = PrometheusReward(judge, rubric="helpfulness")
    with caplog.at_level(logging.CRITICAL):
        trainer = train(tiny_policy, small_tokenizer, reward, STANDARD, tmp_path, max_steps=1)
    [entry] = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert entry["judge/outcome/scored"] == entry["judge/outcome/no_result"] == 2
    assert entry[f"rewards/{reward.__name__}/mean"] == pytest.approx(1.0)  # the mean of the scored alone


def test_on_unscored_raise_ends_the_training_with_the_reason(tiny_policy, small_tokenizer, tmp_path):
    judge = PrometheusJudge(ScriptedEngine([RuntimeError("server gone")]))
    reward = PrometheusReward(judge, rubric="helpfulness", on_unscored="raise")
    with pytest.raises(UnscoredError, match=r"could not be scored: engine_failed \(server gone\)"):
        train(tiny_policy, small_tokenizer, reward, STANDARD, tmp_path)


def test_feedback_reaches_the_completions_table(tiny_policy, small_tokenizer, tmp_path):
    judge = PrometheusJudge(ScriptedEngine(["Well put. [RESULT] 4"], confidence=1.0))
    reward = PrometheusReward(judge, rubric="helpfulness")
    train(tiny_policy, small_tokenizer, reward, STANDARD, tmp_path, max_steps=1, log_completions=True)
    tables = list(tmp_path.rglob("completions*.parquet"))
    assert tables
    table = Dataset.from_parquet(str(tables[0]))
    assert set(table["judge_feedback"]) == {"Well put."}
    assert set(table["judge_score"]) == {"4.00"}


def two_rewards():
    """Two rewards for one trainer, each with its own feedback."""
    judges = [PrometheusJudge(ScriptedEngine([f"{name} [RESULT] 3"])) for name in ("ONE", "TWO")]
    one = PrometheusReward(judges[0], "helpfulness", name="one")
    return [one, PrometheusReward(judges[1], "honesty", name="two").as_async()]


def test_two_rewards_share_a_table_and_none_vanishes(tiny_policy, small_tokenizer, tmp_path):
    rewards = two_rewards()
    evaluates = {"eval_on_start": True, "eval_strategy": "steps", "eval_steps": 1, "per_device_eval_batch_size": 2}
    trainer = train(
        tiny_policy,
        small_tokenizer,
        rewards,
        STANDARD,
        tmp_path,
        eval_rows=STANDARD[:1],
        max_steps=1,
        log_completions=True,
        **evaluates,
    )
    tables = [Dataset.from_parquet(str(path)) for path in tmp_path.rglob("completions*.parquet")]
    assert tables
    for table in tables:
        assert set(table["one/judge_feedback"]) == {"ONE"}
        assert set(table["two/judge_feedback"]) == {"TWO"}
    [entry] = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert entry["one/judge/score/helpfulness"] == entry["two/judge/score/honesty"] == pytest.approx(3)


def test_the_judgment_log_tells_training_from_evaluation(tiny_policy, small_tokenizer, tmp_path):
    log = tmp_path / "judgments.jsonl"
    reward = PrometheusReward(PrometheusJudge(ScriptedEngine(["[RESULT] 3"])), "helpfulness", log_path=log)
    evaluates = {"eval_strategy": "steps", "eval_steps": 1, "per_device_eval_batch_size": 2}
    other = [{"prompt": "Say something else."}]
    train(tiny_policy, small_tokenizer, reward, STANDARD, tmp_path, eval_rows=other, **evaluates)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert Counter((record["mode"], record["step"]) for record in records) == {
        ("train", 0): 4,
        ("eval", 1): 2,
        ("train", 1): 4,
        ("eval", 2): 2,
    }
    assert {record["instruction"] for record in records if record["mode"] == "eval"} == {"Say something else."}


@pytest.mark.slow
def test_a_real_judge_trains_a_real_policy(smollm2_folder, smollm2_tokenizer, tmp_path):
    from transformers import AutoModelForCausalLM

    policy = AutoModelForCausalLM.from_pretrained(smollm2_folder)
    before = policy.model.layers[0].self_attn.q_proj.weight.detach().clone()
    log = tmp_path / "judgments.jsonl"
    reward = PrometheusReward(load_judge("smollm2-135m", dtype="float32"), rubric="helpfulness", log_path=log)
    trainer = train(policy, smollm2_tokenizer, reward, CONVERSATIONAL, tmp_path, learning_rate=1e-5, max_steps=1)
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    assert len(rewards) == 1
    assert all(0 < value < 1 for value in rewards)
    assert not before.equal(policy.model.layers[0].self_attn.q_proj.weight)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [record["step"] for record in records] == [0] * 4
    assert all(record["outcome"] == "scored" and 1 < record["expected_score"] < 5 for record in records)


def levels():
    return {f"score{label}_description": f"level {label}" for label in range(1, 6)}
