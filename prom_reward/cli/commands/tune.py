"""`prom-reward tune`: cheap changes to a judge, kept if labeled rows show that they help."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml
from rich.table import Table

from prom_reward.cli.parts import options
from prom_reward.cli.parts.console import (
    check_writable,
    print_json,
    progress_bar,
    quiet_libraries,
    show_left_out,
    stderr,
    stdout,
)
from prom_reward.cli.parts.options import rows_path
from prom_reward.config import load_prometheus_judge, load_rubric
from prom_reward.data.labels.human_labels import LabelColumns
from prom_reward.data.labels.labeled_rows import LabeledFile
from prom_reward.errors import InputError
from prom_reward.evaluation.agreement import shown_estimate
from prom_reward.evaluation.evaluate import labeled_input
from prom_reward.evaluation.tuning import NOTES, Tuning, shown_settings, tune as run_tuning
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.settings.resolution import settings_of


def tune(
    judge: Annotated[str, typer.Argument(help="A preset, a folder, a hub id, a URL or a YAML file.")],
    data: Annotated[Path, typer.Option(help="Labeled rows or preference pairs, as `evaluate` reads them.")],
    out: Annotated[Path, typer.Option(help="The tuned judge's YAML file.", rich_help_panel=options.OUTPUT)] = Path(
        "tuned.yaml"
    ),
    rubric: options.RubricText = None,
    limit: options.Limit = None,
    column: options.Column = None,
    scale: options.LabelScale = None,
    cluster: Annotated[
        str | None, typer.Option(help="The column of the question or document.", rich_help_panel=options.ROWS)
    ] = None,
    note: Annotated[
        list[str] | None,
        typer.Option(help="A sentence to try after the criteria, instead of three built-in ones; repeat it for more."),
    ] = None,
    measure: Annotated[
        Literal["pearson", "spearman", "kendall"],
        typer.Option(help="What a change has to raise, for rows with scores."),
    ] = "spearman",
    force: options.Force = False,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples of the intervals.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the halves, the bootstrap and sampled feedback.")] = 0,
    as_json: options.AsJson = False,
) -> None:
    """Try what is cheap on a judge: mode, layout, sentences after the criteria, calibration.

    Sentences are tried one by one and averaged. Half of the questions choose the best change of a kind, the other half
    confirms it. Only what helps there beyond chance is kept and written to a YAML file, which every `--judge` reads; a
    calibration stands beside it.

    Example: `prom-reward tune smollm2-135m --data dev.jsonl --out tuned.yaml`
    """
    quiet_libraries()
    calibration = out.with_suffix(".calibration.json")
    for path in (out, calibration):
        check_writable(path, force=force, source=data, option="--out")
        check_writable(path, force=True, source=Path(judge), option="--out")
    if out.suffix not in (".yaml", ".yml"):
        raise InputError(f"{out}: got another ending; expected .yaml, as a judge's file has")
    options.check_judge(judge, {})
    columns = LabelColumns(cluster=cluster, scale=options.label_scale(scale), named=options.named_columns(column))
    default_rubrics = load_rubric(rubric) if rubric is not None else None
    with rows_path(data) as path:
        labeled = labeled_input(path, rubric=default_rubrics, columns=columns, limit=limit)
    stderr.print(f"{data.name}: {labeled.recognition}", soft_wrap=True, markup=False, highlight=False)
    show_left_out(labeled.problems)
    loaded = load_prometheus_judge(judge)
    found = _tuned(labeled, loaded, measure, tuple(note or NOTES), resamples, seed)
    written = _written(found, judge, loaded, out, calibration)
    if as_json:
        print_json({"file": data.name, "judge": loaded.name, **found.to_dict(), "out": written})
    else:
        _show(found, written)


def _tuned(
    labeled: LabeledFile, judge: PrometheusJudge, measure: str, notes: tuple[str, ...], resamples: int, seed: int
) -> Tuning:
    """Tune with a progress bar for each trial."""
    with progress_bar() as progress:
        tasks = []
        return run_tuning(
            labeled,
            judge=judge,
            measure=measure,
            notes=notes,
            resamples=resamples,
            seed=seed,
            on_start=lambda name, total: tasks.append(progress.add_task(name[:60], total=total)),
            on_batch=lambda count: progress.update(tasks[-1], advance=count),
        )


def _written(found: Tuning, judge: str, loaded: PrometheusJudge, out: Path, calibration: Path) -> str | None:
    """Write the judge's file if anything helped; return its path."""
    changes: dict[str, Any] = dict(found.settings)
    if found.calibration is not None:
        replace(found.calibration, judge=loaded.engine.identity).save(calibration)
        changes["calibration"] = str(calibration.resolve())
    if not changes:
        return None
    text = yaml.safe_dump({**settings_of(judge), **changes}, sort_keys=False, allow_unicode=True)
    out.write_text(text, encoding="utf-8")
    return str(out)


def _show(found: Tuning, written: str | None) -> None:
    table = Table(title=f"Gains in {found.measure}", title_justify="left")
    for column in ("change", "choosing half", "confirming half", "price", ""):
        table.add_column(column, overflow="fold")
    for one in found.trials:
        chosen_by = "-" if one.chosen_by is None else f"{one.chosen_by:+.3f}"
        gain = shown_estimate(one.gain, sign="+")
        table.add_row(shown_settings(one.settings), chosen_by, gain, f"{one.price:.2f}", "kept" if one.is_kept else "")
    stdout.print(table, markup=False)
    if found.error is not None:
        is_kept = "kept" if found.calibration is not None else "not kept"
        stdout.print(
            f"calibration ({is_kept}): mean absolute error {shown_estimate(found.error, sign='+')}", highlight=False
        )
    told = f"{written}: the tuned judge" if written else "nothing helps beyond chance: no file was written"
    stdout.print(told, soft_wrap=True, markup=False, highlight=False)
