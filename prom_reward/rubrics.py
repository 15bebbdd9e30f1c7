"""Score scales and rubrics, and every written form in which data sets hold a rubric.

It does not know prompts, judges or rewards.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, overload

import yaml

from prom_reward.errors import RubricError, near_miss

_SCORE_KEY = re.compile(r"(?:orig_)?score_?(-?\d{1,9})(?:_description)?")
_LEVEL_LINE = re.compile(r"^Score (-?\d{1,9}):[ \t]?", re.MULTILINE)
_CRITERIA_KEYS = ("criteria", "orig_criteria", "criteria_description")
_MAX_STEPS = 100  # a scale of percentages
_OTHER_KEYS = ("name", "weight", "scale", "descriptions", "rubric")


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """The integers `low` to `high`, both included, that a judge may give."""

    low: int = 1
    """The worst score."""
    high: int = 5
    """The best score."""

    def __post_init__(self) -> None:
        if self.low < 0 or self.high <= self.low:
            raise RubricError(f"scale {self.low} to {self.high}: expected 0 <= low < high; give the worst score first")
        if self.high - self.low > _MAX_STEPS:
            raise RubricError(f"scale {self.low} to {self.high}: expected at most {_MAX_STEPS + 1} scores")

    @property
    def labels(self) -> tuple[int, ...]:
        """All scores of the scale, ascending."""
        return tuple(range(self.low, self.high + 1))

    def __contains__(self, score: object) -> bool:
        return isinstance(score, int) and self.low <= score <= self.high

    def to_unit(self, score: float) -> float:
        """Map a score on this scale linearly to [0, 1]."""
        return (score - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """What is judged, and what each score means."""

    name: str
    """A short name for metrics, logs and tables."""
    criteria: str
    """The question that the judge answers, without brackets."""
    descriptions: Mapping[int, str] = field(hash=False)
    """One description for every label of the scale."""
    scale: ScoreScale = ScoreScale()
    """The scale of the scores."""
    weight: float = 1.0
    """The factor of this rubric's reward where a row has several rubrics."""

    def __post_init__(self) -> None:
        labels, described = set(self.scale.labels), set(self.descriptions)
        if labels != described:
            missing, extra = sorted(labels - described), sorted(described - labels)
            wrong = [f"no description for {missing}"] if missing else []
            wrong += [f"a description for {extra}, which is off the scale"] if extra else []
            raise RubricError(
                f"rubric {self.name!r} on the scale {self.scale.low} to {self.scale.high} has "
                f"{' and '.join(wrong)}; describe every score from {self.scale.low} to {self.scale.high}, "
                "or state another scale, for example scale: [1, 4]"
            )
        if not self.criteria.strip():
            raise RubricError(f"rubric {self.name!r}: got empty criteria, expected the question to judge by")
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float) or not 0 < self.weight < math.inf:
            raise RubricError(f"rubric {self.name!r}: got the weight {self.weight!r:.40}, expected a number over 0")
        ordered = {label: self.descriptions[label] for label in self.scale.labels}
        object.__setattr__(self, "descriptions", ordered)

    @property
    def text(self) -> str:
        """The rubric as Prometheus reads it: `[criteria]`, then one `Score n: ...` line a label."""
        levels = [f"Score {label}: {self.descriptions[label]}" for label in self.scale.labels]
        return "\n".join([f"[{self.criteria}]", *levels])

    @overload
    @classmethod
    def parse(cls, value: "str | Mapping[str, Any] | Rubric") -> "Rubric": ...
    @overload
    @classmethod
    def parse(cls, value: Sequence[Any]) -> "tuple[Rubric, ...]": ...
    @classmethod
    def parse(cls, value: Any) -> "Rubric | tuple[Rubric, ...]":
        """Read a rubric in any form that data sets hold.

        Args:
            value: A built-in name; a mapping with `criteria` and `score1_description`... (or the
                Feedback-Collection's `orig_criteria`, `orig_score1_description`...), optionally with
                `name`, `weight` and `scale` (`[low, high]`), where keys with the value None count as
                absent; a mapping `{"rubric": any of these, "weight": w}`; a rendered text
                `[criteria]` followed by `Score 1: ...` lines; or a list of these.

        Returns:
            One rubric, or a tuple of rubrics where `value` is a list.

        Raises:
            RubricError: The value is none of these, or its levels do not fill its scale.
        """
        match value:
            case Rubric():
                return value
            case str():
                return _from_text(value) if _is_rendered(value) else builtin_rubric(value.strip())
            case Mapping():
                return _from_mapping(value)
            case list() | tuple() if value:
                return tuple(rubric for item in value for rubric in parse_rubrics(item))
        raise RubricError(
            f"got {value!r:.80} as a rubric; expected a built-in name ({', '.join(builtin_names())}), a "
            "mapping with 'criteria' and 'score1_description'..., a rendered rubric text, or a list of these"
        )


def parse_rubrics(value: Any) -> tuple[Rubric, ...]:
    """Read one rubric or several as a tuple; see `Rubric.parse` for the forms."""
    parsed = Rubric.parse(value)
    return parsed if isinstance(parsed, tuple) else (parsed,)


@cache
def _builtins() -> Mapping[str, Rubric]:
    text = resources.files("prom_reward").joinpath("presets/rubrics.yaml").read_text(encoding="utf-8")
    return MappingProxyType({name: Rubric.parse({"name": name, **body}) for name, body in yaml.safe_load(text).items()})


def builtin_names() -> list[str]:
    """Return the names of the built-in rubrics."""
    return sorted(_builtins())


def builtin_rubric(name: str) -> Rubric:
    """Return a built-in rubric by name; an unknown one raises RubricError with the near miss."""
    if name not in _builtins():
        raise RubricError(
            f"unknown rubric {name!r:.80}; expected one of {', '.join(builtin_names())}, or a rubric text "
            f"'[criteria]' with 'Score 1: ...' lines.{near_miss(name, builtin_names())}"
        )
    return _builtins()[name]


def _is_rendered(text: str) -> bool:
    return "\n" in text.strip() or text.lstrip().startswith("[")


def _from_text(text: str) -> Rubric:
    stripped = text.strip()
    marks = list(_LEVEL_LINE.finditer(stripped))
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
    return _from_levels(levels, criteria=head[1:-1].strip(), name=None, scale=None, weight=1.0)


def _from_mapping(value: Mapping[str, Any]) -> Rubric:
    given = {str(key): item for key, item in value.items() if item is not None}
    if "rubric" in given:
        return _weighted(given)
    levels = _levels(given)
    criteria = next((given[key] for key in _CRITERIA_KEYS if key in given), None)
    if not isinstance(criteria, str):
        raise RubricError(
            f"got a rubric with the keys {sorted(given)}; expected 'criteria' and 'score1_description'..."
        )
    return _from_levels(
        levels,
        criteria=criteria,
        name=given.get("name"),
        scale=given.get("scale"),
        weight=given.get("weight", 1.0),
    )


def _weighted(given: Mapping[str, Any]) -> Rubric:
    known = ("rubric", "weight", "name")
    for key in given:
        if key not in known:
            raise RubricError(f"unknown key {key!r} beside 'rubric'; expected 'weight', 'name'.{near_miss(key, known)}")
    inner = parse_rubrics(given["rubric"])
    if len(inner) != 1:
        raise RubricError(f"got {len(inner)} rubrics under 'rubric' in a weighted rubric; expected one")
    weight, name = given.get("weight", inner[0].weight), given.get("name", inner[0].name)
    return replace(inner[0], weight=weight, name=str(name))


def _levels(given: Mapping[str, Any]) -> dict[int, str]:
    levels = _described(given.get("descriptions", {}))
    for key, item in given.items():
        if key in _CRITERIA_KEYS or key in _OTHER_KEYS:
            continue
        match = _SCORE_KEY.fullmatch(key)
        if match is None:
            known = [*_CRITERIA_KEYS, *_OTHER_KEYS, *(f"score{label}_description" for label in range(1, 6))]
            raise RubricError(
                f"unknown key {key!r} in a rubric; expected 'criteria', 'score1_description'..., 'name', "
                f"'weight', 'scale'.{near_miss(key, known)}"
            )
        levels[int(match[1])] = str(item)
    return levels


def _described(descriptions: Any) -> dict[int, str]:
    try:  # Arrow keeps a map as a list of pairs
        return {int(label): str(text) for label, text in dict(descriptions).items() if text is not None}
    except (TypeError, ValueError, OverflowError):
        raise RubricError(
            f"got the descriptions {descriptions!r:.80}; expected a text for each score, for example {{1: 'Wrong.'}}"
        ) from None


def _from_levels(levels: Mapping[int, str], *, criteria: str, name: object, scale: object, weight: float) -> Rubric:
    if not levels:
        raise RubricError(f"rubric {criteria!r:.80} describes no score; expected 'score1_description'...")
    return Rubric(
        name=str(name) if name else _short_name(criteria),
        criteria=criteria,
        descriptions=levels,
        scale=_scale(scale, levels),
        weight=weight,
    )


def _scale(scale: object, levels: Mapping[int, str]) -> ScoreScale:
    """Return the stated scale; without one, 1 to 5, stretched to the levels where they go beyond."""
    if scale is None:
        low, high = min(levels), max(levels)
        return ScoreScale(low, high) if low < 1 else ScoreScale(1, max(high, 5))
    if isinstance(scale, ScoreScale):
        return scale
    match scale:
        case [int(low), int(high)]:
            return ScoreScale(low, high)
    raise RubricError(f"got the scale {scale!r:.40}; expected [low, high], for example [1, 5]")


def _short_name(criteria: str) -> str:
    words = re.findall(r"\w+", criteria.lower())
    return "_".join(words[:6])[:40] or "rubric"
