"""What a labeling was asked for, and of which judge: a resume with anything else is refused.

It does not know rows or judgments.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import UnionType
from typing import Any

from prom_reward.data.formats import KINDS
from prom_reward.errors import InputError
from prom_reward.files import read_text, replacing
from prom_reward.judging.base import Judge
from prom_reward.labeling.planning import Task

FORMAT = 1
"""Raised when shards are written in another form."""
_RUBRIC_KEYS = {"name", "weight", "text"}
_SHAPES: Mapping[str, type | UnionType] = {
    "about": dict,
    "kind": str,
    "method": str,
    "columns": dict,
    "reference_answer": str | None,
    "rubrics": list,
    "judge": str,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that can change an answer, as JSON values."""

    format: int
    """Of the shards."""
    kind: str
    """What the rows are."""
    method: str
    """"grade", "rank" or "both"."""
    columns: Mapping[str, str]
    """Column by role."""
    reference_answer: str | None
    """For rows without one."""
    rubrics: list[dict[str, Any]]
    """For rows without a rubric: name, weight and text."""
    judge: str
    """The judge's fingerprint, its dtype included."""
    shard_size: int
    """Rows of a shard."""
    machine: Mapping[str, Any]
    """What changes the last bits of a result: threads, and the tokens of cache that batches are planned for."""

    @classmethod
    def of(cls, task: Task, judge: Judge, shard_size: int) -> "Manifest":
        """Return the manifest of a task that a judge does in this process."""
        rubrics = [{"name": one.name, "weight": one.weight, "text": one.text} for one in task.rubrics]
        return cls(
            format=FORMAT,
            kind=task.kind,
            method="both" if task.grades and task.ranks else "rank" if task.ranks else "grade",
            columns=dict(task.row_format.columns),
            reference_answer=task.row_format.reference_answer,
            rubrics=rubrics,
            judge=judge.fingerprint,
            shard_size=shard_size,
            machine=dict(judge.machine),
        )

    def check_in(self, path: Path, *, about: Mapping[str, str], accepts_changes: bool = False) -> None:
        """Write the manifest where there is none, else compare.

        Args:
            path: The file.
            about: Names that people know the input and the judge by; they may change.
            accepts_changes: Go on with another judge's dtype or another machine; the file then tells of both.

        Raises:
            InputError: The folder was labeled with other options; the message names the first difference.
        """
        if not path.exists():
            self._write(path, about, [])
            return
        before = load_manifest(path)
        earlier = before.pop("earlier", None) or []
        changed = [name for name, value in asdict(self).items() if before.get(name) != value]
        if not changed:
            return
        if not accepts_changes or set(changed) - {"judge", "machine"}:
            name = changed[0]
            old, new = _first_difference(before.get(name), getattr(self, name))
            hint = ", or --accept-changes" if set(changed) <= {"judge", "machine"} else ""
            raise InputError(
                f"{path.parent}: was labeled with {name} {old}, got {new}; expected the same, so that all labels are "
                f"of one kind: give the old options{hint}, or another --out"
            )
        self._write(path, about, [*earlier, {name: before[name] for name in changed}])

    def _write(self, path: Path, about: Mapping[str, str], earlier: list[dict[str, Any]]) -> None:
        with replacing(path) as file:
            json.dump({"about": dict(about), **asdict(self), "earlier": earlier}, file, indent=2, ensure_ascii=True)
            file.write("\n")


def load_manifest(path: Path) -> dict[str, Any]:
    """Return a manifest's JSON values.

    Raises:
        InputError: There is none, or it cannot be read.
    """
    try:
        content = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: not a labeling's manifest ({error}); give a folder of `prom-reward label`"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: got {type(content).__name__}; expected a labeling's manifest")
    for name, expected in _SHAPES.items():
        if not isinstance(content.get(name), expected):
            raise InputError(f"{path}: not a labeling's manifest ({name!r} is missing or of a wrong type)")
    is_known = content["kind"] in KINDS and all(isinstance(name, str) for name in content["columns"].values())
    if not is_known or not all(isinstance(one, dict) and one.keys() >= _RUBRIC_KEYS for one in content["rubrics"]):
        raise InputError(f"{path}: not a labeling's manifest (unknown kind, columns or rubrics)")
    return content


def _first_difference(old: Any, new: Any) -> tuple[str, str]:
    """Return the differing parts, short enough for a line."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        key = next(key for key in [*old, *new] if old.get(key) != new.get(key))
        return f"{key}={old.get(key)}", f"{key}={new.get(key)}"
    if isinstance(old, list) and isinstance(new, list):
        return (repr([one.get("name") for one in side]) for side in (old, new))  # type: ignore[return-value]
    if isinstance(old, str) and isinstance(new, str):
        at = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), 0)
        begin = max(0, at - 30)
        return f"'{old[begin : at + 40]}'", f"'{new[begin : at + 40]}'"
    return repr(old), repr(new)
