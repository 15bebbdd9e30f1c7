"""What a trainer's logs and completions table show of the judgments of a batch.

It does not know rewards or trainers.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from prom_reward.types import GradingRequest, Judgment, Outcome


def log_metrics(
    log_metric: Callable[[str, float], None],
    requests: Sequence[Sequence[GradingRequest]],
    judgments: Sequence[Sequence[Judgment]],
    seconds: float,
    counted: Mapping[str, float] | None = None,
) -> None:
    """Log a batch: per-rubric means, a count for every outcome, mean entropy in nats, seconds in the judge.

    What the judge itself counted (`counted`) is logged beside them: retries, failures and latencies of its server,
    answers from its cache.
    """
    pairs = [pair for row, judged in zip(requests, judgments, strict=True) for pair in zip(row, judged, strict=True)]
    by_rubric: dict[str, list[float]] = defaultdict(list)
    for request, judgment in pairs:
        if judgment.expected_score is not None:
            by_rubric[request.rubric.name].append(judgment.expected_score)
    for name, scores in by_rubric.items():
        log_metric(f"judge/score/{name}", sum(scores) / len(scores))
    outcomes = Counter(judgment.outcome for _, judgment in pairs)
    for outcome in Outcome:  # all of them, so that a count of 0 is seen as 0
        log_metric(f"judge/outcome/{outcome.value}", float(outcomes[outcome]))
    entropies = [judgment.entropy for _, judgment in pairs if judgment.entropy is not None]
    if entropies:
        log_metric("judge/entropy", sum(entropies) / len(entropies))
    log_metric("judge/seconds", seconds)
    for name, value in (counted or {}).items():
        log_metric(f"judge/{name}", value)
    if any(judgment.is_partial for _, judgment in pairs):
        log_metric("judge/partial", float(sum(judgment.is_partial for _, judgment in pairs)))


def shown_scores(judgments: Sequence[Judgment]) -> str:
    """Return a row's expected scores, or why there are none, for the completions table."""
    return ", ".join(
        judgment.outcome.value if judgment.expected_score is None else f"{judgment.expected_score:.2f}"
        for judgment in judgments
    )


def shown_feedback(requests: Sequence[GradingRequest], judgments: Sequence[Judgment]) -> str:
    """Return a row's feedback for the completions table."""
    if len(judgments) == 1:
        return judgments[0].feedback or judgments[0].error or ""
    return "\n".join(
        f"{request.rubric.name}: {judgment.feedback or judgment.error or ''}"
        for request, judgment in zip(requests, judgments, strict=True)
    )
