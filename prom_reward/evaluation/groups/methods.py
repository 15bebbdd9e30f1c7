"""Grades, every topology of comparisons, and mixtures of both, side by side on labeled groups."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np

from prom_reward.evaluation.agreement import Estimate, Floats, Statistic, difference, estimate
from prom_reward.evaluation.groups.labeled_groups import LabeledGroup, Order, measure_order
from prom_reward.evaluation.groups.trials import LENGTH, POINTWISE, Recorded, Tried, prior_weight, tried_methods
from prom_reward.judging.base import Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodFigures:
    """Measures of how well one method orders the groups, as means over groups."""

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
    num_read: float | None
    """Tokens of these prompts, each as if it shared nothing; None if the judge does not tell."""
    num_written: float | None
    """Tokens of the judge's answers; the same."""
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
    num_unscored: int = 0
    """The other groups."""
    prior_weight: float | None = None
    """The weight of the grades that the judge's noise suggests for `GroupReward`; None if it does not rank."""

    @property
    def deserves(self) -> str:
        """The method with the largest tau among those that beat the grades beyond chance; else the grades."""
        better = [name for name, one in self.methods.items() if name != LENGTH and (one.gain.low or 0) > 0]
        return max(better, key=lambda name: self.methods[name].tau.value or 0, default=POINTWISE)

    @property
    def verdict(self) -> str:
        """One sentence that says which method this judge deserves."""
        if not self.num_groups:
            return f"{self.judge} scored no two answers of different labels in any group"
        best, length = self.methods[self.deserves].tau.value, self.methods[LENGTH].tau.value
        if (best or 0) <= (length or 0):
            return f"{self.judge} orders these answers no better than their length: take another judge"
        if self.deserves == POINTWISE:
            return f"no comparison beats the grades of {self.judge} beyond chance: take PrometheusReward"
        told = "" if self.prior_weight is None else f"; its noise suggests prior_weight={self.prior_weight:.2g}"
        return f"{self.judge} deserves {self.deserves}{told}"

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        methods = {name: one.to_dict() for name, one in self.methods.items()}
        counts = {"n": self.num_groups, "unscored": self.num_unscored, "answers": self.num_answers}
        told = {"prior_weight": self.prior_weight, "deserves": self.deserves, "verdict": self.verdict}
        return {"judge": self.judge, **counts, "methods": methods, **told}


def evaluate_groups(
    judge: Judge,
    groups: Sequence[LabeledGroup],
    *,
    second: Judge | None = None,
    resamples: int = 1000,
    seed: int = 0,
    on_batch: Callable[[int], None] = lambda _: None,
) -> GroupEvaluation:
    """Measure every method on the same judgments: all answers graded, all pairs compared in both orders.

    Args:
        judge: The judge.
        groups: The groups; "anchor" is tried if all have a reference answer.
        second: A stronger judge: then its grades are tried, too, a cascade of both, and panels of both.
        resamples: Bootstrap resamples over prompts.
        seed: Seed of the bootstrap.
        on_batch: Called after each call of the judge with the number of its prompts.
    """
    recorded = Recorded(judge, groups, on_batch)
    other = None if second is None else Recorded(second, groups, on_batch, name=_other_name(judge, second))
    tried = tried_methods(recorded, other, [group.requests for group in groups])
    orders = {
        name: [measure_order(one.scores, group.labels) for one, group in zip(rows, groups, strict=True)]
        for name, rows in tried.items()
    }
    known = [at for at in range(len(groups)) if all(rows[at] is not None for rows in orders.values())]
    clusters = [groups[at].cluster for at in known]

    def measured(name: str, rows: Sequence[Tried]) -> MethodFigures:
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
            num_read=mean_known(rows[at].num_read for at in known),
            num_written=mean_known(rows[at].num_written for at in known),
            flips=fmean(flips) if flips else None,
        )

    return GroupEvaluation(
        judge=judge.name,
        num_groups=len(known),
        num_unscored=len(groups) - len(known),
        num_answers=sum(len(groups[at].requests) for at in known),
        methods={name: measured(name, rows) for name, rows in tried.items()},
        prior_weight=prior_weight(recorded, [group.requests for group in groups]),
    )


def mean_known(values: Iterable[float | None]) -> float | None:
    """Return the mean of the known values; None if there is none."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _other_name(judge: Judge, second: Judge) -> str:
    return second.name if second.name != judge.name else f"{second.name}, second"


def _values(orders: Sequence[Order | None], name: str) -> Floats:
    return np.array([getattr(one, name) for one in orders], dtype=float)


def _mean_of(values: Floats) -> Statistic:
    return lambda rows: float(values[rows].mean()) if len(rows) else None
