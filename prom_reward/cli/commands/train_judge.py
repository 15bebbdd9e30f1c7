"""`prom-reward train-judge`: a LoRA adapter that makes a judge of any causal LM."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prom_reward.cli.parts import options
from prom_reward.cli.parts.console import (
    Reminder,
    check_folder,
    check_writable,
    print_json,
    quiet_libraries,
    stderr,
)
from prom_reward.cli.parts.training_lines import training_lines
from prom_reward.cli.parts.training_results import (
    counts,
    show_plan,
    show_prepared,
    show_result,
    show_sets,
    step_counts,
    warn_of_few_steps,
)
from prom_reward.errors import InputError
from prom_reward.runs import load_training, load_training_run
from prom_reward.settings.runs import TrainingRun
from prom_reward.training.data import ExampleSets
from prom_reward.training.prepared import is_prepared
from prom_reward.training.sources import DataSource

if TYPE_CHECKING:
    from prom_reward.engines.model.loading import LoadedModel
    from prom_reward.training.judge_training import JudgeTraining
    from prom_reward.training.plan import StepPlan

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
    prepared: Annotated[
        Path | None,
        typer.Option(help="Train from a file of --prepare; the data are not read.", rich_help_panel=options.ROWS),
    ] = None,
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
    label_scale: options.LabelScale = None,
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
        int | None,
        typer.Option(min=1, help="Stop after this many steps, if the passes have more.", rich_help_panel=_TRAINING),
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
    prepare: Annotated[
        Path | None,
        typer.Option(
            help="Write the examples, read and tokenized, into this file for --prepared, and stop.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the examples and the steps, and stop.", rich_help_panel=options.OUTPUT),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a judge on labeled rows; run it again to resume after a stop.

    A row has the columns of `prom-reward grade`, one score or several annotators' (`score`, `gpt4_score`,
    `orig_score`) and, if you like, a written feedback; Feedback-Collection rows are read as published. Some questions
    are held out, and the checkpoint with the best correlation on them is kept. OUT is then a judge: `--judge OUT`.

    Example: `prom-reward train-judge rows.jsonl --rubric helpfulness --out my-judge`

    Example: `prom-reward train-judge --config configs/train_judge.yaml --data-dir DATA --out my-judge`

    Example: `prom-reward train-judge --config configs/train_judge.yaml --data-dir DATA --prepare examples.npz`
    """
    quiet_libraries()
    run = load_training_run(config) if config is not None else TrainingRun()
    of_rows = options.given(
        passes=passes, feedback=feedback, rubric=rubric, score_column=score_column, cluster_column=cluster,
        label_scale=label_scale,
    )  # fmt: skip
    arguments = options.given(
        learning_rate=learning_rate, max_steps=max_steps, gradient_checkpointing=gradient_checkpointing or None
    )  # fmt: skip
    settings = options.given(
        judge=judge, adapter=adapter, max_tokens=max_tokens, patience=patience, seed=seed,
        validation_share=validation_share,
    )  # fmt: skip
    settings["data"] = _data(run, data or [], of_rows)
    _check_prepared(prepare, prepared, settings["data"])
    settings["lora"] = {**run.lora, **({"r": rank, "lora_alpha": 2 * rank} if rank else {})}
    settings["trainer"] = {**run.trainer, **arguments}
    training = load_training(run.model_copy(update=settings), out=out, data_dir=data_dir)
    loaded, sets = _examples(training, prepare, prepared, dry_run=dry_run)
    plan = training.plan(loaded, sets)
    if not as_json:
        show_sets(sets)
        show_plan(plan)
    warn_of_few_steps(plan)
    if not sets.validation:
        stderr.print("nothing is held out: how well the judge agrees with labels will be unknown", soft_wrap=True)
    if dry_run:
        if as_json:
            print_json({**counts(sets), **step_counts(sets, plan)})
    elif prepare is not None:
        num_bytes = training.prepare(loaded, sets, prepare)
        show_prepared(prepare, sets, {**step_counts(sets, plan), "bytes": num_bytes}, as_json=as_json)
    else:
        _train(training, loaded, sets, plan, as_json=as_json)


def _check_prepared(prepare: Path | None, prepared: Path | None, data: list[DataSource]) -> None:
    if prepare is not None and prepared is not None:
        raise InputError("got --prepare, which writes a file, and --prepared, which trains from one; give either")
    if prepared is not None and not data:
        raise InputError(
            "got --prepared alone; expected the --config or the files of --prepare, too: they are compared, not read"
        )


def _examples(
    training: "JudgeTraining", prepare: Path | None, prepared: Path | None, *, dry_run: bool
) -> tuple["LoadedModel", ExampleSets]:
    """Return the model, with its weights if they are needed, and the examples of the data or of a prepared file."""
    labeled = None if prepared is not None else training.read()
    if prepare is not None:
        _check_replaceable(prepare)
    elif not dry_run:
        check_folder(training.run.out)
    stderr.print(f"loading {training.model.model} ...", highlight=False, soft_wrap=True)
    sets = None if prepared is None else training.prepared(prepared)  # an error before the weights are read
    loaded = training.load(weights=prepare is None and not dry_run)
    return loaded, sets or training.examples(loaded, labeled)


def _train(
    training: "JudgeTraining", loaded: "LoadedModel", sets: ExampleSets, plan: "StepPlan", *, as_json: bool
) -> None:
    lines = training_lines()
    try:
        with Reminder(lines.waiting):
            measures = training.train(loaded, sets, plan, callbacks=[lines])
    except KeyboardInterrupt:
        text = f"go on from the last checkpoint in {training.run.out}, if it has one"
        stderr.print(f"stopped; run the same command again to {text}", highlight=False, soft_wrap=True)
        raise
    show_result(training.run.out, sets, measures, first_step=lines.first, as_json=as_json)


def _check_replaceable(path: Path) -> None:
    """Raise InputError if a file exists that `--prepare` did not write, or none can be written."""
    if path.exists() and not is_prepared(path):
        raise InputError(f"{path}: exists, and --prepare did not write it; give another path")
    check_writable(path, force=True, option="--prepare")


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
