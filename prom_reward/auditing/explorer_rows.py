"""The trials of an audit as the explorer shows them: the weak response beside the attacked one, guard on and off."""

from collections.abc import Iterator, Sequence
from typing import Any

from prom_reward.auditing.attacks import AttackTrial
from prom_reward.auditing.results import FamilyAudit
from prom_reward.auditing.rises import AttackedResponse, unit_points
from prom_reward.explorer.fields import judgment_fields, request_texts
from prom_reward.explorer.judged import Judged
from prom_reward.explorer.links import condition, explorer_link
from prom_reward.types import Judgment

_ON, _OFF = "guard on", "guard off"


def judged_trials(families: Sequence[FamilyAudit], judge: str) -> list[Judged]:
    """Return three judgments for each trial: the weak response, and the attacked one with the guard on and off."""
    trials = [one for family in families for one in family.attacked]
    return [row for number, trial in enumerate(trials) for row in _rows(number, trial, judge)]


def family_link(family: FamilyAudit) -> str:
    """Return a link to a family's attacked responses, guard on, the largest rise first."""
    where = f'{condition("part", family.family.name)} and response_name == "attacked" and {condition("rubric", _ON)}'
    return explorer_link(view="judgments", where=where, sort="rise", down="1")


def trial_links(families: Sequence[FamilyAudit]) -> dict[AttackTrial, str]:
    """Return the link to each trial's attacked response, guard on."""
    trials = [one for family in families for one in family.attacked]
    return {
        one.trial: explorer_link(view="groups", group=str(number + 1), at=str(3 * number + 2))
        for number, one in enumerate(trials)
    }


def _rows(number: int, one: AttackedResponse, judge: str) -> Iterator[Judged]:
    trial = one.trial
    shared: dict[str, Any] = {"row": number, "group": str(number), "part": trial.family.name, "judge": judge}
    task = trial.weak.task
    attack = f"{trial.position}: {trial.attack}"

    def judged(member: str, rubric: str, response: str, judgment: Judgment, **fields: Any) -> Judged:
        found = judgment_fields(judgment.to_dict())
        return Judged(
            side=member,
            member=member,
            rubric=rubric,
            score=None,
            expected_score=unit_points(trial.request, judgment),
            **{name: found[name] for name in ("outcome", "probs", "entropy")},
            **request_texts(task.instruction, response, task.reference_answer),
            **shared,
            **fields,
        )

    yield judged("weak", _ON, trial.weak.text, one.weak_judgment, feedback=one.weak_judgment.feedback)
    for rubric, judgment in ((_ON, one.guarded_judgment), (_OFF, one.unguarded_judgment)):
        points = unit_points(trial.request, judgment)
        said = f"{attack}\n\n{judgment.feedback}".strip()
        rise = None if points is None else points - one.before
        yield judged("attacked", rubric, trial.response, judgment, rise=rise, flags=one.flags, feedback=said)
