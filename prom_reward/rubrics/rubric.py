"""Rubrics with a description for every score, and the built-in ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, overload

import yaml

from prom_reward.errors import RubricError, near_miss
from prom_reward.rubrics.formats import (
    check_texts,
    check_weights,
    file_value,
    is_number,
    is_rendered,
    is_rubric_file,
    json_value,
    mapping_fields,
    text_fields,
)
from prom_reward.rubrics.padding import is_absent
from prom_reward.rubrics.scale import ScoreScale

_DEFAULT_SCALE = ScoreScale(1, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """A question to judge by, with the meaning of every score."""

    name: str
    """A short name for metrics, logs and tables."""
    criteria: str
    """The question that the judge answers, without brackets."""
    descriptions: Mapping[int, str] = field(hash=False)
    """One description for every label of the scale."""
    scale: ScoreScale = _DEFAULT_SCALE
    """The scale of the scores."""
    weight: float = 1.0
    """The factor of this rubric's reward if a row has several rubrics."""
    is_criterion: bool = False
    """Whether it is one criterion of a checklist, whose levels are answers."""

    def __post_init__(self) -> None:
        owner, levels = f"rubric {self.name!r:.40}", self.descriptions
        check_texts(owner, {"name": self.name, "criteria": self.criteria})
        if not isinstance(levels, Mapping) or not all(isinstance(label, int) for label in levels):
            raise RubricError(f"{owner}: got the descriptions {levels!r:.80}; expected a text for each whole score")
        check_texts(owner, {f"description of score {label}": text for label, text in levels.items()})
        labels, described = set(self.scale.labels), set(self.descriptions)
        if labels != described:
            missing, extra = sorted(labels - described), sorted(described - labels)
            wrong = [f"no description for {_listed(missing)}"] if missing else []
            wrong += [f"a description for {_listed(extra)}, which is off the scale"] if extra else []
            raise RubricError(
                f"rubric {self.name!r} on the scale {self.scale.low} to {self.scale.high} has "
                f"{' and '.join(wrong)}; describe every score from {self.scale.low} to {self.scale.high}, "
                f"or {_other_scale(described)}"
            )
        if not self.criteria.strip():
            raise RubricError(f"rubric {self.name!r}: got empty criteria, expected the question to judge by")
        if not is_number(self.weight) or self.weight <= 0:
            raise RubricError(f"rubric {self.name!r}: got the weight {self.weight!r:.40}, expected a number over 0")
        ordered = {label: self.descriptions[label] for label in self.scale.labels}
        object.__setattr__(self, "descriptions", ordered)

    @property
    def text(self) -> str:
        """The rubric as Prometheus reads it: `[criteria]`, then one `Score n: ...` line a label."""
        return self.listed()

    def listed(self, *, best_first: bool = False) -> str:
        """Return the rubric's text with its scores from the worst to the best, or the other way round."""
        labels = self.scale.labels[::-1] if best_first else self.scale.labels
        return "\n".join([f"[{self.criteria}]", *(f"Score {label}: {self.descriptions[label]}" for label in labels)])

    @property
    def lowest_score(self) -> float:
        """The lowest score that a response can get."""
        return float(self.scale.low)

    @property
    def level_texts(self) -> tuple[str, ...]:
        """The texts that a response may copy."""
        return tuple(self.descriptions.values())

    @property
    def criterion_text(self) -> str:
        """A criterion as a compact task text shows it: with its answers if they are not no and yes."""
        if len(self.scale.labels) == 2:
            return self.criteria
        return "\n".join([self.criteria, *(f"{label}: {self.descriptions[label]}" for label in self.scale.labels)])

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values, a mapping that `parse` reads back."""
        return {
            "name": self.name,
            "criteria": self.criteria,
            "descriptions": {str(label): text for label, text in self.descriptions.items()},
            "scale": [self.scale.low, self.scale.high],
            "weight": self.weight,
            **({"is_criterion": True} if self.is_criterion else {}),
        }

    @overload
    @classmethod
    def parse(cls, value: "str | Path | Mapping[str, Any] | Rubric") -> "Rubric": ...
    @overload
    @classmethod
    def parse(cls, value: Sequence[Any]) -> "tuple[Rubric, ...]": ...
    @classmethod
    def parse(cls, value: Any) -> "Rubric | tuple[Rubric, ...]":
        """Read a rubric in any form that data sets hold.

        Args:
            value: A built-in name; a YAML or JSON file with one rubric; a mapping with `criteria` and
                `score1_description`... (or the Feedback-Collection's `orig_criteria`, `orig_score1_description`...),
                optionally with `name`, `weight` and `scale` (`[low, high]`), in which keys with the value None count
                as absent; a mapping `{"rubric": any of these, "weight": w}`; such a mapping as JSON text; a rendered
                text `[criteria]` followed by `Score 1: ...` lines; or a list of these.

        Returns:
            One rubric, or a tuple of rubrics if `value` is a list.

        Raises:
            RubricError: The value is none of these, its levels do not fill its scale, or a file holds several rubrics.
            ConfigError: A file does not exist or is no YAML.
        """
        if is_rubric_file(value):
            return _only(parse_rubrics(value), f"in {value}")
        match value:
            case Rubric():
                return value
            case str():
                return _from_text(value)
            case Mapping():
                return _from_mapping(value)
            case list() | tuple() if value:
                check_weights(value)
                return tuple(rubric for item in value for rubric in parse_rubrics(item))
        raise RubricError(
            f"got {value!r:.80} as a rubric; expected a built-in name ({', '.join(builtin_names())}), a "
            "file, a mapping with 'criteria' and 'score1_description'..., a rendered rubric text, or a list of these"
        )


def parse_rubrics(value: Any) -> tuple[Rubric, ...]:
    """Read one rubric or several as a tuple; see `Rubric.parse` for the forms.

    A file may also hold a list of rubrics, or a mapping of names to rubrics.
    """
    if is_rubric_file(value):
        content = file_value(value)
        try:
            return parse_rubrics(content)
        except RubricError as error:
            raise RubricError(f"{value}: {error}") from error
    parsed = Rubric.parse(value)
    return parsed if isinstance(parsed, tuple) else (parsed,)


def _only(rubrics: tuple[Rubric, ...], place: str) -> Rubric:
    if len(rubrics) != 1:
        names = ", ".join(rubric.name for rubric in rubrics)
        raise RubricError(f"got {len(rubrics)} rubrics {place} ({names:.80}); expected one")
    return rubrics[0]


def _listed(labels: Sequence[int]) -> str:
    """Return scores as a list, of many the first ones."""
    return str(labels) if len(labels) < 10 else f"[{', '.join(map(str, labels[:5]))}, ...] ({len(labels)} scores)"


def _other_scale(described: set[int]) -> str:
    """Say which scale the described scores could have: it counts by one, without gaps."""
    low, high, count = min(described, default=1), max(described, default=4), len(described)
    if count < 2:
        return "state another scale, for example scale: [1, 4]"
    if high - low == count - 1:
        return f"state another scale, for example scale: {[low, high]}"
    first = 0 if low == 0 else 1
    numbered = [first, first + count - 1]
    return f"number the {count} levels without gaps, from {numbered[0]} to {numbered[1]}, with scale: {numbered}"


def _from_text(text: str) -> "Rubric | tuple[Rubric, ...]":
    value = json_value(text)
    if isinstance(value, Mapping):
        return _from_mapping(value)
    if value is not None:
        return parse_rubrics(value)
    return Rubric(**text_fields(text)) if is_rendered(text) else builtin_rubric(text.strip())


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
        of_files = " A file of rubrics ends in .yaml, .yml or .json." if Path(name).suffix else ""
        raise RubricError(
            f"unknown rubric {name!r:.80}; expected one of {', '.join(builtin_names())}, or a rubric text "
            f"'[criteria]' with 'Score 1: ...' lines.{near_miss(name, builtin_names())}{of_files}"
        )
    return _builtins()[name]


def _from_mapping(value: Mapping[str, Any]) -> Rubric:
    kept = {key: item for key, item in value.items() if not is_absent(item) or (key == "weight" and item is not None)}
    given = {str(key): item for key, item in kept.items()}  # a weight of NaN is refused
    return _weighted(given) if "rubric" in given else Rubric(**mapping_fields(given))


def _weighted(given: Mapping[str, Any]) -> Rubric:
    known = ("rubric", "weight", "name")
    for key in given:
        if key not in known:
            raise RubricError(f"unknown key {key!r} beside 'rubric'; expected 'weight', 'name'.{near_miss(key, known)}")
    inner = _only(parse_rubrics(given["rubric"]), "under 'rubric' in a weighted rubric")
    return replace(inner, weight=given.get("weight", inner.weight), name=str(given.get("name", inner.name)))
