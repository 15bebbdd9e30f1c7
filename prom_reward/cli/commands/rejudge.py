"""`prom-reward rejudge`: the responses of a log or of labels under another judge or rubric, shown beside the first."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from prom_reward.cli.parts import options
from prom_reward.cli.parts.console import (
    check_folder,
    load_now,
    print_json,
    progress_bar,
    quiet_libraries,
    stderr,
    stdout,
)
from prom_reward.cli.parts.left_out import show_left_out
from prom_reward.config import load_judge, load_rubric
from prom_reward.data.rows import count_rows
from prom_reward.errors import InputError, number_of
from prom_reward.judging.base import Judge
from prom_reward.labeling.labeling import Progress, label
from prom_reward.reports.data import load_report
from prom_reward.reports.difference import Difference, compare_with
from prom_reward.reports.page import report_page
from prom_reward.reports.rejudging import write_requests
from prom_reward.reports.selection import MAX_SHOWN
from prom_reward.reports.training_folder import LOG_FILE


def rejudge(
    source: Annotated[
        Path, typer.Argument(help="A folder of `prom-reward label` or of a training, or a training's judgment log.")
    ],
    judge: options.JudgeName = None,
    rubric: Annotated[
        str | None,
        typer.Option(
            "--rubric",
            help="The texts of the source's rubrics, by their names (an edited one is named), or another rubric to "
            "grade all responses by.",
        ),
    ] = None,
    mode: options.Mode = None,
    adapter: options.Adapter = None,
    calibration: options.CalibrationFile = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder; run again to resume. Default: SOURCE-rejudged, beside it.", rich_help_panel=options.OUTPUT
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Judge a log or labels again with another judge, rubric or guard, and show what changed.

    OUT gets the rows, the labels (`prom-reward label` resumes them: run the same command again after a stop) and
    `report.html`, the first source beside the new one: its figures cover all judgments, and at most 100,000 are shown
    with their texts, in whole groups. Another guard is a key of the judge's YAML file.

    Example: `prom-reward rejudge grpo-output --judge m-prometheus-3b --out second-opinion`
    """
    quiet_libraries()
    overrides = options.given(mode=mode, adapter=adapter, calibration=calibration, dtype=dtype, device=device)
    options.check_judge(judge or options.DEFAULT_JUDGE, overrides)
    folder = out or _default_folder(source)
    rubrics = load_rubric(rubric) if rubric is not None else ()
    if folder.exists() and source.exists() and folder.samefile(source):
        raise InputError(f"{folder}: got the source as --out; give another folder")
    if (folder / LOG_FILE).exists():
        raise InputError(f"{folder}: holds a training's {LOG_FILE}; give another --out")
    first = load_report(source, max_judgments=None)
    check_folder(folder)
    written = write_requests(source, folder / "rows.jsonl", rubrics)
    for line in written.edited:
        stderr.print(line, highlight=False, markup=False, soft_wrap=True)
    show_left_out(written.left_out)
    made = load_judge(judge or options.DEFAULT_JUDGE, **overrides)
    _judge_again(made, folder)
    again = load_report(folder, max_judgments=None)
    again.title = made.name
    page = folder / "report.html"
    difference = compare_with(first, again)
    page.write_text(report_page(first, comparison=difference, max_judgments=MAX_SHOWN), encoding="utf-8")
    if as_json:
        print_json({"page": str(page), "matched": difference.num_matched, "rubrics": difference.to_dict()})
        return
    stdout.print(_table(difference))
    stdout.print(
        f"{page}: {number_of(difference.num_matched, 'judgment')} beside their first ones",
        highlight=False,
        soft_wrap=True,
    )
    unscored = again.num_judgments - again.num_scored
    if unscored:
        outcomes = ", ".join(f"{count} {name}" for name, count in again.outcomes.most_common())
        stderr.print(
            f"without a score: {unscored:,} of {number_of(again.num_judgments, 'second judgment')} ({outcomes})",
            highlight=False,
        )
    if difference.num_unmatched:
        stderr.print(f"without a second one: {number_of(difference.num_unmatched, 'judgment')}", highlight=False)


def _judge_again(judge: Judge, folder: Path) -> None:
    """Label the rows of a folder, and say how to resume if it is interrupted."""
    num_done = 0
    try:
        load_now(judge)
        with progress_bar() as progress:
            task = progress.add_task("judging", total=count_rows(folder / "rows.jsonl"))

            def show(done: Progress) -> None:
                nonlocal num_done
                num_done += done.num_rows
                progress.advance(task, done.num_rows)

            label(folder / "rows.jsonl", judge=judge, out=folder, on_progress=show)
    except KeyboardInterrupt:
        text = f"stopped; {number_of(num_done, 'row')} judged in {folder}: run the same command again to resume"
        stderr.print(text, highlight=False, soft_wrap=True)
        raise


def _default_folder(source: Path) -> Path:
    """Return the folder beside the source; `.` has no name of its own, and a folder's may hold dots."""
    source = source.resolve()
    return source.with_name(f"{source.name if source.is_dir() else source.stem}-rejudged")


def _table(difference: Difference) -> Table:
    table = Table(title=f"{difference.name} beside the first judge", title_justify="left")
    for heading in ("rubric", "number", "mean change", "same integer", "Pearson", "Spearman"):
        table.add_column(heading, justify="left" if heading == "rubric" else "right", overflow="fold")
    for row in difference.rows:
        figures = ["–" if value is None else f"{value:.2f}" for value in (row.pearson, row.spearman)]
        same = "–" if row.same_share is None else f"{row.same_share:.0%}"
        table.add_row(row.heading, str(row.count), f"{row.change:+z.2f}", same, *figures)
    return table
