import pytest

from training_examples.prove_it.comparison import AnswerPair, compare_policies
from training_examples.prove_it.runs import compare_runs
from training_examples.prove_it.targets import check_targets


def run(audit, overlap=0.0, words=0.5, *, prompts=6):
    """A run with gains that differ a little by prompt; the first policy has 2 of everything."""
    gains = {"audit": audit, "overlap": overlap, "words": words}
    return [
        AnswerPair(
            prompt=str(at),
            sample="greedy",
            before=dict.fromkeys(gains, 2.0),
            after={name: 2.0 + gain * (1 + at / 10) for name, gain in gains.items()},
            prob_after={},
        )
        for at in range(prompts)
    ]


def trained(expected=0.1, integer=0.2, share=0.25):
    spread = {"expected-0": expected, "first 20 steps of expected-0": 1.0, "integer-0": integer, "constant-0": 1.0}
    return {name: {"share_without_spread": one, "judge_share": share} for name, one in spread.items()}


def checked(runs, training):
    compared = compare_runs(runs, main="expected", unseen={"0", "1"}, resamples=200)
    return {one.name: one for one in check_targets(compared, training)}


def test_targets_are_met_or_missed_by_the_figures():
    good = checked({"expected-0": run(0.1), "expected-1": run(0.2)}, trained())
    assert len(good) == 7 and all(one.is_met for one in good.values())
    bad = checked({"expected-0": run(-0.1, -0.1, 1.5)}, trained(0.11, 0.2, 0.26))
    assert bad.keys() == good.keys() and not any(one.is_met for one in bad.values())
    assert checked({}, trained()) == {}


def test_every_seed_has_to_rise():
    found = checked({"expected-0": run(0.5), "expected-1": run(-0.01)}, {})
    assert found["the audit judge's score rises, at 95 %"].is_met
    seeds = found["the audit judge's score rises with every seed"]
    assert not seeds.is_met
    assert seeds.figures.count(" → ") == 2


def test_what_no_judge_has_seen_counts_by_itself():
    pairs = [*run(-0.5)[:2], *run(0.5)[2:]]
    found = checked({"expected-0": pairs}, {})
    assert not found["the audit judge's score rises, at 95 %, on prompts that no judge has seen"].is_met


@pytest.mark.parametrize(("expected", "integer", "is_met"), [(0.0, 0.0, False), (0.1, 0.2, True), (0.1, 0.15, False)])
def test_half_as_many_groups_without_spread_takes_some(expected, integer, is_met):
    found = checked({"expected-0": run(0.1)}, trained(expected, integer))
    (spread,) = [one for name, one in found.items() if "without spread" in name]
    assert spread.is_met is is_met
    assert spread.figures == f"{expected:.1%}, integers {integer:.1%}"


def test_the_judges_time_stands_beside_a_step_without_it():
    training = {"expected-0": {"judge_share": 0.2}, "constant-0": {"step_s": 1.0}}
    name = "the judge takes at most 25% of a step"
    assert checked({"expected-0": run(0.1)}, training)[name].figures == "20.0%"
    early = {"expected-0": 12.0, "expected-1": 14.0, "constant-0": 10.0}
    training |= {f"first 20 steps of {run}": {"step_s": seconds} for run, seconds in early.items()}
    shown = "20.0%; a step takes 1.30 times that under a constant reward, over the first steps"
    assert checked({"expected-0": run(0.1)}, training)[name].figures == shown


def test_overlap_has_fallen_only_where_all_of_the_interval_has():
    up_and_down = [*run(0.1, -0.3)[:4], *run(0.1, 0.3)[4:]]
    name = "no fall of the overlap with the reference is shown, at 95 %"
    unclear = checked({"expected-0": up_and_down}, {})[name]
    assert unclear.is_met
    assert unclear.figures.startswith("2.00 → 1.9")  # the fall of the mean is seen
    alone = check_targets({"expected": compare_policies(run(0.1, -0.3), resamples=0)}, {})
    assert [one.is_met for one in alone if one.name == name] == [False]  # no interval: the mean counts


def test_without_an_audit_judge_or_references_the_rest_is_checked():
    pairs = [AnswerPair(prompt="0", before={"words": 2.0}, after={"words": 3.0}, prob_after={})]
    assert list(checked({"expected-0": pairs}, {})) == ["words at most 1.5 times the first policy's"]
