"""Grades, every topology of comparisons, and mixtures of both, side by side on labeled groups."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from statistics import fmean
from typing import Any

import numpy as np

from prom_reward.evaluation.agreement import Estimate, Floats, Statistic, difference, estimate
from prom_reward.evaluation.groups import LabeledGroup, Order, measure_order
from prom_reward.evaluation.scores import grade_all
from prom_reward.judging.base import Judge
from prom_reward.judging.composed.escalation import decidedness, score_of
from prom_reward.rewards.groups.contest import Ranking
from prom_reward.rewards.groups.ranking import rank_groups
from prom_reward.rewards.groups.rule import GroupRule
from prom_reward.rewards.groups.topologies import TOPOLOGIES
from prom_reward.types import Comparison, ComparisonRequest, GradingRequest, Judgment

POINTWISE, LENGTH = "pointwise", "length"
_SHARE = 0.3  # of the groups that a mixture compares


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodFigures:
    """How well one method orders the groups, as means over groups."""

    tau: Estimate
    """Kendall's tau with the labels."""
    best: Estimate
    """Best-of-n accuracy."""
    pairs: Estimate
    """Accuracy on pairs of different labels, ties as half."""
    ties: float
    """Share of pairs with equal scores."""
    gain: Estimate
    """Tau minus the tau of the grades alone, on the same groups."""
    num_prompts: float
    """Prompts of a group, both orders of a pair as two."""
    num_tokens: float
    """Tokens of these prompts and of the judge's answers, without what prompts share."""
    flips: float | None = None
    """Share of its pairs whose verdict changes with the order."""

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        estimates = {name: getattr(self, name).to_dict() for name in ("tau", "best", "pairs", "gain")}
        return {**asdict(self), **estimates}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEvaluation:
    """A judge on labeled groups."""

    judge: str
    """The judge's name."""
    num_groups: int
    """Groups that every method scored."""
    num_answers: int
    """Their answers."""
    methods: Mapping[str, MethodFigures]
    """The figures of each method."""

    @property
    def deserves(self) -> str:
        """The method with the largest tau among those that beat the grades beyond chance; else the grades."""
        better = [name for name, one in self.methods.items() if name != LENGTH and (one.gain.low or 0) > 0]
        return max(better, key=lambda name: self.methods[name].tau.value or 0, default=POINTWISE)

    @property
    def verdict(self) -> str:
        """One sentence that says which method this judge deserves."""
        best, length = self.methods[self.deserves].tau.value, self.methods[LENGTH].tau.value
        if (best or 0) <= (length or 0):
            return f"{self.judge} orders these answers no better than their length: take another judge"
        if self.deserves == POINTWISE:
            return f"no comparison beats the grades of {self.judge} beyond chance: take PrometheusReward"
        return f"{self.judge} deserves {self.deserves}"

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        methods = {name: one.to_dict() for name, one in self.methods.items()}
        told = {"judge": self.judge, "n": self.num_groups, "answers": self.num_answers}
        return {**told, "methods": methods, "deserves": self.deserves, "verdict": self.verdict}


def evaluate_groups(
    judge: Judge,
    groups: Sequence[LabeledGroup],
    *,
    resamples: int = 1000,
    seed: int = 0,
    on_batch: Callable[[int], None] = lambda _: None,
) -> GroupEvaluation:
    """Measure every method on the same judgments: all answers graded, all pairs compared in both orders.

    Args:
        judge: The judge.
        groups: The groups; "anchor" is left out, because it needs a baseline.
        resamples: Bootstrap resamples over prompts.
        seed: Seed of the bootstrap.
        on_batch: Called after each call of the judge with the number of its prompts.
    """
    recorded = _Recorded(judge, groups, on_batch)
    tried = _tried(recorded, [group.requests for group in groups])
    orders = {
        name: [measure_order(one.scores, group.labels) for one, group in zip(rows, groups, strict=True)]
        for name, rows in tried.items()
    }
    known = [at for at in range(len(groups)) if all(rows[at] is not None for rows in orders.values())]
    clusters = [groups[at].cluster for at in known]

    def measured(name: str, rows: Sequence[_Tried]) -> MethodFigures:
        own, grades = ([orders[key][at] for at in known] for key in (name, POINTWISE))
        values = {key: _values(own, key) for key in ("tau", "best", "pairs", "ties")}
        base = _values(grades, "tau")
        bootstrap = {"resamples": resamples, "seed": seed}
        flips = [flip for at in known for flip in rows[at].flips]
        return MethodFigures(
            **{key: estimate(_mean_of(values[key]), clusters, **bootstrap) for key in ("tau", "best", "pairs")},
            gain=difference(_mean_of(values["tau"]), _mean_of(base), clusters, **bootstrap),
            ties=float(values["ties"].mean()) if known else 0.0,
            num_prompts=fmean([rows[at].num_prompts for at in known] or [0]),
            num_tokens=fmean([rows[at].num_tokens for at in known] or [0]),
            flips=fmean(flips) if flips else None,
        )

    return GroupEvaluation(
        judge=judge.name,
        num_groups=len(known),
        num_answers=sum(len(groups[at].requests) for at in known),
        methods={name: measured(name, rows) for name, rows in tried.items()},
    )


@dataclass(frozen=True, slots=True)
class _Tried:
    """One method on one group."""

    scores: Sequence[float | None]
    num_prompts: int = 0
    num_tokens: int = 0
    flips: Sequence[bool] = ()


class _Recorded(Judge):
    """Asks a judge once for everything that any topology may need, and answers from that."""

    fingerprint = "recorded"

    def __init__(self, judge: Judge, groups: Sequence[LabeledGroup], on_batch: Callable[[int], None]) -> None:
        self.name, self._ranks = judge.name, judge.ranks
        asked = list(dict.fromkeys(request for group in groups for request in group.requests))
        self._judgments = dict(zip(asked, grade_all(judge, asked, on_batch=on_batch), strict=True))
        self._comparisons: dict[ComparisonRequest, Comparison] = {}
        for group in groups if judge.ranks else ():
            pairs = [_pair(first, second) for first, second in permutations(group.requests, 2)]
            self._comparisons |= zip(pairs, judge.compare(pairs), strict=True)
            on_batch(len(pairs))

    @property
    def ranks(self) -> bool:
        """Whether the recorded judge does."""
        return self._ranks

    def grade(self, requests: Sequence[GradingRequest]) -> list[Judgment]:
        """Return the recorded grades."""
        return [self._judgments[request] for request in requests]

    def compare(self, requests: Sequence[ComparisonRequest]) -> list[Comparison]:
        """Return the recorded comparisons."""
        return [self._comparisons[request] for request in requests]


def _tried(judge: Judge, groups: Sequence[Sequence[GradingRequest]]) -> dict[str, list[_Tried]]:
    """Return every method's scores and costs for each group."""
    graded = [judge.grade(group) for group in groups]
    rules = {str(name): GroupRule(topology=name) for name in TOPOLOGIES if name != "anchor"}
    rules["round_robin, grades ignored"] = GroupRule(topology="round_robin", prior_weight=0)
    found = {
        LENGTH: [_Tried([float(len(one.response)) for one in group]) for group in groups],
        POINTWISE: [_Tried([score_of(one) for one in row], len(row), _num_tokens(row)) for row in graded],
    }
    for name, rule in rules.items():
        found[name] = [_ranked(one, asks=judge.ranks) for one in rank_groups(judge, groups, rule)]
    margins = [decidedness(group, row, "group_margin") for group, row in zip(groups, graded, strict=True)]
    closest = sorted(range(len(groups)), key=margins.__getitem__)[: round(_SHARE * len(groups))]
    found[f"adaptive for {_SHARE:.0%}"] = [
        found["adaptive" if at in closest else POINTWISE][at] for at in range(len(groups))
    ]
    return found


def _ranked(ranking: Ranking, *, asks: bool) -> _Tried:
    scores = [None if one is None else one.value for one in ranking.scores]
    sides = [side for pair in ranking.pairs for side in (pair.forward, pair.backward)] if asks else []
    flips = [pair.follows_order for pair in ranking.pairs if pair.prob_first is not None] if asks else []
    tokens = _num_tokens([*ranking.judgments, *sides])
    return _Tried(scores, len(ranking.judgments) + len(sides), tokens, flips)


def _num_tokens(answers: Sequence[Judgment | Comparison]) -> int:
    return sum(one.num_prompt_tokens + one.num_generated_tokens for one in answers)


def _pair(first: GradingRequest, second: GradingRequest) -> ComparisonRequest:
    return ComparisonRequest(
        instruction=first.instruction,
        response_a=first.response,
        response_b=second.response,
        rubric=first.rubric,
        reference_answer=first.reference_answer,
    )


def _values(orders: Sequence[Order | None], name: str) -> Floats:
    return np.array([getattr(one, name) for one in orders], dtype=float)


def _mean_of(values: Floats) -> Statistic:
    return lambda rows: float(values[rows].mean()) if len(rows) else None
