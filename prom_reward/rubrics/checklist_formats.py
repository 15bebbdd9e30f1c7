"""Every written form in which data sets hold a checklist, read into one.

Read as they are published: HealthBench, Rubrics as Rewards, RubricHub, OpenRubrics, WildChecklists, ResearchRubrics,
PRBench, PaperBench, DR Tulu, AdvancedIF, WildBench, ComplexBench, AutoRubric, verifiers, Markdown lists, and this
project's own YAML.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prom_reward.errors import RubricError, near_miss
from prom_reward.rubrics.checklist import Checklist, Criterion, unique_names
from prom_reward.rubrics.checks import CodeCheck

_TEXT_KEYS = (
    *("text", "criterion", "criterion_text", "criteria_description", "requirement", "requirements", "description"),
    *("question", "title"),
)
_WEIGHT_KEYS = ("weight", "points", "importance", "score_weight")
_NAME_KEYS = ("name", "title", "id", "point_id", "criterion_id")
_OPTION_KEYS = ("options", "choices")
_CHILD_KEYS = ("children", "sub_tasks")
_REQUIRES_KEYS = ("requires", "dep")
_TAG_KEYS = ("tags", "axis", "category", "criteria_category", "task_category", "weight_class")
_OWN_KEYS = ("combine", "check", "code", "role", "may_abstain")
_LIST_KEYS = (
    "criteria",
    "rubrics",
    "Rubrics",
    "rubric_items",
    "rubric",
    "checklist",
    "scoring_questions",
    "annotations",
)
_CHECKLIST_KEYS = ("name", "combine", "saturate", "floor", "clip", "weight")
_CLASSES = {"essential": 5.0, "important": 3.0, "optional": 1.0, "pitfall": -1.0}
_CLASS = re.compile(r"^\s*(essential|important|optional|pitfall)\s+criteria\s*:\s*", re.IGNORECASE)
_LEVEL_KEY = re.compile(r"(?:orig_)?score_?\d{1,9}(?:_description)?")
_WRITTEN_CLASS = re.compile(r"_weight$")
_ITEM = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,4}[.)])[ \t]+(?:\[[ xX]\][ \t]*)?(?P<text>\S.*)$", re.MULTILINE)
_IMPORTANCE = re.compile(r"\s*\(importance:\s*(?P<part>\d{1,4})\s*/\s*(?P<whole>\d{1,4})\s*\)\s*", re.IGNORECASE)
_KIND = re.compile(r"\s*\[(hard rule|principle)\]\s*$", re.IGNORECASE)


def looks_like_checklist(value: Any) -> bool:
    """Whether a value has the form of a checklist and not of a rubric with levels."""
    items = _items(value)
    return bool(items) and all(_is_criterion(one) for one in items)


def parse_checklist(value: Any, *, name: str = "checklist") -> Checklist:
    """Read a checklist in any form that data sets hold.

    Args:
        value: A list of criteria, each a text or a mapping with a text and perhaps a weight; a mapping that holds such
            a list (`criteria`, `rubrics`, `checklist`, ...); a PaperBench tree; a text with one list item per
            criterion; or any of these as JSON text.
        name: The name of a checklist that states none.

    Raises:
        RubricError: It is none of these, or a criterion is broken; the message has its number.
    """
    if isinstance(value, Checklist):
        return value
    items = _items(value)
    if not items:
        raise RubricError(
            f"got {value!r:.80} as a checklist; expected a list of criteria, each a text or a mapping with a text and "
            "perhaps a weight"
        )
    given = value if isinstance(value, Mapping) else {}
    own = {key: given[key] for key in _CHECKLIST_KEYS if given.get(key) is not None and key != "weight"}
    if isinstance(given.get("weight"), int | float) and not _has(given, _CHILD_KEYS):
        own["weight"] = float(given["weight"])
    return Checklist(**{"name": name, **own}, criteria=_criteria(items))


def _items(value: Any) -> list[Any]:
    """Return the written criteria of a value, empty if it holds none."""
    if isinstance(value, Mapping):
        return _mapping_items(value)
    if isinstance(value, str):
        return _text_items(value)
    return [_flat(one) for one in value if one is not None] if isinstance(value, list | tuple) else []


def _mapping_items(value: Mapping[Any, Any]) -> list[Any]:
    if any(_LEVEL_KEY.fullmatch(str(key)) for key in value):
        return []  # a rubric with levels
    if _has(value, _CHILD_KEYS):
        return list(_first(value, _CHILD_KEYS))
    return _items(_first(value, _LIST_KEYS))


def _flat(item: Any) -> Any:
    """Lift PRBench's `annotations` to the criterion that they are of."""
    inner = item.get("annotations") if isinstance(item, Mapping) else None
    return {**item, **inner} if isinstance(inner, Mapping) else item


def _text_items(text: str) -> list[Any]:
    if text.lstrip().startswith(("[", "{")):
        try:
            return _items(json.loads(text))
        except (ValueError, RecursionError):
            pass
    return [_text_item(match["text"].strip()) for match in _ITEM.finditer(text)]


def _text_item(text: str) -> dict[str, Any]:
    """Read `... (importance: 80/100)` of WildChecklists and `... [Hard Rule]` of OpenRubrics."""
    found = _IMPORTANCE.search(text)
    kind = _KIND.search(text)
    tags = [kind[1].lower()] if kind else []
    bare = _KIND.sub("", _IMPORTANCE.sub(" ", text)).strip()
    return {"text": bare, "tags": tags, **({"weight": int(found["part"]) / int(found["whole"])} if found else {})}


def _is_criterion(item: Any) -> bool:
    if isinstance(item, str):
        return bool(item.strip())
    if not isinstance(item, Mapping) or any(_LEVEL_KEY.fullmatch(str(key)) for key in item):
        return False
    return not {"rubric", "descriptions"} & item.keys() and _has(item, _TEXT_KEYS)  # else a rubric with levels


def _criteria(items: Sequence[Any]) -> tuple[Criterion, ...]:
    fields = [_fields(item, number) for number, item in enumerate(items, start=1)]
    unique_names(list(_all_fields(fields)))
    return tuple(_made(one, str(number)) for number, one in enumerate(fields, start=1))


def _fields(item: Any, number: int | str) -> dict[str, Any]:
    """Return a criterion's fields, with its children's fields inside."""
    if isinstance(item, str):
        return {"text": item.strip()}
    if not isinstance(item, Mapping):
        raise RubricError(f"criterion {number}: got {item!r:.60}; expected a text, or a mapping with one")
    given = {str(key): one for key, one in item.items() if one is not None}
    text = _first(given, _TEXT_KEYS)
    if not isinstance(text, str) or not text.strip():
        raise RubricError(
            f"criterion {number}: got no text in the keys {sorted(given)}; expected one of {', '.join(_TEXT_KEYS)}"
        )
    _check_keys(given, number)
    rated = _CLASS.match(text)
    found: dict[str, Any] = {"text": text[rated.end() :] if rated else text.strip()}
    weight = _weight(given, number)
    if weight is None and rated:
        weight = _CLASSES[rated[1].lower()]
    if weight is not None:
        found["weight"] = weight
    found |= {key: given[key] for key in ("combine", "role", "may_abstain") if key in given}
    name = next((given[key] for key in _NAME_KEYS if key in given and given[key] != text), None)
    if name is not None:
        found["name"] = str(name)
    found["tags"] = tuple(_texts([given[key] for key in _TAG_KEYS if key in given]))
    found["requires"] = tuple(_texts(_first(given, _REQUIRES_KEYS) or ()))
    if _has(given, _OPTION_KEYS):
        found |= _options(_first(given, _OPTION_KEYS), number)
    check = given.get("check", given.get("code"))
    if check is not None:
        found["check"] = CodeCheck.parse(check)
    children = _first(given, _CHILD_KEYS) or ()
    found["children"] = [_fields(child, f"{number}.{at}") for at, child in enumerate(children, start=1)]
    return found


def _made(fields: Mapping[str, Any], number: str) -> Criterion:
    children = tuple(_made(child, f"{number}.{at}") for at, child in enumerate(fields.get("children", ()), start=1))
    try:
        return Criterion(**{**fields, "children": children})
    except RubricError as error:
        raise RubricError(f"criterion {number}: {error}") from error


def _all_fields(fields: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in fields:
        yield one
        yield from _all_fields(one.get("children", ()))


def _weight(given: Mapping[str, Any], number: int | str) -> float | None:
    key = next((key for key in _WEIGHT_KEYS if key in given), None)
    if key is None:  # PRBench: `weight_class` beside a column such as `critically_important_weight`
        key = next((key for key in given if _WRITTEN_CLASS.search(key)), None)
    if key is None:
        return None
    try:
        return float(given[key])
    except (TypeError, ValueError):
        raise RubricError(f"criterion {number}: got {key}={given[key]!r:.40}; expected a number") from None


def _options(value: Any, number: int | str) -> dict[str, Any]:
    """Return the fields of options, the worst first: by their values if they have some (AutoRubric, verifiers)."""
    options = list(value.items()) if isinstance(value, Mapping) else list(value)
    told = [one for one in options if not (isinstance(one, Mapping) and one.get("na"))]
    try:
        pairs = [_option(one) for one in told]
        has_values = all(score is not None for _, score in pairs)
        ordered = sorted(pairs, key=lambda pair: float(pair[1])) if has_values else pairs
        values = tuple(float(score) for _, score in ordered) if has_values else ()
    except (TypeError, ValueError, KeyError):
        raise RubricError(
            f"criterion {number}: got the options {value!r:.60}; expected texts from the worst to the best, or "
            "mappings with label and value"
        ) from None
    found: dict[str, Any] = {"options": tuple(label for label, _ in ordered), "option_values": values}
    return found | ({"may_abstain": True} if len(told) < len(options) else {})


def _option(option: Any) -> tuple[str, Any]:
    match option:
        case str():
            return option, None
        case Mapping():
            return str(_first(option, ("label", "text", "name"))), _first(option, ("value", "score"))
        case (label, value):
            return str(label), value
    raise TypeError


def _check_keys(given: Mapping[str, Any], number: int | str) -> None:
    """Refuse a key that is nearly one of ours: a `wieght` must not become the weight 1."""
    known = {
        *_TEXT_KEYS,
        *_WEIGHT_KEYS,
        *_NAME_KEYS,
        *_OPTION_KEYS,
        *_CHILD_KEYS,
        *_REQUIRES_KEYS,
        *_TAG_KEYS,
        *_OWN_KEYS,
    }
    for key in given.keys() - known:
        if not _WRITTEN_CLASS.search(key) and not _has(given, _WEIGHT_KEYS) and near_miss(key, _WEIGHT_KEYS):
            raise RubricError(f"criterion {number}: unknown key {key!r}.{near_miss(key, _WEIGHT_KEYS)}")


def _first(given: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((given[key] for key in keys if given.get(key) is not None), None)


def _has(given: Mapping[str, Any], keys: Sequence[str]) -> bool:
    return any(given.get(key) for key in keys)


def _texts(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [text for one in value for text in _texts(one)]
    return [str(value)]
