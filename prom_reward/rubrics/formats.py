"""Every written form in which data sets hold a rubric, read into the fields of one."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from pathlib import Path
from typing import Any

from prom_reward.errors import RubricError, near_miss
from prom_reward.files import RepeatedKeyError, is_file, is_too_deep, names_settings_file, read_yaml, unique_keys
from prom_reward.rubrics.padding import is_absent
from prom_reward.rubrics.scale import ScoreScale

_SCORE_KEY = re.compile(r"(?:orig_)?score[_ ]?(-?[0-9]{1,9})(?:_description)?", re.IGNORECASE)
_LEVEL_LINE = re.compile(r"^Score (-?[0-9]{1,9}):[ \t]?", re.MULTILINE)
_LOOSE_LEVEL_LINE = re.compile(
    r"^[ \t]*(?:[-*][ \t]*)?score[ \t]*(-?[0-9]{1,9})[ \t]*:[ \t]?", re.MULTILINE | re.IGNORECASE
)
_NO_FILES = ContextVar[str | None]("no_files", default=None)
_CRITERIA_KEYS = ("criteria", "orig_criteria", "criteria_description")
_STATED_KEYS = ("name", "weight", "scale", "descriptions", "rubric")
_OTHER_KEYS = (*_STATED_KEYS, "is_criterion")
# Of RaR and other rubric-reward sets, HealthBench, ResearchRubrics ...
_CHECKLIST_KEYS = frozenset({"title", "description", "criterion", "points", "axis", "tags", "requirement"})


@contextmanager
def without_files(expected: str) -> Iterator[None]:
    """Refuse rubrics that are files, because their names come from a data set or from another machine.

    Args:
        expected: What to give in place of a file's name, for the message.
    """
    token = _NO_FILES.set(expected)
    try:
        yield
    finally:
        _NO_FILES.reset(token)


def is_level_key(key: str) -> bool:
    """Whether a mapping's key describes a level, such as `score1_description`."""
    return bool(_SCORE_KEY.fullmatch(key))


def has_level_lines(text: str) -> bool:
    """Whether a text describes levels in `Score 1: ...` lines."""
    return bool(_LOOSE_LEVEL_LINE.search(text))


def is_number(value: object) -> bool:
    """Whether a value is a finite number and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -inf < value < inf


def check_texts(owner: str, values: Mapping[str, object]) -> None:
    """Raise RubricError if a value of a rubric or a criterion, by its name, is no text."""
    for name, value in values.items():
        if not isinstance(value, str):
            raise RubricError(f"{owner}: got {value!r:.40} as the {name}; expected a text")


def name_text(name: object) -> str:
    """Return a name as a text.

    Raises:
        RubricError: It is a truth value, as YAML reads `no`, `off`, `yes` and `on`.
    """
    if isinstance(name, bool):
        raise RubricError(f"got the name {name}, a truth value, as YAML reads no and yes; expected a text: quote it")
    return str(name)


def is_rendered(text: str) -> bool:
    """Whether a text is a whole rubric and not the name of one."""
    return "\n" in text.strip() or text.lstrip().startswith("[")


def is_rubric_file(value: object) -> bool:
    """Whether a value names a YAML or JSON file of rubrics."""
    return isinstance(value, Path) or (isinstance(value, str) and names_settings_file(value))


def file_value(path: str | Path) -> Any:
    """Return the rubrics of a YAML or JSON file, a mapping of names to rubrics as a list.

    Raises:
        RubricError: Within `without_files`.
    """
    if (expected := _NO_FILES.get()) is not None:
        raise RubricError(f"got the file name {str(path)!r:.80} as a rubric; expected {expected}")
    value = _with_files_beside(read_yaml(path), Path(path).parent)
    if isinstance(value, Mapping) and value and all(isinstance(item, Mapping) for item in value.values()):
        return [{"name": name, **item} for name, item in value.items()]
    return value


def _with_files_beside(value: Any, folder: Path) -> Any:
    """Return a file's rubrics with the paths of the rubric files that lie beside it, as `rubric: other.yaml`."""
    if isinstance(value, str):
        return str(folder / value) if names_settings_file(value) and is_file(folder / value) else value
    if isinstance(value, list):
        return [_with_files_beside(one, folder) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {name: _with_files_beside(one, folder) if _may_name(name, one) else one for name, one in value.items()}


def _may_name(key: object, value: object) -> bool:
    """Whether a key's value may be a rubric or rubrics, and not one of a rubric's texts."""
    return key == "rubric" or isinstance(value, Mapping)


def read_json(text: str) -> Any:
    """Return the value that a text beginning with a bracket holds as JSON; None if it holds another text.

    Raises:
        RubricError: An object in it has a key twice.
    """
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except RepeatedKeyError as error:
        raise RubricError(f"got a rubric with {error}") from None
    except (ValueError, RecursionError):
        return None


def json_value(text: str) -> Any:
    """Return the mapping or list of mappings that a text holds as JSON; None if it holds another text."""
    value = read_json(text)
    items = value if isinstance(value, list) and value else [value]
    return value if all(isinstance(item, Mapping) for item in items) and not is_too_deep(value) else None


def check_weights(items: Sequence[Any]) -> None:
    """Raise RubricError if some rubrics of a list state a weight and others none; read rubrics and files may be both.

    The weight that one does not state would be 1, beside those that were chosen.
    """
    stated = [_states_weight(item) for item in items]
    if True in stated and False in stated:
        raise RubricError(
            f"got rubrics with a weight, and {_shown(items, stated.index(False))} without one; give all of them a "
            "weight, or none"
        )


def _states_weight(item: object) -> bool | None:
    """Whether one rubric of a list states a weight; None if it is read already, or elsewhere."""
    if isinstance(item, str) and not is_rubric_file(item):
        value = json_value(item)
        return _states_weight(value) if value is not None else False
    if not isinstance(item, Mapping):
        return None
    return item.get("weight") is not None or ("rubric" in item and _states_weight(item["rubric"]))


def _shown(items: Sequence[Any], at: int) -> str:
    """Return what a user calls one rubric of a list."""
    item = items[at]
    if isinstance(item, Mapping):
        item = next((item[key] for key in ("name", "rubric", *_CRITERIA_KEYS) if isinstance(item.get(key), str)), "")
    return f"{item!r:.60}" if item else f"number {at + 1}"


def refuse_checklist(given: Mapping[str, Any]) -> None:
    """Raise RubricError if a mapping is a criterion of a checklist, which has no levels."""
    has_levels = any(_SCORE_KEY.fullmatch(str(key)) for key in given) or "descriptions" in given
    keys = [str(key) for key in given if str(key).lower() in _CHECKLIST_KEYS]
    if keys and not has_levels and not any(key in given for key in _CRITERIA_KEYS):
        raise RubricError(
            f"got a checklist's criterion (with {', '.join(keys)}); expected a rubric with levels: 'criteria' and "
            "'score1_description'..."
        )


def text_fields(text: str) -> dict[str, Any]:
    """Return the fields of a rubric that a rendered text holds; its lines may be indented."""
    stripped = text.strip()
    marks = list(_LEVEL_LINE.finditer(stripped)) or list(_LOOSE_LEVEL_LINE.finditer(stripped))
    head = stripped[: marks[0].start()].strip() if marks else stripped
    if not marks or not (head.startswith("[") and head.endswith("]")):
        raise RubricError(
            f"got the rubric text {stripped!r:.80}; expected '[criteria]' on the first line and a line "
            "'Score n: ...' for every score"
        )
    ends = [mark.start() for mark in marks[1:]] + [len(stripped)]
    levels: dict[int, str] = {}
    for mark, end in zip(marks, ends, strict=True):
        label = int(mark[1])
        if label in levels:
            raise RubricError(f"the rubric text describes score {label} twice; expected one line a score")
        levels[label] = stripped[mark.end() : end].strip()
    return _fields(levels, criteria=head[1:-1].strip(), name=None, scale=None, weight=1.0)


def mapping_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a rubric that a mapping holds, without the keys that are None."""
    refuse_checklist(given)
    levels = _levels(given)
    criteria = next((given[key] for key in _CRITERIA_KEYS if key in given), None)
    if not isinstance(criteria, str):
        raise RubricError(
            f"got a rubric with the keys {sorted(given)}; expected 'criteria' and 'score1_description'..."
        )
    own = _fields(
        levels,
        criteria=criteria,
        name=given.get("name"),
        scale=given.get("scale"),
        weight=given.get("weight", 1.0),
    )
    return {**own, "is_criterion": given.get("is_criterion") is True}


def _levels(given: Mapping[str, Any]) -> dict[int, str]:
    levels = _described(given.get("descriptions", {}))
    for key, item in given.items():
        if key in _CRITERIA_KEYS or key in _OTHER_KEYS:
            continue
        match = _SCORE_KEY.fullmatch(key)
        if match is None and key == "rubrics":
            raise RubricError(
                "got the key 'rubrics' in a rubric; expected a list of rubrics, or a mapping of names to rubrics"
            )
        if match is None:
            known = [*_CRITERIA_KEYS, *_STATED_KEYS, *(f"score{label}_description" for label in range(1, 6))]
            raise RubricError(
                f"unknown key {key!r} in a rubric; expected 'criteria', 'score1_description'..., 'name', "
                f"'weight', 'scale'.{near_miss(key, known)}"
            )
        _add_level(levels, match[1], item)
    return levels


def _described(descriptions: Any) -> dict[int, str]:
    levels: dict[int, str] = {}
    try:  # Arrow keeps a map as a list of pairs
        for label, text in dict(descriptions).items():
            if not is_absent(text):
                _add_level(levels, label, text)
    except (TypeError, ValueError, OverflowError):
        raise RubricError(
            f"got the descriptions {descriptions!r:.80}; expected a text for each score, for example {{1: 'Wrong.'}}"
        ) from None
    return levels


def _add_level(levels: dict[int, str], label: Any, text: Any) -> None:
    """Add the description of a score; ValueError if the label is no integer."""
    score = int(label)
    if isinstance(label, float) and score != label:
        raise ValueError(label)
    if not isinstance(text, str | int | float):
        raise RubricError(f"got {text!r:.60} as the description of score {score}; expected a text")
    if score in levels:
        raise RubricError(f"the rubric describes score {score} twice; expected one description a score")
    levels[score] = str(text)


def _fields(levels: Mapping[int, str], *, criteria: str, name: object, scale: object, weight: float) -> dict[str, Any]:
    if not levels:
        raise RubricError(f"rubric {criteria!r:.80} describes no score; expected 'score1_description'...")
    return {
        "name": name_text(name) if name not in (None, "") else short_name(criteria, "rubric"),
        "criteria": criteria,
        "descriptions": levels,
        "scale": _scale(scale, levels),
        "weight": weight,
    }


def _scale(scale: object, levels: Mapping[int, str]) -> ScoreScale:
    """Return the stated scale; without one, 1 to 5, stretched to levels beyond it."""
    if scale is None:
        low, high = min(levels), max(levels)
        return ScoreScale(low, high) if low < 1 else ScoreScale(1, max(high, 5))
    if isinstance(scale, ScoreScale):
        return scale
    match scale:
        case [int(low), int(high)]:
            return ScoreScale(low, high)
    raise RubricError(f"got the scale {scale!r:.40}; expected [low, high], for example [1, 5]")


def short_name(text: str, default: str) -> str:
    """Return a name made of a text's first words, or the default if it has none."""
    words = re.findall(r"\w+", text.lower())
    return "_".join(words[:6])[:40] or default
