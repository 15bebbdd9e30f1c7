"""`prom-reward audit`: can this judge be trusted as a reward?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from prom_reward.auditing.audit import audit as run_audit, audit_inputs
from prom_reward.auditing.page import audit_page, shown_limit, shown_share
from prom_reward.auditing.results import Audit
from prom_reward.cli.parts import options
from prom_reward.cli.parts.console import (
    check_writable,
    load_now,
    print_json,
    progress_bar,
    quiet_libraries,
    stderr,
    stdout,
)
from prom_reward.config import load_prometheus_judge, load_rubric
from prom_reward.errors import InputError

_COLORS = {"pass": "green", "warn": "yellow", "fail": "bold red", None: ""}


def audit(
    named: Annotated[str | None, typer.Argument(metavar="[JUDGE]", help="The judge, as with --judge.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer tasks and trials: about 650 gradings instead of 7,500.")
    ] = False,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Trials of each family, instead of 520 (29 with --quick).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the trials, of sampled feedback and of the bootstrap.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 on a warning, too.")] = False,
    attacks: Annotated[
        Path | None,
        typer.Option(
            help="Attacks of your own: rows with `kind`, `text` and, optionally, `sort`.", rich_help_panel=options.ROWS
        ),
    ] = None,
    builtin: Annotated[
        bool,
        typer.Option("--builtin/--no-builtin", help="Try the built-in attacks, too.", rich_help_panel=options.ROWS),
    ] = True,
    tasks: Annotated[
        Path | None,
        typer.Option(
            help="Tasks of your own: rows with `instruction`, `reference_answer`, `rubric`.",
            rich_help_panel=options.ROWS,
        ),
    ] = None,
    rubric: options.RubricText = None,
    judge: options.JudgeName = None,
    mode: options.Mode = None,
    model: options.Model = None,
    adapter: options.Adapter = None,
    calibration: options.CalibrationFile = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    page: options.Page = None,
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Attack a judge, probe it for bias, consistency and use of its scale, and give a verdict on each.

    Each attack stands alone, before, inside and after weak responses. The audit counts how often the expected score
    rises by 0.5 and by 1.0: with the guard on, with it off, and with flagged responses at the lowest score. The exit
    status is 1 if a family or a probe fails.

    Example: `prom-reward audit smollm2-135m --quick --page audit.html`

    Example: `prom-reward audit my-judge.yaml --attacks attacks.jsonl --no-builtin --json > audit.json`
    """
    quiet_libraries()
    if page is not None:
        check_writable(page, force=force, option="--page")
    if named is not None and judge is not None:
        raise InputError(f"got the judge {named} and --judge {judge}; give one of them")
    named = named or judge or options.DEFAULT_JUDGE
    settings = options.given(
        mode=mode, model=model, adapter=adapter, calibration=calibration, dtype=dtype, device=device
    )  # fmt: skip
    options.check_judge(named, settings)
    default_rubrics = load_rubric(rubric) if rubric is not None else None
    chosen, families = audit_inputs(attacks=attacks, builtin=builtin, tasks=tasks, rubric=default_rubrics)
    loaded = load_prometheus_judge(named, **settings, sampling={"seed": seed})
    load_now(loaded)
    with progress_bar() as progress:
        task = progress.add_task(f"auditing {loaded.name}", total=None)

        def start(most: int) -> None:
            if progress.tasks[task].total is None:
                stderr.print(f"at most {most:,} gradings", highlight=False)
            progress.update(task, total=most)

        result = run_audit(
            loaded,
            attacks=families,
            builtin=False,
            tasks=chosen,
            quick=quick,
            num_trials=trials,
            seed=seed,
            on_start=start,
            on_batch=lambda count: progress.update(task, advance=count),
        )
    if page is not None:
        page.write_text(audit_page(result), encoding="utf-8", errors="replace")
        stderr.print(f"{page}: the page", soft_wrap=True, markup=False, highlight=False)
    if as_json:
        print_json(result.to_dict())
    else:
        _show(result)
    if result.verdict == "fail" or (strict and result.verdict == "warn"):
        stderr.print(f"{loaded.name}: {result.verdict}")
        raise typer.Exit(1)


def _show(result: Audit) -> None:
    """Show the audit in 80 columns; the JSON and the page also have the figures of flagged responses and both means."""
    title = f"{result.judge}: share of responses that rise by a point"
    caption = "limit: the most that a pass allows; shares have their upper 95 % limit"
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left", padding=(0, 0))
    for heading in ("attacks", "verdict", "limit", "n", "guard on", "guard off", "mean", "flagged"):
        table.add_column(heading, overflow="fold")
    for one in result.families:
        num_unscored = max(one.guarded.num_unscored, one.unguarded.num_unscored)
        mean = one.guarded.mean.value
        table.add_row(
            one.family.name,
            one.verdict or "-",
            "-" if one.threshold is None else shown_share(one.threshold),
            f"{one.guarded.num_trials}" + (f" ({num_unscored} unscored)" if num_unscored else ""),
            shown_limit(one.guarded.rise_10, one.guarded.high_10),
            shown_limit(one.unguarded.rise_10, one.unguarded.high_10),
            "-" if mean is None else f"{mean:+.2f}",
            shown_share(one.flag_share),
            style=_COLORS[one.verdict],
        )
    stdout.print(table)
    caption = "[low, high]: 95 % interval over questions; all of it must be within a limit, or beyond it"
    table = Table(title="bias, consistency, scale", title_justify="left", caption=caption, caption_justify="left")
    for heading in ("probe", "verdict", "value", "n", "meaning"):
        table.add_column(heading, overflow="fold")
    for probe in result.probes:
        meaning = f"{probe.meaning} ({probe.rule})"
        name = f"{probe.group}: {probe.name}"
        cells = (name, probe.verdict or "-", probe.shown_value, str(probe.num_cases), meaning)
        table.add_row(*cells, style=_COLORS[probe.verdict])
    stdout.print(table)
