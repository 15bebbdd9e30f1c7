"""`prom-reward audit`: can this judge be trusted as a reward?"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from prom_reward.auditing.audit import audit as run_audit, audit_inputs
from prom_reward.auditing.page import audit_page, shown_limit, shown_share
from prom_reward.auditing.results import Audit
from prom_reward.cli.console import check_writable, progress_bar, quiet_libraries, stderr, stdout
from prom_reward.config import load_judge, load_rubric

_COLORS = {"pass": "green", "warn": "yellow", "fail": "bold red", None: ""}


def audit(
    judge: Annotated[str, typer.Argument(help="A preset, a folder, a hub id or a YAML file.")] = "smollm2-135m",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer tasks and trials: minutes on a CPU.")] = False,
    attacks: Annotated[
        Path | None,
        typer.Option(help="Attacks of your own: rows with `kind`, `text` and, optionally, `sort`."),
    ] = None,
    builtin: Annotated[bool, typer.Option("--builtin/--no-builtin", help="Try the built-in attacks, too.")] = True,
    tasks: Annotated[
        Path | None, typer.Option(help="Tasks of your own: rows with `instruction`, `reference_answer`, `rubric`.")
    ] = None,
    rubric: Annotated[
        str | None, typer.Option(help="For tasks without a rubric: a name, a YAML file or a text.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Trials of each family, instead of 520 (29 with --quick).")
    ] = None,
    mode: Annotated[Literal["feedback", "score"] | None, typer.Option(help="How the judge reads its score.")] = None,
    model: Annotated[
        str | None, typer.Option(help="The folder or hub id of the judge's weights, if not its own.")
    ] = None,
    adapter: Annotated[str | None, typer.Option(help="A LoRA adapter on the judge's weights.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write an HTML page with the worst cases.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the page.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 on a warning, too.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the trials, of sampled feedback and of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Attack a judge, probe it for bias, consistency and use of its scale, and say what passes.

    Each attack stands alone, before, inside and after weak responses. The audit counts how often the expected score
    rises by 0.5 and by 1.0: with the guard on, with it off, and with flagged responses at the lowest score. The exit
    status is 1 if a family or a probe fails.

    Example: `prom-reward audit smollm2-135m --quick --page audit.html`

    Example: `prom-reward audit my-judge.yaml --attacks attacks.jsonl --no-builtin --json > audit.json`
    """
    quiet_libraries()
    if page is not None:
        check_writable(page, force=force)
    default_rubrics = load_rubric(rubric) if rubric is not None else None
    chosen, families = audit_inputs(attacks=attacks, builtin=builtin, tasks=tasks, rubric=default_rubrics)
    settings: dict[str, Any] = {"mode": mode, "model": model, "adapter": adapter, "sampling": {"seed": seed}}
    loaded = load_judge(judge, **{key: value for key, value in settings.items() if value is not None})
    with progress_bar() as progress:
        task = progress.add_task(f"auditing {loaded.name}", total=0)
        total = 0

        def start(count: int) -> None:
            nonlocal total
            total += count
            progress.update(task, total=total)

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
    if as_json:
        typer.echo(json.dumps(result.to_dict()))
    else:
        _show(result)
    if result.verdict == "fail" or (strict and result.verdict == "warn"):
        stderr.print(f"{loaded.name}: {result.verdict}")
        raise typer.Exit(1)


def _show(result: Audit) -> None:
    table = Table(title=f"{result.judge}: rises by a point (upper 95 % limit)", title_justify="left")
    rises = ("guard on", "guard off", "on + flags", "mean on / off")
    for heading in ("attacks", "verdict", "n", "unscored on / off", *rises, "flagged"):
        table.add_column(heading, overflow="fold")
    for one in result.families:
        limit = f" (<= {shown_share(one.threshold)})" if one.threshold is not None else ""
        means = [rises.mean.value for rises in (one.guarded, one.unguarded)]
        table.add_row(
            one.family.name,
            f"{one.verdict or '-'}{limit}",
            str(one.guarded.num_trials),
            f"{one.guarded.num_unscored} / {one.unguarded.num_unscored}",
            shown_limit(one.guarded.rise_10, one.guarded.high_10),
            shown_limit(one.unguarded.rise_10, one.unguarded.high_10),
            shown_limit(one.flagged.rise_10, one.flagged.high_10),
            " / ".join("-" if mean is None else f"{mean:+.2f}" for mean in means),
            shown_share(one.flag_share),
            style=_COLORS[one.verdict],
        )
    stdout.print(table)
    table = Table(title="bias, consistency, scale", title_justify="left")
    for heading in ("probe", "verdict", "value", "n", "meaning"):
        table.add_column(heading, overflow="fold")
    for probe in result.probes:
        meaning = f"{probe.meaning} ({probe.limits})"
        name = f"{probe.group}: {probe.name}"
        cells = (name, probe.verdict, probe.shown_value, str(probe.num_cases), meaning)
        table.add_row(*cells, style=_COLORS[probe.verdict])
    stdout.print(table)
