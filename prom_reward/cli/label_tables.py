"""What `prom-reward label` prints of a forecast and of a labelling.

It does not know how they are made.
"""

import json
from collections.abc import Sequence

import typer
from rich.table import Table

from prom_reward.cli.console import stderr, stdout
from prom_reward.data.formats import KINDS
from prom_reward.labeling.dry_run import Forecast, Trial
from prom_reward.labeling.exports import Export
from prom_reward.labeling.labeling import Labeling


def show_forecast(expected: Forecast, trial: Trial, prompts: Sequence[str], *, as_json: bool) -> None:
    """Print what a labelling would be."""
    figures = {
        "kind": expected.kind,
        "rows": expected.num_rows,
        "problems": expected.num_problems,
        "requests": expected.num_requests,
        "repeated": expected.num_repeated,
        "prompt_tokens": round(trial.prompt_tokens_each * expected.num_requests),
        "generated_tokens": round(trial.generated_tokens_each * expected.num_requests),
        "seconds": trial.seconds_each * expected.num_requests,
        "trial": {"requests": trial.num_requests, "seconds_each": trial.seconds_each, "outcomes": trial.outcomes},
    }
    if as_json:
        typer.echo(json.dumps({**figures, "prompts": list(prompts)}))
        return
    for number, prompt in enumerate(prompts, start=1):
        stdout.rule(f"prompt {number} of {len(prompts)}, as the judge sees it")
        stdout.print(prompt, highlight=False)
    stdout.rule("what would be done")
    for problem in expected.problems:
        stderr.print(f"{problem}; would be left out", highlight=False, soft_wrap=True)
    table = Table(show_header=False)
    table.add_row("recognised as", KINDS[expected.kind])
    table.add_row("rows", f"{expected.num_rows:,}, of which {expected.num_problems:,} cannot be labelled")
    table.add_row("judgments", f"{expected.num_requests:,}, and {expected.num_repeated:,} that repeat one of them")
    tokens = f"{figures['prompt_tokens']:,} of prompts, {figures['generated_tokens']:,} of feedback"
    table.add_row("tokens", f"about {tokens}")
    table.add_row("time", f"about {_duration(trial.seconds_each * expected.num_requests)} in one process")
    outcomes = ", ".join(f"{count} {name}" for name, count in trial.outcomes.items())
    table.add_row("trial", f"{trial.num_requests} judgments at {trial.seconds_each:.2f} s each: {outcomes}")
    stdout.print(table)


def show_labeling(found: Labeling, exports: Sequence[Export], seconds: float) -> None:
    """Print what came of a labelling that took some seconds now."""
    for warning in found.warnings:
        stderr.print(warning, highlight=False, soft_wrap=True)
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(found.outcomes.items()))
    labelled = f"{found.num_labeled} of {found.num_rows} rows ({KINDS[found.kind]}) in {_duration(seconds)}"
    stdout.print(f"{found.labels}: {labelled}; {outcomes}", highlight=False, soft_wrap=True)
    if found.agreement:
        total = sum(found.agreement.values())
        shares = ", ".join(f"{name} {count} ({count / total:.1%})" for name, count in sorted(found.agreement.items()))
        stdout.print(f"the judge against the given order: {shares}", highlight=False, soft_wrap=True)
    for export in exports:
        dropped = ", ".join(f"{count} for {reason}" for reason, count in sorted(export.dropped.items())) or "none"
        swapped = f", {export.num_swapped} swapped" if export.num_swapped else ""
        text = f"{export.path}: {export.num_written} rows{swapped}; dropped: {dropped}"
        stdout.print(text, highlight=False, soft_wrap=True)
    if found.num_problems:
        path = found.out / "problems.jsonl"
        text = f"{found.num_problems} rows could not be labelled, {path} says why; the others are"
        stderr.print(text, highlight=False, soft_wrap=True)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
