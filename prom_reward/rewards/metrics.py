"""The metrics and the completions table that a trainer shows for a judged batch."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import nan
from statistics import StatisticsError, correlation, fmean

from prom_reward.prompts.guard.detectors import DETECTORS
from prom_reward.rewards.batch import JudgedBatch
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.types import GradingRequest, Judgment, Outcome


def batch_metrics(batch: JudgedBatch, rubrics: Sequence[AnyRubric]) -> dict[str, float]:
    """Return a batch's metrics by name; a mean over nothing is NaN, which TRL leaves out of its own means.

    The names depend on `rubrics` and on the judge's kind, never on the batch: TRL before 1.14 hangs if the ranks log
    different metrics. So rubrics that rows bring share `judge/unit_score`, the mean on a scale from 0 to 1.

    Args:
        batch: The judged batch.
        rubrics: The reward's default rubrics; each has its mean on its own scale, and each criterion of a checklist.
            A row's own rubric of the same name is another one.
    """
    pairs = batch.pairs
    judgments = [judgment for _, judgment in pairs]
    scored = [(request.rubric, one.expected_score) for request, one in pairs if one.expected_score is not None]
    found = {"judge/unit_score": _mean(rubric.scale.to_unit(score) for rubric, score in scored)}
    for default in rubrics:
        found[f"judge/score/{default.name}"] = _mean(score for rubric, score in scored if rubric == default)
    found |= _criteria_metrics(pairs, rubrics)
    outcomes = Counter(judgment.outcome for judgment in judgments)
    found |= {f"judge/outcome/{outcome.value}": float(outcomes[outcome]) for outcome in Outcome}
    flags = Counter(flag for judgment in judgments for flag in judgment.flags)
    found |= {f"judge/flag/{detector}": float(flags[detector]) for detector in DETECTORS}
    found["judge/flagged"] = float(sum(bool(judgment.flags) for judgment in judgments))
    found["judge/partial"] = float(sum(judgment.is_partial for judgment in judgments))
    found["judge/entropy"] = _mean(judgment.entropy for judgment in judgments if judgment.entropy is not None)
    found["judge/length_correlation"] = length_correlation(batch)
    found["judge/seconds"] = batch.seconds
    return found | {f"judge/{name}": value for name, value in batch.judge.take_metrics().items()}


def _criteria_metrics(
    pairs: Sequence[tuple[GradingRequest, Judgment]], rubrics: Sequence[AnyRubric]
) -> dict[str, float]:
    """Return for each criterion of the default checklists how far it is met; of others their counts alone.

    Several default checklists may have criteria of the same name: their checklist's name stands before them.
    `judge/criteria_unscored` is the number of criteria that nobody could tell; one that a closed gate spared the judge
    is none of them.
    """
    checklists = [one for one in rubrics if isinstance(one, Checklist)]
    if rubrics and not checklists:
        return {}
    found: dict[str, float] = {}
    for checklist in checklists:
        place = f"{checklist.name}/" if len(checklists) > 1 else ""
        own = [part for request, judgment in pairs if request.rubric == checklist for part in judgment.parts]
        found |= {
            f"judge/criterion/{place}{leaf.name}": _mean(
                part.value for part in own if part.name == leaf.name and part.value is not None
            )
            for leaf in checklist.leaves()
        }
    parts = [part for _, judgment in pairs for part in judgment.parts]
    found["judge/criteria_unscored"] = float(sum(part.value is None and part.source != "nobody" for part in parts))
    return found


def length_correlation(batch: JudgedBatch) -> float:
    """Return Pearson's r of rewards with response lengths in characters; NaN if one of them does not vary.

    It rises when the policy finds out that its judge likes length.
    """
    points = [
        (float(len(requests[0].response)), reward)
        for requests, _, reward in batch.rows()
        if requests and reward is not None
    ]
    try:
        return correlation([length for length, _ in points], [reward for _, reward in points])
    except StatisticsError:  # fewer than two rows, or a constant
        return nan


def shown_scores(judgments: Sequence[Judgment]) -> str:
    """Return a row's expected scores, or the reasons why there are none, for the completions table."""
    return ", ".join(
        judgment.outcome.value if judgment.expected_score is None else f"{judgment.expected_score:.2f}"
        for judgment in judgments
    )


def shown_feedback(requests: Sequence[GradingRequest], judgments: Sequence[Judgment]) -> str:
    """Return a row's feedback for the completions table; of a checklist each criterion's value and effect."""
    if len(judgments) == 1 and not judgments[0].parts:
        return judgments[0].feedback or judgments[0].error or ""
    return "\n".join(
        line
        for request, judgment in zip(requests, judgments, strict=True)
        for line in list(map(str, judgment.parts))
        or [f"{request.rubric.name}: {judgment.feedback or judgment.error or ''}"]
    )


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return fmean(listed) if listed else nan
