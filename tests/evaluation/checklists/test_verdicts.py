import numpy as np
import pytest

from prom_reward.evaluation.checklists.verdicts import VERDICT_MEASURES

# true positives 3, false positives 1, true negatives 4, false negatives 2
PROBS = np.array([0.9, 0.8, 0.5, 0.7, 0.1, 0.2, 0.3, 0.4, 0.25, 0.45])
MET = np.array([1.0, 1, 1, 0, 0, 0, 0, 0, 1, 1])


def measured(name, probs=PROBS, met=MET):
    return VERDICT_MEASURES[name](np.array(probs, dtype=float), np.array(met, dtype=float))


def test_measures_by_hand():
    assert measured("accuracy") == pytest.approx(0.7)
    assert measured("tpr") == pytest.approx(3 / 5)
    assert measured("tnr") == pytest.approx(4 / 5)
    assert measured("youdens_j") == pytest.approx(0.4)
    assert measured("kappa") == pytest.approx((0.7 - 0.5) / 0.5)  # by chance .4 * .5 + .6 * .5
    assert measured("brier") == pytest.approx(np.mean((PROBS - MET) ** 2))


def test_auc_counts_pairs_and_ties_as_half():
    pairs = [(one > other) + 0.5 * (one == other) for one in PROBS[MET > 0] for other in PROBS[MET == 0]]
    assert measured("auc") == pytest.approx(np.mean(pairs))
    assert measured("auc", [0.4, 0.3, 0.3, 0.1], [1, 1, 0, 0]) == 3.5 / 4
    assert measured("auc", [0.4, 0.3], [1, 1]) is None


def test_calibration_error_is_the_gap_of_each_bin_by_its_size():
    probs, met = [0.05] * 4 + [0.95] * 4 + [1.0] * 2, [0, 0, 0, 1, 1, 1, 0, 0, 1, 1]
    assert measured("ece", probs, met) == pytest.approx(0.4 * 0.2 + 0.6 * abs((4 * 0.95 + 2) / 6 - 4 / 6))
    assert measured("ece", [0.0, 1.0], [0, 1]) == 0


def test_what_is_undefined_is_none():
    assert measured("tpr", [0.9, 0.1], [0, 0]) is None
    assert measured("tnr", [0.9, 0.1], [1, 1]) is None
    assert measured("youdens_j", [0.9, 0.1], [1, 1]) is None
    assert measured("kappa", [0.9, 0.8], [1, 1]) is None
    assert all(measured(name, [], []) is None for name in VERDICT_MEASURES)


def test_a_constant_judge_has_no_kappa_and_no_j():
    assert measured("kappa", [0.9] * 4, [1, 0, 0, 1]) == 0
    assert measured("youdens_j", [0.9] * 4, [1, 0, 0, 1]) == 0
