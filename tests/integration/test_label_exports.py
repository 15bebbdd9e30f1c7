"""Every export is what the real trainer takes: two steps each, on pairs, on conversations, on several responses."""

import pytest
from datasets import load_dataset

from prom_reward.labeling.exports import export_labels
from prom_reward.labeling.labeling import label
from tests.labeling.label_inputs import scripted_judge, write_rows

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

PAIRS = [{"prompt": f"Question {at}?", "chosen": f"Answer {at}.", "rejected": f"No idea {at}."} for at in range(12)]
CONVERSATIONS = [
    {
        side: [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row[side]}]
        for side in ("chosen", "rejected")
    }
    for row in PAIRS
]
SEVERAL = [{"prompt": row["prompt"], "completions": [row["chosen"], row["rejected"], "Maybe."]} for row in PAIRS]
SETTINGS = {
    "max_steps": 2,
    "per_device_train_batch_size": 2,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "bf16": False,
    "use_cpu": True,
    "dataloader_pin_memory": False,
}


@pytest.fixture
def dataset_for(tmp_path):
    def make(rows, trainer):
        source = write_rows(tmp_path / "rows.jsonl", rows)
        label(source, judge=scripted_judge(), out=tmp_path / "out", rubric="helpfulness")
        [found] = export_labels(tmp_path / "out", [trainer], on_disagreement="swap")
        assert found.num_written >= 4
        cache = str(tmp_path / "cache")
        return load_dataset("json", data_files=str(found.path), split="train", cache_dir=cache)

    return make


def trained(trainer):
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 2
    return losses


ROWS = pytest.mark.parametrize("rows", [PAIRS, CONVERSATIONS, SEVERAL], ids=["pairs", "conversations", "several"])


@ROWS
def test_reward_trainer(rows, dataset_for, tiny_judge_folder, small_tokenizer, tmp_path):
    from transformers import AutoModelForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    model = AutoModelForSequenceClassification.from_pretrained(tiny_judge_folder, num_labels=1)
    data = dataset_for(rows, "reward")
    assert all(margin > 0 for margin in data["margin"])
    arguments = RewardConfig(output_dir=str(tmp_path), **SETTINGS)
    trained(RewardTrainer(model=model, args=arguments, train_dataset=data, processing_class=small_tokenizer))


@ROWS
def test_dpo_trainer(rows, dataset_for, tiny_policy, small_tokenizer, tmp_path):
    from trl import DPOConfig, DPOTrainer

    arguments = DPOConfig(output_dir=str(tmp_path), **SETTINGS)
    data = dataset_for(rows, "dpo")
    trained(DPOTrainer(model=tiny_policy, args=arguments, train_dataset=data, processing_class=small_tokenizer))


@pytest.mark.parametrize("rows", [PAIRS, CONVERSATIONS], ids=["pairs", "conversations"])
def test_kto_trainer(rows, dataset_for, tiny_policy, small_tokenizer, tmp_path):
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer

    arguments = KTOConfig(output_dir=str(tmp_path), **SETTINGS)
    data = dataset_for(rows, "kto")
    trained(KTOTrainer(model=tiny_policy, args=arguments, train_dataset=data, processing_class=small_tokenizer))


@pytest.mark.parametrize("rows", [PAIRS, CONVERSATIONS], ids=["pairs", "conversations"])
def test_sft_trainer(rows, dataset_for, tiny_policy, small_tokenizer, tmp_path):
    from trl import SFTConfig, SFTTrainer

    arguments = SFTConfig(output_dir=str(tmp_path), **SETTINGS)
    data = dataset_for(rows, "sft")
    trained(SFTTrainer(model=tiny_policy, args=arguments, train_dataset=data, processing_class=small_tokenizer))


@pytest.mark.parametrize("rows", [PAIRS, CONVERSATIONS], ids=["pairs", "conversations"])
def test_grpo_trainer_with_the_rows_own_rubrics(rows, dataset_for, tiny_policy, small_tokenizer, tmp_path):
    from trl import GRPOConfig, GRPOTrainer

    from prom_reward import PrometheusReward

    options = {**SETTINGS, "num_generations": 2, "max_completion_length": 4}
    trainer = GRPOTrainer(
        model=tiny_policy,
        args=GRPOConfig(output_dir=str(tmp_path), **options),
        train_dataset=dataset_for(rows, "grpo"),
        reward_funcs=PrometheusReward(scripted_judge()),  # no rubric of its own: the rows' must arrive
        processing_class=small_tokenizer,
    )
    trained(trainer)
    assert all(entry["judge/outcome/scored"] > 0 for entry in trainer.state.log_history if "reward" in entry)
