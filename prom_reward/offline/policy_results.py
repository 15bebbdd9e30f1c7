"""The results of an experiment with policies: one JSON file and one Markdown file.

It does not know how the figures come about.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prom_reward.offline.policy_comparison import PolicyComparison, shown_change, shown_estimate
from prom_reward.offline.shards import replacing

_NOTE = (
    "Means before → after, and the difference with its 95 % interval over prompts; win rates of the latter policy.\n"
)


def write_results(
    out: Path,
    *,
    compared: Mapping[str, PolicyComparison],
    trained: Mapping[str, Mapping[str, float]],
    settings: Mapping[str, Any],
) -> None:
    """Write `OUT/results.json` and `OUT/results.md`, each whole or not at all.

    Args:
        out: The folder.
        compared: Comparisons of two policies, by what they are called.
        trained: Trainings as `prom_reward.offline.training_folder.summarize_curves` returns them, by name.
        settings: What all of it was made with.

    Raises:
        WorkError: The disk is full, or cannot be written.
    """
    figures = {name: one.to_dict() for name, one in compared.items()}
    with replacing(out / "results.json") as file:
        file.write(json.dumps({"settings": settings, "compared": figures, "trained": trained}, indent=2) + "\n")
    conditions = "\n".join(f"- {name}: {value}" for name, value in settings.items())
    parts = [_NOTE, comparison_table(compared), training_table(trained), f"{conditions}\n"]
    with replacing(out / "results.md") as file:
        file.write("\n".join(parts))


def comparison_table(comparisons: Mapping[str, PolicyComparison]) -> str:
    """Return a Markdown table: a line a comparison, a column a measure and a judge's win rate.

    A cell holds the means before and after, and the difference with its 95 % interval.
    """
    measures = list(dict.fromkeys(name for one in comparisons.values() for name in one.changes))
    judges = list(dict.fromkeys(name for one in comparisons.values() for name in one.win_rates))
    rows = [
        [
            name,
            f"{one.num_pairs} of {one.num_prompts}",
            *(shown_change(one.changes.get(measure)) for measure in measures),
            *(shown_estimate(one.win_rates.get(judge), digits=2) for judge in judges),
        ]
        for name, one in comparisons.items()
    ]
    return markdown_table(["", "answers of prompts", *measures, *(f"win rate, {judge}" for judge in judges)], rows)


def training_table(trained: Mapping[str, Mapping[str, float]]) -> str:
    """Return a Markdown table: a line a training, a column a figure."""
    columns = list(dict.fromkeys(column for figures in trained.values() for column in figures))
    rows = [
        [name, *(f"{figures[column]:.3g}" if column in figures else "-" for column in columns)]
        for name, figures in trained.items()
    ]
    return markdown_table(["", *columns], rows)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; what could end a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    escaped = ([cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped) + "\n"
