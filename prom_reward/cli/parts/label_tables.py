"""Tables of a labeling."""

from collections.abc import Sequence
from typing import Any

from prom_reward.cli.parts.console import stderr, stdout
from prom_reward.cli.parts.dry_runs import duration
from prom_reward.cli.parts.left_out import show_problems
from prom_reward.data.formats import KINDS
from prom_reward.errors import number_of
from prom_reward.labeling.assembly import Labeling
from prom_reward.labeling.exports import Export


def show_labeling(found: Labeling, exports: Sequence[Export], seconds: float) -> None:
    """Print a labeling's figures, and its exports'."""
    for warning in found.warnings:
        stderr.print(warning, highlight=False, soft_wrap=True)
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(found.outcomes.items()))
    labeled = (
        f"{found.num_labeled:,} of {number_of(found.num_rows, 'row')} ({KINDS[found.kind]}) in {duration(seconds)}"
    )
    text = f"{found.labels}: {labeled}; responses and rankings: {outcomes}"  # several judgments may make one
    stdout.print(text, highlight=False, soft_wrap=True)
    if found.agreement:
        total = sum(found.agreement.values())
        shares = ", ".join(f"{name} {count} ({count / total:.1%})" for name, count in sorted(found.agreement.items()))
        stdout.print(f"the judge against the given order: {shares}", highlight=False, soft_wrap=True)
    for export in exports:
        dropped = ", ".join(f"{count} for {reason}" for reason, count in sorted(export.dropped.items())) or "none"
        swapped = f", {export.num_swapped} swapped" if export.num_swapped else ""
        text = f"{export.path}: {number_of(export.num_written, 'row')}{swapped}; dropped: {dropped}"
        stdout.print(text, highlight=False, soft_wrap=True)
    if found.num_problems:
        show_problems(found.problems, "left out")
        rows = number_of(found.num_problems, "row")
        text = f"{rows} left out, see {found.out / 'problems.jsonl'}; the others are labeled"
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
