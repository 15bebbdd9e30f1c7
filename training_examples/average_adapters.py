"""Average adapters that were trained one after the other: the mean keeps more of what the earlier one knew.

    python training_examples/average_adapters.py first-leg second-leg --weights 0.5 0.5 --out mean

Each tensor is the weighted mean of the adapters' tensors of that name (a "model soup", Wortsman et al., 2022,
arXiv:2203.05482). The two factors of a LoRA are averaged apart, which means nothing if the adapters do not come from
one another. The result has the last one's settings and stamp: `load_judge("mean")` and `train-judge --adapter mean`
take it.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from prom_reward.engines.model.adapter_stamp import judge_settings, read_stamp, write_stamp
from prom_reward.engines.model.identity import folder_digest
from prom_reward.files import let_others_read

WEIGHTS_FILE, CONFIG_FILE = "adapter_model.safetensors", "adapter_config.json"


def average(folders: Sequence[Path], weights: Sequence[float], out: Path) -> None:
    """Write the weighted mean of adapters of one base model and form."""
    means: dict[str, torch.Tensor] = {}
    for folder, weight in zip(folders, weights, strict=True):
        tensors = load_file(folder / WEIGHTS_FILE)
        if form(folder, tensors) != form(folders[0], means or tensors):
            raise SystemExit(f"{folder}: has another base, rank or form than {folders[0]}; expected the same")
        for name, value in tensors.items():
            means[name] = means.get(name, torch.zeros(value.shape)) + weight * value.float()
    out.mkdir(parents=True)
    means = {name: value.to(tensors[name].dtype) for name, value in means.items()}
    save_file(means, out / WEIGHTS_FILE, metadata={"format": "pt"})
    let_others_read(out / WEIGHTS_FILE)
    shutil.copy(folders[-1] / CONFIG_FILE, out)
    if stamp := read_stamp(folders[-1]):
        write_stamp(out, {**stamp, "mean_of": dict(zip(map(folder_digest, folders), weights, strict=True))})


def form(folder: Path, tensors: dict[str, torch.Tensor]) -> list[Any]:
    """Return what adapters have in common if the mean of their tensors is an adapter."""
    config = {**json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")), "peft_version": None}
    settings = {name: sorted(value) if isinstance(value, list) else value for name, value in config.items()}
    shapes = {name: value.shape for name, value in tensors.items()}
    return [shapes, settings, read_stamp(folder).get("base_digest"), judge_settings(folder)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "adapters", type=Path, nargs="+", help="folders of adapters; the last one gives settings and stamp"
    )
    parser.add_argument("--weights", type=float, nargs="+", help="one for each adapter; default: all the same")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    weights = args.weights or [1 / len(args.adapters)] * len(args.adapters)
    if len(weights) != len(args.adapters) or not (min(weights) >= 0 and abs(sum(weights) - 1) <= 1e-6):
        parser.error(f"got the weights {weights}; expected {len(args.adapters)} numbers from 0 to 1 with the sum 1")
    if len({folder.resolve() for folder in args.adapters}) < max(2, len(args.adapters)):
        parser.error("got one adapter, or one of them twice; expected two or more")
    for folder in args.adapters:
        if not all((folder / name).is_file() for name in (WEIGHTS_FILE, CONFIG_FILE)):
            parser.error(f"{folder}: holds no {WEIGHTS_FILE} with a {CONFIG_FILE}; expected the folder of an adapter")
    try:
        average(args.adapters, weights, args.out)
    except (OSError, TypeError, ValueError, SafetensorError) as error:
        parser.error(f"cannot be averaged: {error}")
    print(f"{args.out}: the mean of {len(args.adapters)} adapters")


if __name__ == "__main__":
    main()
