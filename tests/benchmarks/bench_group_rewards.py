"""How well each topology recovers known qualities from a noisy judge with a bias for the first response.

    python tests/benchmarks/bench_group_rewards.py --trials 200 --json out.json

No model: qualities are normal with deviation 1. A grade is the quality plus normal noise, squeezed to (0, 1). A
comparison is the logistic function of the difference plus normal noise of the pair, plus the bias for the first
response; both orders are averaged. `tau` is Kendall's tau with the qualities, `error` the root mean square error of the
advantages (rewards minus their mean, over their deviation), `pairs` the mean number of pairs.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from scipy.special import expit
from scipy.stats import kendalltau

from prom_reward.rewards.groups.noise import estimate_noise
from prom_reward.rewards.groups.strengths import Pair, Results, fit_strengths
from prom_reward.rewards.groups.topologies import TOPOLOGIES, RoundState, Topology, next_pairs

Group = tuple[np.ndarray, list[float], Callable[[Pair], float]]
"""Qualities, grades, and the judge of pairs."""


def simulated_group(
    size: int, *, grade_noise: float, pair_noise: float, bias: float, draw: np.random.Generator
) -> Group:
    """Return one group, the anchor (of mean quality) last."""
    qualities = np.append(draw.normal(size=size), 0.0)
    grades = expit(qualities + grade_noise * draw.normal(size=size + 1))
    noise = draw.normal(size=(size + 1, size + 1)) * pair_noise

    def prob_first(pair: Pair) -> float:
        edge = qualities[pair[0]] - qualities[pair[1]] + noise[pair]
        return float(expit(edge + bias) + 1 - expit(-edge + bias)) / 2

    return qualities[:size], [float(one) for one in grades], prob_first


def played(topology: Topology, group: Group, *, budget: int, prior_weight: float = 1.0) -> tuple[list[float], int]:
    """Return the members' strengths after all rounds, and the number of pairs."""
    qualities, grades, prob_first = group
    has_anchor = topology == "anchor"
    known: list[float | None] = [*grades[: len(qualities)], *([None] if has_anchor else [])]
    results: dict[Pair, float | None] = {}
    while pairs := next_pairs(
        topology,
        RoundState(
            grades=known,
            results=results,
            anchor=len(qualities) if has_anchor else None,
            budget=budget,
            prior_weight=prior_weight,
        ),
    ):
        results |= {pair: prob_first(pair) for pair in pairs}
    return _strengths(results, known, prior_weight)[: len(qualities)], len(results)


def _strengths(results: Results, grades: list[float | None], prior_weight: float) -> list[float]:
    return [one or 0.0 for one in fit_strengths(results, grades, prior_weight=prior_weight).values]


def advantage_error(rewards: np.ndarray, qualities: np.ndarray) -> float:
    """Return the root mean square error of standardized rewards."""
    found, known = ((one - one.mean()) / (one.std() + 1e-4) for one in (rewards, qualities))
    return float(np.sqrt(np.mean((found - known) ** 2)))


def fitted_weight(size: int, *, num_groups: int = 40, seed: int, **setting: float) -> float:
    """Return the prior weight that the judge's noise in other groups suggests; these have no labels."""
    draw = np.random.default_rng(seed)
    groups = []
    for _ in range(num_groups):
        _, grades, prob_first = simulated_group(size, draw=draw, **setting)
        known: list[float | None] = [*grades[:size]]
        groups.append(
            (known, {pair: prob_first(pair) for pair in next_pairs("circular", RoundState(grades=known, results={}))})
        )
    noise = estimate_noise(groups)
    assert noise is not None
    return noise.prior_weight


def information_bound(size: int, num_pairs: int, *, grade_noise: float, pair_noise: float) -> float:
    """Return the largest tau of `num_pairs` over that of all pairs, if all were normal and each pair were as good.

    The precision of a strength is 1 (its spread), its grade's and num_pairs * 2 / (size - 1) comparisons': the mean
    eigenvalue of the graph's Laplacian. Tau is 2 / pi times the arcsine of the correlation (Kruskal 1958).
    """

    def tau(pairs: float) -> float:
        precision = 1 + 1 / grade_noise**2 + 2 * pairs / (size - 1) / pair_noise**2
        return float(np.arcsin(np.sqrt(1 - 1 / precision)))

    return tau(num_pairs) / tau(size * (size - 1) / 2)


def measured(
    size: int,
    *,
    trials: int,
    seed: int = 0,
    fits: bool = True,
    names: Sequence[Topology] = TOPOLOGIES,
    **setting: float,
) -> dict[str, dict[str, float]]:
    """Return the mean figures of grades alone, of comparisons alone, and of topologies with their prior."""
    weight = fitted_weight(size, seed=seed + 1, **setting) if fits else None
    draw = np.random.default_rng(seed)
    seen: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for _ in range(trials):
        group = simulated_group(size, draw=draw, **setting)
        qualities = group[0]
        tries: dict[str, tuple[list[float], int]] = {
            "grades alone": (group[1][:size], 0),
            "circular, no prior": played("circular", group, budget=0, prior_weight=0),
            **{name: played(name, group, budget=2 * size) for name in names},
        }
        if weight is not None:
            tries["circular, fitted"] = played("circular", group, budget=0, prior_weight=weight)
            tries["adaptive, fitted"] = played("adaptive", group, budget=2 * size, prior_weight=weight)
        for name, (rewards, pairs) in tries.items():
            tau = kendalltau(rewards, qualities).statistic
            seen[name].append((tau, advantage_error(np.array(rewards), qualities), pairs))
    return {
        name: dict(zip(("tau", "error", "pairs"), np.mean(values, axis=0).round(3).tolist(), strict=True))
        for name, values in seen.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--sizes", default="4,8,16")
    parser.add_argument("--noise", default="0.5,1,2", help="of grades and, each with each, of comparisons")
    parser.add_argument("--bias", default="0,2")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sizes, noises, biases = ([float(one) for one in text.split(",")] for text in (args.sizes, args.noise, args.bias))
    lines = []
    for size, grade_noise, pair_noise, bias in product(sizes, noises, noises, biases):
        noise = {"grade_noise": grade_noise, "pair_noise": pair_noise}
        setting = {**noise, "bias": bias}
        figures = measured(int(size), trials=args.trials, **setting)
        bound = information_bound(int(size), min(2 * int(size), int(size * (size - 1) / 2)), **noise)
        lines.append({"size": int(size), **setting, "bound": round(bound, 3), "figures": figures})
        print(json.dumps(lines[-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
