"""Reads labels, or a training's judgment log, into what a report shows.

It does not know figures or HTML. Numbers are kept of every judgment; texts of a bounded number, since a page has to
open: those that most need an eye, and others drawn evenly.
"""

import heapq
import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prom_reward.errors import InputError
from prom_reward.labeling.exports import LabeledRow, read_labels
from prom_reward.labeling.manifest import load_manifest
from prom_reward.reports.judgments import Judged, JudgedPair, logged_judgment, row_judgments, row_pairs
from prom_reward.reports.training_folder import LOG_FILE, BeforeAfter, Curve, load_before_after, load_curves

GROUP_COLUMNS = ("group", "subset", "source", "category", "task")
"""Where a group is looked for when none is named."""
_MAX_GROUPS = 40
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)  # not written here


@dataclass(slots=True, kw_only=True)
class ReportData:
    """All that a page shows."""

    title: str
    """What was judged."""
    facts: dict[str, str] = field(default_factory=dict)
    """Judge, method and the like."""
    is_training: bool = False
    """Whether rows are a training's steps."""
    num_judgments: int = 0
    """Of all rows."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Of all judgments."""
    agreement: Counter[str] = field(default_factory=Counter)
    """Of all pairs."""
    scores: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    """Expected scores by rubric and side."""
    entropies: list[float] = field(default_factory=list)
    """Of all scored judgments."""
    lengths: list[tuple[int, float]] = field(default_factory=list)
    """Length and expected score of all scored judgments."""
    pairs: list[JudgedPair] = field(default_factory=list)
    """All scored pairs."""
    rewards: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """A training's rewards by step."""
    step_outcomes: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """A training's outcomes by step."""
    step_lengths: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """A training's lengths of responses by step, in characters."""
    step_entropies: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """A training's entropies of scores by step."""
    group_rewards: dict[tuple[int, str], dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    """A training's rewards by step and prompt, then by row of the batch."""
    curves: dict[str, Curve] = field(default_factory=dict)
    """What a training's trainer logged, by metric."""
    before_after: list[BeforeAfter] = field(default_factory=list)
    """Answers of a training's first and last policy."""
    judgments: list[Judged] = field(default_factory=list)
    """Those whose texts are shown, in order."""


def load_report(source: str | Path, *, group: str | None = None, max_judgments: int = 10_000) -> ReportData:
    """Read a folder of `prom-reward label`, or the JSONL log that `PrometheusReward(log_path=...)` writes.

    A folder with such a log named `judgments.jsonl` is a training: what its trainer logged and answers before and
    after are read, too; see `prom_reward.reports.training_folder`.

    Args:
        source: The folder or the file.
        group: The column whose values are shown by themselves; None looks for one of GROUP_COLUMNS.
        max_judgments: Judgments whose texts are shown.

    Raises:
        InputError: It is neither.
    """
    source = Path(source)
    keeper = _Keeper(max_judgments)
    if source.is_dir() and (source / LOG_FILE).exists():
        data = _of_training(source, keeper)
    elif source.is_dir():
        data = _of_labels(source, group, keeper)
    elif source.exists():
        data = _of_log(source, keeper)
    else:
        raise InputError(
            f"{source}: no such folder or file; expected a folder of `prom-reward label` or of a training, or a "
            "judgment log"
        )
    if not data.num_judgments and not data.pairs:
        raise InputError(f"{source}: it has no judgments; expected at least one")
    data.judgments = keeper.kept()
    return data


class _Keeper:
    """Keeps a bounded number of judgments: half the most uncertain or contrary ones, half drawn evenly."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._draw = random.Random(0)  # noqa: S311  # nothing here is a secret
        self._first: list[Judged] = []
        self._notable: list[tuple[float, int, Judged]] = []
        self._count = 0

    def offer(self, one: Judged) -> None:
        """Keep a judgment, perhaps."""
        self._count += 1
        entry = (_notability(one), -self._count, one)
        if len(self._notable) < self._size // 2:
            heapq.heappush(self._notable, entry)
        else:
            one = heapq.heappushpop(self._notable, entry)[2]
            if len(self._first) < self._size - self._size // 2:
                self._first.append(one)
            elif (at := self._draw.randrange(self._count)) < len(self._first):
                self._first[at] = one

    def kept(self) -> list[Judged]:
        """Return what was kept, in order."""
        side = {"chosen": 0, "rejected": 1}
        everything = [*self._first, *(one for *_, one in self._notable)]
        return sorted(everything, key=lambda one: (one.row, side.get(one.side, 2), one.side))


def _notability(one: Judged) -> float:
    """Return how much a judgment needs an eye: unscored first, then contrary pairs, then entropy."""
    if one.expected_score is None and one.margin is None:
        return 100.0
    contrary = max(0.0, -(one.margin or 0.0)) if one.agreement == "disagrees" else 0.0
    return 10 * contrary + (one.entropy or 0.0)


def _of_labels(folder: Path, group: str | None, keeper: _Keeper) -> ReportData:
    manifest = load_manifest(folder / "manifest.json")
    about = manifest["about"]
    data = ReportData(title=str(about.get("input", folder.name)))
    data.facts = {"judge": str(about.get("judge", "?")), "method": manifest["method"], "folder": str(folder)}
    groups: set[str] = set()
    for row in read_labels(folder):
        name = _group(row.values, group)
        groups.add(name)
        try:
            _count_row(data, row, name, keeper)
        except _UNREADABLE as error:
            raise InputError(
                f"{folder / 'labels.jsonl'}: holds a row that is no label ({type(error).__name__}: {error}); run "
                "`prom-reward label` again"
            ) from error
    names = sorted({rubric for rubric, _ in data.scores})
    data.facts["rubrics"] = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    if group is None and len(groups) > _MAX_GROUPS:  # ids, not groups
        data.pairs = [replace(pair, group="") for pair in data.pairs]
    return data


def _of_training(folder: Path, keeper: _Keeper) -> ReportData:
    data = _of_log(folder / LOG_FILE, keeper)
    data.title = folder.resolve().name
    data.curves = load_curves(folder)
    data.before_after = sorted(load_before_after(folder), key=lambda one: -one.change)
    return data


def _count_row(data: ReportData, row: LabeledRow, group: str, keeper: _Keeper) -> None:
    for one in row_judgments(row, group):
        _count(data, one)
        keeper.offer(one)
    if row.example.kind == "pair":
        data.agreement[row.values["agreement"] or "unscored"] += 1
        data.pairs += row_pairs(row, group)


def _of_log(path: Path, keeper: _Keeper) -> ReportData:
    data = ReportData(title=path.name, is_training=True)
    try:
        with path.open(encoding="utf-8") as file:
            for line in filter(str.strip, file):
                record = json.loads(line)
                one = logged_judgment(record)
                _count(data, one)
                _count_step(data, one, row=record.get("row"))
                keeper.offer(one)
    except (OSError, *_UNREADABLE) as error:
        raise InputError(
            f"{path}: not a judgment log ({type(error).__name__}: {error}); expected the file of "
            "PrometheusReward(log_path=...), or a folder of `prom-reward label`"
        ) from error
    return data


def _count(data: ReportData, one: Judged) -> None:
    data.num_judgments += 1
    data.outcomes[one.outcome] += 1
    if one.expected_score is not None:
        data.scores[one.rubric, one.side].append(one.expected_score)
        data.lengths.append((one.length, one.expected_score))
    if one.entropy is not None:
        data.entropies.append(one.entropy)


def _count_step(data: ReportData, one: Judged, *, row: int | None) -> None:
    """Count a training's judgment; with several rubrics a row of the batch has several, and one reward."""
    data.step_outcomes[one.row][one.outcome] += 1
    data.step_lengths[one.row].append(one.length)
    if one.entropy is not None:
        data.step_entropies[one.row].append(one.entropy)
    if one.reward is not None:
        data.rewards[one.row].append(one.reward)
        if row is not None:
            data.group_rewards[one.row, one.prompt][row] = one.reward


def _group(values: Mapping[str, Any], column: str | None) -> str:
    if column is not None and column not in values:
        raise InputError(f"no column {column!r}; got {', '.join(sorted(values))}")
    names = (column,) if column is not None else GROUP_COLUMNS
    found = next((values[name] for name in names if isinstance(values.get(name), str | int)), "")
    return str(found)
