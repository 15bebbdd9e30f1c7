"""The rows of an evaluation as the explorer shows them: judgments with labels, responses to one prompt together."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from prom_reward.data.human_labels import LabeledPair
from prom_reward.evaluation.evaluate import JudgeEvaluation
from prom_reward.evaluation.pairs import ScoredPair
from prom_reward.evaluation.scores import ScoredRow
from prom_reward.explorer.fields import judgment_fields, request_texts
from prom_reward.explorer.judged import Judged
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import GradingRequest, Judgment


def judged_rows(found: JudgeEvaluation) -> list[Judged]:
    """Return one judgment for each row, or two for each pair, with those of the second judge beside."""
    own = _rows(found.rows, found.judge) if found.rows else _pairs(found.pairs, found.judge)
    if found.against is None:
        return _grouped(own)
    other = found.against
    others = _rows(other.rows, other.judge) if other.rows else _pairs(other.pairs, other.judge)
    return _grouped(_beside(one, second) for one, second in zip(own, others, strict=True))


def known_rubrics(found: JudgeEvaluation) -> dict[str, Rubric]:
    """Return the rubrics by their names; two of one name cannot be told apart and are left out."""
    requests = [row.labeled.request for row in found.rows] + [pair.labeled.chosen for pair in found.pairs]
    texts: dict[str, dict[str, Rubric]] = defaultdict(dict)
    for rubric in {id(one.rubric): one.rubric for one in requests}.values():
        if isinstance(rubric, Rubric):
            texts[rubric.name][rubric_digest(rubric)] = rubric
    return {name: next(iter(some.values())) for name, some in texts.items() if len(some) == 1}


def _rows(rows: Sequence[ScoredRow], judge: str) -> list[Judged]:
    return [
        _judged(
            row.labeled.request,
            row.judgment,
            row=number,
            group=repr((row.labeled.request.instruction, row.labeled.request.reference_answer)),
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
