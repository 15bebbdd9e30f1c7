"""A checklist: signed criteria that make one score, with prerequisites, gates and vetoes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_args

from prom_reward.errors import RubricError, near_miss
from prom_reward.rubrics.checklists.checks import CodeCheck
from prom_reward.rubrics.checklists.criterion import MET, Combine, Criterion
from prom_reward.rubrics.formats import check_texts, is_number
from prom_reward.rubrics.scale import ScoreScale

MAX_CRITERIA = 1000
_UNIT = ScoreScale(0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One criterion's part in a checklist's score."""

    name: str
    """The criterion's name."""
    weight: float
    """The criterion's weight among its siblings."""
    value: float | None
    """How far it is met, in [0, 1], after its prerequisites; None if nobody could tell."""
    effect: float | None = None
    """The score minus the score that the response would have if this criterion were not met; None without a score."""
    source: str = "judge"
    """Who decided: "judge", "code", or "nobody" if a closed gate had decided before."""
    feedback: str = ""
    """The judge's feedback."""
    error: str | None = None
    """Why there is no value."""
    text: str = ""
    """The criterion as the judge read it, so that a log of rows' own checklists can be read alone."""

    @property
    def is_met(self) -> bool | None:
        """The hard verdict; None if nobody could tell."""
        return None if self.value is None else self.value >= MET

    def __str__(self) -> str:
        """Return one line: the value, the effect on the score, and the feedback or error."""
        value = "-" if self.value is None else f"{self.value:.2f}"
        effect = "" if self.effect is None else f" ({self.effect:+.2f})"
        return f"{self.name}: {value}{effect} {self.feedback or self.error or ''}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistScore:
    """A checklist's score, and the parts that it is made of."""

    score: float | None
    """The score, 1 for a full one; None if no criterion could be told."""
    parts: tuple[Part, ...]
    """The leaves, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """Criteria that make one score.

    With "mean" the score is the sum of weight x value over the sum of the positive weights, as in HealthBench
    (arXiv:2505.08775) and Rubrics as Rewards (arXiv:2507.17746). If all weights are negative, it is 1 + the sum over
    the sum of their sizes. "min" takes the worst criterion and "product" all of them, each without weights; a
    pitfall's value there is 1 - value. Criteria that nobody could tell leave both sums.

    Raises:
        RubricError: A criterion is broken; the message has its number.
    """

    criteria: tuple[Criterion, ...]
    """The criteria."""
    name: str = "checklist"
    """A short name for metrics, logs and tables."""
    combine: Combine = "mean"
    """How the criteria are joined."""
    saturate: float = 1.0
    """A share of the full score that is enough: scores are divided by it and end at 1."""
    floor: float = 0.0
    """The score if a gate is not met or a veto is."""
    clip: bool = True
    """Keep the score in [0, 1]; pitfalls may take it below 0 otherwise."""
    weight: float = 1.0
    """The factor of this checklist's reward if a row has several."""
    _leaves: tuple[Criterion, ...] = field(init=False, repr=False, compare=False)
    _required: Mapping[str, frozenset[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_texts(f"checklist {self.name!r:.60}", {"name": self.name})
        leaves = tuple(leaf for criterion in self.criteria for leaf in criterion.leaves())
        object.__setattr__(self, "_leaves", leaves)
        if problem := next(self._problems(), None):
            raise RubricError(f"checklist {self.name!r:.60}: {problem}")
        object.__setattr__(self, "_required", _all_required(leaves))

    def _problems(self) -> Iterator[str]:
        """Yield what is wrong with the checklist as a whole, for a message."""
        if not self._leaves:
            yield "got no criteria; expected at least one"
        if len(self._leaves) > MAX_CRITERIA:
            yield f"got {len(self._leaves)} criteria; expected at most {MAX_CRITERIA}"
        if self.combine not in get_args(Combine):
            yield f"got combine={self.combine!r:.40}; expected one of {', '.join(get_args(Combine))}"
        if not is_number(self.saturate) or not 0 < self.saturate <= 1:
            yield f"got saturate={self.saturate!r:.40}; expected a share over 0 and up to 1"
        if self.clip not in (True, False):
            yield f"got clip={self.clip!r:.40}; expected true or false"
        if not is_number(self.floor) or (self.clip and not 0 <= self.floor <= 1):
            yield f"got floor={self.floor!r:.40}; expected a score, from 0 to 1 unless clip is false"
        if not is_number(self.weight) or self.weight <= 0:
            yield f"got the weight {self.weight!r:.40}; expected a number over 0"
        terms = [one for one in self.criteria if one.role == "term"]
        if terms and not any(one.weight for one in terms):
            yield "all weights are 0; expected one that is not"

    @property
    def scale(self) -> ScoreScale:
        """The scale of the score."""
        return _UNIT

    @property
    def lowest_score(self) -> float:
        """The lowest score of a response whose criteria are all told; under 0 only if pitfalls or the floor are."""
        if self.clip:
            return 0.0
        weights = [one.weight for one in self.criteria if one.role == "term"]
        gains, losses = (math.fsum(max(0.0, sign * weight) for weight in weights) for sign in (1, -1))
        worst = -losses / gains / self.saturate if self.combine == "mean" and gains else 0.0
        return min(worst, self.floor) if len(weights) < len(self.criteria) else worst

    @property
    def text(self) -> str:
        """Everything that a judgment depends on, as text."""
        return repr(self)

    @property
    def level_texts(self) -> tuple[str, ...]:
        """The texts that a response may copy."""
        return tuple(leaf.text for leaf in self._leaves)

    @property
    def imported_checks(self) -> tuple[CodeCheck, ...]:
        """The checks that name a Python function."""
        return tuple(leaf.check for leaf in self._leaves if leaf.check is not None and leaf.check.is_imported)

    def leaves(self) -> tuple[Criterion, ...]:
        """Return the criteria that are judged or checked, in order."""
        return self._leaves

    def asked(self) -> tuple[Criterion, ...]:
        """Return the criteria that a judge decides, each as a question of its own: no weight, role or prerequisites."""
        return tuple(replace(leaf, requires=(), role="term", weight=1.0) for leaf in self._leaves if leaf.check is None)

    def numbered(self) -> Iterator[tuple[str, Criterion]]:
        """Yield all criteria with their numbers: "2", or "2.1" of a child."""
        return _numbered(self.criteria, "")

    def score(self, values: Mapping[str, float | None], *, hard: bool = False) -> ChecklistScore:
        """Join the values of the leaves.

        Args:
            values: For each leaf's name how far it is met, in [0, 1], or None; a missing name is None.
            hard: Take every value from `MET` on as 1 and every other as 0.
        """
        given = {name: _hard(value) for name, value in values.items()} if hard else dict(values)
        told = self._told(given)
        score = self._joined(told)
        parts = tuple(
            Part(
                name=leaf.name,
                weight=leaf.weight,
                value=told[leaf.name],
                effect=self._effect(leaf, told, score),
                text=leaf.text,
            )
            for leaf in self._leaves
        )
        return ChecklistScore(score=score, parts=parts)

    def is_closed(self, values: Mapping[str, float | None]) -> bool:
        """Whether a gate or veto among the criteria told so far gives the floor already."""
        return self._is_closed(self._told(values))

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values, a mapping that `parse_checklist` reads back.

        Raises:
            RubricError: A check is a function without a written name.
        """
        own = {one.name: getattr(self, one.name) for one in fields(self) if one.init and one.name != "criteria"}
        return {**own, "criteria": [one.to_dict() for one in self.criteria]}

    def _told(self, values: Mapping[str, float | None]) -> dict[str, float | None]:
        """Return each leaf's value, at most that of everything that it requires; None if one of these is."""
        told: dict[str, float | None] = {}
        for name, required in self._required.items():
            needed = [values.get(one) for one in (name, *required)]
            known = [value for value in needed if value is not None]
            told[name] = min(known) if len(known) == len(needed) else None
        return told

    def _effect(self, leaf: Criterion, values: Mapping[str, float | None], score: float | None) -> float | None:
        if score is None or values[leaf.name] is None:
            return None
        lost = {name for name, required in self._required.items() if name == leaf.name or leaf.name in required}
        without = self._joined({name: 0.0 if name in lost and value else value for name, value in values.items()})
        return None if without is None else score - without

    def _is_closed(self, values: Mapping[str, float | None]) -> bool:
        guards = [(one, _node_value(one, values)) for one in self.criteria if one.role != "term"]
        return any(value is not None and (value >= MET) == (one.role == "veto") for one, value in guards)

    def _joined(self, values: Mapping[str, float | None]) -> float | None:
        if self._is_closed(values):
            return self.floor
        if any(_node_value(one, values) is None for one in self.criteria if one.role != "term"):
            return None  # nobody knows whether the gate is open
        terms = [(one.weight, _node_value(one, values)) for one in self.criteria if one.role == "term"]
        score = _join(terms, self.combine) if terms else 1.0
        if score is None:
            return None
        score = min(score / self.saturate, 1.0)
        return max(score, 0.0) if self.clip else score


def _numbered(criteria: Sequence[Criterion], prefix: str) -> Iterator[tuple[str, Criterion]]:
    for at, one in enumerate(criteria, start=1):
        yield f"{prefix}{at}", one
        yield from _numbered(one.children, f"{prefix}{at}.")


def _hard(value: float | None) -> float | None:
    return None if value is None else float(value >= MET)


def _join(terms: Sequence[tuple[float, float | None]], combine: Combine) -> float | None:
    """Join weights with values; None if no value is told."""
    told = [(weight, value) for weight, value in terms if value is not None and weight]
    if not told:
        return None
    if combine != "mean":
        signed = [1 - value if weight < 0 else value for weight, value in told]
        return min(signed) if combine == "min" else math.prod(signed)
    total = math.fsum(weight * value for weight, value in told)
    gains = math.fsum(weight for weight, _ in told if weight > 0)
    return total / gains if gains else 1 - total / math.fsum(weight for weight, _ in told)


def _node_value(node: Criterion, values: Mapping[str, float | None]) -> float | None:
    if not node.children:
        return values[node.name]
    value = _join([(child.weight, _node_value(child, values)) for child in node.children], node.combine)
    return None if value is None else min(max(value, 0.0), 1.0)


def _all_required(leaves: Sequence[Criterion]) -> dict[str, frozenset[str]]:
    """Return for each criterion everything that it requires, directly or by way of others.

    Raises:
        RubricError: Two have one name, one requires what does not exist, or itself.
    """
    numbers: dict[str, int] = {}
    for number, leaf in enumerate(leaves, start=1):
        if leaf.name in numbers:
            raise RubricError(
                f"criterion {number}: has the name {leaf.name!r} of criterion {numbers[leaf.name]}; give each its own"
            )
        numbers[leaf.name] = number
    for number, leaf in enumerate(leaves, start=1):
        for name in leaf.requires:
            if name not in numbers:
                hint = near_miss(name, numbers)
                raise RubricError(
                    f"criterion {number}: requires {name!r:.60}, which is no criterion of this checklist.{hint}"
                )
    needs = {leaf.name: leaf.requires for leaf in leaves}
    found = {name: _required_by(name, needs) for name in needs}
    if cycle := next((name for name, required in found.items() if name in required), None):
        raise RubricError(f"criterion {numbers[cycle]}: {cycle!r} requires itself, perhaps by way of others")
    return found


def _required_by(name: str, needs: Mapping[str, Sequence[str]]) -> frozenset[str]:
    found: set[str] = set()
    rest = list(needs[name])
    while rest:
        one = rest.pop()
        if one not in found:
            found.add(one)
            rest += needs[one]
    return frozenset(found)
