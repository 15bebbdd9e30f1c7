"""`prom-reward build-training-data`: labeled rows whose truth is known by construction."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from prom_reward.cli.parts import options
from prom_reward.cli.parts.console import check_folder, print_json, stdout
from prom_reward.errors import InputError, number_of
from prom_reward.files import write_lines
from prom_reward.training.construction.build import ConstructedSet, Row, build_set
from prom_reward.training.construction.passages import read_texts
from prom_reward.training.construction.written import everyday_rows, preference_rows, read_tasks


def build_training_data(
    wordnet: Annotated[
        Path,
        typer.Option(help="The folder with WordNet's data.noun (Debian: wordnet-base).", rich_help_panel=options.ROWS),
    ] = Path("/usr/share/wordnet"),
    tasks: Annotated[
        Path | None,
        typer.Option(help="Everyday tasks with right and wrong answers.", rich_help_panel=options.ROWS),
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Preference pairs on harmful requests.", rich_help_panel=options.ROWS)
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(help="Rows whose responses become half of the passages.", rich_help_panel=options.ROWS),
    ] = None,
    num_questions: Annotated[int, typer.Option(min=4, help="Number of questions in train/.")] = 2400,
    num_held_out: Annotated[int, typer.Option(min=4, help="Number of questions in held_out/.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    out: Annotated[
        Path, typer.Option(help="The folder for train/ and held_out/.", rich_help_panel=options.OUTPUT)
    ] = Path("constructed"),
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Build labeled rows whose truth code knows: facts, rubrics for aspects, and criteria.

    Words, kinds of facts, faults and aspects of OUT/held_out never occur in OUT/train.

    Example: `prom-reward build-training-data --tasks configs/everyday_tasks.jsonl --out constructed`
    """
    check_folder(out)
    if not force and any(out.iterdir()):
        raise InputError(f"{out}: the folder holds files; give another --out, or --force to overwrite an earlier set")
    written: dict[str, list[Row]] = {}
    if tasks is not None:
        written["train/everyday"] = everyday_rows(read_tasks(tasks), repeats=3, seed=seed)
    if pairs is not None:
        written["train/pairs"] = preference_rows(pairs, num_pairs=150, seed=seed)
    sentences = read_texts(texts) if texts is not None else []
    files: dict[str, list[Row]] = {}
    for side, number in (("train", num_questions), ("held_out", num_held_out)):
        built = build_set(wordnet, num_questions=number, held_out=side == "held_out", seed=seed, written=sentences)
        files |= {f"{side}/{name}": rows for name, rows in built.named().items()}
    files |= written
    for path in _earlier(out):
        path.unlink()
    for name, rows in files.items():
        path = out / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_lines(path, rows)
    counts = {f"{name}.jsonl": len(rows) for name, rows in files.items()}
    if as_json:
        print_json({"out": str(out), "rows": counts})
    else:
        stdout.print(
            "\n".join(f"{out / name}: {number_of(count, 'row')}" for name, count in counts.items()), highlight=False
        )


def _earlier(out: Path) -> list[Path]:
    """Return the data files that an earlier run wrote; this one may not write all of them."""
    names = [one.name for one in fields(ConstructedSet)]
    written = [f"{side}/{name}" for side in ("train", "held_out") for name in names] + ["train/everyday", "train/pairs"]
    return [path for name in written if (path := out / f"{name}.jsonl").is_file()]
