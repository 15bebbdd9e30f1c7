"""Agreement of probabilities of "met" with people's verdicts, met (1) or not (0)."""

from collections.abc import Mapping

import numpy as np

from prom_reward.evaluation.agreement import Floats, Measure
from prom_reward.rubrics.checklists.criterion import MET

_NUM_BINS = 10


def accuracy(probs: Floats, met: Floats) -> float | None:
    """Return the share of verdicts that the judge gives too; None without any."""
    return float(((probs >= MET) == (met > 0)).mean()) if len(met) else None


def kappa(probs: Floats, met: Floats) -> float | None:
    """Return Cohen's kappa (1960), agreement beyond that of chance; None if chance agrees always."""
    observed = accuracy(probs, met)
    if observed is None:
        return None
    says, is_met = float((probs >= MET).mean()), float(met.mean())
    by_chance = says * is_met + (1 - says) * (1 - is_met)
    return (observed - by_chance) / (1 - by_chance) if by_chance < 1 - 1e-12 else None


def true_positive_rate(probs: Floats, met: Floats) -> float | None:
    """Return the share of what is met that the judge calls met; None if nothing is met."""
    return float((probs[met > 0] >= MET).mean()) if (met > 0).any() else None


def true_negative_rate(probs: Floats, met: Floats) -> float | None:
    """Return the share of what is not met that the judge calls not met; None if everything is met."""
    return float((probs[met == 0] < MET).mean()) if (met == 0).any() else None


def youdens_j(probs: Floats, met: Floats) -> float | None:
    """Return TPR + TNR - 1 (Youden 1950): 0 of a constant judge, whatever the share of what is met."""
    rates = true_positive_rate(probs, met), true_negative_rate(probs, met)
    return None if rates[0] is None or rates[1] is None else rates[0] + rates[1] - 1


def auc(probs: Floats, met: Floats) -> float | None:
    """Return the share of pairs, one met and one not, in which the met one has the higher P(met), ties as half.

    It is the area under the ROC curve (Hanley and McNeil 1982), whatever the threshold. None if all are alike.
    """
    from scipy import stats  # here, as it takes a second to import

    num_met, num_not = int((met > 0).sum()), int((met == 0).sum())
    if not num_met or not num_not:
        return None
    ranks = float(stats.rankdata(probs)[met > 0].sum())
    return (ranks - num_met * (num_met + 1) / 2) / (num_met * num_not)


def calibration_error(probs: Floats, met: Floats) -> float | None:
    """Return the expected calibration error in ten equal bins of P(met) (Guo et al. 2017, arXiv:1706.04599)."""
    if not len(met):
        return None
    bins = np.minimum((probs * _NUM_BINS).astype(int), _NUM_BINS - 1)
    gaps = np.bincount(bins, weights=probs - met, minlength=_NUM_BINS)
    return float(np.abs(gaps).sum() / len(met))


def brier(probs: Floats, met: Floats) -> float | None:
    """Return the mean squared error of P(met) (Brier 1950); None without verdicts."""
    return float(((probs - met) ** 2).mean()) if len(met) else None


VERDICT_MEASURES: Mapping[str, Measure] = {
    "accuracy": accuracy,
    "kappa": kappa,
    "tpr": true_positive_rate,
    "tnr": true_negative_rate,
    "youdens_j": youdens_j,
    "auc": auc,
    "ece": calibration_error,
    "brier": brier,
}
"""All measures of P(met) against verdicts, by the name that reports use."""
