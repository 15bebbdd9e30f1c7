"""Reads labels, or a training's judgment log, into the data of a report.

Numbers are kept of every judgment, texts of a bounded number, so that a browser can open the page: half of them are the
judgments most in need of a look, the other half is drawn evenly.
"""

import glob
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from prom_reward.errors import InputError
from prom_reward.labeling.labeled_rows import LabeledRow, read_labels
from prom_reward.labeling.manifest import load_manifest
from prom_reward.reports.judgments import Judged, JudgedPair, logged_judgment, row_judgments, row_pairs
from prom_reward.reports.selection import Selection
from prom_reward.reports.training_folder import (
    LOG_FILE,
    STATE_FILE,
    BeforeAfter,
    Curve,
    load_before_after,
    load_curves,
    policy_name,
)

GROUP_COLUMNS = ("group", "subset", "source", "category", "task")
"""Where a group is looked for when none is named."""
_MAX_GROUPS = 40
_EXPECTED = (
    f"a folder of `prom-reward label`, a trainer's folder with the log of PrometheusReward(log_path='.../{LOG_FILE}'), "
    "or such a log"
)
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)  # not written here


@dataclass(slots=True, kw_only=True)
class ReportData:
    """The data of a page."""

    title: str
    """The labeled file, or the training's folder."""
    facts: dict[str, str] = field(default_factory=dict)
    """Judge, rubric, date and the like."""
    missing: list[str] = field(default_factory=list)
    """Files that would have added to the report, each with how to get it."""
    is_training: bool = False
    """Whether rows are a training's steps."""
    num_judgments: int = 0
    """Number of all judgments."""
    labels: set[int] = field(default_factory=set)
    """The labels of the rubrics' scales, as far as distributions and scores show them."""
    rubrics: Counter[str] = field(default_factory=Counter)
    """Judgments by the rubric's name."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Outcomes of all judgments."""
    agreement: Counter[str] = field(default_factory=Counter)
    """Agreement of all pairs."""
    scores: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    """Expected scores by rubric and side."""
    entropies: list[float] = field(default_factory=list)
    """Entropies of all scored judgments."""
    lengths: list[tuple[int, float]] = field(default_factory=list)
    """Length and expected score of all scored judgments."""
    pairs: list[JudgedPair] = field(default_factory=list)
    """All scored pairs."""
    rewards: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """A training's rewards by step, from 1."""
    step_outcomes: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """A training's outcomes by step."""
    step_lengths: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """A training's response lengths by step, in characters."""
    step_entropies: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """A training's score entropies by step."""
    group_rewards: dict[tuple[int, str], dict[tuple[int, int | None], float]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """A training's rewards by step and prompt, then by rank and row of the batch."""
    curves: dict[str, Curve] = field(default_factory=dict)
    """The trainer's own log, by metric."""
    before_after: list[BeforeAfter] = field(default_factory=list)
    """Answers of a training's first and last policy."""
    judgments: list[Judged] = field(default_factory=list)
    """The judgments with texts, in order."""

    @property
    def scale(self) -> tuple[float, float]:
        """The ends of the rubrics' scale; 1 and 5 if nothing shows it."""
        return (min(self.labels), max(self.labels)) if len(self.labels) > 1 else (1, 5)

    @property
    def num_scored(self) -> int:
        """Judgments with a score."""
        return self.outcomes["scored"] + self.outcomes["forced"]


def load_report(source: str | Path, *, group: str | None = None, max_judgments: int = 10_000) -> ReportData:
    """Read a folder of `prom-reward label`, or the JSONL log that `PrometheusReward(log_path=...)` writes.

    A folder with such a log named `judgments.jsonl` is a training. The trainer's log and the answers before and after
    are read too, if they are there; see `prom_reward.reports.training_folder`.

    Args:
        source: The folder or the file.
        group: The column whose values are shown separately; None looks for one of GROUP_COLUMNS.
        max_judgments: Judgments with texts.

    Raises:
        InputError: It is neither, or holds no judgments.
    """
    source = Path(source)
    selection = Selection(max_judgments)
    if source.is_dir():
        is_labels = (source / "manifest.json").exists() and not (source / LOG_FILE).exists()
        data = _of_labels(source, group, selection) if is_labels else _of_training(source, selection)
    elif source.exists():
        data = _of_log(source, selection)
    else:
        raise InputError(f"{source}: no such folder or file; expected {_EXPECTED}")
    if not data.num_judgments and not data.pairs:
        evaluations = data.facts.get("evaluations")
        found = f"judgments of evaluations alone ({evaluations})" if evaluations else "no judgments"
        raise InputError(f"{source}: it has {found}; expected at least one")
    data.judgments = selection.kept()
    return data


def _of_labels(folder: Path, group: str | None, selection: Selection) -> ReportData:
    manifest = load_manifest(folder / "manifest.json")
    about = manifest.about
    data = ReportData(title=str(about.get("input", folder.name)))
    groups: set[str] = set()
    for row in read_labels(folder):
        name = _group(row.values, group)
        groups.add(name)
        try:
            _count_row(data, row, name, selection)
        except _UNREADABLE as error:
            raise InputError(
                f"{folder / 'labels.jsonl'}: holds a row that is no label ({type(error).__name__}: {error}); run "
                "`prom-reward label` again"
            ) from error
    data.facts = {
        "judge": str(about.get("judge", "")),
        "method": manifest.method,
        **_rubrics_and_date(data, folder / "labels.jsonl"),
        "folder": str(folder),
    }
    if group is None and len(groups) > _MAX_GROUPS:  # ids, not groups
        data.pairs = [replace(pair, group="") for pair in data.pairs]
    return data


def _of_training(folder: Path, selection: Selection) -> ReportData:
    if not (folder / LOG_FILE).exists():
        raise InputError(f"{folder}: no manifest.json and no {LOG_FILE} in it; expected {_EXPECTED}")
    data = _of_log(folder / LOG_FILE, selection)
    data.title = folder.resolve().name
    data.curves = load_curves(folder)
    data.before_after = sorted(load_before_after(folder), key=lambda one: -one.change)
    data.facts = {"judge": data.facts.pop("judge", ""), "policy": policy_name(folder), **data.facts}
    if not data.curves:
        data.missing.append(
            f"{STATE_FILE}: the trainer's own log (its entropy, an audit judge, seconds for each step); "
            "trainer.save_state() writes it, and so does every checkpoint"
        )
    return data


def _count_row(data: ReportData, row: LabeledRow, group: str, selection: Selection) -> None:
    for one in row_judgments(row, group):
        _count(data, one)
        selection.offer(one)
    if row.example.kind == "pair":
        data.agreement[row.values["agreement"] or "unscored"] += 1
        data.pairs += row_pairs(row, group)


def _of_log(path: Path, selection: Selection) -> ReportData:
    """Read a log, and those of a distributed run's other ranks beside it."""
    data = ReportData(title=path.name, is_training=True)
    others = sorted(path.parent.glob(f"{glob.escape(path.stem)}.rank*{glob.escape(path.suffix)}"))
    judges: set[str] = set()
    num_evaluated = 0
    for rank, log in enumerate([path, *others]):
        number = 0
        try:
            with log.open(encoding="utf-8") as file:
                for line in file:
                    number += 1
                    if not line.strip():
                        continue
                    try:
                        record = json.loads(line)
                    except ValueError:
                        if line.endswith("\n"):
                            raise
                        data.missing.append(f"the last line of {log.name}: its writing was cut off")
                        continue
                    if record.get("mode") == "eval":  # an evaluation's responses are not rollouts
                        num_evaluated += 1
                        continue
                    one = logged_judgment(record)
                    judges.update(filter(None, [record.get("judge")]))
                    _count(data, one)
                    _count_step(data, one, prompt=record["instruction"], place=(rank, record.get("row")))
                    selection.offer(one)
        except (OSError, *_UNREADABLE) as error:
            raise InputError(
                f"{log}: not a judgment log ({type(error).__name__}: line {number}: {error}); expected the file of "
                "PrometheusReward(log_path=...), or a folder of `prom-reward label`"
            ) from error
    steps = f"{len(data.step_outcomes):,}"
    data.facts = {"judge": ", ".join(sorted(map(str, judges))), **_rubrics_and_date(data, path), "steps": steps}
    if num_evaluated:
        data.facts["evaluations"] = f"{num_evaluated:,} judgments, left out"
    return data


def _rubrics_and_date(data: ReportData, path: Path) -> dict[str, str]:
    names = sorted(data.rubrics)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    written = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    heading = "rubric" if len(names) == 1 else "rubrics"
    return {heading: ", ".join(names[:3]) + more, "date": written.strftime("%Y-%m-%d %H:%M")}


def _count(data: ReportData, one: Judged) -> None:
    data.num_judgments += 1
    data.rubrics[one.rubric] += 1
    data.labels.update(map(int, one.probs or ()))
    if one.score is not None:
        data.labels.add(int(one.score))
    data.outcomes[one.outcome] += 1
    if one.expected_score is not None:
        data.scores[one.rubric, one.side].append(one.expected_score)
        data.lengths.append((one.length, one.expected_score))
    if one.entropy is not None:
        data.entropies.append(one.entropy)


def _count_step(data: ReportData, one: Judged, *, prompt: str, place: tuple[int, int | None]) -> None:
    """Count a training's judgment; with several rubrics a row of the batch has several, and one reward."""
    data.step_outcomes[one.row][one.outcome] += 1
    data.step_lengths[one.row].append(one.length)
    if one.entropy is not None:
        data.step_entropies[one.row].append(one.entropy)
    if one.reward is not None:
        data.rewards[one.row].append(one.reward)
        if place[1] is not None:
            data.group_rewards[one.row, prompt][place] = one.reward


def _group(values: Mapping[str, Any], column: str | None) -> str:
    if column is not None and column not in values:
        raise InputError(f"no column {column!r}; got {', '.join(sorted(values))}")
    names = (column,) if column is not None else GROUP_COLUMNS
    kinds = str | int if column is None else str | int | float
    found = next((values[name] for name in names if isinstance(values.get(name), kinds)), "")
    return str(found)
