"""The folder of an experiment with policies: its settings, and its results as a JSON and a Markdown file.

It does not know how the figures come about.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prom_reward.errors import InputError
from prom_reward.files import read_text
from prom_reward.offline.policy_comparison import PolicyComparison, shown_change, shown_estimate
from prom_reward.offline.shards import replacing

_NOTE = (
    "Means before → after, and the difference with its 95 % interval over prompts; win rates of the latter policy.\n"
)


def keep_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Write what a folder is made with, or refuse to go on in it with something else.

    Raises:
        InputError: The folder was made with other settings.
        WorkError: The disk is full, or cannot be written.
    """
    path = out / "settings.json"
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            json.dump(settings, file)
    made = json.loads(read_text(path))
    for name in {**made, **settings}:
        if made.get(name) != settings.get(name):
            raise InputError(
                f"{out}: was made with {name}={made.get(name)}, got {settings.get(name)}; expected the same, or "
                "another folder"
            )


def write_results(
    out: Path,
    *,
    compared: Mapping[str, PolicyComparison],
    trained: Mapping[str, Mapping[str, float]],
    targets: Mapping[str, bool],
    settings: Mapping[str, Any],
) -> None:
    """Write `OUT/results.json` and `OUT/results.md`, each whole or not at all.

    Args:
        out: The folder.
        compared: Comparisons of two policies, by what they are called.
        trained: Trainings as `prom_reward.offline.training_folder.summarize_curves` returns them, by name.
        targets: What was aimed at, and whether it came true.
        settings: What all of it was made with.

    Raises:
        WorkError: The disk is full, or cannot be written.
    """
    figures = {name: one.to_dict() for name, one in compared.items()}
    results = {"settings": settings, "targets": targets, "compared": figures, "trained": trained}
    with replacing(out / "results.json") as file:
        file.write(json.dumps(results, indent=2) + "\n")
    conditions = "\n".join(f"- {name}: {value}" for name, value in settings.items())
    met = markdown_table(["target", "met"], [[name, "yes" if one else "no"] for name, one in targets.items()])
    parts = [met, _NOTE, comparison_table(compared), training_table(trained), f"{conditions}\n"]
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
