"""Two processes that split every group get the rewards of one process, and the advantages that follow from them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from prom_reward import GroupReward, PrometheusReward, load_judge
from tests.integration.trainers import TRAINERS
from tests.integration.two_processes import ByLength

ROOT = Path(__file__).parents[2]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)


def launch(*command):
    """Run a command with two processes of one thread each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    options = {"env": environment, "cwd": ROOT, "capture_output": True, "text": True, "timeout": 280}
    done = subprocess.run([sys.executable, *map(str, command)], check=False, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def train(name, judge_folder, out, *adapter):
    script = ROOT / "tests/integration/two_processes.py"
    launch(*TORCHRUN, script, name, judge_folder, out, *adapter)
    return logged(out, "log")


def logged(out, name):
    """Return the records of each rank's judgment log."""
    logs = [out / f"{name}.jsonl", out / f"{name}.rank1.jsonl"]
    return [[json.loads(line) for line in log.read_text().splitlines()] for log in logs]


def rewards_of_one_process(judge_folder, records, adapter=None):
    judge = load_judge(str(judge_folder), adapter=adapter, mode="score", dtype="float32", device="cpu")
    reward = PrometheusReward(judge, "helpfulness")
    columns = {name: [record[name] for record in records] for name in ("instruction", "response", "reference_answer")}
    return reward(
        prompts=columns["instruction"], completions=columns["response"], reference_answer=columns["reference_answer"]
    )


def check_rows(ranks, judge_folder, adapter=None):
    """Both ranks judged as much, every row with its own reference, with the rewards of one process."""
    assert [len(records) for records in ranks] == [4, 4]
    records = [record for rank in ranks for record in rank]
    assert all(record["reference_answer"][2:] == record["instruction"] for record in records)
    assert len({round(record["reward"], 5) for record in records}) > 2
    assert [record["reward"] for record in records] == pytest.approx(
        rewards_of_one_process(judge_folder, records, adapter), abs=1e-5
    )


@pytest.fixture(scope="module")
def grpo_folder(tiny_judge_folder, tmp_path_factory):
    """The logs of both trainings under GRPO: two processes need most of their time to import their libraries."""
    out = tmp_path_factory.mktemp("grpo")
    train("GRPO", tiny_judge_folder, out)
    return out


@pytest.mark.slow
def test_a_group_that_is_split_across_ranks(tiny_judge_folder, grpo_folder):
    ranks = logged(grpo_folder, "log")
    check_rows(ranks, tiny_judge_folder)
    for step in range(2):  # the four rollouts of a step are one group, two on each rank
        table = Dataset.from_parquet(str(next(grpo_folder.glob(f"completions/completions_*{step + 1}.parquet"))))
        own = [record for rank in ranks for record in rank if record["step"] == step]
        assert len({record["instruction"] for record in own}) == 1
        rewards = torch.tensor(rewards_of_one_process(tiny_judge_folder, own))
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        assert sorted(table["helpful"]) == pytest.approx(sorted(rewards.tolist()), abs=1e-5)
        assert sorted(table["advantage"]) == pytest.approx(sorted(advantages.tolist()), abs=1e-2)

    check_grouped(logged(grpo_folder, "groups"))


def check_grouped(ranks):
    """The rewards of a group that two ranks split are those of one process that has all of it."""
    for step in range(2):
        own = [record for rank in ranks for record in rank if record["step"] == step]
        assert [record["place"] for record in own] == [0, 1, 2, 3]
        columns = {name: [one[name] for one in own] for name in ("instruction", "response", "reference_answer")}
        alone = GroupReward(ByLength(), "helpfulness")(
            prompts=columns["instruction"],
            completions=columns["response"],
            reference_answer=columns["reference_answer"],
        )
        assert [record["reward"] for record in own] == pytest.approx(alone)
        assert len({len(response) % 5 for response in columns["response"]}) == len({round(one, 6) for one in alone}) > 1


@pytest.mark.slow
def test_ranks_whose_batches_differ_log_the_same_names_under_every_release(grpo_folder):
    """TRL before 1.14 hangs if one rank logs a metric that the other does not."""
    found = json.loads((grpo_folder / "differing/logged.json").read_text())
    assert len(found["history"]) == len(found["tables"]) == 2
    for entry in found["history"]:
        for name in ("one", "two"):
            assert entry[f"{name}/judge/flagged"] == 1.5  # 0 on rank 0, 3 on rank 1
            assert entry[f"{name}/judge/outcome/no_result"] == 0.5
            assert entry[f"{name}/judge/entropy"] == 0.5
            assert entry[f"{name}/judge/unit_score"] == pytest.approx(0.5625)
            assert entry[f"{name}/judge/canary/failed"] == 0
    assert found["history"][0]["one/audit/failed"] == 0.5
    for row in [row for table in found["tables"] for row in table]:
        assert [row[f"{name}/judge_feedback"] for name in ("one", "two")] == [
            f"{name} on {row['prompt']}" for name in ("one", "two")
        ]


@pytest.mark.slow
@pytest.mark.skipif(not TRAINERS["PPO"].exists, reason="the installed TRL has no PPO; `.ci/run --full` has one")
def test_ppo_on_two_ranks(tiny_judge_folder, tmp_path):
    check_rows(train("PPO", tiny_judge_folder, tmp_path), tiny_judge_folder)


@pytest.mark.full
@pytest.mark.slow
def test_each_rank_has_its_judge_on_its_policy(tiny_judge_folder, tmp_path):
    lora = LoraConfig(r=2, init_lora_weights=False, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    adapter = str(tmp_path / "adapter")
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_judge_folder), lora).save_pretrained(adapter)
    check_rows(train("GRPO", tiny_judge_folder, tmp_path, adapter), tiny_judge_folder, adapter)


@pytest.mark.full
@pytest.mark.slow
def test_the_grpo_example_under_accelerate(tiny_judge_folder, tmp_path):
    config = yaml.safe_load((ROOT / "configs/grpo.yaml").read_text())
    config["trainer"] |= {
        "output_dir": str(tmp_path),
        "max_steps": 2,
        "max_completion_length": 8,
        "num_generations": 4,
        "per_device_train_batch_size": 2,
        "use_cpu": True,
    }
    config |= {"policy": str(tiny_judge_folder), "judge": {"model": str(tiny_judge_folder), "mode": "score"}}
    config["reward"]["log_path"] = str(tmp_path / "log.jsonl")
    (tmp_path / "grpo.yaml").write_text(yaml.safe_dump(config))
    shown = launch(
        *("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", 2, "--num_machines", 1),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "training_examples/grpo.py"),
        *("--config", tmp_path / "grpo.yaml", "--rubric", "helpfulness"),
    )
    assert shown.count("reward by step:") == 2
    counts = [len((tmp_path / name).read_text().splitlines()) for name in ("log.jsonl", "log.rank1.jsonl")]
    assert counts == [4, 4]
