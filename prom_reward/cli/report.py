"""`prom-reward report`: a page to look at, of a labeling or of a training's judgments."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from prom_reward.cli.console import check_writable, stdout
from prom_reward.evaluation.agreement import Estimate
from prom_reward.reports.agreement import AgreementRow, agreement_rows
from prom_reward.reports.data import load_report
from prom_reward.reports.page import report_figures_json, report_page


def report(
    source: Annotated[
        Path,
        typer.Argument(help="A folder of `prom-reward label` or of a training, or a training's judgment log."),
    ],
    out: Annotated[Path | None, typer.Option(help="The HTML file. Default: report.html beside the labels.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an --out file.")] = False,
    group: Annotated[
        str | None, typer.Option(help="Show every value of this column by itself. Default: group, subset, source...")
    ] = None,
    max_judgments: Annotated[
        int, typer.Option(min=2, help="Judgments whose texts are shown; figures are always of all.")
    ] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with counts and agreement.")] = False,
) -> None:
    """Write one self-contained HTML page: distributions, agreement, outcomes, and a table to search.

    For preference pairs the page shows the agreement with the given order, overall and by group, with intervals and
    the longer response as a baseline. For a training it shows reward, length, entropy and groups without spread over
    the steps. If `judgments.jsonl` lies in the trainer's output folder, it also shows the trainer's own log (an audit
    judge, seconds for each step) and the answers of `before_after.jsonl`. The page needs no network.

    Example: `prom-reward report labels`

    Example: `prom-reward report judgments.jsonl --out training.html`

    Example: `prom-reward report grpo-output`
    """
    target = out or (source / "report.html" if source.is_dir() else source.with_suffix(".html"))
    check_writable(target, force=force or out is None, source=source)
    data = load_report(source, group=group, max_judgments=max_judgments)
    target.write_text(report_page(data), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps({"page": str(target), **report_figures_json(data)}))
        return
    if rows := agreement_rows(data.pairs):
        stdout.print(_agreement_table(rows))
    outcomes = ", ".join(f"{count} {name}" for name, count in data.outcomes.most_common())
    text = f"{target}: {data.num_judgments} judgments ({outcomes}), {len(data.judgments)} of them with their texts"
    stdout.print(text, highlight=False, soft_wrap=True)
    for file in data.missing:
        stdout.print(f"missing: {file}", highlight=False, soft_wrap=True)


def _agreement_table(rows: list[AgreementRow]) -> Table:
    table = Table(title="Pairs in the given order, ties as half (95 % bootstrap over prompts)", title_justify="left")
    for heading in ("pairs of", "number", "judge", "its integers", "longer response"):
        table.add_column(heading, justify="left" if heading == "pairs of" else "right", overflow="fold")
    for row in rows:
        cells = [_shown(part) for part in (row.judge, row.integer, row.length)]
        table.add_row(row.group, str(row.num_pairs), *cells)
    return table


def _shown(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "-"
    interval = "" if estimate.low is None else f" [{estimate.low:.3f}, {estimate.high:.3f}]"
    return f"{estimate.value:.3f}{interval}"
