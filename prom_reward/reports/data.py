"""Reads labels, or a training's judgment log, into the data of a report.

Numbers are kept of every judgment, texts of a bounded number of whole groups, so that a browser can open the page.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from prom_reward.errors import InputError, number_of
from prom_reward.explorer.judged import Judged
from prom_reward.labeling.labeled_rows import LabeledRow, read_labels
from prom_reward.labeling.manifest import load_manifest
from prom_reward.reports.judgments import logged_judgment, row_judgments, row_pairs
from prom_reward.reports.log import UNREADABLE, read_log
from prom_reward.reports.report_data import ReportData
from prom_reward.reports.selection import MAX_SHOWN, Selection
from prom_reward.reports.training_folder import (
    LOG_FILE,
    STATE_FILE,
    load_before_after,
    load_curves,
    policy_name,
)
from prom_reward.rubrics.reading import AnyRubric, read_rubrics, rubric_digest
from prom_reward.rubrics.rubric import builtin_names, builtin_rubric

GROUP_COLUMNS = ("group", "subset", "source", "category", "task")
"""The default place of a group."""
_MAX_PARTS = 40
_EXPECTED = (
    f"a folder of `prom-reward label`, a trainer's folder with the log of PrometheusReward(log_path='.../{LOG_FILE}'), "
    "or such a log"
)


def load_report(
    source: str | Path,
    *,
    group: str | None = None,
    max_judgments: int | None = MAX_SHOWN,
    by_prompt: bool = False,
    rubrics: Any = (),
) -> ReportData:
    """Read a folder of `prom-reward label`, or the JSONL log that `PrometheusReward(log_path=...)` writes.

    A folder with such a log named `judgments.jsonl` is a training. The trainer's log and the answers before and after
    are read too, if they are there; see `prom_reward.reports.training_folder`.

    Args:
        source: The folder or the file.
        group: The column whose values are shown separately; None looks for one of GROUP_COLUMNS.
        max_judgments: About how many judgments to keep with their texts, in whole groups; None keeps all. The counts
            are of all judgments; figures of rubrics, findings and comparisons are of those that are kept.
        by_prompt: Keep all of a training's groups of a prompt, or none, as a comparison of its steps needs them.
        rubrics: The rubrics of a log, which holds only their names and digests; in any form that `read_rubrics` takes.
            The built-in ones are known by their digest.

    Raises:
        InputError: It is neither, holds no judgments, or was judged by another text than a given rubric's.
    """
    source = Path(source)
    selection = Selection(max_judgments, by_prompt=by_prompt)
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
    if left_out := data.num_judgments - len(data.judgments):
        data.missing.append(
            f"the texts of {left_out:,} of {number_of(data.num_judgments, 'judgment')}: counts and plots cover them, "
            "but what stands out, the table of rubrics and a comparison do not; `prom-reward report --limit` takes more"
        )
    given = {rubric.name: rubric for rubric in read_rubrics(rubrics)} if rubrics else {}
    _name_rubrics(data, given)
    return data


def _name_rubrics(data: ReportData, given: Mapping[str, AnyRubric]) -> None:
    """Add the texts of the given rubrics, and of the built-in ones whose digest the log has, to the known ones.

    Raises:
        InputError: A given one is not in the data, or the data's rubric of that name has another text.
    """
    for name, rubric in given.items():
        if name not in data.rubrics:
            raise InputError(f"{data.title}: no judgment by the rubric {name!r}; got {', '.join(sorted(data.rubrics))}")
        if not data.digests[name] <= {"", rubric_digest(rubric)}:
            raise InputError(
                f"{data.title}: its rubric {name!r} has another text than the given one (digest "
                f"{', '.join(sorted(data.digests[name]))}; got {rubric_digest(rubric)}); give the text that it was "
                "judged by"
            )
        data.known_rubrics[name] = rubric
    unknown = (data.rubrics.keys() & set(builtin_names())) - given.keys() if data.is_training else set[str]()
    for name in sorted(unknown):
        if data.digests[name] == {rubric_digest(builtin_rubric(name))}:
            data.known_rubrics[name] = builtin_rubric(name)
        else:
            told = "no digest of it" if data.digests[name] == {""} else "another digest than the built-in one's"
            data.missing.append(f"the text of the rubric {name}: the log has {told}; give it with --rubric")


def _of_labels(folder: Path, group: str | None, selection: Selection) -> ReportData:
    manifest = load_manifest(folder / "manifest.json")
    default = manifest.parsed_rubrics()
    texts: dict[str, dict[str, AnyRubric]] = defaultdict(dict)
    about = manifest.about
    data = ReportData(title=str(about.get("input", folder.name)))
    parts: set[str] = set()
    names: set[str] = set()
    num_rows = num_without = 0
    for row in read_labels(folder):
        num_rows, num_without = num_rows + 1, num_without + (group is not None and group not in row.values)
        names |= row.values.keys()
        name = _part(row.values, group)
        parts.add(name)
        try:
            _count_row(data, row, name, selection)
            for rubric in row.example.columns.own_rubrics() or default:
                texts[rubric.name].setdefault(rubric_digest(rubric), rubric)
        except UNREADABLE as error:
            raise InputError(
                f"{folder / 'labels.jsonl'}: holds a row that is no label ({type(error).__name__}: {error}); run "
                "`prom-reward label` again"
            ) from error
    if num_rows and num_without == num_rows:
        raise InputError(f"no column {group!r}; got {', '.join(sorted(names))}")
    if num_without:
        data.missing.append(f"the column {group!r} in {number_of(num_without, 'row')}: they are in no group")
    data.facts = {
        "judge": str(about.get("judge", "")),
        "method": manifest.method,
        **_rubrics_and_date(data, folder / "labels.jsonl"),
        "folder": str(folder),
    }
    data.digests.update({name: set(found) for name, found in texts.items()})
    data.known_rubrics = {name: next(iter(found.values())) for name, found in texts.items() if len(found) == 1}
    if group is None and len(parts) > _MAX_PARTS:  # ids, not groups
        data.pairs = [replace(pair, part="") for pair in data.pairs]
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


def _count_row(data: ReportData, row: LabeledRow, part: str, selection: Selection) -> None:
    for one in row_judgments(row, part):
        data.count(one)
        selection.offer(one)
    if row.example.kind == "pair":
        data.agreement[row.values["agreement"] or "unscored"] += 1
        data.pairs += row_pairs(row, part)


def _of_log(path: Path, selection: Selection) -> ReportData:
    data = ReportData(title=path.name, is_training=True)
    judges: set[str] = set()
    num_evaluated = 0
    steps: dict[int, int] = {}  # the last one by rank
    again: dict[int, int] = {}  # steps that begin again, with those before

    def rollout(record: Mapping[str, Any], rank: int) -> Judged | None:
        """Return a record's judgment; None for an evaluation's, whose responses are not rollouts."""
        if record.get("mode") == "eval":
            return None
        one = logged_judgment(record, rank)
        if 0 < one.row < steps.get(rank, 0):
            again.setdefault(one.row, steps[rank])
        steps[rank] = one.row or steps.get(rank, 0)
        return one

    for one in read_log(path, rollout, data.missing):
        if one is None:
            num_evaluated += 1
            continue
        judges.add(one.judge)
        data.count(one)
        data.count_step(one)
        selection.offer(one)
    data.facts = {"judge": ", ".join(sorted(judges - {""})), **_rubrics_and_date(data, path)}
    if data.has_steps:
        data.facts["steps"] = f"{len(data.step_outcomes):,}"
    if num_evaluated:
        data.facts["evaluations"] = f"{number_of(num_evaluated, 'judgment')}, left out"
    if data.num_repeated:
        data.missing.append(
            f"a log without copies: {path.name} has {number_of(data.num_repeated, 'second judgment')} of a response by "
            "the same rubric in the same step, as if it were joined with itself or another run's; all of them count, "
            "and of two rewards the last one"
        )
    for step, before in again.items():
        data.missing.append(
            f"a log for each run: {path.name} goes on with step {step} after step {before}, as of another run or a "
            "resumed one; what it says of a step is of all of them"
        )
    return data


def _rubrics_and_date(data: ReportData, path: Path) -> dict[str, str]:
    names = sorted(data.rubrics)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    written = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    heading = "rubric" if len(names) == 1 else "rubrics"
    return {heading: ", ".join(names[:3]) + more, "date": written.strftime("%Y-%m-%d %H:%M")}


def _part(values: Mapping[str, Any], column: str | None) -> str:
    names = (column,) if column is not None else GROUP_COLUMNS
    kinds = str | int if column is None else str | int | float
    value = next((values[name] for name in names if isinstance(values.get(name), kinds)), "")
    return str(value)
