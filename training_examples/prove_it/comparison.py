"""Compares two policies on the same prompts: changes with intervals, and win rates.

Answers to one prompt are not independent, so intervals come from a paired bootstrap over prompts; see
`prom_reward.evaluation.agreement`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np

from prom_reward.evaluation.agreement import (
    Estimate,
    Floats,
    Indices,
    difference,
    estimate,
    pairwise_accuracy,
    shown_estimate,
)

_FLAT = 1e-12  # a variance below it is rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPair:
    """The measures of two policies' answers to one prompt."""

    prompt: str
    """The prompt or its key; the bootstrap samples prompts."""
    before: Mapping[str, float | None]
    """The first policy's measures by name; None if a measure is missing."""
    after: Mapping[str, float | None]
    """The second policy's measures, under the same names."""
    prob_after: Mapping[str, float | None]
    """By judge: the probability that the second answer is better, from each answer's own score."""
    prob_ranked: Mapping[str, float | None] = field(default_factory=dict)
    """By judge: the same probability from ranking the two answers, as the mean of both orders."""
    orders_agree: Mapping[str, float | None] = field(default_factory=dict)
    """By judge: the share of rubrics for which both orders have the same winner."""
    sample: str = ""
    """The name of the answer: GREEDY, or its seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The change of one measure."""

    before: float
    """The first policy's mean over the pairs that have the measure on both sides."""
    after: float
    """The second policy's mean over the same pairs."""
    change: Estimate
    """Their difference, after - before, with interval and p-value."""
    num_pairs: int
    """The number of these pairs."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        figures = {"before": self.before, "after": self.after, "n": self.num_pairs}
        return {**figures, "change": self.change.to_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyComparison:
    """The changes from one policy to another."""

    num_prompts: int
    """Number of different prompts."""
    num_pairs: int
    """Number of answers of each policy."""
    changes: Mapping[str, Change]
    """By measure; a measure that no pair has is left out."""
    win_rates: Mapping[str, Estimate]
    """By judge: the share of pairs in which the second policy's answer scores higher, ties as half."""
    ranked_win_rates: Mapping[str, Estimate]
    """By judge: the same share from ranking both answers, as the mean of both orders."""
    order_agreement: Mapping[str, float]
    """By judge: the share of rankings with the same winner in both orders; near 0 they say next to nothing."""
    words_held: Mapping[str, Estimate]
    """By judge: the change of its score at no change in words, from a line fitted over the pairs."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "prompts": self.num_prompts,
            "pairs": self.num_pairs,
            "changes": {name: one.to_dict() for name, one in self.changes.items()},
            "win_rates": {name: one.to_dict() for name, one in self.win_rates.items()},
            "ranked_win_rates": {name: one.to_dict() for name, one in self.ranked_win_rates.items()},
            "order_agreement": dict(self.order_agreement),
            "words_held": {name: one.to_dict() for name, one in self.words_held.items()},
        }


def compare_policies(pairs: Sequence[AnswerPair], *, resamples: int = 2000, seed: int = 0) -> PolicyComparison:
    """Compare two policies by all measures of their answers.

    Args:
        pairs: The measured answers, at least one pair.
        resamples: Resamples of the bootstrap over prompts; 0 gives no intervals.
        seed: Seeds the resamples.
    """
    names = list(dict.fromkeys(name for pair in pairs for name in pair.before))
    changes = {name: _change(pairs, name, resamples, seed) for name in names}
    clusters = [pair.prompt for pair in pairs]
    judges = list(dict.fromkeys(name for pair in pairs for name in pair.prob_after))
    held = {name: _words_held(pairs, name, resamples, seed) for name in judges}
    return PolicyComparison(
        num_prompts=len({pair.prompt for pair in pairs}),
        num_pairs=len(pairs),
        changes={name: one for name, one in changes.items() if one is not None},
        win_rates=_win_rates([pair.prob_after for pair in pairs], clusters, resamples, seed),
        ranked_win_rates=_win_rates([pair.prob_ranked for pair in pairs], clusters, resamples, seed),
        order_agreement={name: fmean(flat) for name, flat in _by_judge(pair.orders_agree for pair in pairs).items()},
        words_held={name: one for name, one in held.items() if one.value is not None},
    )


def _change(pairs: Sequence[AnswerPair], name: str, resamples: int, seed: int) -> Change | None:
    measured = [(pair.prompt, pair.before.get(name), pair.after.get(name)) for pair in pairs]
    both = [(prompt, one, other) for prompt, one, other in measured if one is not None and other is not None]
    if not both:
        return None
    before, after = (np.array([row[side] for row in both], dtype=float) for side in (1, 2))
    clusters = [prompt for prompt, *_ in both]
    change = difference(_mean_of(after), _mean_of(before), clusters, resamples=resamples, seed=seed)
    return Change(before=float(before.mean()), after=float(after.mean()), change=change, num_pairs=len(both))


def _words_held(pairs: Sequence[AnswerPair], judge: str, resamples: int, seed: int) -> Estimate:
    """Return the change of a judge's score at no change in words: the intercept of a line over the pairs."""
    names = (judge, "words")
    whole = [
        pair
        for pair in pairs
        if all(side.get(name) is not None for side in (pair.before, pair.after) for name in names)
    ]
    before, after = (
        np.array([[side[name] for name in names] for side in sides], dtype=float)  # (N, 2)
        for sides in ([pair.before for pair in whole], [pair.after for pair in whole])
    )
    changes = after - before

    def intercept(at: Indices) -> float | None:
        if not len(at):
            return None
        score, words = changes[at].T
        spread = float(words.var())
        slope = float(np.cov(score, words, bias=True)[0, 1]) / spread if spread > _FLAT else 0.0
        return float(score.mean() - slope * words.mean())

    return estimate(intercept, [pair.prompt for pair in whole], resamples=resamples, seed=seed)


def _win_rates(
    probs: Sequence[Mapping[str, float | None]], clusters: Sequence[str], resamples: int, seed: int
) -> dict[str, Estimate]:
    """Return every judge's win rate over the pairs that it judged; a judge without any is left out."""
    rates: dict[str, Estimate] = {}
    for judge, flat in _by_judge(probs).items():
        leads = np.round([prob - 0.5 for prob in flat], 9)  # equal answers are a tie despite rounding
        known = [cluster for cluster, one in zip(clusters, probs, strict=True) if one.get(judge) is not None]
        rates[judge] = estimate(partial(_share_won, leads), known, resamples=resamples, seed=seed)
    return rates


def _by_judge(values: Iterable[Mapping[str, float | None]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for judge, value in (item for one in values for item in one.items()):
        if value is not None:
            found.setdefault(judge, []).append(value)
    return found


def _share_won(leads: Floats, at: Indices) -> float | None:
    return pairwise_accuracy(leads[at])


def _mean_of(values: Floats) -> Callable[[Indices], float]:
    return lambda at: float(values[at].mean())


def shown_change(change: Change | None) -> str:
    """Return a change as text, for example `2.10 → 2.35: +0.25 [0.10, 0.40]`."""
    if change is None:
        return "-"
    return f"{change.before:.2f} → {change.after:.2f}: {shown_estimate(change.change, digits=2, sign='+')}"
