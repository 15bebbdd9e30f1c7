"""`prom-reward report`: an HTML page of a labeling or of a training's judgments."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from prom_reward.cli.parts import options
from prom_reward.cli.parts.console import check_writable, print_json, stdout
from prom_reward.cli.parts.estimates import Cell, show_fitting
from prom_reward.errors import InputError, number_of
from prom_reward.reports.comparison import compare
from prom_reward.reports.data import load_report
from prom_reward.reports.overview.agreement import AgreementRow, agreement_rows
from prom_reward.reports.page import report_figures_json, report_page
from prom_reward.reports.report import default_page
from prom_reward.reports.selection import MAX_SHOWN


def report(
    source: Annotated[
        Path,
        typer.Argument(help="A folder of `prom-reward label` or of a training, or a training's judgment log."),
    ],
    page: Annotated[
        Path | None,
        typer.Option(help="The HTML file. Default: report.html in the folder.", rich_help_panel=options.OUTPUT),
    ] = None,
    force: options.Force = False,
    group: Annotated[
        str | None,
        typer.Option(help="Show the figures for each value of this column. Default: group, subset, source..."),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            min=2,
            help="Show about this many judgments, in whole groups, and with --since all or none of a prompt's. Counts "
            "and plots cover all; what stands out, the table of rubrics and a comparison cover those that are shown.",
        ),
    ] = MAX_SHOWN,
    rubric: Annotated[
        str | None,
        typer.Option(
            "--rubric", help="The rubrics of a log: a YAML file. Labels on the page are saved with their text."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Another source with the same responses, or the same prompts: show what changed."),
    ] = None,
    since: Annotated[
        int | None,
        typer.Option(min=1, help="A training's step: show what changed after it, on prompts from before and after."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write one self-contained HTML page to explore a labeling or a training's judgments.

    It shows each group of responses side by side, says what stands out, and finds and filters judgments.

    For preference pairs the page shows the agreement with the given order, overall and by group, with intervals and
    the longer response as a baseline. For a training it shows reward, length, entropy and groups without spread over
    the steps. If `judgments.jsonl` lies in the trainer's output folder, it also shows the trainer's own log (an audit
    judge, seconds for each step) and the answers of `before_after.jsonl`. The page needs no network.

    Example: `prom-reward report labels`

    Example: `prom-reward report judgments.jsonl --page training.html`

    Example: `prom-reward report grpo-output`
    """
    if against is not None and since is not None:
        raise InputError("got both --against and --since; expected one of them")
    target = page or default_page(source)
    check_writable(target, force=force or page is None, source=source, option="--page")
    data = load_report(source, group=group, max_judgments=limit, by_prompt=since is not None, rubrics=rubric or ())
    if group is not None and data.is_training:
        raise InputError(f"{source}: got --group {group} and a training; expected labels, which have such columns")
    other = load_report(against, max_judgments=None) if against is not None else None
    comparison = compare(data, against=other, since=since)
    target.write_text(report_page(data, comparison=comparison), encoding="utf-8")
    if as_json:
        compared = {"compared": comparison.counts} if comparison else {}
        print_json({"page": str(target), **report_figures_json(data), **compared})
        return
    if rows := agreement_rows(data.pairs):
        _show_agreement(rows)
    outcomes = ", ".join(f"{count} {name}" for name, count in data.outcomes.most_common())
    text = f"{target}: {number_of(data.num_judgments, 'judgment')} ({outcomes})"
    stdout.print(f"{text}, {len(data.judgments):,} of them with their texts", highlight=False, soft_wrap=True)
    if comparison is not None:
        stdout.print(f"compared: {comparison}", highlight=False, markup=False, soft_wrap=True)
    for file in data.missing:
        stdout.print(f"missing: {file}", highlight=False, soft_wrap=True)


def _show_agreement(found: list[AgreementRow]) -> None:
    def rows(cell: Cell) -> Iterator[Sequence[str]]:
        for row in found:
            yield row.group, str(row.num_pairs), *map(cell, (row.judge, row.integer, row.length))

    title = "Pairs in the given order, ties as half (95 % bootstrap over prompts)"
    show_fitting(title, ("pairs of", "number", "judge", "its integers", "longer response"), rows)
