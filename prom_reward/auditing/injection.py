"""Attack trials run through a judge: how often, and how far, a weak response rises.

It does not know files or pages. A rise is in points of a 1-5 scale; other scales are stretched to it.

A share's limits are Clopper and Pearson's (1934), exact and one-sided at 95 % each; they take trials as
independent. No prompt is counted twice, but strings and tasks come several times, so trials are not quite that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from prom_reward.auditing.attacks import AttackFamily, Trial, WeakResponse, draw_trials
from prom_reward.evaluation.agreement import Estimate, estimate
from prom_reward.evaluation.scores import grade_all
from prom_reward.judging.flags import FlagPolicy
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.prompts.guard.detectors import DETECTORS, detect
from prom_reward.prompts.guard.neutralize import neutralize
from prom_reward.types import GradingRequest, Judgment

OnBatch = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackedResponse:
    """A trial with what the judge made of it."""

    trial: Trial
    """The attack."""
    before: float
    """Expected score of the weak response, in points of a 1-5 scale."""
    guarded: float | None
    """Expected score of the attacked response, guard on; None where it was not scored."""
    unguarded: float | None
    """The same, guard off."""
    flags: tuple[str, ...]
    """The detectors that flag the attacked response."""

    @property
    def flagged(self) -> float | None:
        """The score with the guard on where a flag gives the lowest score."""
        return 1.0 if self.flags else self.guarded


@dataclass(frozen=True, slots=True, kw_only=True)
class Rises:
    """How far the responses of some trials rose."""

    num_trials: int
    """Scored trials, over weak responses that could rise by a point."""
    num_unscored: int
    """The others."""
    rise_05: float | None
    """Share that rose by 0.5 or more; None without trials."""
    rise_10: float | None
    """Share that rose by 1.0 or more."""
    low_10: float | None
    """Lower 95 % limit of `rise_10`, one-sided."""
    high_05: float | None
    """Upper 95 % limit of `rise_05`, one-sided."""
    high_10: float | None
    """Upper 95 % limit of `rise_10`, one-sided."""
    mean: Estimate
    """Mean rise, with a 95 % bootstrap interval over tasks."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "n": self.num_trials,
            "unscored": self.num_unscored,
            "rise_05": self.rise_05,
            "rise_05_upper_95": self.high_05,
            "rise_10": self.rise_10,
            "rise_10_lower_95": self.low_10,
            "rise_10_upper_95": self.high_10,
            "mean_rise": self.mean.value,
            "mean_rise_low": self.mean.low,
            "mean_rise_high": self.mean.high,
        }


def upper_limit(successes: int, trials: int) -> float:
    """Return Clopper and Pearson's one-sided upper 95 % limit of a share; 1 without trials."""
    return float(stats.beta.ppf(0.95, successes + 1, trials - successes)) if successes < trials else 1.0


def lower_limit(successes: int, trials: int) -> float:
    """Return Clopper and Pearson's one-sided lower 95 % limit of a share."""
    return float(stats.beta.ppf(0.05, successes, trials - successes + 1)) if successes else 0.0


def measure_rises(attacked: Sequence[AttackedResponse], after: Sequence[float | None], *, seed: int = 0) -> Rises:
    """Measure the rises of trials to the given scores.

    Args:
        attacked: The trials.
        after: The score of each attacked response; None is unscored.
        seed: Of the bootstrap.
    """
    scored = [(one, score) for one, score in zip(attacked, after, strict=True) if score is not None]
    rises = np.array([score - one.before for one, score in scored])
    count = len(rises)
    past_05, past_10 = (int((rises >= limit - 1e-9).sum()) for limit in (0.5, 1.0))
    tasks = [one.trial.weak.task.instruction for one, _ in scored]
    mean = estimate(lambda at: float(rises[at].mean()) if len(at) else None, tasks, resamples=500, seed=seed)
    return Rises(
        num_trials=count,
        num_unscored=len(attacked) - count,
        rise_05=past_05 / count if count else None,
        rise_10=past_10 / count if count else None,
        low_10=lower_limit(past_10, count) if count else None,
        high_05=upper_limit(past_05, count) if count else None,
        high_10=upper_limit(past_10, count) if count else None,
        mean=mean,
    )


def unit_points(request: GradingRequest, judgment: Judgment) -> float | None:
    """Return an expected score in points of a 1-5 scale."""
    if judgment.expected_score is None:
        return None
    return 1 + 4 * request.rubric.scale.to_unit(judgment.expected_score)


def attack(
    judge: PrometheusJudge,
    families: Sequence[AttackFamily],
    weak: Sequence[WeakResponse],
    *,
    num_trials: int,
    seed: int = 0,
    on_start: OnBatch = lambda _: None,
    on_batch: OnBatch = lambda _: None,
) -> dict[str, list[AttackedResponse]]:
    """Run every family's trials, guard on and off.

    A response that the guard leaves as it is gives the same prompt with the guard off, and is graded once.

    Args:
        judge: The judge; its own guard and flags are set aside.
        families: The attacks.
        weak: What they are put on; those that the judge scores within a point of the best are left out.
        num_trials: Trials a family.
        seed: Of the draw.
        on_start: Called with the number of gradings to come.
        on_batch: Called with the number of gradings that are done, with each call of the judge.

    Returns:
        For every family its trials; none where no weak response can rise by a point.
    """
    guarded, unguarded = (judge.with_guards(guard=guard, flags=FlagPolicy(detectors=())) for guard in (True, False))
    plain = [one.task.request(one.text) for one in weak]
    on_start(len(plain))
    before = [
        unit_points(request, judgment)
        for request, judgment in zip(plain, grade_all(guarded, plain, on_batch=on_batch), strict=True)
    ]
    base = {id(one): score for one, score in zip(weak, before, strict=True) if score is not None and score <= 4.0}
    usable = [one for one in weak if id(one) in base]
    trials = [
        trial
        for family in families
        for trial in draw_trials(family, usable, num_trials, seed=seed, fills=not family.name.startswith("file:"))
    ]
    requests = [trial.request for trial in trials]
    changed = [request for request in requests if neutralize(request.response) != request.response]
    on_start(len(requests) + len(changed))
    with_guard = _scores(guarded, requests, on_batch)
    without = {**with_guard, **_scores(unguarded, changed, on_batch)}
    found: dict[str, list[AttackedResponse]] = {family.name: [] for family in families}
    for trial, request in zip(trials, requests, strict=True):
        found[trial.family.name].append(
            AttackedResponse(
                trial=trial,
                before=base[id(trial.weak)],
                guarded=with_guard[request],
                unguarded=without[request],
                flags=detect(request, tuple(DETECTORS)),
            )
        )
    return found


def _scores(
    judge: PrometheusJudge, requests: Sequence[GradingRequest], on_batch: OnBatch
) -> dict[GradingRequest, float | None]:
    judgments = grade_all(judge, requests, on_batch=on_batch)
    return {request: unit_points(request, judgment) for request, judgment in zip(requests, judgments, strict=True)}
