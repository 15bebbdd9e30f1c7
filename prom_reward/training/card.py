"""The README of a trained judge's folder: a card filled from its training."""

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from prom_reward.errors import number_of

_CARD = """---
library_name: peft
tags: [prometheus, llm-as-a-judge, reward-model, lora]
---
# {name}: a judge trained by prom_reward

A LoRA adapter on `{base}` that scores responses by a rubric. Use this folder as a judge:

```python
from prom_reward import PrometheusReward, load_judge

reward = PrometheusReward(load_judge("{name}"), rubric="helpfulness")
```

```bash
prom-reward grade rows.jsonl --judge {name}
prom-reward evaluate labeled_rows.jsonl --judge {name}   # beside response length and other baselines
```

## Training

| | |
|---|---|
| data | {data} |
| examples | {examples} |
| training | {training} |
| held-out examples | {num_held_out} |
| prompts | {prompt_style}, layouts {layouts}, conversation {conversation}, guard {guard} |
| started from | {start} |
| seed | {seed} |
| libraries | {libraries} |

## On held-out questions

{figures}
"""
FEW = 20
"""Fewer held-out labels say little about a judge."""

_FEW_HELD_OUT = f"Fewer than {FEW} labels were held out: these figures say little.\n\n"
_CHOSEN = (
    "The checkpoint was chosen by these figures, so they are optimistic. Measure the judge on rows it has not seen."
)
_UNDEFINED = "The correlations are undefined: the held-out labels, or the judge's scores, are all the same."
_NOTHING_HELD_OUT = "Nothing was held out: how well this judge agrees with labels is unknown."


def write_card(
    out: Path,
    stamp: Mapping[str, Any],
    measures: Mapping[str, float],
    *,
    num_held_out: int,
    num_rows: int | None = None,
) -> None:
    """Write the card of a trained judge, without paths of this machine.

    Args:
        out: The adapter's folder; its name is the judge's.
        stamp: The adapter's stamp, as `prom_reward.training.judge_training` makes it, with `training`: what was done.
        measures: The last validation measures.
        num_held_out: Validation examples.
        num_rows: The different rows of the training examples, if known.
    """
    figures = held_out_figures(measures)
    rows = "".join(f"| {source} | {one['pearson']} | {one['spearman']} |\n" for source, one in figures.items())
    table = (
        f"| data | Pearson | Spearman |\n|---|---|---|\n{rows}\n{_FEW_HELD_OUT if num_held_out < FEW else ''}{_CHOSEN}"
    )
    if not figures:
        table = _UNDEFINED if num_held_out else _NOTHING_HELD_OUT
    done = stamp["training"]
    text = _CARD.format(
        name=out.resolve().name,
        base=_public(str(stamp["base"])),
        data=", ".join(
            f"{one['file']} ({number_of(round(one['passes'] * done['epochs'], 2), 'pass', 'passes')})"
            for one in stamp["data"]
        ),
        examples=examples_text(str(stamp["num_examples"]), stamp["num_examples"], num_rows, done["epochs"]),
        training=(
            f"{number_of(done['steps'], 'step')}, learning rate {done['learning_rate']:g}, rank {done['rank']}, "
            f"packs of {number_of(done['pack_tokens'], 'token')}"
        ),
        num_held_out=num_held_out,
        prompt_style=stamp["prompt_style"],
        layouts=", ".join(f"{layout} ({share:.0%})" for layout, share in stamp["layouts"].items()),
        conversation=stamp["conversation"],
        guard=stamp["guard"] or "off",
        start="an earlier adapter" if stamp["start"] else "the base model",
        seed=stamp["seed"],
        libraries=", ".join(f"{name} {version}" for name, version in stamp["libraries"].items()),
        figures=table,
    )
    (out / "README.md").write_text(text, encoding="utf-8")


def examples_text(text: str, num_examples: int, num_rows: int | None, epochs: float) -> str:
    """Return which examples were trained on: the share that the steps reached, and how many rows they are.

    Args:
        text: The number of examples, written out.
        num_examples: Examples; each pass over a row makes one.
        num_rows: Their different rows; None if unknown.
        epochs: How often the steps reached all examples.
    """
    share = "" if epochs >= 1 else f"{epochs:.0%} of "
    rows = f" ({number_of(num_rows, 'row')} times the passes)" if num_rows not in (None, num_examples) else ""
    return f"{share}{text}{rows}"


def held_out_figures(measures: Mapping[str, float]) -> dict[str, dict[str, str]]:
    """Return the correlations of expected scores with held-out labels, as text, by data; "-" if undefined."""
    names = [name.removeprefix("eval_") for name in measures if name.endswith(("_pearson", "_spearman"))]
    sources = dict.fromkeys(name.rpartition("_")[0] for name in names if "_" in name)
    return {
        source: {kind: _shown(measures.get(f"eval_{source}_{kind}")) for kind in ("pearson", "spearman")}
        for source in sources
    }


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _public(model: str) -> str:
    """Return a model's name: a hub id or package as it is, of a folder only its name."""
    return PurePath(model).name if Path(model).is_dir() or PurePath(model).is_absolute() else model
