"""Checklists in requests: code checks first, then one request per criterion that is left, then one judgment each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum, inf
from typing import Any

from prom_reward.answers import summed_counts
from prom_reward.errors import WorkError
from prom_reward.judging.base import Judge
from prom_reward.rubrics.checklists.checklist import Checklist, Part
from prom_reward.rubrics.checklists.criterion import Criterion
from prom_reward.types import GradingRequest, Judgment, Outcome

_ROUNDING = 1e-6  # of sums of probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistGrading:
    """The checks' results on a response, and what is left to ask a judge."""

    checklist: Checklist
    """The criteria."""
    checked: Mapping[str, float | None]
    """For every criterion with a check 1 if it passes, 0 if not, None if the check failed."""
    errors: Mapping[str, str]
    """Why checks failed, by the criterion's name."""
    requests: tuple[GradingRequest, ...]
    """A request for each criterion that a judge has to decide; none if the checks have closed a gate."""

    @classmethod
    def of(cls, request: GradingRequest, checklist: Checklist) -> "ChecklistGrading":
        """Run the checks on a response and make the requests for the rest."""
        leaves = checklist.leaves()
        results = {leaf.name: _checked(leaf, request.response) for leaf in leaves if leaf.check is not None}
        checked = {name: value for name, (value, _) in results.items()}
        asked = () if checklist.is_closed(checked) else [leaf for leaf in leaves if leaf.check is None]
        return cls(
            checklist=checklist,
            checked=checked,
            errors={name: error for name, (_, error) in results.items() if error},
            requests=tuple(replace(request, rubric=leaf.rubric) for leaf in asked),
        )

    def judgment(self, judgments: Sequence[Judgment]) -> Judgment:
        """Return the judgment on the checklist.

        A criterion without a result is one that nobody could tell. If that leaves none of the criteria that can gain,
        there is no score, as what is left are the pitfalls. Nor is there one if the engine failed on a criterion: asked
        again it has an answer, which may be a lost point. A closed gate or veto gives the floor, whatever else is told.

        Args:
            judgments: Those on `requests`, in order.
        """
        judged = {request.rubric.name: one for request, one in zip(self.requests, judgments, strict=True)}
        leaves = {leaf.name: leaf for leaf in self.checklist.leaves()}
        values = {name: _value(leaves[name], one) for name, one in judged.items()}
        scored = self.checklist.score({**self.checked, **values})
        parts = tuple(self._part(part, judged.get(part.name)) for part in scored.parts)
        score = None if self._lacks_answers(parts, judgments) else scored.score
        counts: dict[str, Any] = summed_counts(judgments)
        return Judgment(
            outcome=_outcome(score, judgments),
            feedback="\n".join(f"{part.name}: {part.feedback}" for part in parts if part.feedback),
            expected_score=score,
            entropy=_mean([one.entropy for one in judgments if one.entropy is not None]),
            is_partial=any(one.is_partial for one in judgments),
            flags=tuple(dict.fromkeys(flag for one in judgments for flag in one.flags)),
            error=None if score is not None else next((part.error for part in parts if part.error), None),
            parts=parts,
            **counts,
        )

    def _part(self, part: Part, judgment: Judgment | None) -> Part:
        if part.name in self.checked:
            return replace(part, source="code", error=self.errors.get(part.name))
        if judgment is None:
            return replace(part, source="nobody")
        reason = judgment.error or ("it cannot be told" if judgment.is_scored else judgment.outcome.value)
        return replace(part, feedback=judgment.feedback, error=reason if part.value is None else None)

    def _lacks_answers(self, parts: Sequence[Part], judgments: Sequence[Judgment]) -> bool:
        """Whether, with no gate closed, the engine failed or no criterion that can gain was told."""
        if self.checklist.is_closed({part.name: part.value for part in parts}):
            return False
        if any(one.outcome is Outcome.ENGINE_FAILED for one in judgments):
            return True
        gains = {
            leaf.name
            for one in self.checklist.criteria
            if one.role == "term" and one.weight > 0
            for leaf in one.leaves()
        }
        return bool(gains) and all(part.value is None for part in parts if part.name in gains)


@dataclass(frozen=True, slots=True)
class Expansion:
    """Requests of which those by a checklist became one request for each criterion."""

    rows: Sequence[GradingRequest | ChecklistGrading]
    """The given requests, in order."""
    requests: list[GradingRequest]
    """All requests for a judge, by rubrics with levels alone."""

    @classmethod
    def of(cls, requests: Sequence[GradingRequest]) -> "Expansion":
        """Expand the checklists of requests."""
        rows = [
            ChecklistGrading.of(request, request.rubric) if isinstance(request.rubric, Checklist) else request
            for request in requests
        ]
        return cls(rows, [one for row in rows for one in _requests(row)])

    def joined(self, judgments: Sequence[Judgment]) -> list[Judgment]:
        """Return one judgment for each given request, in order.

        Args:
            judgments: Those on `requests`, in order.
        """
        rest = iter(judgments)
        parts = [[next(rest) for _ in _requests(row)] for row in self.rows]
        return [
            row.judgment(own) if isinstance(row, ChecklistGrading) else own[0]
            for row, own in zip(self.rows, parts, strict=True)
        ]


def grade_requests(judge: Judge, requests: Sequence[GradingRequest]) -> list[Judgment]:
    """Grade requests, also those by checklists, in one call of any judge.

    Raises:
        WorkError: The judge gives another number of judgments, or a score that is not on its rubric's scale.
    """
    expansion = _expanded(judge, requests)
    return expansion.joined(_sound(judge, expansion.requests, judge.grade(expansion.requests)))


async def agrade_requests(judge: Judge, requests: Sequence[GradingRequest]) -> list[Judgment]:
    """Grade as `grade_requests` does, without blocking the event loop."""
    expansion = _expanded(judge, requests)
    return expansion.joined(_sound(judge, expansion.requests, await judge.agrade(expansion.requests)))


def _expanded(judge: Judge, requests: Sequence[GradingRequest]) -> Expansion:
    return Expansion(requests, list(requests)) if judge.reads_checklists else Expansion.of(requests)


def _sound(judge: Judge, requests: Sequence[GradingRequest], judgments: Any) -> Sequence[Judgment]:
    """Return judgments as they are, if each request has one with a score that its rubric knows."""
    if not isinstance(judgments, list | tuple) or not all(isinstance(one, Judgment) for one in judgments):
        raise WorkError(
            f"the judge {judge.name!r} gave {judgments!r:.60}; expected a list with a Judgment for each request"
        )
    if len(judgments) != len(requests):
        raise WorkError(f"the judge {judge.name!r} gave {len(judgments)} judgments for {len(requests)} requests")
    for request, one in zip(requests, judgments, strict=True):
        rubric, score = request.rubric, one.expected_score
        low = -inf if isinstance(rubric, Checklist) and not rubric.clip else rubric.scale.low - _ROUNDING
        if one.is_scored and score is not None and not low <= score <= rubric.scale.high + _ROUNDING:
            raise WorkError(
                f"the judge {judge.name!r} gave the score {score:g} by the rubric {rubric.name!r:.60}; expected one "
                f"from {rubric.scale.low} to {rubric.scale.high}"
            )
    return judgments


def _requests(row: GradingRequest | ChecklistGrading) -> tuple[GradingRequest, ...]:
    return row.requests if isinstance(row, ChecklistGrading) else (row,)


def _checked(criterion: Criterion, response: str) -> tuple[float | None, str | None]:
    """Return a check's result, or why it failed: a broken check scores nothing and ends nothing."""
    assert criterion.check is not None
    try:
        return float(criterion.check(response)), None
    except Exception as error:
        return None, f"the check {criterion.check.name!r} failed ({type(error).__name__}: {error})"


def _value(criterion: Criterion, judgment: Judgment) -> float | None:
    """Return how far a criterion is met; a judge of your own may give no distribution."""
    if not judgment.is_scored:
        return None
    if judgment.score_probs:
        return criterion.value(judgment.score_probs)
    if judgment.score is not None:
        return criterion.value({judgment.score: 1.0})
    share = judgment.expected_score
    is_yes_no = not criterion.options and not criterion.may_abstain
    return share if share is not None and is_yes_no and 0 <= share <= 1 else None


def _outcome(score: float | None, judgments: Sequence[Judgment]) -> Outcome:
    """Return the worst outcome: among the scored criteria if there is a score, else among all."""
    outcomes = [one.outcome for one in judgments if one.is_scored or score is None]
    worst = max(outcomes, key=lambda outcome: outcome.severity, default=Outcome.SCORED)
    return Outcome.NO_RESULT if score is None and worst.is_scored else worst


def _mean(values: Sequence[float]) -> float | None:
    return fsum(values) / len(values) if values else None
