"""The rows of an evaluation as the explorer shows them: judgments with labels, responses to one prompt together."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from prom_reward.data.labels.labeled_rows import LabeledPair
from prom_reward.evaluation.checklists.criteria import JudgedChecklist
from prom_reward.evaluation.evaluate import JudgeEvaluation
from prom_reward.evaluation.pairs import ScoredPair
from prom_reward.evaluation.scores import ScoredRow
from prom_reward.explorer.fields import judgment_fields, request_texts
from prom_reward.explorer.judged import Judged
from prom_reward.pages.text import shortened
from prom_reward.rubrics.checklists.checklist import Part
from prom_reward.rubrics.checklists.criterion import Criterion
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import GradingRequest, Judgment

_MAX_NAME = 200  # characters of a criterion


def judged_rows(found: JudgeEvaluation) -> list[Judged]:
    """Return one judgment for each row, side of a pair or criterion, with those of the second judge beside."""
    own = _judgments(found)
    if found.against is None:
        return _grouped(own)
    return _grouped(_beside(one, other) for one, other in zip(own, _judgments(found.against), strict=True))


def known_rubrics(found: JudgeEvaluation) -> dict[str, Rubric]:
    """Return the rubrics by their names; two of one name cannot be told apart and are left out."""
    requests = [row.labeled.request for row in found.rows] + [pair.labeled.chosen for pair in found.pairs]
    texts: dict[str, dict[str, Rubric]] = defaultdict(dict)
    for rubric in dict.fromkeys(one.rubric for one in requests if isinstance(one.rubric, Rubric)):
        texts[rubric.name][rubric_digest(rubric)] = rubric
    return {name: next(iter(some.values())) for name, some in texts.items() if len(some) == 1}


def _judgments(found: JudgeEvaluation) -> list[Judged]:
    return [
        *_rows(found.rows, found.judge),
        *_pairs(found.pairs, found.judge),
        *_criteria(found.checklists, found.judge),
    ]


def _rows(rows: Sequence[ScoredRow], judge: str) -> list[Judged]:
    return [
        _judged(
            row.labeled.request,
            row.judgment,
            row=number,
            group=_question(row.labeled.request),
            side="response",
            member=str(number + 1),
            part=row.labeled.group,
            label=row.labeled.mean_score,
            judge=judge,
        )
        for number, row in enumerate(rows)
    ]


def _pairs(pairs: Sequence[ScoredPair], judge: str) -> list[Judged]:
    return [
        _judged(
            request,
            judgment,
            row=number,
            group=str(number),
            side=side,
            member=side,
            part=pair.labeled.group,
            agreement=_agreement(pair),
            judge=judge,
        )
        for number, pair in enumerate(pairs)
        for side, request, judgment in _sides(pair.labeled, pair)
    ]


def _criteria(rows: Sequence[JudgedChecklist], judge: str) -> list[Judged]:
    """Return a judgment for each criterion: how far it is met, beside the share of annotators who say so."""
    return [
        replace(
            _judged(
                row.labeled.request,
                row.judgment,
                row=number,
                group=_question(row.labeled.request),
                side="response",
                member=str(number + 1),
                part=row.labeled.group,
                label=fmean(row.labeled.labels[part.name]),
                judge=judge,
            ),
            rubric=shortened(criterion.text, _MAX_NAME),
            expected_score=part.value,
            outcome="scored" if part.value is not None else "no_result",
            feedback=part.feedback or part.error or "",
            entropy=None,
            parts=(),
        )
        for number, row in enumerate(rows)
        for criterion, part in _parts(row)
    ]


def _parts(row: JudgedChecklist) -> Iterator[tuple[Criterion, Part]]:
    """Yield the criteria with the judge's verdicts; without any if the whole judgment failed."""
    told = {part.name: part for part in row.judgment.parts}
    for criterion in row.labeled.criteria:
        yield criterion, told.get(criterion.name) or Part(name=criterion.name, weight=criterion.weight, value=None)


def _question(request: GradingRequest) -> str:
    return repr((request.instruction, request.reference_answer))


def _sides(labeled: LabeledPair, pair: ScoredPair) -> list[tuple[str, GradingRequest, Judgment]]:
    return [("chosen", labeled.chosen, pair.chosen), ("rejected", labeled.rejected, pair.rejected)]


def _agreement(pair: ScoredPair) -> str | None:
    if not pair.is_scored:
        return None
    margin = pair.margin("expected")
    return "agrees" if margin > 0 else "disagrees" if margin < 0 else "tie"


def _judged(request: GradingRequest, judgment: Judgment, **place: Any) -> Judged:
    return Judged(
        rubric=request.rubric.name,
        **request_texts(request.instruction, request.response, request.reference_answer or ""),
        **judgment_fields(judgment.to_dict()),
        **place,
    )


def _beside(one: Judged, other: Judged) -> Judged:
    return replace(one, other_score=other.expected_score, other_feedback=other.feedback)


def _grouped(judgments: Iterable[Judged]) -> list[Judged]:
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in judgments:
        groups[one.group].append(one)
    return [one for group in groups.values() for one in group]
