"""Output of `prom-reward train-judge` about its examples and the judge that it trained."""

import re
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from prom_reward.cli.parts.console import print_json, stderr, stdout
from prom_reward.errors import number_of
from prom_reward.training.card import FEW, examples_text, held_out_figures
from prom_reward.training.data import ExampleSets

if TYPE_CHECKING:
    from prom_reward.training.plan import StepPlan


def counts(sets: ExampleSets) -> dict[str, Any]:
    """Return how many examples there are, for JSON."""
    return {"training": len(sets.training), "validation": len(sets.validation), "too_long": sets.num_too_long}


def step_counts(sets: ExampleSets, plan: "StepPlan") -> dict[str, int]:
    """Return the tokens of the training examples, those that an epoch computes, and the steps, for JSON."""
    tokens = sum(len(example.ids) for example in sets.training)
    return {"tokens": tokens, "unique_tokens": plan.num_tokens, "steps": plan.steps}


def show_plan(plan: "StepPlan") -> None:
    """Show the steps and the tokens of one, which its time depends on."""
    of_all = f" of {plan.all_steps:,}" if plan.steps < plan.all_steps else ""
    a_step = number_of(round(plan.num_tokens / plan.epoch_steps), "token")
    text = f"{plan.steps:,}{of_all} steps of about {a_step} each; the first one shows how long they take"
    stdout.print(text, highlight=False, soft_wrap=True)


def warn_of_few_steps(plan: "StepPlan") -> None:
    """Warn if there are so few steps that the judge learns little, and say what gives more."""
    from prom_reward.training.plan import FEW_STEPS

    if plan.steps >= FEW_STEPS:
        return
    more = "more rows, or more --passes (passes in a recipe)"
    if plan.all_steps >= FEW_STEPS:
        more = f"a larger --max-steps: the passes have {plan.all_steps:,}"
    text = (
        f"{number_of(plan.steps, 'step')} in all teach little; give {more}, and another --out once this one has "
        "checkpoints"
    )
    stderr.print(text, highlight=False, soft_wrap=True)


def show_sets(sets: ExampleSets) -> None:
    """Show the examples of each data file."""
    training, tokens = Counter[str](), Counter[str]()
    for example in sets.training:
        training[example.source] += 1
        tokens[example.source] += len(example.ids)
    validation = Counter(example.source for example in sets.validation)
    feedback = Counter(example.source for example in sets.training if example.has_feedback)
    table = Table(title="Training examples", title_justify="left")
    for heading in ("data", "examples", "with feedback", "tokens", "held out"):
        table.add_column(heading, justify="left" if heading == "data" else "right")
    for source in {**training, **validation}:
        table.add_row(
            source, str(training[source]), str(feedback[source]), str(tokens[source]), str(validation[source])
        )
    stdout.print(table)
    if sets.num_too_long:
        stderr.print(f"{number_of(sets.num_too_long, 'example')} left out: longer than --max-tokens")


def show_prepared(path: Path, sets: ExampleSets, figures: Mapping[str, int], *, as_json: bool) -> None:
    """Show what was prepared, and the command that trains from it: this one with another option."""
    if as_json:
        print_json({"prepared": str(path), **counts(sets), **figures})
        return
    text = (
        f"{path}: {number_of(len(sets.training), 'example')} and {len(sets.validation)} held out, "
        f"{figures['bytes'] / 1e6:.1f} MB\n{number_of(figures['tokens'], 'token')}, {figures['unique_tokens']:,} after "
        f"packing; {number_of(figures['steps'], 'step')}\n"
        f"next: {_from_prepared(sys.argv[1:])}"
    )
    stdout.print(text, highlight=False, soft_wrap=True)


def _from_prepared(words: Sequence[str]) -> str:
    """Return the command that trains from the file which a command prepares; it needs no data."""
    kept = [re.sub(r"^--prepare(?==|$)", "--prepared", word) for word in words if not word.startswith("--data-dir=")]
    if "--data-dir" in kept:
        at = kept.index("--data-dir")
        del kept[at : at + 2]
    return shlex.join(["prom-reward", *kept])


def show_result(out: Path, sets: ExampleSets, measures: Mapping[str, float], *, first_step: int, as_json: bool) -> None:
    """Show what was learned, how well, and the next commands.

    Args:
        out: The judge's folder.
        sets: The examples.
        measures: Those of `JudgeTraining.train`.
        first_step: The steps that an earlier run had done, if this one trained.
        as_json: Print JSON instead.
    """
    if as_json:
        print_json({"out": str(out), **counts(sets), **measures})
        return
    after = f" after step {first_step}" if first_step else ""
    took = f", {measures['seconds'] / 60:.1f} min{after}" if "seconds" in measures else "; it had finished before"
    num = len(sets.training)
    examples = examples_text(number_of(num, "example"), num, sets.num_rows, measures["epochs"])
    steps = number_of(measures["steps"], "step")
    stdout.print(f"{out}: a judge trained on {examples} in {steps}{took}", highlight=False, soft_wrap=True)
    if figures := held_out_figures(measures):
        labels = number_of(len(sets.validation), "held-out label")
        stdout.print(f"agreement with {labels}, which also chose the checkpoint:")
        if len(sets.validation) < FEW:
            stderr.print(f"fewer than {FEW} labels are held out: these figures say little", highlight=False)
        table = Table()
        for heading in ("data", "Pearson", "Spearman"):
            table.add_column(heading, justify="left" if heading == "data" else "right")
        for source, one in figures.items():
            table.add_row(source, one["pearson"], one["spearman"])
        stdout.print(table)
    elif sets.validation:
        examples = number_of(len(sets.validation), "held-out example")
        text = f"no correlation on {examples}: labels or scores are all the same"
        stderr.print(text, highlight=False, soft_wrap=True)
    else:
        stderr.print("nothing was held out: measure the judge on labeled rows that it has not seen", soft_wrap=True)
    text = (
        f"next: prom-reward evaluate LABELED_ROWS --judge {out}\n"
        f"      prom-reward grade ROWS --judge {out}\n"
        f'      load_judge("{out}")'
    )
    stdout.print(text, highlight=False, soft_wrap=True)
