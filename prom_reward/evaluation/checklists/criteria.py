"""A judge on checklists with people's verdicts: how well it says which criteria are met."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from prom_reward.data.labels.criterion_labels import LabeledChecklist
from prom_reward.evaluation.agreement import MIN_CLUSTERS, Estimate, Measure, Statistic, difference, estimate
from prom_reward.evaluation.checklists.verdicts import VERDICT_MEASURES, accuracy
from prom_reward.types import Judgment


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedChecklist:
    """A response with people's verdicts and a judge's."""

    labeled: LabeledChecklist
    """The response and its verdicts."""
    judgment: Judgment
    """The judgment by the labeled criteria."""

    def verdicts(self) -> list["CriterionVerdict"]:
        """Return every annotator's verdict on every criterion, beside the judge's."""
        probs = {part.name: part.value for part in self.judgment.parts}
        return [
            CriterionVerdict(
                criterion=one.text,
                cluster=self.labeled.cluster,
                group=self.labeled.group,
                prob=probs.get(one.name),
                met=met,
                others=tuple(labels[:at] + labels[at + 1 :]),
            )
            for one in self.labeled.criteria
            for labels in [self.labeled.labels[one.name]]
            for at, met in enumerate(labels)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionVerdict:
    """One annotator's verdict on one criterion, beside the judge's."""

    criterion: str
    """The criterion's text."""
    cluster: str
    """The question."""
    group: str
    """The part of the data."""
    prob: float | None
    """The judge's P(met); None if it could not tell."""
    met: bool
    """The annotator's verdict."""
    others: tuple[bool, ...]
    """The other annotators' verdicts on the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CriteriaEvaluation:
    """A judge's figures on verdicts."""

    num_verdicts: int
    """Verdicts of people on criteria of which the judge could tell."""
    num_unscored: int
    """The other verdicts."""
    share_met: float | None
    """The share of the verdicts that say met."""
    measures: Mapping[str, Mapping[str, Estimate]]
    """For each measure of VERDICT_MEASURES the estimate of the "judge"; for accuracy also of "constant", the more
    frequent verdict, and of "people", one annotator against each of the others, if criteria have several."""
    criteria: Mapping[str, "CriteriaEvaluation"] = field(default_factory=dict)
    """The same for every criterion, by its text, those with the most verdicts first; with intervals if it has verdicts
    on ten questions or more."""
    groups: Mapping[str, "CriteriaEvaluation"] = field(default_factory=dict)
    """The same for every group of rows."""

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        figures: dict[str, Any] = {"n": self.num_verdicts, "unscored": self.num_unscored, "share_met": self.share_met}
        for measure, estimates in self.measures.items():
            figures[measure] = {name: one.to_dict() for name, one in estimates.items()}
        for name, parts in (("criteria", self.criteria), ("groups", self.groups)):
            if parts:
                figures[name] = {key: one.to_dict() for key, one in parts.items()}
        return figures


def evaluate_criteria(judged: Sequence[JudgedChecklist], *, resamples: int = 1000, seed: int = 0) -> CriteriaEvaluation:
    """Measure a judge's verdicts on criteria against people's; one that it could not tell is counted and left out.

    Args:
        judged: The responses with their judgments.
        resamples: Number of resamples; see `prom_reward.evaluation.agreement.estimate`.
        seed: Seed of the bootstrap over questions.
    """
    verdicts = [verdict for one in judged for verdict in one.verdicts()]

    def measured(kept: Sequence[CriterionVerdict]) -> CriteriaEvaluation:
        return _measured(kept, resamples, seed)

    def measured_alone(kept: Sequence[CriterionVerdict]) -> CriteriaEvaluation:
        is_wide = len({one.cluster for one in kept}) >= MIN_CLUSTERS  # sets may have thousands of criteria
        return _measured(kept, resamples if is_wide else 0, seed)

    criteria = _parts(verdicts, lambda one: one.criterion)
    groups = _parts(verdicts, lambda one: one.group)
    by_size = sorted(criteria, key=lambda text: -len(criteria[text]))
    return replace(
        measured(verdicts),
        criteria={text: measured_alone(criteria[text]) for text in by_size},
        groups={name: measured(groups[name]) for name in sorted(groups) if name},
    )


def compare_judges_on_criteria(
    first: Sequence[JudgedChecklist], second: Sequence[JudgedChecklist], *, resamples: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """Return the difference first - second in each measure, on the verdicts of which both judges could tell."""
    pairs = [
        (own, other)
        for one, two in zip(first, second, strict=True)
        for own, other in zip(one.verdicts(), two.verdicts(), strict=True)
        if own.prob is not None and other.prob is not None
    ]
    clusters = [own.cluster for own, _ in pairs]
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    return {
        name: difference(
            _statistic(measure, sides[0]), _statistic(measure, sides[1]), clusters, resamples=resamples, seed=seed
        )
        for name, measure in VERDICT_MEASURES.items()
    }


def _parts(
    verdicts: Sequence[CriterionVerdict], key: Callable[[CriterionVerdict], str]
) -> dict[str, list[CriterionVerdict]]:
    parts: dict[str, list[CriterionVerdict]] = {}
    for one in verdicts:
        parts.setdefault(key(one), []).append(one)
    return parts


def _measured(verdicts: Sequence[CriterionVerdict], resamples: int, seed: int) -> CriteriaEvaluation:
    decided = [one for one in verdicts if one.prob is not None]
    clusters = [one.cluster for one in decided]

    def measured(statistic: Statistic) -> Estimate:
        return estimate(statistic, clusters, resamples=resamples, seed=seed)

    measures = {name: {"judge": measured(_statistic(one, decided))} for name, one in VERDICT_MEASURES.items()}
    met = np.array([float(one.met) for one in decided])
    usual = np.full(len(met), float(met.mean() >= 0.5) if len(met) else 0.0)
    measures["accuracy"]["constant"] = measured(lambda at: accuracy(usual[at], met[at]))
    if any(one.others for one in decided):
        measures["accuracy"]["people"] = measured(_among_people(decided))
    return CriteriaEvaluation(
        num_verdicts=len(decided),
        num_unscored=len(verdicts) - len(decided),
        share_met=float(met.mean()) if len(met) else None,
        measures=measures,
    )


def _statistic(measure: Measure, verdicts: Sequence[CriterionVerdict]) -> Statistic:
    probs = np.array([one.prob for one in verdicts], dtype=float)
    met = np.array([float(one.met) for one in verdicts])
    return lambda at: measure(probs[at], met[at])


def _among_people(verdicts: Sequence[CriterionVerdict]) -> Statistic:
    """Return the share of pairs of annotators who agree; those alone on a criterion count for nothing."""
    agreeing = np.array([float(sum(one.met == other for other in one.others)) for one in verdicts])
    pairs = np.array([float(len(one.others)) for one in verdicts])
    return lambda at: float(agreeing[at].sum() / pairs[at].sum()) if pairs[at].sum() else None
