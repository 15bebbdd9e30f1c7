import json
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors.torch import save_file
from torch import nn

from prom_reward.engines.model.identity import folder_digest
from prom_reward.training.adapter import _frozen_below, save_adapter


class Layered(nn.Module):
    """Three layers under the name that transformers gives them, and a head."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
        self.head = nn.Linear(2, 2)


def test_the_first_layers_are_frozen_and_nothing_else():
    model = _frozen_below(nn.ModuleDict({"model": Layered()}), 2)
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert trained == {f"model.{part}.{name}" for part in ("layers.2", "head") for name in ("weight", "bias")}


def saves_config(names):
    """Return a model that writes an adapter whose config names layers in this order, as peft does with its sets."""

    def save(out):
        Path(out).mkdir(exist_ok=True)
        config = {"r": 2, "target_modules": names, "modules_to_save": None, "peft_type": "LORA"}
        (Path(out) / "adapter_config.json").write_text(json.dumps(config))
        save_file({"lora_A.weight": torch.ones(2, 2)}, Path(out) / "adapter_model.safetensors")

    return SimpleNamespace(save_pretrained=save)


def test_the_same_adapter_gives_the_same_bytes_in_whatever_order_its_layers_come(tmp_path):
    orders = [["v_proj", "k_proj", "q_proj"], ["q_proj", "v_proj", "k_proj"]]
    for out, names in zip("ab", orders, strict=True):
        save_adapter(saves_config(names), tmp_path / out, {"seed": 1})
    first, second = ({file.name: file.read_bytes() for file in (tmp_path / out).iterdir()} for out in "ab")
    assert first == second
    config = json.loads(first["adapter_config.json"])
    assert (config["target_modules"], config["r"], config["modules_to_save"]) == (sorted(orders[0]), 2, None)
    assert folder_digest(tmp_path / "a") == folder_digest(tmp_path / "b")


def test_whoever_can_read_an_adapters_settings_can_read_its_weights(tmp_path):
    save_adapter(saves_config(["q_proj"]), tmp_path / "out", {"seed": 1})
    assert len({file.stat().st_mode for file in (tmp_path / "out").iterdir()}) == 1
