"""`prom-reward label`: a data set with a judge's labels, and what trainers take of it."""

import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from prom_reward.cli.console import progress_bar, quiet_libraries, stderr
from prom_reward.cli.label_tables import show_forecast, show_labeling
from prom_reward.config import load_judge, load_rubric, prompt_renderer
from prom_reward.data.rows import count_rows
from prom_reward.data.sources import is_hub_id
from prom_reward.errors import InputError
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.labeling.dry_run import forecast, try_out
from prom_reward.labeling.exports import Export, ExportOptions, export_labels, trainer_named
from prom_reward.labeling.labeling import (
    Backend,
    Labeling,
    LocalBackend,
    Progress,
    Reader,
    label as label_rows,
    make_task,
)
from prom_reward.labeling.process_backend import ProcessBackend
from prom_reward.labeling.requests import Request
from prom_reward.runs import load_labeling_run
from prom_reward.settings.runs import LabelingRun
from prom_reward.types import ComparisonRequest, GradingRequest, JudgePrompt


def label(
    input: Annotated[
        str | None, typer.Argument(help="JSONL, JSON, CSV, Parquet, a `datasets` folder, or a hub id (owner/name).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder for the labels; run again to go on after a stop.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file with judge, rubric, input, out, columns.")] = None,
    judge: Annotated[
        str | None, typer.Option(help="A preset (`prom-reward judges`), a folder, a hub id or a YAML file.")
    ] = None,
    rubric: Annotated[
        str | None, typer.Option(help="For rows without one: a name, a YAML file (several, with weights), or a text.")
    ] = None,
    reference: Annotated[str | None, typer.Option("--reference", help="For rows without a reference answer.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="ROLE=NAME: prompt, chosen, rejected, response, responses, reference_answer, rubric, id."),
    ] = None,
    method: Annotated[
        Literal["grade", "rank", "both"] | None,
        typer.Option(help="Grade every response, rank the sides of pairs in both orders, or both. Default: grade."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of a hub data set. Default: train.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Label at most this many rows.")] = None,
    mode: Annotated[
        Literal["feedback", "score"] | None, typer.Option(help="Feedback, then the score; or the score at once.")
    ] = None,
    num_samples: Annotated[int | None, typer.Option(min=1, help="Feedbacks a response, aggregated.")] = None,
    seed: Annotated[int, typer.Option(help="Of sampled feedback.")] = 0,
    model: Annotated[str | None, typer.Option(help="Where the judge's weights are, if not where it says.")] = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"] | None, typer.Option(help="What the judge computes in.")
    ] = None,
    truncate_response: Annotated[
        Literal["middle"] | None, typer.Option(help="Cut responses that do not fit the judge's context.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what was recognised, five prompts, tokens and time; then stop.")
    ] = False,
    export: Annotated[
        list[str] | None, typer.Option(help="Write OUT/TRAINER.jsonl: reward, dpo, kto, sft or grpo; may be repeated.")
    ] = None,
    on_disagreement: Annotated[
        Literal["swap", "drop", "keep"], typer.Option(help="What exports do with pairs the judge sees otherwise.")
    ] = "drop",
    min_margin: Annotated[float, typer.Option(min=0, help="Exports leave out pairs below it (logits).")] = 0.0,
    max_entropy: Annotated[float | None, typer.Option(min=0, help="Exports leave out rows above it (nats).")] = None,
    best_of_n: Annotated[
        Literal["worst", "all"], typer.Option(help="Several responses: the best against the worst, or all others.")
    ] = "worst",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="KTO, SFT: a single response is good from this unit score on.")
    ] = 0.5,
    processes: Annotated[int, typer.Option(min=1, help="Judges at work at once; GPUs are shared out.")] = 1,
    gpus: Annotated[str | None, typer.Option(help="GPUs for --processes, as 0,1,2. Default: all.")] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Judge on Ray Data, with --processes actors.")] = False,
    ray_address: Annotated[str | None, typer.Option(help="Of a Ray cluster, for example auto.")] = None,
    gpus_per_worker: Annotated[float, typer.Option(min=0, help="GPUs of each Ray actor.")] = 0,
    shard_size: Annotated[int | None, typer.Option(min=1, help="Rows of a shard. Default: 64.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Judge failed shards again.")] = False,
    accept_changes: Annotated[
        bool,
        typer.Option("--accept-changes", help="Go on with another judge, dtype or machine than the one that began."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Label preference pairs, responses, or several responses a prompt; write what trainers take.

    What the rows are is recognised. Finished shards are kept whatever happens: run the same command again to go on,
    also after rows were appended. OUT gets `labels.jsonl`, `problems.jsonl` and an export for each `--export`;
    `prom-reward report OUT` makes a page of it.

    Example: `prom-reward label pairs.jsonl --rubric helpfulness --out labels --export dpo --on-disagreement swap`

    Example: `prom-reward label pairs.jsonl --rubric helpfulness --out labels --dry-run`
    """
    quiet_libraries()
    given: dict[str, Any] = {
        "judge": judge,
        "rubric": rubric,
        "input": input,
        "out": str(out) if out else None,
        "method": method,
    }
    given |= {"reference_answer": reference, "split": split, "limit": limit, "shard_size": shard_size}
    given |= {"columns": _columns(column) or None}
    run = load_labeling_run(config) if config is not None else LabelingRun()
    run = run.model_copy(update={key: value for key, value in given.items() if value is not None})
    if run.input is None:
        raise InputError("got no input; give a file, a folder of `datasets` or a hub id")
    overrides: dict[str, Any] = {"mode": mode, "num_samples": num_samples, "model": model, "dtype": dtype}
    overrides |= {"truncate_response": truncate_response, "sampling": {"seed": seed}}
    overrides = {key: value for key, value in overrides.items() if value is not None}
    made = load_judge(run.judge, **overrides)
    if dry_run:
        _show_dry_run(run, made, overrides, as_json)
        return
    if run.out is None:
        raise InputError("got no --out; give a folder for the labels")
    trainers = [trainer_named(name) for name in export or ()]
    options = ExportOptions(
        on_disagreement=on_disagreement,
        min_margin=min_margin,
        max_entropy=max_entropy,
        best_of_n=best_of_n,
        threshold=threshold,
    )
    backend: Backend = LocalBackend()
    if ray or ray_address:
        from prom_reward.labeling.ray_backend import RayBackend

        scratch = Path(run.out) / "scratch" / "ray"
        backend = RayBackend(processes, scratch=scratch, address=ray_address, gpus_per_worker=gpus_per_worker)
    elif processes > 1:
        backend = ProcessBackend(processes, gpus=_gpus(gpus))
    start = time.perf_counter()
    with _Bar(run) as bar:
        found = label_rows(
            run.input,
            judge=made,
            rubric=load_rubric(run.rubric) if run.rubric is not None else None,
            backend=backend,
            retry_failed=retry_failed,
            accept_changes=accept_changes,
            on_progress=bar.show,
            **run.model_dump(include={"out", "method", "columns", "reference_answer", "split", "limit", "shard_size"}),
        )
    seconds = time.perf_counter() - start
    exports = [export_labels(found.out, trainer, options) for trainer in trainers]
    if as_json:
        typer.echo(json.dumps({**_summary(found, exports), "seconds": seconds}))
    else:
        show_labeling(found, exports, seconds)
    if found.num_problems or not found.num_labeled:
        raise typer.Exit(1)


class _Bar:
    """Shows progress, and says how to go on where it is interrupted."""

    def __init__(self, run: LabelingRun) -> None:
        total = None if is_hub_id(run.input or "") else count_rows(run.input or "")
        self._out = run.out
        self._progress = progress_bar()
        self._task = self._progress.add_task("labeling", total=min(total, run.limit) if total and run.limit else total)
        self._counts: Counter[str] = Counter()
        self._kept = 0

    def __enter__(self) -> "_Bar":
        self._progress.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._progress.__exit__(kind, *rest)  # type: ignore[arg-type]  # handed on as it came
        if kind is KeyboardInterrupt:
            text = f"stopped; {self._kept} rows are labeled in {self._out}: run the same command again to go on"
            stderr.print(text, highlight=False, soft_wrap=True)

    def show(self, done: Progress) -> None:
        """Advance by a shard."""
        names = {"scored": "scored", "forced": "forced"}
        for outcome, count in done.outcomes.items():
            self._counts[names.get(outcome, "failed")] += count
        self._kept += done.num_rows
        shown = ", ".join(f"{self._counts[name]} {name}" for name in ("scored", "forced", "failed"))
        self._progress.update(self._task, advance=done.num_rows, description=f"labeling ({shown})")


def _show_dry_run(run: LabelingRun, judge: PrometheusJudge, overrides: dict[str, Any], as_json: bool) -> None:
    reader = Reader(run.input or "", run.split, run.limit)
    rubrics = load_rubric(run.rubric) if run.rubric is not None else ()
    task, rows = make_task(reader.rows(), rubrics, run.method, run.columns, run.reference_answer, where=str(run.input))
    expected = forecast(rows, task)
    render = prompt_renderer(run.judge, **overrides)
    prompts = [render(_prompt(judge, request)) for request in expected.sample[:5]]
    show_forecast(expected, try_out(judge, expected.sample), prompts, as_json=as_json)


def _prompt(judge: PrometheusJudge, request: Request) -> JudgePrompt:
    """Return the prompt of a request; a judge without ranking grades both responses, of which this is the first."""
    if isinstance(request, ComparisonRequest) and judge.ranks:
        return judge.comparison_prompt(request)
    response = request.response if isinstance(request, GradingRequest) else request.response_a
    shared = {name: getattr(request, name) for name in ("instruction", "rubric", "reference_answer")}
    return judge.grading_prompt(GradingRequest(response=response, **shared))


def _columns(given: Sequence[str] | None) -> dict[str, str]:
    columns = {}
    for one in given or ():
        role, equals, name = one.partition("=")
        if not equals or not name:
            raise InputError(f"got --column {one!r}; expected ROLE=NAME, for example --column chosen=better")
        columns[role] = name
    return columns


def _gpus(given: str | None) -> list[str]:
    if given is not None or os.environ.get("CUDA_VISIBLE_DEVICES"):
        named = given if given is not None else os.environ["CUDA_VISIBLE_DEVICES"]
        return [gpu for gpu in named.split(",") if gpu]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def _summary(found: Labeling, exports: Sequence[Export]) -> dict[str, Any]:
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
