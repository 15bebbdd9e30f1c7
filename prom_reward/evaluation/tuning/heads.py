"""Fits a head on the choosing half of the questions, and grades the other half with it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import exp, log

import numpy as np

from prom_reward.data.labels.labeled_rows import common_scale
from prom_reward.evaluation.agreement import Floats
from prom_reward.evaluation.scores import ScoredRow, grade_all
from prom_reward.evaluation.tuning.candidates import Candidate, TuningRun, price_of
from prom_reward.evaluation.tuning.head_fit import HeadRows, fit_head
from prom_reward.judging.aggregation import with_probs
from prom_reward.judging.asking.wordings import worded_requests
from prom_reward.judging.fitted_on import FittedOn
from prom_reward.judging.head import ScoreHead, make_readout
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.rubrics.scale import ScoreScale
from prom_reward.types import GradingRequest, Judgment

_MIN_ROWS = 10
_MIN_PROB = 1e-12


def heads(run: TuningRun, best: Candidate) -> Iterator[Candidate]:
    """Try a head on the hidden states of a judge of score mode, if its engine can read them.

    The confirming rows are graded with the head. The choosing rows, on which it was fitted, get the scores of heads
    that did not see their questions.
    """
    if best.found.pairs or best.judge.mode != "score" or not best.judge.engine.states_identity:
        return
    rows = [row for row in run.halves.taken(best.found.rows, chooses=True) if _is_fitted(row)]
    if len(rows) < _MIN_ROWS or len({row.labeled.mean_score for row in rows}) < 2:
        return
    scale = common_scale([row.labeled for row in rows])
    confirming = [row.labeled.request for row in run.halves.taken(best.found.rows, chooses=False)]
    run.on_start("head", len(rows) + len(confirming))
    fit = fit_head(_head_rows(best.judge, rows, scale, run.on_batch))
    head = ScoreHead(
        readout=make_readout(fit.weights, fit.bias),
        fitted_on=FittedOn(scale, _rubrics(best.judge, [row.labeled.request for row in rows])),
        judge=best.judge.states_settings,
    )
    judge = best.judge.with_head(head)
    judge.take_metrics()  # counts from before
    with_head = grade_all(judge, confirming, on_batch=run.on_batch)
    price, graded = price_of(judge, with_head), iter(with_head)
    held_out = iter(fit.held_out.tolist())

    def judgment(row: ScoredRow, *, chooses: bool) -> Judgment:
        if not chooses:
            return next(graded)
        return _shifted(row.judgment, next(held_out), scale) if _is_fitted(row) else row.judgment

    judged = tuple(
        replace(row, judgment=judgment(row, chooses=chooses))
        for row, chooses in zip(best.found.rows, run.halves.chooses, strict=True)
    )
    settings = {"head": f"of strength {fit.strength:g}"}
    yield Candidate(settings=settings, judge=judge, found=replace(best.found, rows=judged), price=price)


def hidden_states(
    judge: PrometheusJudge,
    requests: Sequence[GradingRequest],
    *,
    batch_size: int = 64,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Floats:
    """Return the hidden state (N, H) at each request's score, the mean over the wordings of its rubric."""
    order = sorted(range(len(requests)), key=lambda at: (requests[at].rubric.text, requests[at].instruction))
    states: dict[int, Floats] = {}
    for part in (order[start : start + batch_size] for start in range(0, len(order), batch_size)):
        prompts = [judge.grading_prompts(requests[at]) for at in part]
        found = judge.engine.states([one for wordings in prompts for one in wordings]).astype(np.float64)
        states |= zip(part, found.reshape(len(part), -1, found.shape[-1]).mean(axis=1), strict=True)
        on_batch(len(part))
    return np.stack([states[at] for at in range(len(requests))])


def _is_fitted(row: ScoredRow) -> bool:
    """Whether a head is fitted on a row, if its question is one of those that choose."""
    return row.has_answer and row.judgment.is_scored


def _head_rows(
    judge: PrometheusJudge, rows: Sequence[ScoredRow], scale: ScoreScale, on_batch: Callable[[int], None]
) -> HeadRows:
    probs = [row.judgment.score_probs or {} for row in rows]
    return HeadRows(
        states=hidden_states(judge, [row.labeled.request for row in rows], on_batch=on_batch),
        logprobs=np.array([[log(max(one.get(label, 0.0), _MIN_PROB)) for label in scale.labels] for one in probs]),
        places=np.array([scale.to_unit(row.labeled.mean_score) for row in rows]),
        clusters=[row.labeled.cluster for row in rows],
    )


def _rubrics(judge: PrometheusJudge, requests: Sequence[GradingRequest]) -> frozenset[str]:
    worded = [one for request in requests for one in worded_requests(request, judge.criteria_notes)]
    return frozenset(rubric_digest(one.rubric) for one in worded)


def _shifted(judgment: Judgment, readout: float, scale: ScoreScale) -> Judgment:
    """Return a judgment whose distribution is shifted by a readout."""
    probs = judgment.score_probs or {}
    most = max((readout * scale.to_unit(label) for label in probs), default=0.0)
    weights = {label: prob * exp(readout * scale.to_unit(label) - most) for label, prob in probs.items()}
    total = sum(weights.values())
    return with_probs(judgment, {label: weight / total for label, weight in weights.items()})
