"""`prom-reward evaluate`: a judge against a labeled file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from prom_reward.cli.parts import options
from prom_reward.cli.parts.calibration_file import check_can_be_fitted, fit_calibration_file
from prom_reward.cli.parts.console import (
    check_writable,
    load_now,
    print_json,
    progress_bar,
    quiet_libraries,
    stderr,
    stdout,
)
from prom_reward.cli.parts.evaluation_tables import show_evaluation
from prom_reward.cli.parts.group_tables import cascade_figures, group_figures, group_judge
from prom_reward.cli.parts.left_out import show_left_out
from prom_reward.cli.parts.options import rows_path
from prom_reward.config import load_judge, load_rubric
from prom_reward.data.labels.human_labels import LabelColumns
from prom_reward.data.labels.labeled_rows import LabeledFile
from prom_reward.errors import InputError, number_of
from prom_reward.evaluation.evaluate import JudgeEvaluation, evaluate as run_evaluation, labeled_input
from prom_reward.evaluation.groups.logged_judge import is_logged
from prom_reward.evaluation.page import evaluation_page
from prom_reward.judging.base import Judge
from prom_reward.judging.judge import PrometheusJudge

_PAPER: dict[str, Any] = {"mode": "feedback", "num_samples": 3, "sampling": {"temperature": 1.0}}


def evaluate(
    file: Annotated[
        Path,
        typer.Argument(help="Labeled rows: JSONL, JSON, CSV, Parquet, a `datasets` folder, or `-` for standard input."),
    ],
    rubric: options.RubricText = None,
    limit: options.Limit = None,
    column: options.Column = None,
    strict: options.Strict = False,
    scale: options.LabelScale = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Show the figures for each value of this column; `rubric` takes the criteria.",
            rich_help_panel=options.ROWS,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="The column of the question or document, for intervals.", rich_help_panel=options.ROWS),
    ] = None,
    score_column: Annotated[
        str | None, typer.Option(help="The column of the label or labels.", rich_help_panel=options.ROWS)
    ] = None,
    judge: options.JudgeName = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="A second judge, for a paired test on the same rows; judge options do not apply to it. With --groups "
            "and --cascade both may be JSONL files of judgments.",
            rich_help_panel=options.JUDGE,
        ),
    ] = None,
    mode: options.Mode = None,
    protocol: Annotated[
        Literal["paper"] | None,
        typer.Option(help="`paper`: the mean of 3 sampled feedbacks' scores.", rich_help_panel=options.JUDGE),
    ] = None,
    model: options.Model = None,
    adapter: options.Adapter = None,
    calibration: options.CalibrationFile = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    layout: Annotated[
        Literal["prometheus", "response_last"] | None,
        typer.Option(help="The order of the prompt's sections.", rich_help_panel=options.JUDGE),
    ] = None,
    fit: Annotated[
        Path | None,
        typer.Option(
            "--fit-calibration",
            help="Fit a calibration on these rows and write it here.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    groups: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Compare grades with comparisons on how they order the answers to a prompt, at most this many.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    cascade: Annotated[
        bool,
        typer.Option(
            "--cascade",
            help="Replay a cascade that sends some prompts to the judge of --against.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    page: options.Page = None,
    force: options.Force = False,
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap resamples of the intervals; 0 for none.")] = 1000,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of sampled feedback and of the bootstrap. Default: the judge's own, else 0."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure how well a judge agrees with labels: scores, preference pairs, or verdicts on criteria.

    The table compares the expected score and the integer with baselines that need no judge: the response's length,
    its word overlap with the reference, a constant. Intervals are 95 % bootstrap over questions. A row has the columns
    of `prom-reward grade` and a score or a list of scores, or `chosen` and `rejected`, or a checklist
    and verdicts on its criteria (`labels` or `binary_labels`). The published files of the Prometheus benchmark and of
    HealthBench's meta-evaluation are read as they are. Rows with an empty or placeholder answer are counted apart. Rows
    that cannot be used are named, counted and left out; with `--strict` the exit status is 1 then.

    Example: `prom-reward evaluate rows.jsonl --judge smollm2-135m --group rubric`

    Example: `prom-reward evaluate rows.jsonl --judge my-judge.yaml --against smollm2-135m-untuned --page judge.html`

    Example: `prom-reward evaluate answers.jsonl --judge my-judge.yaml --groups 8`

    Example: `prom-reward evaluate answers.jsonl --judge cheap.jsonl --against strong.jsonl --cascade --groups 8`
    """
    quiet_libraries()
    _check_options(mode, protocol)
    _check_grouping(groups, (judge, against), fit, page, cascade=cascade)
    _check_files(file, fit, page, force=force)
    own = options.given(
        mode=mode, model=model, adapter=adapter, layout=layout, calibration=calibration, dtype=dtype, device=device
    )  # fmt: skip
    shared = _PAPER if protocol == "paper" else {}
    for name, given in ((judge or options.DEFAULT_JUDGE, {**own, **shared}), (against, shared)):
        if name is not None and not is_logged(name):
            options.check_judge(name, given)
    columns = LabelColumns(
        score=score_column,
        cluster=cluster,
        group=group,
        scale=options.label_scale(scale),
        strict=strict,
        named=options.named_columns(column),
    )
    default_rubrics = load_rubric(rubric) if rubric is not None else None
    with rows_path(file) as path:
        labeled = labeled_input(path, rubric=default_rubrics, columns=columns, limit=limit)
    stderr.print(f"{file.name}: {labeled.recognition}", soft_wrap=True, markup=False, highlight=False)
    show_left_out(labeled.problems)
    if default_rubrics and len(default_rubrics) > 1:
        text = "each rubric's scores are compared with the labels by themselves; weights do not count"
        stderr.print(f"{number_of(len(default_rubrics), 'rubric')}: {text}; --group rubric tells them apart")
    _check_kind(labeled, fit, is_grouped=groups is not None or cascade)
    if groups is not None or cascade:
        pair = [(judge or options.DEFAULT_JUDGE, {**own, **shared}), *([(against, shared)] if against else [])]
        judges = [group_judge(name, given, seed, columns.named) for name, given in pair]
        group_figures = _grouped(
            labeled, judges, groups, cascade=cascade, resamples=resamples, seed=seed or 0, shows=not as_json
        )
        group_figures = {"file": file.name, "left_out": len(labeled.problems), **group_figures}
        _print(group_figures, as_json=as_json)
        _check_figures(group_figures, file, fit, unit="group", strict=strict)
        return
    loaded = _seeded(load_judge(judge or options.DEFAULT_JUDGE, **{**own, **shared}), seed)
    second = _seeded(load_judge(against, **shared), seed) if against is not None else None
    if fit is not None:
        check_can_be_fitted(loaded, labeled.rows)
    for one in (loaded, *([second] if second is not None else [])):
        load_now(one)
    evaluation = _measured(labeled, loaded, second, resamples, seed or 0)
    if not as_json:
        show_evaluation(evaluation)
    figures = {"file": file.name, **evaluation.to_dict()}
    if page is not None and figures["n"]:
        page.write_text(evaluation_page(evaluation, title=file.name), encoding="utf-8")
        stderr.print(f"{page}: the page", soft_wrap=True, markup=False, highlight=False)
    if fit is not None:
        figures["calibration"] = fit_calibration_file(evaluation.rows, loaded, fit, shows=not as_json)
    _print(figures, as_json=as_json)
    _check_figures(figures, file, fit, strict=strict)


def _print(figures: Mapping[str, Any], *, as_json: bool) -> None:
    """Print figures as JSON, or below their tables the number of rows that they are without."""
    if as_json:
        print_json(figures)
    elif figures["left_out"]:
        stdout.print(f"{number_of(figures['left_out'], 'row')} left out, in none of these figures", highlight=False)


def _grouped(
    labeled: LabeledFile,
    judges: Sequence[Judge],
    size: int | None,
    *,
    cascade: bool,
    resamples: int,
    seed: int,
    shows: bool,
) -> dict[str, Any]:
    for one in judges:
        load_now(one)
    first, *others = judges
    if cascade:
        return cascade_figures(labeled, first, others[0], size=size, shows=shows)
    second = others[0] if others else None
    return group_figures(labeled, first, second, size=size, resamples=resamples, seed=seed, shows=shows)


def _measured(labeled: LabeledFile, judge: Judge, against: Judge | None, resamples: int, seed: int) -> JudgeEvaluation:
    """Evaluate with a progress bar for each judge."""
    with progress_bar() as progress:
        tasks = []

        def start(name: str, total: int) -> None:
            tasks.append(progress.add_task(f"grading with {name}", total=total))

        return run_evaluation(
            labeled,
            judge=judge,
            against=against,
            resamples=resamples,
            seed=seed,
            on_start=start,
            on_batch=lambda count: progress.update(tasks[-1], advance=count),
        )


def _check_figures(
    figures: Mapping[str, Any], file: Path, fit: Path | None, *, unit: str = "response", strict: bool
) -> None:
    """Fail after the figures that could be measured if others could not, and with `strict` if rows were left out."""
    if not figures["n"]:
        stderr.print(f"{file}: no {unit} could be scored")
        raise typer.Exit(1)
    if problem := figures.get("calibration", {}).get("problem"):
        raise InputError(f"{fit}: not written; {problem}")
    if strict and figures["left_out"]:
        stderr.print(
            f"{file}: {number_of(figures['left_out'], 'row')} left out, as --strict allows none", soft_wrap=True
        )
        raise typer.Exit(1)


def _check_options(mode: str | None, protocol: str | None) -> None:
    if mode == "score" and protocol is not None:
        raise InputError(f"got --mode score with --protocol {protocol}, which samples feedback; expected one of them")


def _check_grouping(
    groups: int | None, judges: Sequence[str | None], fit: Path | None, page: Path | None, *, cascade: bool
) -> None:
    against = judges[1]
    if groups is None and not cascade and any(map(is_logged, judges)):
        raise InputError("got a file of judgments as the judge; expected it with --groups or --cascade")
    if cascade and against is None:
        raise InputError("got --cascade; expected --against, too: the strong judge")
    if (groups is not None or cascade) and (fit is not None or page is not None):
        raise InputError("got --groups or --cascade with --page or --fit-calibration, which are of single answers")


def _check_kind(labeled: LabeledFile, fit: Path | None, *, is_grouped: bool) -> None:
    kind = "preference pairs" if labeled.pairs else "verdicts on criteria" if labeled.checklists else ""
    if kind and fit is not None:
        raise InputError(f"got {kind}; --fit-calibration needs rows with scores")
    if labeled.checklists and is_grouped:
        raise InputError(f"got {kind}; --groups and --cascade need rows with scores or preference pairs")


def _check_files(file: Path, fit: Path | None, page: Path | None, *, force: bool) -> None:
    if fit is not None and page is not None and fit.absolute() == page.absolute():
        raise InputError(f"{fit}: got one file for --fit-calibration and --page; expected two")
    for option, path in (("--fit-calibration", fit), ("--page", page)):
        if path is not None:
            check_writable(path, force=force, source=file, option=option)


def _seeded(judge: Judge, seed: int | None) -> Judge:
    """Let a judge sample with this seed, by default with its own, else with 0; several judges keep their own."""
    if not isinstance(judge, PrometheusJudge):
        return judge.seeded(seed or 0)
    if seed is not None or judge.sampling.seed is None:
        judge.sampling = replace(judge.sampling, seed=seed or 0)
    return judge
