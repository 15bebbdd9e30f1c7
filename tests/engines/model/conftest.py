"""Fixtures of the model tests."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from prom_reward.engines.model.loading import load_model
from prom_reward.engines.model.source import ModelSource


@pytest.fixture
def adapter(tiny_folder, tmp_path):
    """A random LoRA adapter for the tiny judge, saved by peft."""
    model = load_model(ModelSource(model=str(tiny_folder), dtype="float32", device="cpu")).model
    config = LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        get_peft_model(model, config).save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"
