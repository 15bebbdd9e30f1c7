"""Can a judge be trusted as a reward? Attacks, bias, consistency, use of the scale, and a verdict on each."""

from collections.abc import Sequence
from pathlib import Path

from prom_reward.auditing.attacks import AttackFamily, builtin_families, read_attacks, weak_responses
from prom_reward.auditing.injection import OnBatch, attack, most_gradings
from prom_reward.auditing.probes import graded_ladder, num_probe_gradings, probe_bias, probe_consistency, probe_scale
from prom_reward.auditing.ranking_probes import num_comparisons, probe_ranking
from prom_reward.auditing.results import Audit, family_audit
from prom_reward.auditing.tasks import AuditTask, builtin_tasks, check_tasks, distinct_tasks, read_tasks
from prom_reward.errors import ConfigError, InputError, check_flags
from prom_reward.judging.flags import FlagPolicy
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.rubrics.reading import RubricLike, read_rubrics

FULL_TRIALS = 520  # with 0 or 1 successes of 520, the upper limit is under 1 %
QUICK_TRIALS = 29  # with 0 successes of 29, the upper limit is under 10 %
QUICK_TASKS = 6


def audit(
    judge: PrometheusJudge,
    *,
    attacks: str | Path | Sequence[AttackFamily] | None = None,
    builtin: bool = True,
    tasks: str | Path | Sequence[AuditTask] | None = None,
    rubric: RubricLike | None = None,
    quick: bool = False,
    num_trials: int | None = None,
    seed: int = 0,
    on_start: OnBatch = lambda _: None,
    on_batch: OnBatch = lambda _: None,
) -> Audit:
    """Run a judge through attacks and probes.

    Args:
        judge: The judge. The audit sets its guard and flags itself.
        attacks: Attacks of your own: a file for `prom_reward.auditing.attacks.read_attacks`, or families.
        builtin: Whether the built-in attacks are tried, too.
        tasks: Questions with reference answers and rubrics: a file for `prom_reward.auditing.tasks.read_tasks`, or
            tasks; None takes the built-in ones. A quick audit takes the first six that share neither question nor
            reference answer.
        rubric: For rows of a tasks file without one: a rubric or checklist in any form of `read_rubrics`.
        quick: Fewer tasks and trials: about 650 gradings instead of 7,500. Enough trials to pass a
            semantic family, too few to pass a structural one.
        num_trials: Trials of each family. None takes 520, or 29 for a quick audit, but one for each string of a
            family of your own if it has more strings.
        seed: Seed of the draws and of the bootstrap.
        on_start: Called with the most gradings that the audit can take, before the first, and with their number after
            the trials are drawn.
        on_batch: Called after each call of the judge with the number of its gradings.

    Raises:
        ConfigError: The judge is made of others, or of your own: audit each Prometheus judge by itself.
        InputError: A file cannot be read, there are no attacks or trials, or a task has no other task with another
            question and another reference answer.
        WorkError: The judge scores none of the weak responses.
    """
    check_flags(quick=quick)
    if not hasattr(judge, "with_guards"):
        kind = type(judge).__name__
        raise ConfigError(
            f"got a {kind} to audit; expected a PrometheusJudge, which is asked with and without its guard"
        )
    if num_trials is not None and num_trials < 1:
        raise InputError(f"got num_trials={num_trials}; expected at least 1")
    chosen_tasks, families = audit_inputs(attacks=attacks, builtin=builtin, tasks=tasks, rubric=rubric)
    chosen_tasks = tuple(distinct_tasks(chosen_tasks, QUICK_TASKS)) if quick else chosen_tasks
    weak = weak_responses(chosen_tasks)

    def trials_of(family: AttackFamily) -> int:
        default = QUICK_TRIALS if quick else FULL_TRIALS
        if num_trials is not None:
            return num_trials
        return default if family.has_placeholders else max(default, len(family.texts))

    plain = judge.with_guards(guard=True, flags=FlagPolicy(detectors=()))
    others = len(weak) + num_probe_gradings(len(chosen_tasks)) + num_comparisons(chosen_tasks, ranks=plain.ranks)
    on_start(others + sum(most_gradings(family, weak, trials_of(family), seed=seed) for family in families))
    attacked = attack(
        judge,
        families,
        weak,
        num_trials=trials_of,
        seed=seed,
        on_trials=lambda count: on_start(others + count),
        on_batch=on_batch,
    )
    ladder = graded_ladder(plain, chosen_tasks, on_batch=on_batch, seed=seed)
    return Audit(
        judge=judge.name,
        fingerprint=judge.fingerprint,
        families=tuple(family_audit(family, attacked[family.name], seed) for family in families),
        probes=(*probe_bias(ladder), *probe_ranking(ladder), *probe_consistency(ladder), *probe_scale(ladder)),
        num_weak=len(weak),
        seed=seed,
    )


def audit_inputs(
    *,
    attacks: str | Path | Sequence[AttackFamily] | None = None,
    builtin: bool = True,
    tasks: str | Path | Sequence[AuditTask] | None = None,
    rubric: RubricLike | None = None,
) -> tuple[tuple[AuditTask, ...], tuple[AttackFamily, ...]]:
    """Read and check an audit's tasks and attacks: everything that can be wrong before a judge is loaded.

    Arguments and errors are those of `audit`.
    """
    check_flags(builtin=builtin)
    own = read_attacks(attacks) if isinstance(attacks, str | Path) else tuple(attacks or ())
    families = (*(builtin_families() if builtin else ()), *own)
    if not families:
        raise InputError("got no attacks: the built-in ones are off; expected attacks of your own")
    if isinstance(tasks, str | Path):
        return read_tasks(tasks, read_rubrics(rubric) if rubric is not None else ()), families
    chosen = builtin_tasks() if tasks is None else tuple(tasks)
    check_tasks(chosen, "tasks")
    return chosen, families
