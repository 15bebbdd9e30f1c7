"""One written criterion, under the keys of any public set, as the fields of a Criterion."""

import re
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from prom_reward.errors import RubricError, near_miss
from prom_reward.rubrics.checklists.checks import CHECKS, CodeCheck
from prom_reward.rubrics.checklists.markdown import item_fields
from prom_reward.rubrics.formats import is_number, name_text

TEXT_KEYS = (
    *("text", "criterion", "criterion_text", "criteria_description", "requirement", "requirements", "rubric_item"),
    *("description", "question", "title"),
)
CHILD_KEYS = ("children", "sub_tasks")
_WEIGHT_KEYS = ("weight", "points", "importance", "score_weight")
_NAME_KEYS = ("name", "id", "point_id", "criterion_id")
_OPTION_KEYS = ("options", "choices")
_REQUIRES_KEYS = ("requires", "dep")
_TAG_KEYS = ("tags", "axis", "category", "criteria_category", "task_category", "weight_class")
_CHECK_KEYS = ("check", "code")
_OWN_KEYS = ("combine", "role", "may_abstain")
_STRICT_KEYS = (*_WEIGHT_KEYS[:2], *_OPTION_KEYS[:1], *_REQUIRES_KEYS[:1], *_CHECK_KEYS, *_OWN_KEYS, "children")
KNOWN_KEYS = {
    *(*TEXT_KEYS, *CHILD_KEYS, *_WEIGHT_KEYS, *_NAME_KEYS, *_OPTION_KEYS, *_REQUIRES_KEYS, *_TAG_KEYS, *_CHECK_KEYS),
    *(*_OWN_KEYS, "option_values", "title", "annotations"),
    *("rule", "question_en", "composition_types", "constraint_dimensions"),  # of ComplexBench
}
_CLASSES = {"essential": 5.0, "important": 3.0, "optional": 1.0, "pitfall": -1.0}
_CLASS = re.compile(r"\s*(essential|important|optional|pitfall)\s+criteria\s*:\s*", re.IGNORECASE)
_CLASS_WEIGHT = "_weight"
_OTHER_WEIGHTS = ("score", "value", "max_points", "max_score", "pts", "marks", "penalty", "deduction", "priority")
_NEGATIVE_KEYS = ("is_negative", "negative", "is_penalty", "is_pitfall")
_POSITIVE_KEYS = ("is_positive", "positive", "is_good", "good", "is_desired", "desired", "expected", "expected_answer")
_NEGATIVE_VALUES = (
    *("negative", "neg", "-", "minus", "penalty", "pitfall", "deduction", "bad"),
    *("undesirable", "undesired", "unwanted"),
)


def criterion_fields(item: Any, number: str) -> dict[str, Any]:
    """Return a criterion's fields, with its children's fields inside; `title` is no field but what names it.

    Args:
        item: A text, or a mapping with one.
        number: Its number in the checklist, for messages: "2", or "2.1" of a child.

    Raises:
        RubricError: It cannot be read.
    """
    if isinstance(item, str):
        item = item_fields(item)
    if not isinstance(item, Mapping):
        raise RubricError(f"criterion {number}: got {item!r:.60}; expected a text, or a mapping with one")
    given = {
        str(key): one for key, one in item.items() if one is not None and not (_is_nan(one) and key not in _WEIGHT_KEYS)
    }
    text = first(given, TEXT_KEYS)
    if not isinstance(text, str) or not text.strip():
        raise RubricError(
            f"criterion {number}: got no text in the keys {sorted(given)}; expected one of {', '.join(TEXT_KEYS)}"
        )
    _check_keys(given, number)
    weight, rated = _weight(given, number), None
    if "text" not in given:  # `text` is our own key: it is taken as it is
        text, weight = _without_points(text, weight, number)
        rated = _CLASS.match(text)
    found: dict[str, Any] = {"text": text[rated.end() :].strip() if rated else text.strip()}
    if rated:
        weight = _rated_weight(rated[1].lower(), weight, number)
    _check_sign(given, weight, number)
    if weight is not None:
        found["weight"] = weight
    found |= {key: given[key] for key in _OWN_KEYS if key in given}
    found |= _names(given, text)
    found["tags"] = tuple(_texts([given[key] for key in _TAG_KEYS if key in given]))
    found["requires"] = tuple(_texts(first(given, _REQUIRES_KEYS) or ()))
    if first(given, _OPTION_KEYS):
        found |= _options(first(given, _OPTION_KEYS), number)
        found |= {"option_values": tuple(given["option_values"])} if "option_values" in given else {}
    if (check := first(given, _CHECK_KEYS)) is not None:
        found["check"] = _check(check, number)
    found["children"] = _children(first(given, CHILD_KEYS), number)
    return found


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)


def first(given: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """Return the value of the first key that has one, else None."""
    return next((given[key] for key in keys if given.get(key) is not None), None)


def _names(given: Mapping[str, Any], text: str) -> dict[str, str]:
    """Return the name under which others require the criterion, or else its title, which need not be unique."""
    own = first(given, _NAME_KEYS)
    if own is not None:
        return {"name": name_text(own)}
    return {"title": str(given["title"])} if given.get("title") not in (None, text) else {}


def _weight(given: Mapping[str, Any], number: str) -> float | None:
    key = next((key for key in _WEIGHT_KEYS if key in given), None) or _class_key(given, number)
    if key is None:
        if other := next((key for key in _OTHER_WEIGHTS if is_number(given.get(key))), None):
            raise RubricError(f"criterion {number}: got {other}={given[other]!r:.40}; expected 'weight' or 'points'")
        return None
    try:
        if isinstance(given[key], bool):
            raise TypeError
        return float(given[key])
    except (TypeError, ValueError, OverflowError):
        raise RubricError(f"criterion {number}: got {key}={given[key]!r:.40}; expected a number") from None


def _without_points(text: str, weight: float | None, number: str) -> tuple[str, float | None]:
    """Return a criterion's text and weight; points in the text are the weight if no key states one."""
    try:
        rated = item_fields(text)
    except RubricError as error:
        if weight is None:
            raise RubricError(f"criterion {number}: {error}") from error
        return text, weight
    points = rated.get("weight")
    if points is None or (weight is not None and points * weight >= 0):
        return text, weight
    if weight is None:
        return rated["criterion"], points
    raise RubricError(f"criterion {number}: got {text!r:.60} beside the weight {weight:g}; expected one sign")


def _check_sign(given: Mapping[str, Any], weight: float | None, number: str) -> None:
    """Refuse a criterion that another key calls negative: its being met must not become a gain."""
    stated = {key: given[key] for key in _WEIGHT_KEYS if is_number(given.get(key))}
    if min(stated.values(), default=0) < 0 < max(stated.values(), default=0):
        raise RubricError(f"criterion {number}: got {stated}; expected one weight")
    if given.get("role") == "veto":
        return
    for key in given.keys() - (KNOWN_KEYS - {*_TAG_KEYS}):
        values = given[key] if key in _TAG_KEYS and isinstance(given[key], list | tuple) else [given[key]]
        words = {str(value).strip().lower() for value in values}
        is_flag = bool(
            (key in _NEGATIVE_KEYS and words & {"true", "1"})
            or (key in _POSITIVE_KEYS and words & {"false", "0", "no"})
        )
        if (is_flag or words & {*_NEGATIVE_VALUES}) and (weight is None or weight > 0):
            shown = "no weight" if weight is None else f"the weight {weight:g}"
            raise RubricError(
                f"criterion {number}: got {key}={given[key]!r:.40} beside {shown}; expected a negative weight for what "
                "should not be"
            )


def _class_key(given: Mapping[str, Any], number: str) -> str | None:
    """Return the column of PRBench's weight: that of its `weight_class`, as the other columns may hold old weights."""
    keys = [key for key in given if key.endswith(_CLASS_WEIGHT)]
    kind = given.get("weight_class")
    if kind is not None:
        keys = [key for key in keys if key == f"{str(kind).strip().lower().replace(' ', '_')}{_CLASS_WEIGHT}"]
    elif not keys:
        return None
    if len(keys) != 1:
        raise RubricError(f"criterion {number}: got weight_class={kind!r:.40} without one column of its weight")
    return keys[0]


def _rated_weight(kind: str, weight: float | None, number: str) -> float:
    """Return the weight of a criterion of Rubrics as Rewards, whose pitfalls say in words what is wrong if met."""
    if weight is None:
        return _CLASSES[kind]
    if weight and (weight < 0) != (kind == "pitfall"):
        raise RubricError(
            f"criterion {number}: got the weight {weight:g} for a criterion that begins with '{kind.capitalize()} "
            "Criteria'; expected a negative weight for a pitfall, and for no other"
        )
    return weight


def _options(value: Any, number: str) -> dict[str, Any]:
    """Return the fields of options, the worst first: by their values if they have some (AutoRubric, verifiers)."""
    try:
        options = list(value.items()) if isinstance(value, Mapping) else list(value)
        scored = [one for one in options if not (isinstance(one, Mapping) and one.get("na"))]
        pairs = [_option(one) for one in scored]
        stated = [score is not None for _, score in pairs]
        if any(stated) and not all(stated):
            raise ValueError
        ordered = sorted(pairs, key=lambda pair: float(pair[1])) if all(stated) else pairs
        values = tuple(float(score) for _, score in ordered) if all(stated) else ()
    except (TypeError, ValueError):
        raise RubricError(
            f"criterion {number}: got the options {value!r:.60}; expected texts from the worst to the best, or "
            "mappings with label and value"
        ) from None
    fields: dict[str, Any] = {"options": tuple(label for label, _ in ordered), "option_values": values}
    return fields | ({"may_abstain": True} if len(scored) < len(options) else {})


def _option(option: Any) -> tuple[str, Any]:
    match option:
        case str():
            return option, None
        case Mapping() if isinstance(label := first(option, ("label", "text", "name")), str):
            return label, first(option, ("value", "score"))
        case (str(label), value):
            return label, value
    raise TypeError


def _check(value: Any, number: str) -> CodeCheck:
    try:
        return CodeCheck.parse(value)
    except RubricError as error:
        raise RubricError(f"criterion {number}: {error}") from error


def _children(value: Any, number: str) -> list[dict[str, Any]]:
    if value is not None and not isinstance(value, list | tuple):
        raise RubricError(f"criterion {number}: got {value!r:.60} as its children; expected a list of criteria")
    return [criterion_fields(child, f"{number}.{at}") for at, child in enumerate(value or (), start=1)]


def _check_keys(given: Mapping[str, Any], number: str) -> None:
    """Refuse a key that is nearly one of ours: a `wieght` must not become the weight 1, nor a `rolle` a term."""
    for key in given.keys() - KNOWN_KEYS:
        if key in CHECKS:
            raise RubricError(f"criterion {number}: got the check {key!r} as a key; expected 'check': {{{key!r}: ...}}")
        if not key.endswith(_CLASS_WEIGHT) and (hint := near_miss(key, _STRICT_KEYS, cutoff=0.8)):
            raise RubricError(f"criterion {number}: unknown key {key!r}.{hint}")


def _texts(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [text for one in value for text in _texts(one)]
    return [str(value)]
