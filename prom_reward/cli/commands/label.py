"""`prom-reward label`: a data set with a judge's labels, and what trainers take of it."""

import os
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from prom_reward.cli.parts import options
from prom_reward.cli.parts.console import check_folder, load_now, print_json, quiet_libraries, stderr
from prom_reward.cli.parts.dry_runs import first_prompt, load_for_sample, show_dry_run
from prom_reward.cli.parts.label_tables import labeling_summary, show_labeling
from prom_reward.cli.parts.labeling_progress import LabelingProgress
from prom_reward.config import load_judge, load_rubric
from prom_reward.data.formats import Kind
from prom_reward.errors import InputError
from prom_reward.judging.base import Judge
from prom_reward.labeling.backends import Backend, LocalBackend, ProcessBackend
from prom_reward.labeling.dry_run import dry_run as try_out
from prom_reward.labeling.exports import check_formats, export_labels
from prom_reward.labeling.labeling import label as label_rows
from prom_reward.labeling.ray_backend import RayBackend, require_ray
from prom_reward.labeling.requests import Answers
from prom_reward.labeling.shards import LabelFolder, Shard, check_overwrites_nothing
from prom_reward.labeling.task import SourceReader, open_task
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.runs import load_labeling_run
from prom_reward.settings.runs import LabelingRun

_EXPORTS = "Exports"
_MACHINES = "Resuming and machines"


def label(
    input: Annotated[
        str | None, typer.Argument(help="JSONL, JSON, CSV, Parquet, a `datasets` folder, or a hub id (owner/name).")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A YAML file with judge, rubric, input, out and more, as configs/label.yaml.",
            rich_help_panel=options.ROWS,
        ),
    ] = None,
    rubric: options.RubricText = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="The reference answer of rows without one.", rich_help_panel=options.ROWS),
    ] = None,
    column: options.Column = None,
    strict: options.Strict = False,
    split: Annotated[
        str | None, typer.Option(help="Split of a hub data set. Default: train.", rich_help_panel=options.ROWS)
    ] = None,
    limit: options.Limit = None,
    method: Annotated[
        Literal["grade", "rank", "both"] | None,
        typer.Option(help="Grade every response, rank the sides of pairs in both orders, or both. Default: grade."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what was recognized, a prompt, tokens and time; then stop.")
    ] = False,
    judge: options.JudgeName = None,
    mode: options.Mode = None,
    num_samples: options.Samples = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of sampled feedback; default: the judge's own, else 0.", rich_help_panel=options.JUDGE),
    ] = None,
    model: options.Model = None,
    adapter: options.Adapter = None,
    calibration: options.CalibrationFile = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    truncate_response: options.Truncation = None,
    export: Annotated[
        list[str] | None,
        typer.Option(
            help="Write OUT/FORMAT.jsonl: reward, dpo, kto, sft or grpo; may be repeated.", rich_help_panel=_EXPORTS
        ),
    ] = None,
    on_disagreement: Annotated[
        Literal["swap", "drop", "keep"],
        typer.Option(help="What to do with pairs whose order the judge contradicts.", rich_help_panel=_EXPORTS),
    ] = "drop",
    min_margin: Annotated[
        float, typer.Option(min=0, help="Leave out pairs below this margin (logits).", rich_help_panel=_EXPORTS)
    ] = 0.0,
    max_entropy: Annotated[
        float | None, typer.Option(min=0, help="Leave out rows above this entropy (nats).", rich_help_panel=_EXPORTS)
    ] = None,
    best_of_n: Annotated[
        Literal["worst", "all"],
        typer.Option(help="Several responses: the best against the worst, or all others.", rich_help_panel=_EXPORTS),
    ] = "worst",
    threshold: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="KTO, SFT: a single response is good from this unit score.", rich_help_panel=_EXPORTS
        ),
    ] = 0.5,
    processes: Annotated[
        int, typer.Option(min=1, help="Judges that work at once; they share the GPUs.", rich_help_panel=_MACHINES)
    ] = 1,
    gpus: Annotated[
        str | None, typer.Option(help="GPUs for --processes, as 0,1,2. Default: all.", rich_help_panel=_MACHINES)
    ] = None,
    ray: Annotated[
        bool, typer.Option("--ray", help="Judge on Ray Data, with --processes actors.", rich_help_panel=_MACHINES)
    ] = False,
    ray_address: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster, for example auto.", rich_help_panel=_MACHINES)
    ] = None,
    gpus_per_worker: Annotated[
        float, typer.Option(min=0, help="GPUs of each Ray actor.", rich_help_panel=_MACHINES)
    ] = 0,
    shard_size: Annotated[
        int | None, typer.Option(min=1, help="Rows of a shard. Default: 64.", rich_help_panel=_MACHINES)
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Judge failed shards again.", rich_help_panel=_MACHINES)
    ] = False,
    accept_changes: Annotated[
        bool,
        typer.Option(
            "--accept-changes",
            help="Resume with another judge, dtype, machine or shard size.",
            rich_help_panel=_MACHINES,
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder for the labels; run again to resume.", rich_help_panel=options.OUTPUT),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Label preference pairs, responses, or several responses per prompt; write what trainers take.

    The kind of the rows is recognized and printed. Finished shards are kept: run the same command again to resume, also
    after rows were appended. OUT gets `labels.jsonl`, `problems.jsonl` and a file for each `--export`;
    `prom-reward report OUT` makes a page of it.

    Example: `prom-reward label pairs.jsonl --rubric helpfulness --out labels --export dpo --min-margin 0.5`

    Example: `prom-reward label pairs.jsonl --rubric helpfulness --out labels --dry-run`
    """
    quiet_libraries()
    given = options.given(
        judge=judge, rubric=rubric, input=input, out=str(out) if out else None, method=method,
        reference_answer=reference, split=split, limit=limit, shard_size=shard_size,
        columns=options.named_columns(column) or None,
    )  # fmt: skip
    run = load_labeling_run(config) if config is not None else LabelingRun()
    run = run.model_copy(update=given)
    overrides = options.given(
        mode=mode, num_samples=num_samples, model=model, adapter=adapter, calibration=calibration, dtype=dtype,
        device=device, truncate_response=truncate_response, sampling=options.given(seed=seed) or None,
    )  # fmt: skip
    if not export and (min_margin or max_entropy is not None):
        raise InputError("got --min-margin or --max-entropy and no --export, whose rows they choose; expected both")
    if gpus is not None and (processes == 1 or ray or ray_address):
        raise InputError(
            f"got --gpus {gpus}, which spreads --processes over GPUs; expected --processes of 2 or more here"
        )
    if ray or ray_address:
        require_ray()
    options.check_judge(run.judge, overrides, runs_here=dry_run or not (ray or ray_address))
    _check_input(run, export or (), dry_run=dry_run, strict=strict)
    made = load_judge(run.judge, **overrides)
    if dry_run:
        _show_dry_run(run, made, overrides, as_json)
        return
    backend: Backend = LocalBackend()
    if ray or ray_address:
        scratch = LabelFolder(str(run.out)).scratch / "ray"
        backend = RayBackend(processes, scratch=scratch, address=ray_address, gpus_per_worker=gpus_per_worker)
    elif processes > 1:
        backend = ProcessBackend(processes, gpus=_gpus(gpus))
    elif LabelFolder(str(run.out)).manifest.exists():
        backend = _LoadsIfNeeded()
    else:
        load_now(made)  # before the folder is written: a judge that cannot be loaded does not claim it
    start = time.perf_counter()
    with LabelingProgress(run) as bar:
        found = label_rows(
            str(run.input),
            judge=made,
            rubric=load_rubric(run.rubric) if run.rubric is not None else None,
            backend=bar.begun_by(backend),
            retry_failed=retry_failed,
            accept_changes=accept_changes,
            on_progress=bar.show,
            **run.model_dump(include={"out", "method", "columns", "reference_answer", "split", "limit", "shard_size"}),
        )
    seconds = time.perf_counter() - start
    exports = export_labels(
        found.out,
        export or (),
        on_disagreement=on_disagreement,
        min_margin=min_margin,
        max_entropy=max_entropy,
        best_of_n=best_of_n,
        threshold=threshold,
    )
    if as_json:
        print_json({**labeling_summary(found, exports), "seconds": seconds})
    else:
        show_labeling(found, exports, seconds)
    if found.num_problems or not found.num_labeled:
        raise typer.Exit(1)


def _check_input(run: LabelingRun, exports: Sequence[str], *, dry_run: bool, strict: bool) -> None:
    """Check what can be checked without the judge, and print what the rows of a file are."""
    if run.input is None:
        raise InputError("got no input; give a file, a folder of `datasets` or a hub id")
    if run.input == "-":
        raise InputError("got - as input; a labeling resumes by its rows: save them to a file first")
    if run.out is None and not dry_run:
        raise InputError("got no --out; give a folder for the labels")
    check_formats(exports)
    rubric = load_rubric(run.rubric) if run.rubric is not None else None
    check_formats(exports, _show_recognized(run, rubric, strict=strict))
    if run.out is not None and not dry_run:
        names = ("labels", "problems", *exports)
        check_overwrites_nothing(run.out, [f"{name}.jsonl" for name in names], run.input)
        check_folder(Path(run.out))


def _show_recognized(run: LabelingRun, rubric: tuple[AnyRubric, ...] | None, *, strict: bool) -> Kind:
    """Print and return what the rows are; fail on rows or options that cannot be used, before the judge is loaded."""
    reader = SourceReader(run.input or "", run.split, run.limit, run.columns)
    task, _ = open_task(reader, rubric=rubric, strict=strict, **run.model_dump(include={"method", "reference_answer"}))
    stderr.print(f"{run.input}: {task.recognition}", highlight=False, soft_wrap=True)
    if strict:
        task.recognition.check(strict=True)
    return task.kind


class _LoadsIfNeeded(LocalBackend):
    """Loads the judge, and says so, at the first shard: finished labels are exported without it."""

    def run(self, judge: Judge, shards: Iterator[Shard]) -> Iterator[tuple[Shard, Answers]]:
        """Yield every shard with its answers, in order."""
        for first in shards:
            load_now(judge)
            yield from super().run(judge, chain([first], shards))


def _show_dry_run(run: LabelingRun, judge: Judge, overrides: dict[str, Any], as_json: bool) -> None:
    load_for_sample(judge)
    found = try_out(
        run.input or "",
        judge=judge,
        rubric=load_rubric(run.rubric) if run.rubric is not None else None,
        **run.model_dump(include={"method", "columns", "reference_answer", "split", "limit"}),
    )
    show_dry_run(found, first_prompt(found.sample, judge, run.judge, overrides), as_json=as_json)


def _gpus(given: str | None) -> list[str]:
    if given is not None or os.environ.get("CUDA_VISIBLE_DEVICES"):
        named = given if given is not None else os.environ["CUDA_VISIBLE_DEVICES"]
        return [gpu for gpu in named.split(",") if gpu]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
