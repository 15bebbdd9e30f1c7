"""Which members of a group are compared, by the name of a topology.

Pairs for N members: `round_robin` N (N - 1) / 2, `circular` and `anchor` N, `pivot` and `elimination` N - 1, `swiss`
N / 2 in each of log2(N) rounds, `adaptive` a budget. Every pair is judged in both orders.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np

from prom_reward.rewards.groups.strengths import Pair, Results, fit_strengths, information, win_rates

Topology = Literal["round_robin", "circular", "anchor", "pivot", "swiss", "elimination", "adaptive"]
TOPOLOGIES: tuple[Topology, ...] = get_args(Topology)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundState:
    """The members of a group before a round of comparisons."""

    grades: Sequence[float | None]
    """The expected score of each member from 0 to 1; None for none."""
    results: Results
    """The comparisons so far."""
    anchor: int | None = None
    """The place of the anchor, which is compared with every member; None for none."""
    budget: int = 0
    """Pairs that "adaptive" may compare."""
    prior_weight: float = 1.0
    """See `fit_strengths`."""

    @property
    def num_members(self) -> int:
        """Number of members, the anchor included."""
        return len(self.grades)

    @property
    def seeds(self) -> list[int]:
        """The members by their grades, the best first; those without one come last."""
        return sorted(
            range(self.num_members), key=lambda at: -1.0 if (one := self.grades[at]) is None else one, reverse=True
        )


def next_pairs(topology: Topology, standing: RoundState) -> list[Pair]:
    """Return the pairs of the next round; none if all was compared."""
    if standing.num_members < 2:
        return []
    return [pair for pair in _ROUNDS[topology](standing) if pair not in standing.results]


def _round_robin(standing: RoundState) -> list[Pair]:
    return list(combinations(range(standing.num_members), 2))


def _circular(standing: RoundState) -> list[Pair]:
    """Compare each member with the next one, and the last with the first."""
    after = [(at + 1) % standing.num_members for at in range(standing.num_members)]
    return sorted({_pair(at, other) for at, other in enumerate(after)})


def _anchor(standing: RoundState) -> list[Pair]:
    return [] if standing.anchor is None else _against(standing.anchor, standing)


def _pivot(standing: RoundState) -> list[Pair]:
    """Compare the member with the median grade with all others."""
    return _against(standing.seeds[standing.num_members // 2], standing)


def _against(one: int, standing: RoundState) -> list[Pair]:
    return [_pair(one, other) for other in range(standing.num_members) if other != one]


def _elimination(standing: RoundState) -> list[Pair]:
    """Compare the best with the worst of those that are left; the winners go on, ties go to the better grade."""
    left = standing.seeds
    while len(left) > 1:
        half = len(left) // 2
        duels = list(zip(left[:half], reversed(left[-half:]), strict=True))
        if waiting := [_pair(*duel) for duel in duels if _pair(*duel) not in standing.results]:
            return waiting
        winners = {upper if _prob(standing.results, upper, lower) >= 0.5 else lower for upper, lower in duels}
        winners |= set(left[half:-half])  # an odd one has no opponent
        left = [at for at in left if at in winners]
    return []


def _swiss(standing: RoundState) -> list[Pair]:
    """Compare neighbors in the order by win rates that have not met; log2 N rounds, the first by grades."""
    so_far: dict[Pair, float | None] = {}
    for _ in range((standing.num_members - 1).bit_length()):
        duels = list(_neighbors(_order(standing, so_far), so_far))
        if waiting := [duel for duel in duels if duel not in standing.results]:
            return waiting
        so_far |= {duel: standing.results[duel] for duel in duels}
    return []


def _order(standing: RoundState, results: Results) -> list[int]:
    """Return the members by their win rates, the best first; equal ones by their grades."""
    rates = win_rates(results, standing.num_members)
    return sorted(standing.seeds, key=lambda at: 0.5 if (rate := rates[at]) is None else rate, reverse=True)


def _neighbors(order: Sequence[int], played: Mapping[Pair, object]) -> Iterator[Pair]:
    """Pair each member with the next one in the order that it has not met."""
    free = list(order)
    while free:
        one = free.pop(0)
        other = next((at for at in free if _pair(one, at) not in played), None)
        if other is not None:
            free.remove(other)
            yield _pair(one, other)


def _adaptive(standing: RoundState) -> list[Pair]:
    """Compare the pairs with the most information, each member at most once in a round.

    The choice is near what any could know: see `information_bound` in tests/benchmarks/bench_group_rewards.py.
    """
    num_left = standing.budget - len(standing.results)
    strengths = fit_strengths(standing.results, standing.grades, prior_weight=standing.prior_weight)
    values = np.array([one or 0.0 for one in strengths.values])
    open_pairs = [pair for pair in combinations(range(standing.num_members), 2) if pair not in standing.results]
    gain = {pair: information(values, strengths.covariance, pair) for pair in open_pairs}
    chosen: list[Pair] = []
    for pair in sorted(open_pairs, key=lambda pair: -gain[pair]):
        if len(chosen) < num_left and not any(set(pair) & set(other) for other in chosen):
            chosen.append(pair)
    return chosen


def _pair(one: int, other: int) -> Pair:
    return (min(one, other), max(one, other))


def _prob(results: Results, one: int, other: int) -> float:
    """Return P(one is better than the other), 0.5 if the comparison failed."""
    prob = results[_pair(one, other)]
    if prob is None:
        return 0.5
    return prob if one < other else 1 - prob


_ROUNDS: Mapping[Topology, Callable[[RoundState], list[Pair]]] = {
    "round_robin": _round_robin,
    "circular": _circular,
    "anchor": _anchor,
    "pivot": _pivot,
    "swiss": _swiss,
    "elimination": _elimination,
    "adaptive": _adaptive,
}
