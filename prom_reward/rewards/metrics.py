"""What a trainer's logs and completions table show of the judgments of a batch.

It does not know rewards or trainers.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import StatisticsError, correlation

from prom_reward.judging.flags import count_flags
from prom_reward.types import GradingRequest, Judgment, Outcome

LogMetric = Callable[[str, float], None]
"""A trainer's logger of one metric."""


def log_metrics(
    log_metric: LogMetric,
    requests: Sequence[Sequence[GradingRequest]],
    judgments: Sequence[Sequence[Judgment]],
    seconds: float,
    *,
    counted: Mapping[str, float] | None = None,
    rewards: Sequence[float | None] = (),
) -> None:
    """Log a batch: per-rubric means, counts of outcomes and flags, mean entropy in nats, seconds in the judge.

    What the judge itself counted (`counted`) is logged beside them: retries, failures and latencies of its server,
    answers from its cache. With `rewards`, one a row, Pearson's correlation of the reward with the response's length
    is logged, too: a policy that has found out that its judge likes length shows here first.
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
    log_metric("judge/flagged", float(sum(bool(judgment.flags) for _, judgment in pairs)))
    for detector, count in count_flags([judgment for _, judgment in pairs]).items():
        log_metric(f"judge/flag/{detector}", float(count))
    likes_length = length_correlation(requests, rewards) if rewards else None
    if likes_length is not None:
        log_metric("judge/length_correlation", likes_length)
    log_metric("judge/seconds", seconds)
    for name, value in (counted or {}).items():
        log_metric(f"judge/{name}", value)
    if any(judgment.is_partial for _, judgment in pairs):
        log_metric("judge/partial", float(sum(judgment.is_partial for _, judgment in pairs)))


def length_correlation(requests: Sequence[Sequence[GradingRequest]], rewards: Sequence[float | None]) -> float | None:
    """Return Pearson's r of rewards with response lengths in characters; None where one of them does not vary."""
    rows = [
        (float(len(row[0].response)), reward)
        for row, reward in zip(requests, rewards, strict=True)
        if row and reward is not None
    ]
    try:
        return correlation([length for length, _ in rows], [reward for _, reward in rows])
    except StatisticsError:  # fewer than two rows, or a constant
        return None


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
