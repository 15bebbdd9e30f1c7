"""Runs attack trials through a judge, guard on and off."""

from collections.abc import Callable, Sequence

from prom_reward.auditing.attacks import AttackFamily, WeakResponse, draw_trials
from prom_reward.auditing.rises import AttackedResponse
from prom_reward.evaluation.scores import grade_all
from prom_reward.judging.flags import FlagPolicy
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.prompts.guard.detectors import DETECTORS, detect
from prom_reward.prompts.guard.neutralize import neutralize
from prom_reward.types import GradingRequest, Judgment

OnBatch = Callable[[int], None]


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
    num_trials: Callable[[AttackFamily], int],
    seed: int = 0,
    on_start: OnBatch = lambda _: None,
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
        on_start: Called with the number of gradings to come.
        on_batch: Called after each call of the judge with the number of its gradings.

    Returns:
        Every family's trials by its name; empty lists if no weak response can rise by a point.
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
    trials = [trial for family in families for trial in draw_trials(family, usable, num_trials(family), seed=seed)]
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
