"""`prom-reward train-judge`: a LoRA adapter that makes a judge of any causal LM."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from prom_reward.cli.parts import options
from prom_reward.cli.parts.console import Reminder, check_folder, print_json, quiet_libraries, stderr, stdout
from prom_reward.cli.parts.training_lines import training_lines
from prom_reward.errors import InputError, number_of
from prom_reward.runs import load_training, load_training_run
from prom_reward.settings.runs import TrainingRun
from prom_reward.training.card import FEW, held_out_figures
from prom_reward.training.data import ExampleSets
from prom_reward.training.sources import DataSource

_TRAINING = "Training"


def train_judge(
    data: Annotated[
        list[Path] | None, typer.Argument(help="Labeled files: JSONL, JSON, CSV, Parquet or `datasets` folders.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A YAML file with the whole recipe.", rich_help_panel=options.ROWS)
    ] = None,
    data_dir: Annotated[
        Path,
        typer.Option(
            envvar="PROM_REWARD_DATA",
            help="The folder that a recipe's relative paths start from.",
            rich_help_panel=options.ROWS,
        ),
    ] = Path(),
    rubric: options.RubricText = None,
    passes: Annotated[
        float | None,
        typer.Option(min=0.01, help="Number of passes over the rows. Default: 2.", rich_help_panel=options.ROWS),
    ] = None,
    feedback: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Share of rows trained to write feedback. Default: 0.1.", rich_help_panel=options.ROWS
        ),
    ] = None,
    score_column: Annotated[
        str | None, typer.Option(help="The column of the label or labels.", rich_help_panel=options.ROWS)
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="The column of the question, to hold out whole questions.", rich_help_panel=options.ROWS),
    ] = None,
    validation_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.9,
            help="Share of questions held out to choose the checkpoint. Default: 0.12.",
            rich_help_panel=options.ROWS,
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Leave out examples with more tokens. Default: 1500.", rich_help_panel=options.ROWS),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="The judge to train: a preset, a folder, a hub id or a YAML file. Default: smollm2-135m-untuned.",
            rich_help_panel=options.JUDGE,
        ),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(
            help="The adapter to continue from. Default: the judge's own, or none.", rich_help_panel=options.JUDGE
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all draws.", rich_help_panel=_TRAINING)] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="Rank of the adapter.", rich_help_panel=_TRAINING)] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="The highest learning rate.", rich_help_panel=_TRAINING)
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many steps.", rich_help_panel=_TRAINING)
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=1, help="Stop after this many evaluations without gain.", rich_help_panel=_TRAINING),
    ] = None,
    gradient_checkpointing: Annotated[
        bool,
        typer.Option(
            "--gradient-checkpointing",
            help="Less memory, a third more time; for 7B on one GPU.",
            rich_help_panel=_TRAINING,
        ),
    ] = False,
    out: Annotated[
        Path, typer.Option(help="The folder for the trained judge and its checkpoints.", rich_help_panel=options.OUTPUT)
    ] = Path("judge-adapter"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the examples, and stop.", rich_help_panel=options.OUTPUT)
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a judge on labeled rows; run it again to resume after a stop.

    A row has the columns of `prom-reward grade`, one score or several annotators' (`score`, `gpt4_score`,
    `orig_score`) and, if you like, a written feedback; Feedback-Collection rows are read as published. Some questions
    are held out, and the checkpoint with the best correlation on them is kept. OUT is then a judge: `--judge OUT`.

    Example: `prom-reward train-judge rows.jsonl --rubric helpfulness --out my-judge`

    Example: `prom-reward train-judge --config configs/train_judge.yaml --data-dir DATA --out my-judge`
    """
    quiet_libraries()
    run = load_training_run(config) if config is not None else TrainingRun()
    of_rows = options.given(
        passes=passes, feedback=feedback, rubric=rubric, score_column=score_column, cluster_column=cluster
    )  # fmt: skip
    arguments = options.given(
        learning_rate=learning_rate, max_steps=max_steps, gradient_checkpointing=gradient_checkpointing or None
    )  # fmt: skip
    settings = options.given(
        judge=judge, adapter=adapter, max_tokens=max_tokens, patience=patience, seed=seed,
        validation_share=validation_share,
    )  # fmt: skip
    settings["data"] = _data(run, data or [], of_rows)
    settings["lora"] = {**run.lora, **({"r": rank, "lora_alpha": 2 * rank} if rank else {})}
    settings["trainer"] = {**run.trainer, **arguments}
    training = load_training(run.model_copy(update=settings), out=out, data_dir=data_dir)
    labeled = training.read()
    if not dry_run:
        check_folder(out)
    stderr.print(f"loading {training.model.model} ...", highlight=False, soft_wrap=True)
    loaded = training.load()
    sets = training.examples(loaded, labeled)
    if not as_json:
        _show_sets(sets)
    if not sets.validation:
        stderr.print("nothing is held out: how well the judge agrees with labels will be unknown", soft_wrap=True)
    if dry_run:
        if as_json:
            print_json(_counts(sets))
        return
    lines = training_lines()
    try:
        with Reminder(lines.waiting):
            measures = training.train(loaded, sets, callbacks=[lines])
    except KeyboardInterrupt:
        text = f"stopped; run the same command again to go on from the last checkpoint in {out}, if it has one"
        stderr.print(text, highlight=False, soft_wrap=True)
        raise
    if as_json:
        print_json({"out": str(out), **_counts(sets), **measures})
    else:
        _show_result(out, sets, measures, first_step=lines.first)


def _show_result(out: Path, sets: ExampleSets, measures: Mapping[str, float], *, first_step: int) -> None:
    """Show what was learned, how well, and the next commands.

    Args:
        out: The judge's folder.
        sets: The examples.
        measures: Those of `train_adapter`.
        first_step: The steps that an earlier run had done, if this one trained.
    """
    after = f" after step {first_step}" if first_step else ""
    took = f" in {measures['seconds'] / 60:.1f} min{after}" if "seconds" in measures else "; it had finished before"
    stdout.print(f"{out}: a judge trained on {number_of(len(sets.training), 'example')}{took}", soft_wrap=True)
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
