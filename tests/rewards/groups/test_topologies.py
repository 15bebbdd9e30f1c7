import importlib.util
from math import ceil, log2
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from prom_reward.rewards.groups.topologies import TOPOLOGIES, RoundState, next_pairs


def simulator():
    path = Path(__file__).parents[2] / "benchmarks/bench_group_rewards.py"
    spec = importlib.util.spec_from_file_location("bench_group_rewards", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def played(topology, grades, prob=lambda pair: 0.5, **options):
    """Return all rounds of a topology."""
    results, rounds = {}, []
    while pairs := next_pairs(topology, RoundState(grades=grades, results=results, **options)):
        rounds.append(pairs)
        results |= {pair: prob(pair) for pair in pairs}
    return rounds


SIZES = {
    "round_robin": lambda n: n * (n - 1) // 2,
    "circular": lambda n: n if n > 2 else n - 1,
    "anchor": lambda n: n - 1,  # one of the members is the anchor
    "pivot": lambda n: n - 1,
    "elimination": lambda n: n - 1,
    "adaptive": lambda n: min(2 * n, n * (n - 1) // 2),
}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TOPOLOGIES), st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=9), st.data())
def test_every_pair_is_asked_once_within_the_stated_cost(topology, grades, data):
    verdicts = st.none() | st.floats(0, 1)
    rounds = played(topology, grades, lambda _: data.draw(verdicts), anchor=0, budget=2 * len(grades))
    pairs = [pair for one in rounds for pair in one]
    assert len(set(pairs)) == len(pairs)
    assert all(0 <= first < second < len(grades) for first, second in pairs)
    if topology == "swiss":
        assert len(pairs) <= len(grades) // 2 * ceil(log2(len(grades)))
    else:
        assert len(pairs) == SIZES[topology](len(grades))


def test_a_circle_closes():
    assert played("circular", [0.5] * 4) == [[(0, 1), (0, 3), (1, 2), (2, 3)]]


def test_the_pivot_has_the_median_grade():
    assert played("pivot", [0.1, 0.9, 0.5]) == [[(0, 2), (1, 2)]]


def test_without_an_anchor_nothing_is_compared():
    assert played("anchor", [0.1, 0.9]) == []


def test_winners_meet_winners():
    """By grades 3 > 2 > 1 > 0, but 0 wins every comparison."""
    rounds = played("elimination", [0.1, 0.2, 0.3, 0.4], lambda pair: 1.0 if pair[0] == 0 else 0.0)
    assert rounds == [[(0, 3), (1, 2)], [(0, 2)]]


def test_a_failed_comparison_of_an_elimination_goes_to_the_better_grade():
    assert played("elimination", [0.1, 0.2, 0.3, 0.4], lambda _: None) == [[(0, 3), (1, 2)], [(2, 3)]]


def test_swiss_pairs_neighbors_that_have_not_met():
    rounds = played("swiss", [0.4, 0.3, 0.2, 0.1], lambda pair: 1.0)
    assert rounds == [[(0, 1), (2, 3)], [(0, 2), (1, 3)]]


def test_adaptive_asks_first_what_it_knows_least_about():
    [[pair]] = played("adaptive", [0.0, 0.5, 0.5, 1.0], budget=1)
    assert pair == (1, 2)


@pytest.mark.parametrize("budget", [0, 3, 100])
def test_adaptive_keeps_its_budget(budget):
    rounds = played("adaptive", [0.1, 0.2, 0.3, 0.4], budget=budget)
    assert sum(map(len, rounds)) == min(budget, 6)


def test_the_simulator_shows_the_worth_of_adaptive_pairs_and_of_the_prior():
    """The targets at a noise of half the qualities' deviation, with and without a bias for the first response."""
    bench = simulator()
    for bias in (0.0, 2.0):
        names = ("circular", "adaptive", "round_robin")
        figures = bench.measured(8, trials=60, fits=False, names=names, grade_noise=0.5, pair_noise=0.5, bias=bias)
        tau = {name: one["tau"] for name, one in figures.items()}
        assert figures["adaptive"]["pairs"] == 16
        assert tau["adaptive"] >= 0.95 * tau["round_robin"]
        assert tau["circular"] > max(tau["grades alone"], tau["circular, no prior"]) + 0.02
