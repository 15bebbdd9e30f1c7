"""Distributions over the labels of a scale."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import exp, fsum, log


def label_probs(logprobs: Mapping[str, float]) -> dict[int, float]:
    """Normalize log-probabilities in nats over the labels to probabilities that sum to 1."""
    top = max(logprobs.values())
    weights = {int(label): exp(value - top) for label, value in logprobs.items()}
    total = fsum(weights.values())
    return {label: weight / total for label, weight in sorted(weights.items())}


def one_hot(score: int, labels: Sequence[int]) -> dict[int, float]:
    """Return the distribution of a judge that gave no log-probabilities."""
    return {label: float(label == score) for label in labels}


def expected_score(probs: Mapping[int, float]) -> float:
    """Return the mean of a distribution over scores."""
    return fsum(score * prob for score, prob in probs.items())


def entropy(probs: Mapping[int, float]) -> float:
    """Return the entropy of a distribution in nats."""
    return -fsum(prob * log(prob) for prob in probs.values() if prob > 0) + 0.0


def mean_probs(samples: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Return the mean distribution of several samples over the same labels."""
    return {label: fsum(sample[label] for sample in samples) / len(samples) for label in samples[0]}


def most_frequent(scores: Sequence[int], probs: Mapping[int, float]) -> int:
    """Return the most frequent score; of equally frequent ones the likeliest by `probs`, then the lowest."""
    counts = Counter(scores)
    return min(counts, key=lambda score: (-counts[score], -probs[score], score))


def prob_first_is_better(first: Mapping[int, float], second: Mapping[int, float]) -> float:
    """Return P(first > second) + P(equal) / 2 for two independent scores."""
    return fsum(
        prob_a * prob_b * (1.0 if a > b else 0.5 if a == b else 0.0)
        for a, prob_a in first.items()
        for b, prob_b in second.items()
    )
