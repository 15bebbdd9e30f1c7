"""The options and the judge of a labeling; it is not resumed with others."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from prom_reward.data.formats import Kind
from prom_reward.errors import InputError
from prom_reward.files import read_text, replacing
from prom_reward.judging.base import Judge
from prom_reward.labeling.task import LabelingTask, Method
from prom_reward.rubrics.reading import AnyRubric, rubric_from_dict

FORMAT = 1
"""Raised when shards are written in another form."""
_FREE = {"about", "earlier"}  # may differ between two runs
_ACCEPTABLE = {"judge", "machine", "shard_size"}  # may differ if the user accepts it


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that can change an answer, as JSON values."""

    kind: Kind
    """The kind of the rows."""
    method: Method
    """Whether responses are graded, pairs ranked, or both."""
    columns: dict[str, str]
    """Columns by role."""
    reference_answer: str | None
    """For rows without one."""
    rubrics: list[dict[str, Any]]
    """For rows without a rubric, in the form of `Rubric.to_dict`."""
    judge: str
    """The judge's fingerprint, its dtype included."""
    shard_size: int
    """Rows of a shard."""
    machine: dict[str, Any]
    """Facts that change the last bits of a result where the judge runs, such as a CPU's number of threads."""
    about: dict[str, str] = field(default_factory=dict)
    """The names of the input and the judge, for people."""
    earlier: list[dict[str, Any]] = field(default_factory=list)
    """Values of earlier runs, of options for which the user accepted a change."""
    format: int = FORMAT
    """The form of the shards."""

    @classmethod
    def of(
        cls, task: LabelingTask, judge: Judge, machine: Mapping[str, Any], shard_size: int, about: Mapping[str, str]
    ) -> "Manifest":
        """Return the manifest of a task that a judge does in processes with such settings of their machine."""
        return cls(
            kind=task.kind,
            method=task.method,
            columns=dict(task.row_format.columns),
            reference_answer=task.row_format.reference_answer,
            rubrics=[rubric.to_dict() for rubric in task.rubrics],
            judge=judge.fingerprint,
            shard_size=shard_size,
            machine=dict(machine),
            about=dict(about),
        )

    def parsed_rubrics(self) -> tuple[AnyRubric, ...]:
        """Return the rubrics for rows without one."""
        return tuple(map(rubric_from_dict, self.rubrics))

    def check_in(self, path: Path, *, accepts_changes: bool = False) -> "Manifest | None":
        """Write the manifest if there is none; otherwise check that its options are these.

        Args:
            path: The file.
            accepts_changes: Resume with another judge, on another machine or with shards of another size.

        Returns:
            The manifest that lists both options, to `write` before the next shard is: until then nothing in the folder
            was made with the new ones. None if nothing changed.

        Raises:
            InputError: The folder was labeled with other options; the message names the first difference.
        """
        if not path.exists():
            self.write(path)
            return None
        before = load_manifest(path)
        old, new = asdict(before), json.loads(json.dumps(asdict(self)))
        changed = [name for name in new if name not in _FREE and old[name] != new[name]]
        if not changed:
            return None
        is_acceptable = set(changed) <= _ACCEPTABLE
        if not accepts_changes or not is_acceptable:
            was, now = _first_difference(old[changed[0]], new[changed[0]])
            if changed[0] == "rubrics":
                was, now = (", ".join(one["name"] for one in side.rubrics) or "none" for side in (before, self))
                now = f"{now} with another text" if was == now else now
            if changed[0] == "judge" and before.about.get("judge") != self.about.get("judge"):
                was, now = repr(before.about.get("judge")), repr(self.about.get("judge"))
            hint = ", or `prom-reward label --accept-changes`" if is_acceptable else ""
            if changed[0] == "machine" and old["machine"].get("threads") != new["machine"].get("threads"):
                hint = f" (--processes divides the threads){hint}"
            raise InputError(
                f"{path.parent}: was labeled with {changed[0]} {was}, got {now}; expected the same, so that all labels "
                f"are alike: give the old options{hint}, or another --out"
            )
        return replace(self, earlier=[*before.earlier, {name: old[name] for name in changed}])

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        with replacing(path) as file:
            json.dump(asdict(self), file, indent=2, ensure_ascii=True)
            file.write("\n")


_ADAPTER = TypeAdapter(Manifest)


def load_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        InputError: There is none, or it cannot be read.
    """
    try:
        return _ADAPTER.validate_json(read_text(path), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "its content"
        raise InputError(f"{path}: not a labeling's manifest ({name}: {first['msg']})") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: not a labeling's manifest ({error}); give a folder of `prom-reward label`"
        ) from error


def _first_difference(old: Any, new: Any) -> tuple[str, str]:
    """Return the differing parts, short enough for a line."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        key = next(key for key in [*old, *new] if old.get(key) != new.get(key))
        was, now = _first_difference(old.get(key), new.get(key))
        return f"{key}={was}", f"{key}={now}"
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return next(_first_difference(one, other) for one, other in zip(old, new, strict=True) if one != other)
    if isinstance(old, str) and isinstance(new, str):
        if not old or not new:
            return f"{old or 'none'!r:.60}", f"{new or 'none'!r:.60}"
        if "|" in old and old.count("|") == new.count("|"):  # fingerprints: the part of each that differs
            return _first_difference(old.split("|"), new.split("|"))
        at = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), 0)
        begin = max(0, at - 30)
        return f"'{old[begin : at + 40]}'", f"'{new[begin : at + 40]}'"
    return f"{old!r:.80}", f"{new!r:.80}"
