"""Metrics of a batch's groups."""

from collections.abc import Sequence
from math import nan
from statistics import fmean

from prom_reward.rewards.groups.contest import Ranking


def group_metrics(rankings: Sequence[Ranking]) -> dict[str, float]:
    """Return the metrics of the groups that this process judged; a mean over nothing is NaN.

    The names never depend on the groups: TRL before 1.14 hangs if the ranks log different metrics.
    """
    pairs = [pair for one in rankings for pair in one.pairs]
    known = [pair for pair in pairs if pair.prob_first is not None]
    errors = [one.standard_error for ranking in rankings for one in ranking.scores if one and one.standard_error]
    return {
        "judge/group/size": fmean([len(one.scores) for one in rankings] or [nan]),
        "judge/group/pairs": float(len(pairs)),
        "judge/group/failed_pairs": float(len(pairs) - len(known)),
        "judge/group/order_flips": fmean([pair.follows_order for pair in known] or [nan]),
        "judge/group/standard_error": fmean(errors or [nan]),
    }
