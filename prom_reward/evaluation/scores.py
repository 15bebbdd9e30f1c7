"""A judge on labeled rows: how well its scores, and simple baselines, agree with the labels."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor
from typing import Any

import numpy as np

from prom_reward.data.doubts.placeholders import is_placeholder
from prom_reward.data.labels.labeled_rows import LabeledRequest
from prom_reward.evaluation.agreement import (
    LEVEL,
    MEASURES,
    Estimate,
    Floats,
    Measure,
    Statistic,
    difference,
    estimate,
    partial_pearson,
)
from prom_reward.judging.base import Judge
from prom_reward.judging.checklists import grade_requests
from prom_reward.judging.composed.escalation import whole_groups
from prom_reward.types import Checklist, GradingRequest, Judgment

_WORD = re.compile(r"\w+")
_ON_SCALE = ("mae", "accuracy", "accuracy_within_1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRow:
    """A labeled request with a judge's judgment."""

    labeled: LabeledRequest
    """The request and its labels."""
    judgment: Judgment
    """The judgment."""

    @property
    def has_answer(self) -> bool:
        """Whether the response is neither empty nor a placeholder."""
        return not is_placeholder(self.labeled.request.response)

    def prediction(self, kind: str) -> float:
        """Return the "expected" score, or the "integer": the mean of the sampled integers; see `gives_integer`."""
        score = self.judgment.expected_score if kind == "expected" else self.judgment.mean_score
        assert score is not None  # only scored rows are measured
        return score

    @property
    def gives_integer(self) -> bool:
        """Whether the judge gave an integer; one of your own may give an expected score alone."""
        return self.judgment.mean_score is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A judge's figures on labeled rows."""

    num_rows: int
    """Scored rows."""
    unscored: Mapping[str, int]
    """The other rows, by outcome."""
    measures: Mapping[str, Mapping[str, Estimate]]
    """For each measure (pearson, spearman, kendall, mae, accuracy, accuracy_within_1) the estimates of the
    "expected" score, of the "integer" if the judge gives one, and of the baselines "length", "overlap", "constant"."""
    partial: Mapping[str, Estimate]
    """Pearson's r with the response's length held, of "expected" and "integer"."""
    groups: Mapping[str, "Evaluation"] = field(default_factory=dict)
    """The same for every group of rows."""
    without_answer: "Evaluation | None" = None
    """The same for rows with an empty or placeholder response, which no other figure counts."""

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        figures: dict[str, Any] = {"n": self.num_rows, "unscored": dict(self.unscored)}
        for measure, estimates in {**self.measures, "pearson_with_length_held": self.partial}.items():
            figures[measure] = {name: one.to_dict() for name, one in estimates.items()}
        if self.groups:
            figures["groups"] = {name: one.to_dict() for name, one in self.groups.items()}
        if self.without_answer:
            figures["without_answer"] = self.without_answer.to_dict()
        return figures


def grade_all(
    judge: Judge,
    requests: Sequence[GradingRequest],
    *,
    batch_size: int = 64,
    on_batch: Callable[[int], None] = lambda _: None,
) -> list[Judgment]:
    """Grade many requests; those that share the start of their prompts come together.

    Args:
        judge: The judge.
        requests: The requests.
        batch_size: Requests in one call of the judge; more if a judge that looks at groups gets a larger one.
        on_batch: Called after each call of the judge with the number of its requests.

    Returns:
        One judgment for each request, in order.
    """
    order = sorted(range(len(requests)), key=lambda at: _shared_start(requests[at]))
    judgments: dict[int, Judgment] = {}
    parts = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if judge.judges_groups:
        parts = [[order[at] for at in part] for part in whole_groups([requests[at] for at in order], batch_size)]
    for part in parts:
        judgments |= zip(part, grade_requests(judge, [requests[at] for at in part]), strict=True)
        on_batch(len(part))
    return [judgments[at] for at in range(len(requests))]


def _shared_start(request: GradingRequest) -> tuple[str, str]:
    """Return what comes first in a request's prompt: of a criterion's compact text instruction and response."""
    if isinstance(request.rubric, Checklist):
        return request.instruction, request.response
    return request.rubric.text, request.instruction


def evaluate_scores(scored: Sequence[ScoredRow], *, resamples: int = 1000, seed: int = 0) -> Evaluation:
    """Measure a judge's scores against the labels.

    An unscored row is counted and left out; a row with an empty or placeholder response is measured apart.

    Args:
        scored: The rows with their judgments.
        resamples: Number of resamples; see `prom_reward.evaluation.agreement.estimate`.
        seed: Seed of the bootstrap.
    """
    answered = [row for row in scored if row.has_answer]
    rest = [row for row in scored if not row.has_answer]
    parts: dict[str, list[ScoredRow]] = {}
    for row in answered:
        parts.setdefault(row.labeled.group, []).append(row)
    return replace(
        _evaluate(answered, resamples, seed),
        groups={name: _evaluate(parts[name], resamples, seed) for name in sorted(parts) if name},
        without_answer=_evaluate(rest, resamples, seed) if rest else None,
    )


def compare_judges(
    first: Sequence[ScoredRow],
    second: Sequence[ScoredRow],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = LEVEL,
    measures: Collection[str] = tuple(MEASURES),
) -> dict[str, Estimate]:
    """Return the difference first - second in some measures of the expected score, by their names.

    The judges are paired on the answered rows that both scored. `level` is that of the intervals.
    """
    matched = zip(first, second, strict=True)
    both = [(one, two) for one, two in matched if one.has_answer and one.judgment.is_scored and two.judgment.is_scored]
    labels = np.array([one.labeled.mean_score for one, _ in both])
    clusters = [one.labeled.cluster for one, _ in both]
    sides = [np.array([pair[side].prediction("expected") for pair in both]) for side in (0, 1)]
    return {
        name: difference(
            _statistic(MEASURES[name], sides[0], labels),
            _statistic(MEASURES[name], sides[1], labels),
            clusters,
            resamples=resamples,
            seed=seed,
            level=level,
        )
        for name in measures
    }


def word_overlap(response: str, reference: str) -> float:
    """Return the F1 score, 0 to 1, of the sets of words of a response and a reference."""
    own, wanted = set(_WORD.findall(response.lower())), set(_WORD.findall(reference.lower()))
    return 2 * len(own & wanted) / (len(own) + len(wanted)) if own or wanted else 0.0


def _evaluate(scored: Sequence[ScoredRow], resamples: int, seed: int) -> Evaluation:
    rows = [row for row in scored if row.judgment.is_scored]
    missing = [row.judgment.outcome.value for row in scored if not row.judgment.is_scored]
    labels = np.array([row.labeled.mean_score for row in rows])
    lengths = np.array([float(len(row.labeled.request.response)) for row in rows])
    clusters = [row.labeled.cluster for row in rows]
    predictions = dict(_predictions(rows, labels, lengths))

    def measured(statistic: Statistic) -> Estimate:
        return estimate(statistic, clusters, resamples=resamples, seed=seed)

    def held(scores: Floats) -> Statistic:
        return lambda at: partial_pearson(scores[at], labels[at], lengths[at])

    return Evaluation(
        num_rows=len(rows),
        unscored={outcome: missing.count(outcome) for outcome in sorted(set(missing))},
        measures={
            name: {
                kind: measured(_statistic(measure, scores, labels))
                for kind, scores in (*predictions.items(), ("constant", _best_constant(name, labels)))
                if _is_measured(name, kind)
            }
            for name, measure in MEASURES.items()
        },
        partial={kind: measured(held(predictions[kind])) for kind in ("expected", "integer") if kind in predictions},
    )


def _predictions(rows: Sequence[ScoredRow], labels: Floats, lengths: Floats) -> Iterator[tuple[str, Floats]]:
    """Yield the judge's scores and the baselines'."""
    yield "expected", np.array([row.prediction("expected") for row in rows])
    if all(row.gives_integer for row in rows):
        yield "integer", np.array([row.prediction("integer") for row in rows])
    yield "length", lengths
    requests = [row.labeled.request for row in rows]
    if requests and all(request.reference_answer for request in requests):
        yield "overlap", np.array([word_overlap(one.response, one.reference_answer or "") for one in requests])


def _best_constant(measure: str, labels: Floats) -> Floats:
    """Return the one score that is best for all rows: the median, or the integer that is right most often."""
    if not len(labels):
        return labels
    if measure not in _ON_SCALE or measure == "mae":
        return np.full(len(labels), np.median(labels))
    integers = [np.full(len(labels), float(one)) for one in range(floor(labels.min()), ceil(labels.max()) + 1)]
    return max(integers, key=lambda scores: MEASURES[measure](scores, labels) or 0.0)


def _is_measured(measure: str, kind: str) -> bool:
    """Whether it makes sense: length and overlap are not on the scale, and a constant has no correlation."""
    on_scale = measure in _ON_SCALE
    return {"length": not on_scale, "overlap": not on_scale, "constant": on_scale}.get(kind, True)


def _statistic(measure: Measure, scores: Floats, labels: Floats) -> Statistic:
    return lambda at: measure(scores[at], labels[at])
