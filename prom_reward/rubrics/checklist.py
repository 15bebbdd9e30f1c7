"""Checklists: signed criteria, each met or not, as trees, with prerequisites, gates and checks by code."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prom_reward.errors import RubricError
from prom_reward.rubrics.checks import CodeCheck
from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale

Combine = Literal["mean", "min", "product"]
Role = Literal["term", "gate", "veto"]

MAX_CRITERIA = 1000
MET = 0.5
"""A criterion counts as met from this probability on."""
_ABSTAIN = "It cannot be told from what is given."


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One thing that a response should do, or should not do if its weight is negative.

    Raises:
        RubricError: A field contradicts another.
    """

    text: str
    """The criterion as the judge reads it; of a node with children a heading."""
    weight: float = 1.0
    """Its share among its siblings; negative for a pitfall, whose being met is a loss."""
    name: str = ""
    """A short name that is unique in its checklist; empty takes one made of the text."""
    options: tuple[str, ...] = ()
    """Answers from the worst to the best; empty is no and yes."""
    option_values: tuple[float, ...] = ()
    """Each option's value in [0, 1], ascending; empty spaces them evenly."""
    requires: tuple[str, ...] = ()
    """Names of criteria that must be met for this one to count."""
    children: tuple["Criterion", ...] = ()
    """Parts whose values make this one's; a node with children is not judged itself."""
    combine: Combine = "mean"
    """How the children's values are joined."""
    tags: tuple[str, ...] = ()
    """Labels of the data set, for figures by tag."""
    check: CodeCheck | None = None
    """Code that decides instead of the judge."""
    role: Role = "term"
    """"gate": if it is not met, the whole checklist gets its floor. "veto": the same if it is met."""
    may_abstain: bool = False
    """Offer "it cannot be told" as an answer; such a criterion leaves the sum."""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise RubricError(f"criterion {self.name!r:.40}: got no text; expected what is to be met")
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float) or not math.isfinite(self.weight):
            raise RubricError(f"criterion {self.text!r:.60}: got the weight {self.weight!r:.40}; expected a number")
        if len(self.options) == 1:
            raise RubricError(f"criterion {self.text!r:.60}: got one option; expected two or more, the worst first")
        if self.option_values and not _are_values(self.option_values, len(self.options)):
            raise RubricError(
                f"criterion {self.text!r:.60}: got the values {self.option_values} for {len(self.options)} options; "
                "expected one each, from 0 to 1, ascending"
            )
        if self.children and (self.options or self.check is not None):
            raise RubricError(f"criterion {self.text!r:.60}: got children beside options or a check; expected either")
        if self.children and not any(child.weight for child in self.children):
            raise RubricError(
                f"criterion {self.text!r:.60}: the weights of its children are all 0; expected one over 0"
            )
        if not self.name:
            object.__setattr__(self, "name", _short_name(self.text))

    @property
    def rubric(self) -> Rubric:
        """The criterion as a rubric with one level per answer, the worst first; "it cannot be told" is the last."""
        answers = list(self.options or ("No, the response does not meet this.", "Yes, the response meets this."))
        answers += [_ABSTAIN] if self.may_abstain else []
        return Rubric(
            name=self.name,
            criteria=self.text,
            descriptions=dict(enumerate(answers)),
            scale=ScoreScale(0, len(answers) - 1),
            is_criterion=True,
        )

    def value(self, probs: Mapping[int, float]) -> float | None:
        """Return how far the criterion is met, in [0, 1], from the distribution over its rubric's levels.

        Yes/no gives P(yes), options the expected option. None if the judge rather says that it cannot be told.
        """
        best = len(self.options or ("no", "yes")) - 1
        values = self.option_values or [level / best for level in range(best + 1)]
        assessed = {level: prob for level, prob in probs.items() if level <= best}
        total = math.fsum(assessed.values())
        if self.may_abstain and total < MET:
            return None
        return math.fsum(values[level] * prob for level, prob in assessed.items()) / total

    def leaves(self) -> Iterator["Criterion"]:
        """Yield the criteria below this node that are judged or checked; itself if it has no children."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One criterion's part in a checklist's score."""

    criterion: Criterion
    """The criterion, a leaf."""
    value: float | None
    """How far it is met, in [0, 1], after its prerequisites; None if nobody could tell."""

    @property
    def is_met(self) -> bool | None:
        """The hard verdict; None if nobody could tell."""
        return None if self.value is None else self.value >= MET


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistScore:
    """A checklist's score, and the parts that it is made of."""

    score: float | None
    """The score, 1 for a full one; None if no criterion could be told."""
    parts: tuple[Part, ...]
    """The leaves, in order."""

    @property
    def num_untold(self) -> int:
        """Criteria that left the sum since nobody could tell."""
        return sum(part.value is None for part in self.parts)


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

    def __post_init__(self) -> None:
        leaves = [leaf for criterion in self.criteria for leaf in criterion.leaves()]
        if not leaves:
            raise RubricError(f"checklist {self.name!r:.60}: got no criteria; expected at least one")
        if len(leaves) > MAX_CRITERIA:
            raise RubricError(
                f"checklist {self.name!r:.60}: got {len(leaves)} criteria; expected at most {MAX_CRITERIA}"
            )
        if not 0 < self.saturate <= 1:
            raise RubricError(f"checklist {self.name!r:.60}: got saturate={self.saturate}; expected a share up to 1")
        terms = [one for one in self.criteria if one.role == "term"]
        if terms and not any(one.weight for one in terms):
            raise RubricError(f"checklist {self.name!r:.60}: all weights are 0; expected one that is not")
        _check_names(leaves)

    def leaves(self) -> tuple[Criterion, ...]:
        """Return the criteria that are judged or checked, in order."""
        return tuple(leaf for criterion in self.criteria for leaf in criterion.leaves())

    def score(self, values: Mapping[str, float | None], *, hard: bool = False) -> ChecklistScore:
        """Join the values of the leaves.

        Args:
            values: For each leaf's name how far it is met, in [0, 1], or None; a missing name is None.
            hard: Take every value from `MET` on as 1 and every other as 0.
        """
        given = {
            name: None if value is None else float(value >= MET) if hard else value for name, value in values.items()
        }
        leaves = self.leaves()
        told = {leaf.name: _with_prerequisites(leaf, given) for leaf in leaves}
        parts = tuple(Part(criterion=leaf, value=told[leaf.name]) for leaf in leaves)
        return ChecklistScore(score=self._joined(told), parts=parts)

    def is_closed(self, values: Mapping[str, float | None]) -> bool:
        """Whether a gate or veto among the criteria told so far gives the floor already."""
        guards = [
            one for one in self.criteria if one.role != "term" and all(leaf.name in values for leaf in one.leaves())
        ]
        return any(
            (value >= MET) == (one.role == "veto") for one in guards if (value := _node_value(one, values)) is not None
        )

    def _joined(self, told: Mapping[str, float | None]) -> float | None:
        terms = [(one, _node_value(one, told)) for one in self.criteria if one.role == "term"]
        if self.is_closed(told):
            return self.floor
        if any(_node_value(one, told) is None for one in self.criteria if one.role != "term"):
            return None  # nobody knows whether the gate is open
        score = _join(terms, self.combine) if terms else 1.0
        if score is None:
            return None
        score = min(score / self.saturate, 1.0)
        return max(score, 0.0) if self.clip else score


def _join(nodes: Sequence[tuple[Criterion, float | None]], combine: Combine) -> float | None:
    told = [(node.weight, value) for node, value in nodes if value is not None]
    if not told:
        return None
    if combine != "mean":
        signed = [1 - value if weight < 0 else value for weight, value in told]
        return min(signed) if combine == "min" else math.prod(signed)
    total = math.fsum(weight * value for weight, value in told)
    gains = math.fsum(weight for weight, _ in told if weight > 0)
    losses = -math.fsum(weight for weight, _ in told if weight < 0)
    return total / gains if gains else 1 + total / losses if losses else 0.0


def _node_value(node: Criterion, told: Mapping[str, float | None]) -> float | None:
    if not node.children:
        return told[node.name]
    value = _join([(child, _node_value(child, told)) for child in node.children], node.combine)
    return None if value is None else min(max(value, 0.0), 1.0)


def _with_prerequisites(leaf: Criterion, values: Mapping[str, float | None]) -> float | None:
    """Return a leaf's value, at most that of what it requires; None if one of them is."""
    needed = [values.get(name) for name in (leaf.name, *leaf.requires)]
    told = [value for value in needed if value is not None]
    return min(told) if len(told) == len(needed) else None


def _are_values(values: Sequence[float], count: int) -> bool:
    return len(values) == count and list(values) == sorted(values) and values[0] >= 0 and values[-1] <= 1


def _check_names(leaves: Sequence[Criterion]) -> None:
    numbers: dict[str, int] = {}
    for number, leaf in enumerate(leaves, start=1):
        if leaf.name in numbers:
            raise RubricError(
                f"criterion {number}: has the name {leaf.name!r} of criterion {numbers[leaf.name]}; give each its own"
            )
        numbers[leaf.name] = number
    needs = {leaf.name: leaf.requires for leaf in leaves}
    for number, leaf in enumerate(leaves, start=1):
        unknown = [name for name in leaf.requires if name not in numbers]
        if unknown:
            raise RubricError(f"criterion {number}: requires {unknown[0]!r}, which is no criterion of this checklist")
        if _reaches(leaf.name, leaf.name, needs):
            raise RubricError(f"criterion {number}: {leaf.name!r} requires itself, perhaps by way of others")


def _reaches(start: str, goal: str, needs: Mapping[str, Sequence[str]]) -> bool:
    seen: set[str] = set()
    rest = list(needs[start])
    while rest:
        name = rest.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            rest += needs.get(name, ())
    return False


def _short_name(text: str) -> str:
    words = re.findall(r"\w+", text.lower())
    return "_".join(words[:6])[:40] or "criterion"


def unique_names(criteria: Sequence[dict[str, Any]]) -> None:
    """Give fields of criteria without a name one that no other has, in place."""
    taken = {str(one["name"]) for one in criteria if one.get("name")}
    for one in criteria:
        if one.get("name"):
            continue
        base = name = _short_name(str(one.get("text", "")))
        number = 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        one["name"] = name
