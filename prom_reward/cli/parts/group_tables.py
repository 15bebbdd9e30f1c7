"""The tables of `prom-reward evaluate --groups` and `--cascade`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from prom_reward.answers import TOKEN_COUNTS
from prom_reward.cli.parts.console import progress_bar, stderr, stdout
from prom_reward.cli.parts.estimates import Cell, show_fitting
from prom_reward.config import load_judge
from prom_reward.data.labels.labeled_rows import LabeledFile
from prom_reward.errors import InputError, number_of
from prom_reward.evaluation.groups.cascade_replay import CascadePoint, replay_cascade
from prom_reward.evaluation.groups.labeled_groups import LabeledGroup, labeled_groups
from prom_reward.evaluation.groups.logged_judge import LoggedJudge, is_logged
from prom_reward.evaluation.groups.methods import GroupEvaluation, evaluate_groups
from prom_reward.evaluation.groups.trials import num_pairs
from prom_reward.evaluation.scores import grade_all
from prom_reward.judging.base import Judge


def group_judge(judge: str, overrides: Mapping[str, Any], seed: int | None, columns: Mapping[str, str]) -> Judge:
    """Return a judge of any kind: one of `load_judge`, or a file of its judgments with these columns by role.

    Raises:
        ConfigError, InputError: It cannot be loaded or read.
    """
    if not is_logged(judge):
        return load_judge(judge, **overrides).seeded(seed or 0)
    if overrides:
        raise InputError(f"{judge}: got {', '.join(overrides)} for logged judgments; expected a judge, or no options")
    return LoggedJudge(Path(judge), columns)


def group_figures(
    labeled: LabeledFile,
    judge: Judge,
    second: Judge | None,
    *,
    size: int | None,
    resamples: int,
    seed: int,
    shows: bool,
) -> dict[str, Any]:
    """Measure a judge's grades and comparisons on the answers to each prompt; print the table."""
    groups = _groups(labeled, size, judge, second)
    sizes = [len(group.requests) for group in groups]
    pairs = [num_pairs(group.requests) for group in groups] if judge.ranks else []
    with progress_bar() as progress:
        total = sum(sizes) * (1 if second is None else 2) + sum(pairs)
        task = progress.add_task(f"judging with {judge.name}", total=total)
        found = evaluate_groups(
            judge,
            groups,
            second=second,
            resamples=resamples,
            seed=seed,
            on_batch=lambda count: progress.update(task, advance=count),
        )
    if shows:
        _show_methods(found)
    return found.to_dict()


def cascade_figures(
    labeled: LabeledFile, cheap: Judge, strong: Judge, *, size: int | None, shows: bool
) -> dict[str, Any]:
    """Replay a cascade of two judges on the answers to each prompt; print the curves."""
    groups = _groups(labeled, size, cheap, strong)
    found = replay_cascade(groups, _graded(cheap, groups), _graded(strong, groups))
    num_unscored = len(groups) - found.num_groups
    if shows:
        _show_curves(f"{cheap.name}, then {strong.name}: {number_of(found.num_groups, 'group')}", found.curves)
        _show_unscored(num_unscored)
    points = {by: [one.to_dict() for one in curve] for by, curve in found.curves.items()}
    counts = {"n": found.num_groups, "unscored": num_unscored}
    return {"judge": cheap.name, "strong": strong.name, **counts, "curves": points}


def _groups(labeled: LabeledFile, size: int | None, *judges: Judge | None) -> list[LabeledGroup]:
    """Return the groups of a file, of which logged judges have every answer; say how many answers are in none."""
    groups = labeled_groups(labeled, size)
    answers = {one.request for one in labeled.rows}
    answers |= {side for pair in labeled.pairs for side in (pair.chosen, pair.rejected)}
    if left_out := len(answers) - sum(len(group.requests) for group in groups):
        text = f"{number_of(left_out, 'answer')} left out: alone to a prompt, or in a group of one label"
        stderr.print(text, highlight=False, soft_wrap=True)
    for judge in judges:
        if isinstance(judge, LoggedJudge):
            judge.check_has([request for group in groups for request in group.requests])
    return groups


def _graded(judge: Judge, groups: Sequence[LabeledGroup]) -> dict[Any, Any]:
    requests = [request for group in groups for request in group.requests]
    with progress_bar() as progress:
        task = progress.add_task(f"grading with {judge.name}", total=len(requests))
        found = grade_all(judge, requests, on_batch=lambda count: progress.update(task, advance=count))
    return dict(zip(requests, found, strict=True))


def _show_methods(found: GroupEvaluation) -> None:
    def rows(cell: Cell) -> Iterator[Sequence[str]]:
        for name, one in found.methods.items():
            estimates = (cell(one.tau, digits=2), cell(one.gain, digits=2, sign="+"), cell(one.best, digits=2))
            flips = "-" if one.flips is None else f"{one.flips:.2f}"
            counts = (f"{one.num_prompts:.0f}", _count(one.num_read), _count(one.num_written))
            yield name, *estimates, cell(one.pairs, digits=2), f"{one.ties:.2f}", flips, *counts

    title = f"{found.judge}: {number_of(found.num_groups, 'group')}, {number_of(found.num_answers, 'answer')}"
    headings = ("", "tau", "gain", "best of n", "pairs", "ties", "flips", "prompts", "read", "written")
    show_fitting(title, headings, rows)
    stdout.print("prompts, tokens read and written: means for a group", soft_wrap=True)
    _show_unscored(found.num_unscored)
    stdout.print(found.verdict, soft_wrap=True)


def _show_curves(title: str, curves: Mapping[str, Sequence[CascadePoint]]) -> None:
    table = Table(title=f"{title}; best-of-n accuracy (tau)", title_justify="left")
    table.add_column("to the strong judge")
    for by in curves:
        table.add_column(by)
    for heading in ("read", "computed", "written"):
        table.add_column(heading, justify="right")
    for points in zip(*curves.values(), strict=True):
        costs = [_count(points[0].tokens[name]) for name in TOKEN_COUNTS]
        table.add_row(f"{points[0].budget:.0%}", *map(_shown, points), *costs)
    stdout.print(table)
    stdout.print(f"tokens for each answer, if groups are chosen by {next(iter(curves))}", soft_wrap=True)


def _count(tokens: float | None) -> str:
    return "-" if tokens is None else f"{tokens:,.0f}"


def _shown(point: CascadePoint) -> str:
    return "-" if point.best is None else f"{point.best:.3f} ({point.tau:.2f})"


def _show_unscored(count: int) -> None:
    if count:
        stdout.print(
            f"{number_of(count, 'group')} left out: no two answers of different labels were scored", soft_wrap=True
        )
