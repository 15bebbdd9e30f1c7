"""Tables of a labeling and of its dry run."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from prom_reward.cli.parts.console import print_json, stderr, stdout
from prom_reward.data.formats import KINDS
from prom_reward.labeling.assembly import Labeling
from prom_reward.labeling.dry_run import DryRun
from prom_reward.labeling.exports import Export


def show_dry_run(found: DryRun, prompt: str | None, *, as_json: bool) -> None:
    """Print what a labeling would do."""
    timing = found.timing
    if as_json:
        figures = {
            "kind": found.kind,
            "columns": found.recognition.columns,
            "unread": found.recognition.unread,
            "rows": found.num_rows,
            "problems": found.num_problems,
            "requests": found.num_requests,
            "repeated": found.num_repeated,
            "prompt_tokens": found.num_prompt_tokens,
            "generated_tokens": found.num_generated_tokens,
            "seconds": found.seconds,
            "sample": timing and asdict(timing),
        }
        print_json({**figures, "prompt": prompt})
        return
    if prompt is not None:
        stdout.rule("a prompt, as the judge sees it")
        stdout.print(prompt, highlight=False)
    stdout.rule("forecast")
    for problem in found.problems:
        stderr.print(f"{problem}; would be left out", highlight=False, soft_wrap=True)
    table = Table(show_header=False)
    table.add_row("recognized as", KINDS[found.kind])
    for role, names in found.recognition.columns.items():
        table.add_row(role, f"from {', '.join(names)}")
    if found.recognition.unread:
        table.add_row("unread", ", ".join(found.recognition.unread))
    table.add_row("rows", f"{found.num_rows:,}, of which {found.num_problems:,} cannot be labeled")
    table.add_row("judgments", f"{found.num_requests:,}, and {found.num_repeated:,} that repeat one of them")
    tokens = f"{found.num_prompt_tokens:,} of prompts, {found.num_generated_tokens:,} of feedback"
    table.add_row("tokens", f"about {tokens}")
    table.add_row("time", f"about {_duration(found.seconds)} in one process")
    if timing:
        outcomes = ", ".join(f"{count} {name}" for name, count in timing.outcomes.items())
        table.add_row("sample", f"{timing.num_requests} judgments at {timing.seconds_each:.2f} s each: {outcomes}")
    stdout.print(table)


def show_labeling(found: Labeling, exports: Sequence[Export], seconds: float) -> None:
    """Print a labeling's figures, and its exports'."""
    for warning in found.warnings:
        stderr.print(warning, highlight=False, soft_wrap=True)
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(found.outcomes.items()))
    labeled = f"{found.num_labeled:,} of {_rows(found.num_rows)} ({KINDS[found.kind]}) in {_duration(seconds)}"
    stdout.print(f"{found.labels}: {labeled}; {outcomes}", highlight=False, soft_wrap=True)
    if found.agreement:
        total = sum(found.agreement.values())
        shares = ", ".join(f"{name} {count} ({count / total:.1%})" for name, count in sorted(found.agreement.items()))
        stdout.print(f"the judge against the given order: {shares}", highlight=False, soft_wrap=True)
    for export in exports:
        dropped = ", ".join(f"{count} for {reason}" for reason, count in sorted(export.dropped.items())) or "none"
        swapped = f", {export.num_swapped} swapped" if export.num_swapped else ""
        text = f"{export.path}: {_rows(export.num_written)}{swapped}; dropped: {dropped}"
        stdout.print(text, highlight=False, soft_wrap=True)
    if found.num_problems:
        for problem in found.problems[:10]:
            stderr.print(f"{problem}; left out", highlight=False, soft_wrap=True)
        text = f"{_rows(found.num_problems)} left out, see {found.out / 'problems.jsonl'}; the others are labeled"
        stderr.print(text, highlight=False, soft_wrap=True)


def labeling_summary(found: Labeling, exports: Sequence[Export]) -> dict[str, Any]:
    """Return a labeling's figures, and its exports', as JSON values."""
    return {
        "out": str(found.out),
        "kind": found.kind,
        "rows": found.num_rows,
        "labeled": found.num_labeled,
        "problems": found.num_problems,
        "outcomes": found.outcomes,
        "agreement": found.agreement,
        "warnings": list(found.warnings),
        "exports": {
            str(one.path): {"written": one.num_written, "swapped": one.num_swapped, "dropped": one.dropped}
            for one in exports
        },
    }


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
