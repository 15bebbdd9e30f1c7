import pytest

from prom_reward.auditing.probe import mean_probe


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
