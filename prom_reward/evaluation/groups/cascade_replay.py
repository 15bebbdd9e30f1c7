"""The share of a strong judge that a cascade recovers with part of its calls, replayed from both judges' judgments."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, get_args

from prom_reward.answers import TOKEN_COUNTS, summed_counts
from prom_reward.evaluation.groups.labeled_groups import LabeledGroup, measure_order
from prom_reward.judging.composed.escalation import EscalateBy, decidedness, score_of
from prom_reward.types import GradingRequest, Judgment

BUDGETS = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
"""Shares of the answers that go to the strong judge."""


@dataclass(frozen=True, slots=True)
class CascadePoint:
    """A cascade at one budget, as means over groups."""

    budget: float
    """The largest share of the answers that the strong judge grades."""
    share: float
    """The share that it graded: groups go as a whole."""
    best: float | None
    """Best-of-n accuracy; None without groups."""
    tau: float | None
    """Kendall's tau with the labels; None without groups."""
    tokens: Mapping[str, float | None]
    """Tokens for each answer by the names of `Judgment`'s counts, of both judges; None if one of them does not tell."""

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CascadeReplay:
    """A cascade at all budgets."""

    num_groups: int
    """Groups in which both judges scored two answers of different labels; the others are left out."""
    curves: Mapping[str, Sequence[CascadePoint]]
    """The points of each way to choose groups, in the order of `BUDGETS`."""


def replay_cascade(
    groups: Sequence[LabeledGroup],
    cheap: Mapping[GradingRequest, Judgment],
    strong: Mapping[GradingRequest, Judgment],
) -> CascadeReplay:
    """Return the curve of each way to choose groups; see `prom_reward.judging.composed.cascade.CascadeJudge`.

    Args:
        groups: Labeled groups.
        cheap: The cheap judge's judgment of each answer.
        strong: The strong judge's.
    """
    both = [([cheap[one] for one in group.requests], [strong[one] for one in group.requests]) for group in groups]
    measured = [
        [measure_order([score_of(one) for one in answers], group.labels) for answers in pair]
        for pair, group in zip(both, groups, strict=True)
    ]
    sizes = [len(group.labels) for group in groups]
    costs = [[summed_counts(answers) for answers in pair] for pair in both]
    known = [at for at, orders in enumerate(measured) if None not in orders]
    curves = {}
    for by in get_args(EscalateBy):
        order = sorted(known, key=lambda at: decidedness(groups[at].requests, both[at][0], by))
        curves[by] = [_point(order, sizes, measured, costs, budget) for budget in BUDGETS]
    return CascadeReplay(len(known), curves)


def _point(
    order: Sequence[int],
    sizes: Sequence[int],
    measured: Sequence[Sequence[Any]],
    costs: Sequence[Sequence[Mapping[str, int | None]]],
    budget: float,
) -> CascadePoint:
    """Return the figures if the first groups of an order go to the strong judge, as many as fit into the budget."""
    total = sum(sizes[at] for at in order)
    left, escalated = int(budget * total + 1e-9), set[int]()
    for at in order:
        if sizes[at] <= left:
            left -= sizes[at]
            escalated.add(at)
    taken = [measured[at][at in escalated] for at in order]
    return CascadePoint(
        budget=budget,
        share=sum(sizes[at] for at in escalated) / total if total else 0.0,
        best=fmean([one.best for one in taken]) if taken else None,
        tau=fmean([one.tau for one in taken]) if taken else None,
        tokens={name: _per_answer(name, order, escalated, costs, total) for name in TOKEN_COUNTS},
    )


def _per_answer(
    name: str,
    order: Sequence[int],
    escalated: Set[int],
    costs: Sequence[Sequence[Mapping[str, int | None]]],
    num_answers: int,
) -> float | None:
    """Return a count for each answer: the cheap judge grades all of them, the strong one those that are escalated."""
    asked = [cost for at in order for cost in costs[at][: 2 if at in escalated else 1]]
    counts = [cost[name] for cost in asked]
    return None if None in counts or not num_answers else sum(one for one in counts if one is not None) / num_answers
