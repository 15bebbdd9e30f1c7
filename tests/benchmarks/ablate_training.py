"""What each loss, each kind of data and the adapter's rank bring: short trainings that differ in one thing.

    python tests/benchmarks/ablate_training.py --data-dir DATA --wordnet /usr/share/wordnet --out ablation

DATA is a folder of labeled data with `constructed/` in it (`prom-reward build-training-data`). Each variant is the
recipe with one change, trained from the untuned weights for the same number of steps of as many tokens, and measured by
`bench_default_judge.py`. Run it again to go on after a stop; `--variants` takes some of them.
"""

import argparse
import copy
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
Recipe = dict[str, Any]
FILES = ("dev/saf_unseen_answers.jsonl", "dev/mtbench_gpt4.jsonl")
CONSTRUCTED = (
    "facts, all",
    "facts, right one shorter",
    "facts, held-out faults",
    "aspects, length held",
    "criteria, AUC",
    "everyday, full order",
    "everyday, good above wrong",
)


def without_losses(recipe: Recipe, *names: str) -> Recipe:
    """Return the recipe with some weights of its loss at 0."""
    return recipe | {f"{name}_weight": 0.0 for name in names}


def constructed_data(recipe: Recipe, *, keep: bool) -> Recipe:
    """Return the recipe with its constructed rows alone, or with the others alone, as often as needed."""
    data = [one for one in recipe["data"] if one["path"].startswith("constructed/") == keep]
    return recipe | {"data": [one | {"passes": 4 * one["passes"]} for one in data]}


VARIANTS: Mapping[str, Callable[[Recipe], Recipe]] = {
    "all": lambda recipe: recipe,
    "cross-entropy alone": lambda recipe: without_losses(recipe, "expected_score", "ordinal", "pairs"),
    "without pairs": lambda recipe: without_losses(recipe, "pairs"),
    "without ordinal": lambda recipe: without_losses(recipe, "ordinal"),
    "people's labels alone": lambda recipe: constructed_data(recipe, keep=False),
    "constructed rows alone": lambda recipe: constructed_data(recipe, keep=True),
    "rank 4": lambda recipe: recipe | {"lora": {"r": 4, "lora_alpha": 8}},
    "rank 64": lambda recipe: recipe | {"lora": {"r": 64, "lora_alpha": 128}},
    "all layers": lambda recipe: recipe | {"frozen_layers": 0},
}


def run_variant(name: str, options: argparse.Namespace) -> Path:
    """Train and measure a variant, unless its figures are there; return their path."""
    folder = options.out / name.replace(" ", "-").replace("'", "")
    figures = folder / "figures.json"
    if figures.exists():
        return figures
    folder.mkdir(parents=True, exist_ok=True)
    recipe = yaml.safe_load(options.recipe.read_text(encoding="utf-8"))
    changed = VARIANTS[name](copy.deepcopy(recipe))
    # Epochs enough for all steps, as the data of some variants have fewer.
    changed["trainer"] = {**changed["trainer"], "num_train_epochs": options.steps, "max_steps": options.steps}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(changed, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "prom_reward", "train-judge", "--config", str(folder / "recipe.yaml")]
    data = ["--data-dir", str(options.data_dir), "--out", str(folder / "judge")]
    subprocess.run([*command, *data], cwd=ROOT, check=True)
    measure = [sys.executable, str(ROOT / "tests/benchmarks/bench_default_judge.py"), "--judge", "smollm2-135m"]
    files = [word for file in FILES for word in ("--file", file)]
    settings = ["--limit", str(options.limit), "--questions", str(options.questions), "--skip-cost"]
    where = ["--adapter", str(folder / "judge"), "--wordnet", str(options.wordnet), "--json", str(figures)]
    subprocess.run([*measure, *files, *settings, *where], cwd=ROOT, check=True)
    return figures


def cell(estimate: Mapping[str, Any]) -> str:
    """Return a value with its interval."""
    if estimate["value"] is None:
        return "undefined"
    interval = f" [{estimate['low']:.2f}, {estimate['high']:.2f}]" if estimate.get("low") is not None else ""
    return f"{estimate['value']:.2f}{interval}"


def table(paths: Mapping[str, Path]) -> str:
    """Return all figures as a Markdown table, a column for each variant."""
    found = {name: json.loads(path.read_text(encoding="utf-8"))["files"] for name, path in paths.items()}
    rows: dict[str, list[str]] = {}
    for figures in found.values():
        for one in CONSTRUCTED:
            rows.setdefault(one, []).append(cell(figures["constructed"]["smollm2-135m"][one]))
        for file in FILES:
            measured = figures[file]["smollm2-135m"]["spearman"]["expected"]
            rows.setdefault(f"{Path(file).stem}, Spearman", []).append(cell(measured))
    lines = [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items()]
    return "\n".join([f"| what | {' | '.join(found)} |", "|---" * (len(found) + 1) + "|", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="labeled data with constructed/ in it")
    parser.add_argument("--wordnet", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=ROOT / "configs/default_judge/third_leg.yaml")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=48)
    parser.add_argument("--questions", type=int, default=20, help="held-out questions to construct")
    parser.add_argument("--limit", type=int, default=120, help="rows of each labeled file")
    options = parser.parse_args()
    paths: dict[str, Path] = {}
    for name in options.variants:
        paths[name] = run_variant(name, options)
        print(f"\n{table(paths)}\n", flush=True)


if __name__ == "__main__":
    main()
