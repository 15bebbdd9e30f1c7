import pytest

from training_examples.prove_it.comparison import AnswerPair
from training_examples.prove_it.runs import compare_runs, kind_of


def run(after, *, prompts=("new", "old"), samples=("greedy", "seed 0")):
    """A run whose answers score the same everywhere; the first policy's score 2 on a scale from 1 to 5."""
    return [
        AnswerPair(
            prompt=prompt,
            sample=sample,
            before={"judge": 2.0},
            after={"judge": after},
            prob_after={"judge": (1 + (after - 2.0) / 4) / 2},
            prob_ranked={"judge": 0.5},
        )
        for prompt in prompts
        for sample in samples
    ]


RUNS = {"expected-0": run(4.0), "expected-1": run(3.0), "integer-0": run(5.0), "lead": run(2.5)}


def compared(runs=RUNS):
    return compare_runs(runs, main="expected", unseen={"new"}, resamples=20)


def test_runs_kinds_and_parts_of_kinds_stand_side_by_side():
    found = compared()
    parts = ("", ", greedy", ", sampled", ", unseen", ", both whole")
    kinds = {f"{kind}{part}" for kind in ("expected", "integer") for part in parts}
    between = {"integer → expected", "integer-0 → expected-0", "lead → expected"}
    between |= {"lead → expected-0", "lead → expected-1"}
    assert found.keys() == {*RUNS, *kinds, *between}
    assert found["expected"].num_pairs == 8
    assert found["expected"].changes["judge"].after == 3.5
    assert (found["expected, greedy"].num_pairs, found["expected, sampled"].num_pairs) == (4, 4)
    assert (found["expected, unseen"].num_prompts, found["expected, unseen"].num_pairs) == (1, 4)
    assert found["lead"].changes["judge"].after == 2.5


def test_a_kind_is_held_against_the_main_one_by_runs_with_the_same_seed():
    between = compared()["integer → expected"]
    assert between.num_pairs == 4  # of the seed 0 alone
    assert (between.changes["judge"].before, between.changes["judge"].after) == (5.0, 4.0)
    assert between.win_rates["judge"].value == 0
    assert between.ranked_win_rates == {}


def test_a_baseline_is_held_against_every_run_of_the_main_kind():
    found = compared()
    assert found["lead → expected"].num_pairs == 8
    changes = [found[f"lead → expected{seed}"].changes["judge"] for seed in ("", "-0", "-1")]
    assert [(one.before, one.after) for one in changes] == [(2.5, 3.5), (2.5, 4.0), (2.5, 3.0)]


def test_answers_that_were_cut_off_on_either_side_are_left_out_of_the_whole_ones():
    def answers(prompt, before, after):
        sides = {"before": {"cut off": before}, "after": {"cut off": after}, "prob_after": {"judge": 0.5}}
        return AnswerPair(prompt=prompt, sample="greedy", **sides)

    pairs = [answers("a", 0.0, 0.0), answers("b", 1.0, 0.0), answers("c", 0.0, 1.0)]
    found = compared({"expected-0": pairs})
    assert (found["expected"].num_pairs, found["expected, both whole"].num_prompts) == (3, 1)


@pytest.mark.parametrize(("other", "rate"), [(3.0, 1.0), (4.0, 0.5), (5.0, 0.0)])
def test_wins_of_one_trained_policy_over_another_are_those_of_their_scores(other, rate):
    found = compared({"expected-0": run(4.0), "integer-0": run(other)})
    assert found["integer → expected"].win_rates["judge"].value == rate


def test_an_unscored_answer_has_no_winner():
    odd = AnswerPair(prompt="x", before={}, after={}, prob_after={"judge": None})
    found = compared({"expected-0": [odd], "integer-0": [odd]})
    assert found["integer → expected"].win_rates == {}


def test_what_is_not_there_is_not_compared():
    assert compared({}) == {}
    assert compared({"lead": run(2.0)}).keys() == {"lead"}
    assert "integer, sampled" not in compared({"integer-0": run(2.0, samples=("greedy",))})
    assert "integer → expected" not in compared({"integer-1": run(2.0), "expected-0": run(2.0)})


def test_a_kind_is_a_name_without_its_seed():
    assert [kind_of(name) for name in ("expected-0", "two-part-1", "lead")] == ["expected", "two-part", ""]
