"""`prom-reward grade`: one response, or a file of them."""

import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from prom_reward.cli.parts import options
from prom_reward.cli.parts.console import check_writable, load_now, progress_bar, quiet_libraries, stderr, stdout
from prom_reward.cli.parts.dry_runs import first_prompt, load_for_sample, show_dry_run
from prom_reward.cli.parts.graded import GradedFile, show_judgments
from prom_reward.cli.parts.options import given, rows_path
from prom_reward.config import PromptRenderer, load_judge, load_rubric, prompt_renderer
from prom_reward.data.formats import RowFormat
from prom_reward.data.grading import RequestBatch, batch_rows, grade_batch, row_requests
from prom_reward.data.recognition import Recognition
from prom_reward.data.rows import Row, RowIterator, count_rows, read_rows
from prom_reward.errors import InputError
from prom_reward.judging.base import Judge
from prom_reward.judging.checklists import Expansion
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.labeling.dry_run import forecast
from prom_reward.labeling.task import LabelingTask
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.runs import load_grading_run

_ONE = "One response"


def grade(
    input: Annotated[
        Path | None,
        typer.Argument(
            help="A JSONL, JSON, CSV or Parquet file, a `datasets` folder, or `-` for JSON on standard input."
        ),
    ] = None,
    rubric: options.RubricText = None,
    limit: options.Limit = None,
    column: options.Column = None,
    strict: options.Strict = False,
    config: Annotated[
        Path | None,
        typer.Option(help="A YAML file with judge, rubric, input, out, limit.", rich_help_panel=options.ROWS),
    ] = None,
    instruction: Annotated[str | None, typer.Option(help="What was asked.", rich_help_panel=_ONE)] = None,
    response: Annotated[
        str | None, typer.Option(help="What was answered; `-` reads standard input.", rich_help_panel=_ONE)
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", "--reference-answer", help="A reference answer.", rich_help_panel=_ONE),
    ] = None,
    judge: options.JudgeName = None,
    mode: options.Mode = None,
    num_samples: options.Samples = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the feedback.", rich_help_panel=options.JUDGE)] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="The longest feedback, in tokens.", rich_help_panel=options.JUDGE)
    ] = None,
    model: options.Model = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="The folder or hub id of the tokenizer.", rich_help_panel=options.JUDGE)
    ] = None,
    adapter: options.Adapter = None,
    calibration: options.CalibrationFile = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    quantization: Annotated[
        Literal["int8"] | None, typer.Option(help="Load the weights in int8.", rich_help_panel=options.JUDGE)
    ] = None,
    guard: Annotated[
        bool | None,
        typer.Option(
            "--guard/--no-guard", help="Neutralize judge text in responses (default).", rich_help_panel=options.JUDGE
        ),
    ] = None,
    truncate_response: options.Truncation = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The JSONL file to write; a name that ends in .csv or the like is refused.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    force: options.Force = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what was recognized, a prompt, tokens and time; then stop.")
    ] = False,
    integer: Annotated[
        bool,
        typer.Option(
            "--integer", help="Show the judge's integer beside its expected score.", rich_help_panel=options.OUTPUT
        ),
    ] = False,
    show_prompt: Annotated[
        bool,
        typer.Option(
            "--show-prompt",
            help='Write `{"prompt": ...}` for each row: the exact text, without the BOS.',
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="JSON on standard output: the rows, or with --out a summary.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
) -> None:
    """Grade responses by a rubric, with or without a reference answer.

    A file's rows have `instruction` (or `prompt`), `response` (or `completion`) and perhaps `reference_answer`
    and `rubric`. The score is the expected score of the judge's distribution; a calibration maps it, and leaves
    `score` and `score_probs` as the judge gave them. A terminal gets a table; `--json`, a pipe or `--out` get each row
    with `score`, `expected_score`, `score_probs`, `entropy`, `feedback` and `outcome`; a column of the row with such a
    name becomes `input_NAME`.
    Several rubrics give a row each, with its `rubric_weight`; the summary has their weighted mean, on [0, 1].
    If a row cannot be graded, it is named and left out, and the exit status is 1.

    Example: `prom-reward grade rows.jsonl --rubric helpfulness --out graded.jsonl`

    Example: `prom-reward grade --instruction "Name a prime." --response "Seven."`
    """
    quiet_libraries()
    judge_settings: str | dict[str, Any] = judge or options.DEFAULT_JUDGE
    rubric_value: Any = rubric
    if config is not None:
        run = load_grading_run(config)
        judge_settings, rubric_value = judge or run.judge, rubric if rubric is not None else run.rubric
        input, limit = input or (Path(run.input) if run.input else None), limit or run.limit
        out = out or (Path(run.out) if run.out else None)
    if input is not None and (instruction is not None or response is not None):
        raise InputError("got a file and --instruction or --response; give either the file or one response")
    rubrics = load_rubric(rubric_value) if rubric_value is not None else ()
    if out is not None and not dry_run:
        check_writable(out, force=force, source=input)
    sampling = given(seed=seed, max_new_tokens=max_new_tokens) or None
    overrides = given(
        mode=mode, num_samples=num_samples, model=model, tokenizer=tokenizer, adapter=adapter, dtype=dtype,
        device=device, quantization=quantization, guard=guard, truncate_response=truncate_response,
        calibration=calibration, sampling=sampling,
    )  # fmt: skip
    row = None if input is not None else _one_row(instruction, response, reference)
    if row is not None:
        rubrics = rubrics or load_rubric("helpfulness")
    options.check_judge(judge_settings, overrides)
    if row is not None and not (as_json or show_prompt or out or dry_run):
        requests = row_requests(row.values, rubrics)
        made = load_judge(judge_settings, **overrides)
        load_now(made)
        show_judgments(requests, made.grade(requests), integer=integer)
        return
    as_lines = as_json or show_prompt or not stdout.is_terminal
    graded = GradedFile(out, as_json=as_json, as_lines=as_lines, integer=integer)
    with rows_path(input) as path:

        def open_rows() -> RowIterator:
            return iter([row]) if row is not None else islice(read_rows(path), limit)

        total = 1 if row is not None else count_rows(path)
        where = "the response" if row is not None else str(input)
        recognition = Recognition(where)
        row_format = RowFormat(columns=options.named_columns(column), kinds=("response",))
        batches = _recognized(open_rows, recognition, row_format, rubrics, graded, strict=strict)
        if row is None:
            stderr.print(f"{where}: {recognition}", soft_wrap=True, markup=False, highlight=False)
            recognition.check(strict=strict)
        made = load_judge(judge_settings, **overrides)
        if dry_run:
            task = LabelingTask(
                kind="response", row_format=row_format, rubrics=rubrics, method="grade", recognition=Recognition(where)
            )
            load_for_sample(made)
            found = forecast(open_rows(), task, judge=made, judges_repeats=True)
            show_dry_run(found, first_prompt(found.sample, made, judge_settings, overrides), as_json=as_json)
            return
        render = prompt_renderer(judge_settings, **overrides) if show_prompt else None
        if render is None:
            load_now(made)
        _grade_rows(made, batches, min(total, limit) if total and limit else total, graded, render)
        recognition.check()  # what later rows showed
        graded.finish(where)


def _one_row(instruction: str | None, response: str | None, reference: str | None) -> Row:
    if instruction is None:
        raise InputError("got no input; give a file, or --instruction with --response")
    if not instruction:
        raise InputError("got an empty --instruction; give the question")
    if response is None:
        raise InputError("got no --response; give one, or --response - to read it from standard input")
    if response == "-":
        response = sys.stdin.read()
    return Row("the response", {"instruction": instruction, "response": response, "reference_answer": reference})


def _recognized(
    open_rows: Callable[[], RowIterator],
    recognition: Recognition,
    row_format: RowFormat,
    rubrics: tuple[AnyRubric, ...],
    graded: GradedFile,
    *,
    strict: bool,
) -> Iterator[RequestBatch]:
    """Return the batches of a file's rows once the first ones, or with `strict` all, are recognized."""
    if strict:
        recognition.note_all(open_rows(), row_format, rubrics)
    noted = None if strict else recognition
    batches = batch_rows(open_rows(), rubrics, row_format=row_format, recognition=noted)
    return _first_gradable(batches, graded, recognition.where)


def _first_gradable(batches: Iterator[RequestBatch], graded: GradedFile, where: str) -> Iterator[RequestBatch]:
    """Read up to the first row that can be graded, so that a wrong file fails before the judge is loaded."""
    for batch in batches:
        if batch.pairs:
            return chain([batch], batches)
        graded.leave_out(batch.broken)
    raise graded.failure(where)


def _grade_rows(
    judge: Judge,
    batches: Iterator[RequestBatch],
    total: int | None,
    graded: GradedFile,
    render: PromptRenderer | None,
) -> None:
    """Grade or render rows batch by batch."""
    with graded, progress_bar() as progress:
        task = progress.add_task("grading", total=total)
        for batch in batches:
            graded.leave_out(batch.broken)
            if render is None:
                graded.add_judgments(batch, grade_batch(judge, batch))
            else:
                graded.add(_prompt_lines(judge, batch, render))
            progress.update(task, advance=batch.num_rows, description=graded.progress)


def _prompt_lines(judge: Judge, batch: RequestBatch, render: PromptRenderer) -> list[dict[str, Any]]:
    assert isinstance(judge, PrometheusJudge)  # its prompts were rendered
    asked = Expansion.of(batch.requests).requests
    return [{"prompt": render(judge.grading_prompt(request))} for request in asked]
