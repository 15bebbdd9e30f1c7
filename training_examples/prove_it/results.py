"""The folder of the experiment: settings, answers, measures, and results as JSON and Markdown."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from prom_reward.data.rows import read_values
from prom_reward.errors import InputError
from prom_reward.evaluation.agreement import Estimate, shown_estimate
from prom_reward.files import MAX_TABLE_BYTES, read_text, replacing
from training_examples.prove_it.answers import Answer
from training_examples.prove_it.comparison import AnswerPair, PolicyComparison, shown_change
from training_examples.prove_it.targets import Target

_COMPARED = (
    "Means before → after, and the difference with its 95 % interval over prompts. The interval does not cover other "
    "seeds: compare the lines of the seeds. Win rates are the second policy's, with ties as half: from each answer's "
    "own score, and ranked, with both answers in one prompt, in both orders. If the orders seldom agree, the judge "
    'goes by position and the rate says next to nothing. "Words held" is the change of a score at no change in the '
    "number of words, from a line fitted over the answers.\n"
)
_TRAINED = (
    "Each training has its own rewards, rubric and reference: compare rewards and scores within a kind only. First and "
    "last are means over a tenth of the steps, which have different prompts. Seconds do not include the audit judge.\n"
)


def load_answers(out: Path, name: str) -> list[Answer]:
    """Return a policy's answers, `OUT/answers/NAME.jsonl`."""
    return [Answer(**row) for row in read_values(out / "answers" / f"{name}.jsonl")]


def load_pairs(out: Path) -> dict[str, list[AnswerPair]]:
    """Return all measured answers, `OUT/measures/NAME/measures.jsonl`, by name."""
    paths = sorted((out / "measures").glob("*/measures.jsonl"))
    return {path.parent.name: [AnswerPair(**row) for row in read_values(path)] for path in paths}


def keep_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Write a folder's settings, or refuse to continue in it with other settings.

    Raises:
        InputError: The folder has other settings.
        WorkError: The disk is full or read-only.
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
                f"{out}: got {name}={settings.get(name)}, the folder was made with {made.get(name)}; expected the same "
                "settings, or another folder"
            )


def write_results(
    out: Path,
    *,
    compared: Mapping[str, PolicyComparison],
    trained: Mapping[str, Mapping[str, float]],
    targets: Sequence[Target],
    settings: Mapping[str, Any],
    agreement: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Write `OUT/results.json` and `OUT/results.md`, each whole or not at all.

    Args:
        out: The folder.
        compared: The comparisons by name.
        trained: Each training's figures from `summarize_training`, by name.
        targets: The targets, each met or not.
        settings: The settings of the experiment.
        agreement: The audit judge's agreement with people, from `load_agreement`.

    Raises:
        WorkError: The disk is full or read-only.
    """
    figures = {name: one.to_dict() for name, one in compared.items()}
    results = {"settings": settings, "targets": [asdict(one) for one in targets], "compared": figures}
    machine = _machine()
    results |= {"trained": trained, "agreement": agreement or {}, "machine": machine}
    with replacing(out / "results.json") as file:
        file.write(json.dumps(results, indent=2) + "\n")
    conditions = "\n".join(f"- {name}: {value}" for name, value in {**settings, **machine}.items())
    rows = [[one.name, "yes" if one.is_met else "no", one.figures] for one in targets]
    parts = [markdown_table(["target", "met", "figures"], rows)]
    if agreement:
        columns = list(next(iter(agreement.values())))
        cells = [[name, *(one[column] for column in columns)] for name, one in agreement.items()]
        parts.append(markdown_table(["audit judge's agreement with people on", *columns], cells))
    parts += [_COMPARED, comparison_table(compared)]
    parts += [_TRAINED, training_table(trained)] if trained else []  # at first only a baseline is measured
    parts.append(f"{conditions}\n")
    with replacing(out / "results.md") as file:
        file.write("\n".join(parts))


def _machine() -> dict[str, Any]:
    """Return the device, the threads and the libraries' versions."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    cpu = known.get("cpu_name", platform.machine())
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else cpu
    libraries = {name: version(name) for name in ("torch", "transformers", "trl", "peft")}
    return {"device": device, "threads": torch.get_num_threads(), **libraries}


def load_agreement(path: Path) -> dict[str, dict[str, str]]:
    """Return Pearson's r of a judge's expected scores with people's beside that of length, with intervals, as text.

    Args:
        path: The output of `prom-reward evaluate --json`. With `--group` the figures are by group only: over rubrics
            with different means, even a judge that reads no answer correlates.

    Raises:
        InputError: The file cannot be read, or is no such output.
    """
    try:
        found = json.loads(read_text(path, max_bytes=MAX_TABLE_BYTES))
        parts = found.get("groups") or {found["file"]: found}
        return {name: _agreement(part) for name, part in parts.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: no agreement with labels ({type(error).__name__}: {error}); expected the output of "
            "prom-reward evaluate --json"
        ) from error


def _agreement(figures: Mapping[str, Any]) -> dict[str, str]:
    pearson = figures["pearson"]
    found = {"Pearson's r": pearson["expected"], "of length": pearson["length"]}
    found["with length held"] = figures["pearson_with_length_held"]["expected"]
    shown = {
        name: shown_estimate(Estimate(one["value"], one["low"], one["high"]), digits=2) for name, one in found.items()
    }
    return {**shown, "rows": str(figures["n"])}


def comparison_table(comparisons: Mapping[str, PolicyComparison]) -> str:
    """Return a Markdown table with a line for each comparison and a column for each measure and win rate.

    A measure's cell shows the means before and after, and the difference with its 95 % interval.
    """
    measures = list(dict.fromkeys(name for one in comparisons.values() for name in one.changes))
    judges = list(dict.fromkeys(name for one in comparisons.values() for name in one.win_rates))
    rankers = list(dict.fromkeys(name for one in comparisons.values() for name in one.ranked_win_rates))
    held = list(dict.fromkeys(name for one in comparisons.values() for name in one.words_held))
    rows = [
        [
            name,
            f"{one.num_pairs} of {one.num_prompts}",
            *(shown_change(one.changes.get(measure)) for measure in measures),
            *(shown_estimate(one.win_rates.get(judge), digits=2) for judge in judges),
            *(_ranked(one, judge) for judge in rankers),
            *(shown_estimate(one.words_held.get(judge), digits=2, sign="+") for judge in held),
        ]
        for name, one in comparisons.items()
    ]
    rates = [*(f"win rate, {judge}" for judge in judges), *(f"ranked, {judge}" for judge in rankers)]
    rates += [f"{judge}, words held" for judge in held]
    return markdown_table(["", "answers of prompts", *measures, *rates], rows)


def _ranked(compared: PolicyComparison, judge: str) -> str:
    rate = shown_estimate(compared.ranked_win_rates.get(judge), digits=2)
    agreed = compared.order_agreement.get(judge)
    return rate if agreed is None else f"{rate}, orders agree on {agreed:.0%}"


def training_table(trained: Mapping[str, Mapping[str, float]]) -> str:
    """Return a Markdown table with a line for each training and a column for each figure."""
    columns = list(dict.fromkeys(column for figures in trained.values() for column in figures))
    rows = [
        [name, *(f"{figures[column]:.3g}" if column in figures else "-" for column in columns)]
        for name, figures in trained.items()
    ]
    return markdown_table(["", *columns], rows)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, with vertical bars and line breaks escaped."""
    lines = [head, ["---"] * len(head), *rows]
    escaped = ([cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped) + "\n"
