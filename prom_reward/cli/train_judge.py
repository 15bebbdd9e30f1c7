"""`prom-reward train-judge`: a LoRA adapter that makes a judge of any causal LM."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from prom_reward.cli.console import quiet_libraries, stderr, stdout
from prom_reward.errors import InputError
from prom_reward.runs import load_training, load_training_run
from prom_reward.settings.runs import TrainingRun
from prom_reward.training.data import ExampleSets
from prom_reward.training.sources import DataSource


def train_judge(
    data: Annotated[
        list[Path] | None, typer.Argument(help="Labeled files: JSONL, JSON, CSV, Parquet or `datasets` folders.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder for the adapter and its checkpoints.")] = Path("judge-adapter"),
    config: Annotated[Path | None, typer.Option(help="A YAML file with the whole recipe.")] = None,
    data_dir: Annotated[
        Path, typer.Option(envvar="PROM_REWARD_DATA", help="Where the recipe's relative paths are looked for.")
    ] = Path(),
    judge: Annotated[
        str | None, typer.Option(help="What to train: a preset, a folder, a hub id or a YAML file.")
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="The adapter to go on from; left out, the judge's own or a new one.")
    ] = None,
    rubric: Annotated[str | None, typer.Option(help="For rows without one: a name, a YAML file or a text.")] = None,
    passes: Annotated[
        float | None, typer.Option(min=0.01, help="How often each row is trained on; 2 if not given.")
    ] = None,
    feedback: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of rows trained to write feedback; 0.1 if not given.")
    ] = None,
    score_column: Annotated[str | None, typer.Option(help="The column of the label or labels.")] = None,
    cluster: Annotated[str | None, typer.Option(help="The column of the question, of which some are held out.")] = None,
    validation_share: Annotated[
        float | None, typer.Option(min=0, max=0.9, help="Share of questions held out to choose the checkpoint by.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longer examples are left out.")] = None,
    patience: Annotated[int | None, typer.Option(min=1, help="Stop after so many evaluations without gain.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all that is drawn.")] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="Rank of the adapter.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="The highest learning rate.")] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Stop after so many steps.")] = None,
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Less memory, a third more time; for 7B on one GPU.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be trained on, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Train a judge on labeled rows; run it again to resume after a stop.

    A row has what `prom-reward grade` takes, a score or several annotators' (`score`, `gpt4_score`, `orig_score`)
    and perhaps a written feedback; Feedback-Collection rows are read as they are. Questions of the validation
    share are held out, and the checkpoint with the best correlation on them is kept. The judge is then
    `load_judge(BASE, adapter=OUT)`.

    Example: `prom-reward train-judge rows.jsonl --rubric helpfulness --out my-judge`

    Example: `prom-reward train-judge --config configs/train_judge.yaml --data-dir DATA --out my-judge`
    """
    quiet_libraries()
    run = load_training_run(config) if config is not None else TrainingRun()
    changes: dict[str, Any] = {
        "judge": judge,
        "adapter": adapter,
        "max_tokens": max_tokens,
        "patience": patience,
        "seed": seed,
    }
    changes |= {"validation_share": validation_share}
    settings = {key: value for key, value in changes.items() if value is not None}
    of_rows = {"passes": passes, "feedback": feedback, "rubric": rubric}
    of_rows |= {"score_column": score_column, "cluster_column": cluster}
    settings["data"] = _data(run, data or [], {key: value for key, value in of_rows.items() if value is not None})
    settings["lora"] = {**run.lora, **({"r": rank, "lora_alpha": 2 * rank} if rank else {})}
    arguments = {"learning_rate": learning_rate, "max_steps": max_steps}
    arguments |= {"gradient_checkpointing": True} if gradient_checkpointing else {}
    settings["trainer"] = {**run.trainer, **{key: value for key, value in arguments.items() if value is not None}}
    training = load_training(run.model_copy(update=settings), out=out, data_dir=data_dir)
    loaded = training.load()
    sets = training.examples(loaded)
    if not as_json:
        _show_sets(sets)
    if dry_run:
        if as_json:
            typer.echo(json.dumps(_counts(sets)))
        return
    measures = training.train(loaded, sets)
    if as_json:
        typer.echo(json.dumps({"out": str(out), **_counts(sets), **measures}))
    else:
        shown = ", ".join(f"{name.removeprefix('eval_')} {value:.3f}" for name, value in measures.items())
        stdout.print(f"{out}: {shown}", soft_wrap=True)


def _data(run: TrainingRun, paths: list[Path], options: dict[str, Any]) -> list[DataSource]:
    """Return the recipe's data, or the files of the command line with their options."""
    if not run.data:
        given = {"passes": 2.0, "feedback": 0.1, **options}
        return [DataSource(path=path.absolute(), **given) for path in paths]
    if paths:
        raise InputError("got data files and a --config that names its own; give either")
    if options:
        names = ", ".join(f"--{name.replace('cluster_column', 'cluster').replace('_', '-')}" for name in options)
        raise InputError(f"got {names} and a --config that names its own data; write it there, beside the path")
    return run.data


def _counts(sets: ExampleSets) -> dict[str, Any]:
    return {"training": len(sets.training), "validation": len(sets.validation), "too_long": sets.num_too_long}


def _show_sets(sets: ExampleSets) -> None:
    training, tokens = Counter[str](), Counter[str]()
    for example in sets.training:
        training[example.source] += 1
        tokens[example.source] += len(example.ids)
    validation = Counter(example.source for example in sets.validation)
    feedback = Counter(example.source for example in sets.training if example.has_feedback)
    table = Table(title="What is trained on", title_justify="left")
    for heading in ("data", "examples", "with feedback", "tokens", "held out"):
        table.add_column(heading, justify="left" if heading == "data" else "right")
    for source in {**training, **validation}:
        table.add_row(
            source, str(training[source]), str(feedback[source]), str(tokens[source]), str(validation[source])
        )
    stdout.print(table)
    if sets.num_too_long:
        stderr.print(f"{sets.num_too_long} examples left out: longer than --max-tokens")
