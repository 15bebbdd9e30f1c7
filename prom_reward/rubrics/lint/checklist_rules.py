"""Probable errors of a checklist: its criteria's words, their weights, and contradictions among them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.checklists.criterion import Criterion
from prom_reward.rubrics.lint import wording
from prom_reward.rubrics.lint.finding import RubricFinding

SMALL_SHARE = 0.01
"""A smaller share of all weight hardly matters."""
_SMALL_OF_MEAN = 0.1

Problem = tuple[str, str]
"""A rule's name and a message."""


def lint_checklist(checklist: Checklist) -> Iterator[RubricFinding]:
    """Yield the findings on a checklist, in the order of its criteria."""
    leaves = list(_leaves(checklist.criteria))
    for rule, message in _whole_problems(checklist, {one.leaf.name for one in leaves if one.is_loss}):
        yield RubricFinding(rule=rule, rubric=checklist.name, message=message)
    for one in leaves:
        for rule, message in _leaf_problems(one.leaf, is_loss=one.is_loss):
            yield RubricFinding(rule=rule, rubric=checklist.name, message=message, criteria=(one.number,))
    for numbers, (rule, message) in [*_weight_problems(checklist), *_repeated(leaves)]:
        yield RubricFinding(rule=rule, rubric=checklist.name, message=message, criteria=numbers)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A criterion in its place."""

    number: str
    leaf: Criterion
    is_loss: bool
    """Whether points are lost if it is met: a veto, or an odd number of negative weights on the way to it."""


def _leaves(criteria: Sequence[Criterion], prefix: str = "", *, is_loss: bool = False) -> Iterator[_Leaf]:
    for at, one in enumerate(criteria, start=1):
        turned = is_loss != (one.weight < 0 or one.role == "veto")
        if one.children:
            yield from _leaves(one.children, f"{prefix}{at}.", is_loss=turned)
        else:
            yield _Leaf(f"{prefix}{at}", one, turned)


def _whole_problems(checklist: Checklist, losses: set[str]) -> Iterator[Problem]:
    terms = [one for one in checklist.criteria if one.role == "term"]
    if terms and all(one.weight < 0 for one in terms):
        yield "only_pitfalls", "all weights are negative, so an empty response gets the full score; add what is wanted"
    if not terms:
        yield "only_gates", "it has gates and vetoes alone, so every score is 1 or the floor; add criteria"
    for one in checklist.leaves():
        if one.name not in losses and (needed := losses.intersection(one.requires)):
            yield "requires_pitfall", f"{one.name!r} counts only if the pitfall {min(needed)!r} is met"


def _leaf_problems(leaf: Criterion, *, is_loss: bool) -> Iterator[Problem]:
    shown = f"{leaf.text!r:.70}"
    turn = "if that is not meant, turn the words or the sign"
    if is_loss and wording.says_absence(leaf.text):
        yield "double_negation", f"{shown} loses points if it is so, though it says what is not done; {turn}"
    elif not is_loss and wording.says_fault(leaf.text):
        yield "rewards_fault", f"{shown} gains points if it is so, though it names a fault; {turn}"
    if leaf.check is not None:
        return
    if second := wording.second_demand(leaf.text):
        yield "compound", f"{shown} also asks {second!r:.50}; make two criteria of it, each with its own weight"
    if len(leaf.text.split()) > wording.MAX_WORDS:
        yield "long", f"{shown} has {len(leaf.text.split())} words; ask for one thing in a sentence"
    if not leaf.options and wording.asks_for_rating(leaf.text):
        yield "rating", f"{shown} asks for a number and is answered by yes or no; give it options, the worst first"
    if wording.falls(leaf.answers):
        yield (
            "order",
            f"its options go from {leaf.answers[0]!r:.30} to {leaf.answers[-1]!r:.30}; expected the worst first",
        )


def _weight_problems(checklist: Checklist) -> Iterator[tuple[tuple[str, ...], Problem]]:
    """Yield the weights that cannot matter, or hardly do, of the checklist and of every node."""
    terms = [(f"{at}", one) for at, one in enumerate(checklist.criteria, start=1) if one.role == "term"]
    levels = [(checklist.combine, terms)]
    for number, node in checklist.numbered():
        if node.children:
            levels.append((node.combine, [(f"{number}.{at}", one) for at, one in enumerate(node.children, start=1)]))
    for combine, siblings in levels:
        yield from _sibling_problems(combine, siblings)


def _sibling_problems(
    combine: str, siblings: Sequence[tuple[str, Criterion]]
) -> Iterator[tuple[tuple[str, ...], Problem]]:
    sizes = [abs(one.weight) for _, one in siblings if one.weight]
    if combine != "mean" and len(set(sizes)) > 1:
        yield (
            (),
            ("weights_unused", f"combine: {combine} takes no weights, but they differ; give all 1, or -1 to pitfalls"),
        )
    total = math.fsum(one.weight for _, one in siblings if one.weight > 0) or math.fsum(sizes)
    for number, one in siblings:
        share = abs(one.weight) / total if total else 0.0
        if not one.weight:
            yield (number,), ("no_weight", f"{one.text!r:.70} has the weight 0, so it cannot matter; drop it")
        elif (
            combine == "mean"
            and share < SMALL_SHARE
            and abs(one.weight) < _SMALL_OF_MEAN * math.fsum(sizes) / len(sizes)
        ):
            yield (
                (number,),
                ("small_weight", f"{one.text!r:.70} moves the score by {share:.2g} at most; drop it or weigh it more"),
            )


def _repeated(leaves: Sequence[_Leaf]) -> Iterator[tuple[tuple[str, ...], Problem]]:
    """Yield criteria that say the same as an earlier one, or the opposite."""
    first: dict[object, tuple[str, Criterion]] = {}
    for number, one in ((leaf.number, leaf.leaf) for leaf in leaves):
        asked = repr(one.check) if one.check is not None else wording.content(one.text)
        if not asked:
            continue
        earlier, other = first.setdefault((asked, one.check is None), (number, one))
        if earlier == number:
            continue
        if one.check is None and wording.is_negative(one.text) != wording.is_negative(other.text):
            yield (
                (earlier, number),
                ("opposite", f"{one.text!r:.70} is the opposite of {other.text!r:.70}: one thing counts twice"),
            )
        else:
            yield (earlier, number), ("duplicate", f"{one.text!r:.70} says the same as {other.text!r:.70}; keep one")
