"""Lints rubrics and checklists: all that can be found without a judgment."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.lint import wording
from prom_reward.rubrics.lint.checklist_rules import SMALL_SHARE, lint_checklist
from prom_reward.rubrics.lint.finding import RubricFinding
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.rubrics.rubric import Rubric


def lint_rubrics(rubrics: Sequence[AnyRubric]) -> list[RubricFinding]:
    """Return what is probably wrong with rubrics that are used together, and with each by itself."""
    alone = [found for one in rubrics for found in _lint(one)]
    return alone + list(_lint_set(rubrics))


def _lint(rubric: AnyRubric) -> Iterator[RubricFinding]:
    return lint_checklist(rubric) if isinstance(rubric, Checklist) else _lint_levels(rubric)


def _lint_levels(rubric: Rubric) -> Iterator[RubricFinding]:
    levels = list(rubric.descriptions.items())
    for label, text in levels:
        if not text.strip():
            message = f"the description of score {label} is empty; say what deserves it"
            yield RubricFinding(rule="empty_level", rubric=rubric.name, message=message, criteria=(str(label),))
    for (low, first), (high, second) in combinations(levels, 2):
        if first.strip() and wording.content(first) == wording.content(second):
            message = f"the scores {low} and {high} have one description, {first!r:.60}; say what sets them apart"
            yield RubricFinding(
                rule="duplicate_level", rubric=rubric.name, message=message, criteria=(str(low), str(high))
            )
    if wording.falls([text for _, text in levels]):
        message = f"score {levels[0][0]} is described as good and {levels[-1][0]} as bad; expected the worst first"
        yield RubricFinding(rule="order", rubric=rubric.name, message=message)


def _lint_set(rubrics: Sequence[AnyRubric]) -> Iterator[RubricFinding]:
    """Yield what is wrong with rubrics beside each other: names, questions and weights."""
    total = sum(one.weight for one in rubrics)
    for at, one in enumerate(rubrics):
        earlier = rubrics[:at]
        if one.name in [other.name for other in earlier]:
            yield RubricFinding(
                rule="same_name", rubric=one.name, message="two have this name; metrics and logs mix them up"
            )
        if twin := next((other for other in earlier if _asks(other) == _asks(one)), None):
            yield RubricFinding(rule="duplicate", rubric=one.name, message=f"asks the same as {twin.name!r}; keep one")
        if one.weight < SMALL_SHARE * total:
            share = one.weight / total
            yield RubricFinding(rule="small_weight", rubric=one.name, message=f"has {share:.2g} of all weight; drop it")


def _asks(rubric: AnyRubric) -> object:
    if isinstance(rubric, Checklist):
        return sorted((wording.content(leaf.text), wording.is_negative(leaf.text)) for leaf in rubric.leaves())
    return wording.content(rubric.criteria), tuple(rubric.descriptions.values())
