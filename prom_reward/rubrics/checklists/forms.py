"""Every written form in which data sets hold a checklist, read into one.

Read as they are published: HealthBench, Rubrics as Rewards, RubricHub, OpenRubrics, WildChecklists, ResearchRubrics,
PRBench, PaperBench, DR Tulu, AdvancedIF, WildBench, ComplexBench, AutoRubric, verifiers, Markdown lists, and this
project's own YAML.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prom_reward.errors import RubricError, near_miss
from prom_reward.files import is_too_deep
from prom_reward.rubrics.checklists.checklist import MAX_CRITERIA, Checklist
from prom_reward.rubrics.checklists.criterion import Criterion
from prom_reward.rubrics.checklists.items import CHILD_KEYS, TEXT_KEYS, criterion_fields, first
from prom_reward.rubrics.checklists.markdown import check_numbers, is_sentence, list_items
from prom_reward.rubrics.formats import has_level_lines, is_level_key, is_number, read_json, short_name
from prom_reward.rubrics.padding import held_keys

LIST_KEYS = (
    *("criteria", "rubrics", "Rubrics", "rubric_items", "rubric", "checklist", "scoring_questions", "annotations"),
    "requirements",
)
CHECKLIST_KEYS = ("name", "combine", "saturate", "floor", "clip", "weight")


def looks_like_checklist(value: Any) -> bool:
    """Whether a value has the form of a checklist and not of a rubric with levels."""
    try:
        items = written_criteria(value)
    except RubricError:  # `parse_checklist` says why
        return True
    mappings = [one for one in items if isinstance(one, Mapping)]
    texts = [one for one in items if not isinstance(one, Mapping)]
    return (
        bool(items)
        and all(isinstance(one, str) and _may_be_criterion(one) for one in texts)
        and (not texts or any(map(is_sentence, texts)))  # beside one, two words are no rubric's name
        and not any(map(_has_levels, mappings))
        and (not mappings or any(key in one for one in mappings for key in TEXT_KEYS))
    )


def _may_be_criterion(text: str) -> bool:
    return (is_sentence(text) or len(text.split()) > 1) and not has_level_lines(text)


def parse_checklist(value: Any, *, name: str = "checklist", allows_code: bool = False) -> Checklist:
    """Read a checklist in any form that data sets hold.

    Args:
        value: A list of criteria, each a text or a mapping with a text and perhaps a weight; a mapping that holds such
            a list (`criteria`, `rubrics`, `checklist`, ...); a PaperBench tree; a text with one list item per
            criterion; or any of these as JSON text.
        name: The name of a checklist that states none.
        allows_code: Whether it may name Python functions as checks. A user's own file may, data may not.

    Raises:
        RubricError: It is none of these, or a criterion is broken; the message has its number.
    """
    if isinstance(value, Checklist):
        return value
    if is_too_deep(value):
        raise RubricError("got a checklist that is nested too deeply; write it flatter")
    items = written_criteria(value)
    if not items:
        raise RubricError(
            f"got {value!r:.80} as a checklist; expected a list of criteria, each a text or a mapping with a text and "
            "perhaps a weight"
        )
    given = value if isinstance(value, Mapping) else {}
    checklist = Checklist(**{"name": name, **_own_fields(given)}, criteria=_criteria(items))
    if checklist.imported_checks and not allows_code:
        raise RubricError(
            f"got the check {checklist.imported_checks[0].name!r:.80}; expected a built-in one: only a rubric file "
            "names functions of your own"
        )
    return checklist


def _own_fields(given: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the fields of a mapping that are the checklist's own, not those of the row or tree around it."""
    for key in given:
        if key not in (*CHECKLIST_KEYS, *LIST_KEYS) and (hint := near_miss(str(key), CHECKLIST_KEYS[1:5], cutoff=0.8)):
            raise RubricError(f"unknown key {key!r} in a checklist.{hint}")
    own = {key: given[key] for key in CHECKLIST_KEYS if given.get(key) is not None}
    if first(given, CHILD_KEYS) or not is_number(own.get("weight", 1.0)):
        own.pop("weight", None)  # a tree's root has a weight among no siblings
    return own


def written_criteria(value: Any) -> list[Any]:
    """Return the written criteria of a value, empty if it holds none."""
    if isinstance(value, Mapping):
        return _mapping_items(value)
    if isinstance(value, str):
        return _text_items(value)
    return [_lifted(one) for one in value if one is not None] if isinstance(value, list | tuple) else []


def _mapping_items(value: Mapping[Any, Any]) -> list[Any]:
    held = held_keys(value)
    if "descriptions" in held or any(map(is_level_key, held)):
        return []
    children = first(value, CHILD_KEYS)
    return list(children) if children else written_criteria(first(value, LIST_KEYS))


def _lifted(item: Any) -> Any:
    """Read a criterion that is JSON text, and lift PRBench's `annotations` to the criterion that they are of."""
    if isinstance(item, str) and item.lstrip().startswith("{"):
        value = read_json(item)
        item = item if value is None else value
    inner = item.get("annotations") if isinstance(item, Mapping) else None
    return {**item, **inner} if isinstance(inner, Mapping) else item


def _text_items(text: str) -> list[Any]:
    if has_level_lines(text):
        return []
    value = read_json(text)
    if value is None:
        return list_items(text)
    return [] if is_too_deep(value) else written_criteria(value)


def _has_levels(item: Mapping[Any, Any]) -> bool:
    """Whether a mapping is a rubric with levels, or holds one."""
    held = held_keys(item)
    return (
        not held.isdisjoint({"rubric", "descriptions"})
        or any(map(is_level_key, held))
        or has_level_lines(str(first(item, TEXT_KEYS)))
    )


def _criteria(items: Sequence[Any]) -> tuple[Criterion, ...]:
    if len(items) > MAX_CRITERIA:
        raise RubricError(f"got {len(items)} criteria; expected at most {MAX_CRITERIA}")
    read = [criterion_fields(item, str(number)) for number, item in enumerate(items, start=1)]
    _check_weights(read)
    _give_names(list(_all_fields(read)))
    return tuple(_made(one, str(number)) for number, one in enumerate(read, start=1))


def _made(fields: Mapping[str, Any], number: str) -> Criterion:
    children = tuple(_made(child, f"{number}.{at}") for at, child in enumerate(fields["children"], start=1))
    try:
        return Criterion(**{**fields, "children": children})
    except RubricError as error:
        raise RubricError(f"criterion {number}: {error}") from error


def _all_fields(read: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in read:
        yield one
        yield from _all_fields(one["children"])


def _check_weights(siblings: Sequence[Mapping[str, Any]], prefix: str = "") -> None:
    """Refuse siblings of which some or all may have a weight that was not read: a lost one must not become 1."""
    terms = {number: one for number, one in enumerate(siblings, start=1) if one.get("role", "term") == "term"}
    silent = [number for number, one in terms.items() if "weight" not in one]
    if silent and len(silent) < len(terms):
        raise RubricError(f"criterion {prefix}{silent[0]}: states no weight, but others do; give each its own")
    check_numbers([one["text"] for one in siblings if "weight" not in one])
    for number, one in enumerate(siblings, start=1):
        _check_weights(one["children"], f"{prefix}{number}.")


def _give_names(read: Sequence[dict[str, Any]]) -> None:
    """Give every criterion without a name of its own one that no other has, of its title or text, in place."""
    taken = {one["name"] for one in read if "name" in one}
    for one in read:
        title = one.pop("title", None)
        if "name" in one:
            continue
        base = name = short_name(title or one["text"], "criterion")
        number = 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        one["name"] = name
