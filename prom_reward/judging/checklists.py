"""One response under one checklist: code checks first, then a request per criterion that is left, then the score."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prom_reward.judging.base import Judge
from prom_reward.rubrics.checklist import Checklist, ChecklistScore, Criterion
from prom_reward.types import GradingRequest, Judgment


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistGrading:
    """The checks' results on a response, and what is left to ask a judge."""

    checklist: Checklist
    """The criteria."""
    checked: dict[str, float | None]
    """For every criterion with a check 1 if it passes, 0 if not, None if the check failed."""
    asked: tuple[Criterion, ...]
    """The criteria that a judge has to decide; none if the checks have closed a gate."""
    requests: tuple[GradingRequest, ...]
    """A request for each of them, in order."""

    @classmethod
    def of(
        cls, checklist: Checklist, *, instruction: str, response: str, reference_answer: str | None = None
    ) -> "ChecklistGrading":
        """Run the checks on a response and make the requests for the rest."""
        leaves = checklist.leaves()
        checked = {leaf.name: _run(leaf, response) for leaf in leaves if leaf.check is not None}
        rest = tuple(leaf for leaf in leaves if leaf.check is None)
        asked = () if checklist.is_closed(checked) else rest
        requests = tuple(
            GradingRequest(
                instruction=instruction, response=response, rubric=leaf.rubric, reference_answer=reference_answer
            )
            for leaf in asked
        )
        return cls(checklist=checklist, checked=checked, asked=asked, requests=requests)

    def score(self, judgments: Sequence[Judgment], *, hard: bool = False) -> ChecklistScore:
        """Join the judgments on `requests`, in order; an unscored one is a criterion that nobody could tell."""
        judged = {
            leaf.name: leaf.value(one.score_probs) if one.score_probs else None
            for leaf, one in zip(self.asked, judgments, strict=True)
        }
        return self.checklist.score({**self.checked, **judged}, hard=hard)


def grade_checklists(judge: Judge, gradings: Iterable[ChecklistGrading]) -> list[ChecklistScore]:
    """Grade responses under their checklists in one call of the judge, so that shared beginnings are computed once."""
    gradings = list(gradings)
    judgments = iter(judge.grade([request for one in gradings for request in one.requests]))
    return [one.score([next(judgments) for _ in one.requests]) for one in gradings]


def _run(criterion: Criterion, response: str) -> float | None:
    """Return a check's result; None if it raises, so that a broken check scores nothing and ends nothing."""
    assert criterion.check is not None
    try:
        return float(criterion.check(response))
    except Exception:
        return None
