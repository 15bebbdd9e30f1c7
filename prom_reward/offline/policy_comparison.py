"""Two policies on the same prompts: what changed, by how much, and whether it could be chance.

It does not know models, judges or files.

Answers to one prompt are not independent, so intervals come from a paired bootstrap that draws whole prompts; see
`prom_reward.offline.agreement`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prom_reward.offline.agreement import Estimate, Floats, Indices, difference, estimate, pairwise_accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPair:
    """Two policies' answers to one prompt, as they were measured."""

    prompt: str
    """The prompt, or its key: what is drawn by the bootstrap."""
    before: Mapping[str, float | None]
    """The first policy's measures by name; None where there is none."""
    after: Mapping[str, float | None]
    """The second policy's, under the same names."""
    prob_after: Mapping[str, float | None]
    """By judge: the probability that the second answer is the better one, the mean of both orders."""
    sample: str = ""
    """Which of the prompt's answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one measure."""

    before: float
    """The first policy's mean over the pairs in which both have the measure."""
    after: float
    """The second policy's."""
    change: Estimate
    """Their difference, after - before, with interval and p-value."""
    num_pairs: int
    """The pairs."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        figures = {"before": self.before, "after": self.after, "n": self.num_pairs}
        return {**figures, "change": self.change.to_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyComparison:
    """All that changed from one policy to another."""

    num_prompts: int
    """Different prompts."""
    num_pairs: int
    """Answers of each policy."""
    changes: Mapping[str, Change]
    """By measure; one that no pair has is not there."""
    win_rates: Mapping[str, Estimate]
    """By judge: the share of pairs that the second policy wins, ties as half."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "prompts": self.num_prompts,
            "pairs": self.num_pairs,
            "changes": {name: one.to_dict() for name, one in self.changes.items()},
            "win_rates": {name: one.to_dict() for name, one in self.win_rates.items()},
        }


def compare_policies(pairs: Sequence[AnswerPair], *, resamples: int = 2000, seed: int = 0) -> PolicyComparison:
    """Compare two policies by everything that was measured of their answers.

    Args:
        pairs: The answers, at least one pair.
        resamples: Of the bootstrap over prompts; 0 gives no intervals.
        seed: Of the resamples.
    """
    names = list(dict.fromkeys(name for pair in pairs for name in pair.before))
    judges = list(dict.fromkeys(judge for pair in pairs for judge in pair.prob_after))
    changes = {name: _change(pairs, name, resamples, seed) for name in names}
    wins = {judge: _win_rate(pairs, judge, resamples, seed) for judge in judges}
    return PolicyComparison(
        num_prompts=len({pair.prompt for pair in pairs}),
        num_pairs=len(pairs),
        changes={name: one for name, one in changes.items() if one is not None},
        win_rates={judge: one for judge, one in wins.items() if one is not None},
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


def _win_rate(pairs: Sequence[AnswerPair], judge: str, resamples: int, seed: int) -> Estimate | None:
    known = [(pair.prompt, prob) for pair in pairs if (prob := pair.prob_after.get(judge)) is not None]
    if not known:
        return None
    leads = np.round([prob - 0.5 for _, prob in known], 9)  # equal answers are a tie, whatever the rounding
    clusters = [prompt for prompt, _ in known]
    return estimate(lambda at: pairwise_accuracy(leads[at]), clusters, resamples=resamples, seed=seed)


def _mean_of(values: Floats) -> Callable[[Indices], float]:
    return lambda at: float(values[at].mean())


def shown_change(change: Change | None) -> str:
    """Return a change as text, for example `2.10 → 2.35: +0.25 [0.10, 0.40]`."""
    if change is None:
        return "-"
    return f"{change.before:.2f} → {change.after:.2f}: {shown_estimate(change.change, digits=2, sign='+')}"


def shown_estimate(found: Estimate | None, *, digits: int = 3, sign: str = "") -> str:
    """Return an estimate with its interval as text; `sign="+"` shows the sign of what is positive, too."""
    if found is None or found.value is None:
        return "-"
    interval = "" if found.low is None else f" [{found.low:.{digits}f}, {found.high:.{digits}f}]"
    return f"{found.value:{sign}.{digits}f}{interval}"
