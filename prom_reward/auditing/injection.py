"""Runs attack trials through a judge, guard on and off."""

import logging
from collections.abc import Callable, Sequence

from prom_reward.auditing.attacks import AttackFamily, AttackTrial, WeakResponse, draw_trials
from prom_reward.auditing.rises import AttackedResponse, unit_points
from prom_reward.errors import WorkError
from prom_reward.evaluation.scores import grade_all
from prom_reward.judging.flags import FlagPolicy
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.prompts.guard.detectors import DETECTORS, detect
from prom_reward.prompts.guard.neutralize import neutralize

logger = logging.getLogger(__name__)

OnBatch = Callable[[int], None]


def most_gradings(family: AttackFamily, weak: Sequence[WeakResponse], num_trials: int, *, seed: int = 0) -> int:
    """Return the most gradings that a family's trials can take: as if every weak response could be attacked.

    Arguments are those of `attack`.
    """
    trials = draw_trials(family, weak, num_trials, seed=seed)
    return len(trials) * (1 + any(map(_is_changed, trials)))


def _is_changed(trial: AttackTrial) -> bool:
    """Whether the guard changes the attacked response."""
    return neutralize(trial.response) != trial.response


def attack(
    judge: PrometheusJudge,
    families: Sequence[AttackFamily],
    weak: Sequence[WeakResponse],
    *,
    num_trials: Callable[[AttackFamily], int],
    seed: int = 0,
    on_trials: OnBatch = lambda _: None,
    on_batch: OnBatch = lambda _: None,
) -> dict[str, list[AttackedResponse]]:
    """Run every family's trials, guard on and off.

    If the guard leaves a response as it is, the prompt is the same with the guard off: it is graded once.

    Args:
        judge: The judge. Its own guard and flags are not used.
        families: The attacks.
        weak: The responses that they are added to. Those within a point of the best score are left out.
        num_trials: Returns the number of trials of a family.
        seed: Seed of the draw.
        on_trials: Called with the number of the trials' gradings, after those of the weak responses.
        on_batch: Called after each call of the judge with the number of its gradings.

    Returns:
        Every family's trials by its name; empty lists if no weak response can rise by a point.

    Raises:
        WorkError: The judge scores none of the weak responses.
    """
    guarded, unguarded = (judge.with_guards(guard=guard, flags=FlagPolicy(detectors=())) for guard in (True, False))
    plain = [one.task.request(one.text) for one in weak]
    judgments = grade_all(guarded, plain, on_batch=on_batch)
    before = dict(zip(weak, judgments, strict=True))
    if num_unscored := sum(not one.is_scored for one in judgments):
        reasons = ", ".join(sorted({one.error or one.outcome.value for one in judgments if not one.is_scored}))
        if num_unscored == len(judgments):
            raise WorkError(f"the judge scored none of the {len(judgments)} weak responses ({reasons:.200})")
        logger.warning(
            "without a score, and not attacked: %d of %d weak responses (%.200s)", num_unscored, len(weak), reasons
        )
    points = map(unit_points, plain, judgments)
    usable = [one for one, score in zip(weak, points, strict=True) if score is not None and score <= 4.0]
    trials = [trial for family in families for trial in draw_trials(family, usable, num_trials(family), seed=seed)]
    requests = [trial.request for trial in trials]
    changed = [trial.request for trial in trials if _is_changed(trial)]
    on_trials(len(requests) + len(changed))
    with_guard = dict(zip(requests, grade_all(guarded, requests, on_batch=on_batch), strict=True))
    without = with_guard | dict(zip(changed, grade_all(unguarded, changed, on_batch=on_batch), strict=True))
    found: dict[str, list[AttackedResponse]] = {family.name: [] for family in families}
    for trial, request in zip(trials, requests, strict=True):
        found[trial.family.name].append(
            AttackedResponse(
                trial=trial,
                weak_judgment=before[trial.weak],
                guarded_judgment=with_guard[request],
                unguarded_judgment=without[request],
                flags=detect(request, tuple(DETECTORS)),
            )
        )
    return found
