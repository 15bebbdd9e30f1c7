import pytest

from prom_reward.auditing.probe import distance, mean_probe
from prom_reward.evaluation.agreement import Estimate


@pytest.mark.parametrize(
    ("value", "limits", "verdict", "shown"),
    [
        (0.2504, (0.25, 0.75), "warn", "0.251"),
        (0.25, (0.25, 0.75), "pass", "0.250"),
        (0.1, (0.1, 0.3), "pass", "0.100"),
        (0.75001, (0.25, 0.75), "fail", "0.751"),
        (-0.0004, (0.25, 0.75), "pass", "0.000"),
        (-0.2, (0.25, 0.75), "pass", "-0.200"),
        (0.7999, (0.8, 0.6), "warn", "0.799"),
        (0.8, (0.8, 0.6), "pass", "0.800"),
        (0.57, (0.8, 0.57), "warn", "0.570"),
        (0.5999, (0.8, 0.6), "fail", "0.599"),
    ],
)
def test_no_shown_value_looks_better_than_its_verdict(value, limits, verdict, shown):
    probe = mean_probe("bias", "x", "x", [value], limits=limits)
    assert (probe.verdict, probe.shown_value) == (verdict, shown)


def test_what_could_not_be_measured_is_a_dash():
    assert mean_probe("bias", "x", "x", [], limits=(0.1, 0.2)).shown_value == "-"


@pytest.mark.parametrize(
    ("values", "limits", "verdict"),
    [
        ([0.7, 0.7, 0.7, 0.7], (0.3, 0.6), "fail"),
        ([0.2, 0.2, 1.4, 1.0], (0.3, 0.6), "warn"),  # 0.7, as above, but the questions disagree
        ([0.1, 0.2, 0.1, 0.2], (0.3, 0.6), "pass"),
        ([0.0, 0.0, 0.0, 0.8], (0.3, 0.6), "warn"),  # 0.2, as good as passes
        ([1.0, 1.0, 0.6, 0.6], (0.8, 0.6), "warn"),
        ([0.9, 0.9, 0.8, 0.8], (0.8, 0.6), "pass"),
        ([0.1, 0.5, 0.5, 0.5], (0.8, 0.6), "fail"),
    ],
)
def test_an_interval_across_a_limit_decides_nothing(values, limits, verdict):
    probe = mean_probe("bias", "x", "x", values, limits=limits, tasks=list("abcd"))
    assert probe.verdict == verdict
    assert probe.found.low <= probe.value <= probe.found.high
    assert probe.to_dict() | {"low": probe.found.low, "high": probe.found.high} == probe.to_dict()
    assert "interval from 4 questions" in probe.to_dict()["warning"]


def test_an_interval_is_that_of_questions_and_leaves_out_what_is_unmeasured():
    one = mean_probe("bias", "x", "x", [0.0, 0.0, None, 1.0, 1.0], limits=(0.3, 0.6), tasks=list("aabbb"))
    assert (one.num_cases, one.value, one.found.low, one.found.high) == (4, 0.5, 0, 1)
    assert one.shown_value == "0.500 [0.000, 1.000]"


def test_values_of_one_question_decide_nothing():
    probe = mean_probe("bias", "x", "x", [0.0, 0.0], limits=(0.3, 0.6), tasks=["a", "a"])
    assert (probe.value, probe.verdict) == (0, "warn")
    assert probe.to_dict()["undefined"].startswith("no interval")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Estimate(-0.5, -0.7, -0.2), Estimate(0.5, 0.2, 0.7)),
        (Estimate(-0.1, -0.3, 0.2), Estimate(0.1, 0.0, 0.3)),
        (Estimate(0.4, 0.1, 0.6), Estimate(0.4, 0.1, 0.6)),
        (Estimate(-0.4), Estimate(0.4)),
    ],
)
def test_a_distance_covers_what_its_interval_covers(found, expected):
    assert distance(found) == expected
