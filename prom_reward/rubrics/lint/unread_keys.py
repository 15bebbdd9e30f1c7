"""Keys of a written checklist that nothing reads: what they should say is lost."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.checklists.forms import CHECKLIST_KEYS, LIST_KEYS, written_criteria
from prom_reward.rubrics.checklists.items import CHILD_KEYS, KNOWN_KEYS, first
from prom_reward.rubrics.lint.finding import RubricFinding


def lint_keys(value: Any, checklist: Checklist) -> Iterator[RubricFinding]:
    """Yield the unread keys of a checklist as it is written, one finding a key."""
    if isinstance(value, Mapping) and not first(value, CHILD_KEYS):
        for key in value.keys() - {*CHECKLIST_KEYS, *LIST_KEYS}:
            yield _finding(checklist, str(key), ())
    numbers: dict[str, list[str]] = {}
    for number, key in _unread(written_criteria(value)):
        numbers.setdefault(key, []).append(number)
    for key, found in numbers.items():
        yield _finding(checklist, key, tuple(found))


def _unread(items: Sequence[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for at, item in enumerate(items, start=1):
        if isinstance(item, Mapping):
            unread = [str(key) for key in item if key not in KNOWN_KEYS and not str(key).endswith("_weight")]
            yield from ((f"{prefix}{at}", key) for key in unread)
            yield from _unread(first(item, CHILD_KEYS) or (), f"{prefix}{at}.")


def _finding(checklist: Checklist, key: str, criteria: tuple[str, ...]) -> RubricFinding:
    message = f"the key {key!r} is not read; rename or drop it"
    return RubricFinding(rule="unread_key", rubric=checklist.name, message=message, criteria=criteria)
