"""One criterion of a checklist: met or not, or one of several ordered answers; perhaps a tree of parts."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from prom_reward.errors import RubricError, near_miss
from prom_reward.rubrics.checklists.checks import CodeCheck
from prom_reward.rubrics.formats import check_texts, is_number, short_name
from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale

Combine = Literal["mean", "min", "product"]
Role = Literal["term", "gate", "veto"]

MET = 0.5
"""A criterion counts as met from this probability on."""
_ANSWERS = ("No, the response does not meet this.", "Yes, the response meets this.")
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
    """Its share among its siblings; negative for a pitfall, whose being met is a loss. A gate or veto has none."""
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
            raise RubricError(f"{self.name!r:.40} has no text; expected what is to be met")
        object.__setattr__(self, "text", self.text.strip())
        check_texts(f"{self.text!r:.60}", {"name": self.name})
        if problem := next(self._problems(), None):
            raise RubricError(f"{self.text!r:.60}: {problem}")
        if not self.name:
            object.__setattr__(self, "name", short_name(self.text, "criterion"))

    def _problems(self) -> Iterator[str]:
        """Yield what contradicts what, for a message."""
        yield from self._wrong_texts()
        if not is_number(self.weight):
            yield f"got the weight {self.weight!r:.40}; expected a number"
        for field, known in (("role", get_args(Role)), ("combine", get_args(Combine)), ("may_abstain", (True, False))):
            if (value := getattr(self, field)) not in known:
                shown = ", ".join(map(str, known)).lower()
                yield f"got {field}={value!r:.40}; expected one of {shown}.{near_miss(str(value), map(str, known))}"
        if self.role != "term" and self.weight < 0:
            yield f"got a {self.role} with the weight {self.weight:g}; expected none; a veto is for what must not be"
        if len(self.options) == 1 or len(set(self.options)) < len(self.options):
            yield f"got the options {self.options}; expected two or more different ones, the worst first"
        if self.option_values and not _are_values(self.option_values, len(self.options)):
            yield (
                f"got the values {self.option_values} for {len(self.options)} options; expected one each, from 0 to 1, "
                "ascending"
            )
        if self.check is not None and (self.options or self.may_abstain):
            yield "got options beside a check; expected either: a check passes or does not"
        if self.children:
            yield from self._children_problems()

    def _wrong_texts(self) -> Iterator[str]:
        for field in ("options", "requires", "tags"):
            texts = getattr(self, field)
            if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
                yield f"got {field}={texts!r:.40}; expected a tuple of texts"

    def _children_problems(self) -> Iterator[str]:
        if self.options or self.check is not None or self.may_abstain or self.requires:
            yield "got children beside options, a check or prerequisites; expected these at the children"
        if any(child.role != "term" for child in self.children):
            yield "got a gate or veto among its children; expected these at the top"
        if not any(child.weight for child in self.children):
            yield "the weights of its children are all 0; expected one that is not"

    @property
    def answers(self) -> tuple[str, ...]:
        """The answers in which it can end, without abstention."""
        return self.options or _ANSWERS

    @property
    def rubric(self) -> Rubric:
        """The criterion as a rubric with one level per answer, the worst first; "it cannot be told" is the last."""
        answers = [*self.answers, *([_ABSTAIN] if self.may_abstain else [])]
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
        best = len(self.answers) - 1
        values = self.option_values or [level / best for level in range(best + 1)]
        assessed = {level: prob for level, prob in probs.items() if level <= best}
        total = math.fsum(assessed.values())
        if total <= 0 or (self.may_abstain and total < MET):
            return None
        return math.fsum(values[level] * prob for level, prob in assessed.items()) / total

    def leaves(self) -> Iterator["Criterion"]:
        """Yield the criteria below this node that are judged or checked; itself if it has no children."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()

    def to_dict(self) -> dict[str, Any]:
        """Return the weight and the fields that are not their defaults, as JSON values that `parse_checklist` reads.

        Raises:
            RubricError: The check is a function without a written name.
        """
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        changed = {one.name: told[one.name] for one in fields(self) if told[one.name] != one.default}
        listed = {name: list(value) if isinstance(value, tuple) else value for name, value in changed.items()}
        listed |= {"children": [child.to_dict() for child in self.children]} if self.children else {}
        listed |= {"check": self.check.to_value()} if self.check is not None else {}
        return {"weight": self.weight, **listed}


def _are_values(values: Sequence[float], count: int) -> bool:
    return len(values) == count and list(values) == sorted(values) and values[0] >= 0 and values[-1] <= 1
