"""`prom-reward rubrics lint`: what is probably wrong with a rubric or checklist."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from prom_reward.cli.parts import options
from prom_reward.cli.parts.console import (
    load_now,
    print_json,
    progress_bar,
    quiet_libraries,
    stderr,
    stdout,
)
from prom_reward.cli.parts.left_out import show_left_out
from prom_reward.cli.parts.options import rows_path
from prom_reward.config import load_judge
from prom_reward.data.formats import RowFormat
from prom_reward.data.labels.judged_rows import JudgedResponse, holds_judgment, judged_responses
from prom_reward.data.rows import BrokenRow, Row, read_rows
from prom_reward.errors import InputError
from prom_reward.evaluation.checklists.rubric_lint import (
    RubricLint,
    check_names,
    judge_rows,
    lint_file,
    lint_rows,
    matching,
    responses_of,
    with_use,
)

_NUM_SHOWN = 20  # findings of each rule
_DATA_ENDINGS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")

rubrics = typer.Typer(rich_markup_mode="markdown", add_completion=False, no_args_is_help=True)


@rubrics.callback()
def _rubrics() -> None:
    """Check rubrics and checklists before a training pays for them: `prom-reward rubrics lint FILE`.

    Example: `prom-reward rubrics lint configs/rubrics.yaml`
    """


@rubrics.command()
def lint(
    file: Annotated[
        str,
        typer.Argument(
            help="A rubric or checklist as YAML or JSON, a built-in name, or rows (JSONL, CSV, Parquet, a `datasets` "
            "folder) of which each has its own."
        ),
    ],
    rows: Annotated[
        Path | None,
        typer.Option(
            help="Responses to look for criteria that tell nothing: rows with judgments (a reward's log, or of "
            "`prom-reward grade --out`), or any rows with --judge.",
            rich_help_panel=options.ROWS,
        ),
    ] = None,
    limit: options.Limit = None,
    column: options.Column = None,
    judge: Annotated[
        str | None,
        typer.Option(help="Judge the rows of --rows by the rubric, with this judge.", rich_help_panel=options.JUDGE),
    ] = None,
    mode: options.Mode = None,
    as_json: options.AsJson = False,
) -> None:
    """Say what is probably wrong with a rubric or checklist.

    Found are criteria that say the same or the opposite, that ask for two things, or whose weight cannot matter;
    pitfalls worded as what is right, rewards worded as faults, options and levels in the wrong order. With `--rows`
    also criteria that are always or never met, that go with another (Pearson over .95), or with the response's length.

    These are warnings, for you to judge, and the exit status stays 0. It is 1 for a rubric
    that cannot be read, and 2 for a file that cannot.

    Example: `prom-reward rubrics lint configs/rubrics.yaml`

    Example: `prom-reward rubrics lint checklist.yaml --rows grpo-output/judgments.jsonl`

    Example: `prom-reward rubrics lint checklist.yaml --rows answers.jsonl --judge my-judge.yaml`
    """
    quiet_libraries()
    if judge is not None and rows is None:
        raise InputError("got --judge without --rows; expected the rows that it judges")
    if mode is not None and judge is None:
        raise InputError("got --mode without --judge; expected the judge of --rows")
    if judge is not None:
        options.check_judge(judge, options.given(mode=mode))
    row_format = RowFormat(columns=options.named_columns(column))
    is_data = Path(file).is_dir() or file.lower().removesuffix(".gz").endswith(_DATA_ENDINGS)
    if is_data and rows is not None:
        raise InputError(f"{file}: got rows with rubrics of their own and --rows; expected one rubric file for all")
    found = lint_rows(islice(read_rows(file), limit), row_format) if is_data else lint_file(file)
    if rows is not None and found.rubrics:
        check_names(found.rubrics)
        with rows_path(rows) as path:
            read = list(islice(read_rows(path), limit))
            if not read:
                raise InputError(f"{rows}: it has no rows; expected judged responses, or any rows with --judge")
            found = with_use(found, _judged(read, found, row_format, judge, mode))
    if as_json:
        print_json({"file": file, **found.to_dict()})
    else:
        _show(file, found)
    if found.num_errors:
        raise typer.Exit(1)


def _judged(
    rows: Sequence[Row | BrokenRow], linted: RubricLint, row_format: RowFormat, judge: str | None, mode: str | None
) -> list[JudgedResponse]:
    """Return judged responses: as they are logged, or judged now."""
    if judge is None:
        if not any(isinstance(row, Row) and holds_judgment(row) for row in rows):
            raise InputError("got rows without judgments for --rows; give a --judge to judge them")
        judged, broken = judged_responses(rows, row_format)
        show_left_out([f"{row.place}: {row.problem}" for row in broken])
        if not judged:
            raise InputError("got no row for --rows whose judgment can be read")
        return matching(judged, linted.rubrics)
    requests, broken = responses_of(rows, linted.rubrics, row_format)
    show_left_out([f"{row.place}: {row.problem}" for row in broken])
    if not requests:
        raise InputError("got no row for --rows that can be judged")
    made = load_judge(judge, **options.given(mode=mode))
    load_now(made)
    with progress_bar() as progress:
        task = progress.add_task("grading", total=len(requests) * len(linted.rubrics))
        return judge_rows(made, requests, linted.rubrics, on_batch=lambda count: progress.update(task, advance=count))


def _show(file: str, found: RubricLint) -> None:
    counts = Counter[str]()
    for one in found.findings:
        counts[one.rule] += 1
        if counts[one.rule] <= _NUM_SHOWN:
            stdout.print(str(one), soft_wrap=True, highlight=False)
    for rule, count in counts.items():
        if count > _NUM_SHOWN:
            stdout.print(f"... and {count - _NUM_SHOWN} more {rule}; --json has all", highlight=False)
    told = found.to_dict()
    summary = ", ".join(f"{name} {told[name]}" for name in ("rubrics", "criteria", "rows", "errors", "warnings"))
    stderr.print(f"{file}: {summary}", soft_wrap=True, highlight=False)
