"""`prom-reward tune`: cheap changes to a judge, kept if labeled rows show that they help."""

import textwrap
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml
from rich.progress import TaskID

from prom_reward.cli.parts import options
from prom_reward.cli.parts.console import (
    check_writable,
    print_json,
    progress_bar,
    quiet_libraries,
    stderr,
    stdout,
)
from prom_reward.cli.parts.estimates import Cell, show_fitting
from prom_reward.cli.parts.left_out import show_left_out
from prom_reward.cli.parts.options import rows_path
from prom_reward.config import load_prometheus_judge, load_rubric
from prom_reward.data.labels.human_labels import LabelColumns
from prom_reward.data.labels.labeled_rows import LabeledFile
from prom_reward.errors import InputError
from prom_reward.evaluation.agreement import shown_estimate
from prom_reward.evaluation.evaluate import labeled_input
from prom_reward.evaluation.tuning.halves import CONFIRMING_LEVEL
from prom_reward.evaluation.tuning.trials import Price, TrialFigure, Tuning, shown_settings
from prom_reward.evaluation.tuning.tune import NOTES, tune as run_tuning, tuning_halves
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.settings.resolution import settings_of


def tune(
    judge: Annotated[str, typer.Argument(help="A preset, a folder, a hub id, a URL or a YAML file.")],
    data: Annotated[
        Path, typer.Option(help="Labeled rows or preference pairs of at least 20 questions, as `evaluate` reads them.")
    ],
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
    """Try cheap changes to a judge: mode, layout, wordings, a head on hidden states, temperature, calibration.

    Wordings are the order in which a rubric's scores are described and sentences after its criteria, one by one and
    averaged. Half of the questions choose the best change of a kind, the other half confirms it. Only what helps there
    beyond chance is kept and written to a YAML file, which every `--judge` reads; a head and a calibration stand beside
    it.

    Example: `prom-reward tune smollm2-135m --data dev.jsonl --out tuned.yaml`
    """
    quiet_libraries()
    for path in (out, _calibration_file(out), _head_file(out)):
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
    tuning_halves(labeled, measure=measure, resamples=resamples, seed=seed)  # refuses rows before a judge is made
    loaded = load_prometheus_judge(judge)
    tuned = _tuned(labeled, loaded, measure, tuple(note or NOTES), resamples, seed)
    written = _written(tuned, judge, loaded, out)
    if as_json:
        print_json(
            {
                "file": data.name,
                "judge": loaded.name,
                "left_out": len(labeled.problems),
                **tuned.to_dict(),
                "out": written,
            }
        )
    else:
        _show(tuned, written)


def _tuned(
    labeled: LabeledFile, judge: PrometheusJudge, measure: str, notes: tuple[str, ...], resamples: int, seed: int
) -> Tuning:
    """Tune with a progress bar for each trial, or with a line for each if nobody watches."""

    def start(name: str, total: int) -> None:
        tasks.append(progress.add_task(name[:60], total=total, visible=stderr.is_terminal))
        if not stderr.is_terminal:
            stderr.print(f"trying {name} on {total} gradings", soft_wrap=True, markup=False, highlight=False)

    with progress_bar() as progress:
        tasks: list[TaskID] = []
        return run_tuning(
            labeled,
            judge=judge,
            measure=measure,
            notes=notes,
            resamples=resamples,
            seed=seed,
            on_start=start,
            on_batch=lambda count: progress.update(tasks[-1], advance=count),
        )


def _calibration_file(out: Path) -> Path:
    return out.with_suffix(".calibration.json")


def _head_file(out: Path) -> Path:
    return out.with_suffix(".head.safetensors")


def _written(found: Tuning, judge: str, loaded: PrometheusJudge, out: Path) -> str | None:
    """Write the judge's file and what stands beside it if anything helped; return its path."""
    changes: dict[str, Any] = dict(found.settings)
    if found.head is not None:
        found.head.save(_head_file(out))
        changes["head"] = _head_file(out).name
    if found.calibration is not None:
        found.calibration.save(_calibration_file(out))
        changes["calibration"] = _calibration_file(out).name
    if not changes:
        return None
    text = yaml.safe_dump({**settings_of(judge), **changes}, sort_keys=False, allow_unicode=True)
    out.write_text(text, encoding="utf-8")
    return str(out)


def _show(found: Tuning, written: str | None) -> None:
    title = f"{found.measure}, on the confirming half unless it says otherwise; intervals of {CONFIRMING_LEVEL:.1%}"
    headings = ("change", "choosing half", "gain", "figure", "length held", "tokens read", "written")
    show_fitting(title, headings, partial(_rows, found))
    if found.error is not None:
        is_kept = "kept" if found.calibration is not None else "not kept"
        stdout.print(
            f"calibration ({is_kept}): mean absolute error {shown_estimate(found.error, sign='+')}", highlight=False
        )
    message = f"{written}: the tuned judge" if written else "nothing helps beyond chance: no file was written"
    stdout.print(message, soft_wrap=True, markup=False, highlight=False)


def _rows(found: Tuning, cell: Cell) -> Iterator[Sequence[str]]:
    yield ("length alone", "", "", *_figures(found.length), "", "")
    yield ("as it is", "", "", *_figures(found.before), *_tokens(found.price))
    for one in found.trials:
        change = textwrap.shorten(shown_settings(one.settings), 90) + " (kept)" * one.is_kept
        chosen_by = "-" if one.chosen_by is None else f"{one.chosen_by:+.3f}"
        figures = ("-", "-") if one.figure is None else _figures(one.figure)
        yield (change, chosen_by, cell(one.gain, sign="+") or "-", *figures, *_tokens(one.price))


def _figures(figure: TrialFigure) -> tuple[str, str]:
    value, held = ("-" if one is None else f"{one:.3f}" for one in (figure.value, figure.length_held))
    return value, held


def _tokens(price: Price | None) -> tuple[str, str]:
    return ("-", "-") if price is None else (f"{price.num_computed:.0f}", f"{price.num_generated:.0f}")
