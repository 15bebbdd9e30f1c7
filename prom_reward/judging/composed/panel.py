"""PanelJudge: several judges that answer together."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import nan
from statistics import fmean, median, stdev
from typing import Any, Literal

from prom_reward.answers import summed_counts
from prom_reward.errors import ConfigError, near_miss
from prom_reward.judging.asking.requests import parse_requests
from prom_reward.judging.base import Judge, note_on_members
from prom_reward.judging.checklists import grade_requests
from prom_reward.judging.composed.counts import Counts
from prom_reward.judging.composed.escalation import score_of
from prom_reward.judging.distributions import entropy, mean_probs
from prom_reward.rubrics.checklists.checklist import Part
from prom_reward.types import (
    Checklist,
    Comparison,
    ComparisonRequest,
    GradingRequest,
    JudgeAnswer,
    Judgment,
    Outcome,
    ScoreScale,
)

Aggregate = Literal["mean", "median", "min", "lower_bound"]

_AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": fmean,
    "median": median,
    "min": min,
    "lower_bound": lambda scores: fmean(scores) - stdev(scores),
}


class PanelJudge(Judge):
    """Asks several judges for everything and joins their scores.

    A response is unscored if it is for one of the judges: a mean over fewer would be another scale. `judge_scores` of a
    judgment has each judge's score, `score_probs` is the mean of their distributions, and `disagreement` the largest
    difference between two of them. Of a checklist the judges' whole scores are joined, and its criteria (`parts`) have
    the means of their values. Metric: `judge/disagreement`, its mean in points of the scale.

    Args:
        judges: Two or more, with different names.
        aggregate: The expected score. "mean", "median" (half of the judges may be fooled), "min" (all must be fooled),
            or "lower_bound": the mean minus the standard deviation (N - 1), so that a policy gains nothing where the
            judges part; Coste et al., "Reward Model Ensembles Help Mitigate Overoptimization", arXiv:2310.02743. In
            comparisons the two pessimistic ones have no meaning: there they are the mean.
        name: A name for logs and reports.

    Raises:
        ConfigError: There are fewer than two judges, two have one name, or the aggregate is unknown.
    """

    reads_checklists = True

    def __init__(self, judges: Sequence[Judge], *, aggregate: Aggregate = "mean", name: str = "panel") -> None:
        listed = list(judges) if isinstance(judges, Sequence) else []
        if len(listed) < 2 or not all(isinstance(one, Judge) for one in listed):
            raise ConfigError(f"got {judges!r:.80} as a panel; expected two or more judges of load_judge")
        names = [one.name for one in listed]
        if len(set(names)) < len(names):
            raise ConfigError(
                f"got judges named {', '.join(names)}; give each another name, so that judgments say whose"
            )
        if aggregate not in _AGGREGATES:
            hint = near_miss(str(aggregate), _AGGREGATES)
            raise ConfigError(f"got aggregate={aggregate!r}; expected one of {', '.join(_AGGREGATES)}.{hint}")
        self.judges = listed
        self.aggregate = aggregate
        self.name = name
        self.guard = any(one.guard for one in listed)
        self.taught_to_rank = all(one.taught_to_rank for one in listed)
        self.is_repeatable = all(one.is_repeatable for one in listed)
        self.judges_groups = any(one.judges_groups for one in listed)
        self.pairs_note = note_on_members(listed)
        self._counts = Counts("disagreement", "num_judgments")

    def __repr__(self) -> str:
        return f"PanelJudge({self.judges!r}, aggregate={self.aggregate})"

    @property
    def fingerprint(self) -> str:
        """All judges', and the aggregate."""
        return "|".join([f"panel:{self.aggregate}", *(one.fingerprint for one in self.judges)])

    @property
    def identity(self) -> str:
        """The part of the fingerprint that is the same on every machine."""
        return "|".join([f"panel:{self.aggregate}", *(one.identity for one in self.judges)])

    @property
    def machine(self) -> Mapping[str, Any]:
        """The judges' settings of this machine, by their names."""
        return {one.name: dict(one.machine) for one in self.judges if one.machine}

    @property
    def ranks(self) -> bool:
        """Whether all judges do."""
        return all(one.ranks for one in self.judges)

    def seeded(self, seed: int) -> "PanelJudge":
        """Return this judge with a seed for each that samples without one; what both count is joined."""
        return self._with([one.seeded(seed) for one in self.judges])

    def without_cache(self) -> "PanelJudge":
        """Return this judge without the caches of all."""
        return self._with([one.without_cache() for one in self.judges])

    def _with(self, judges: list[Judge]) -> "PanelJudge":
        other = copy.copy(self)
        other.judges = judges
        return other

    def load(self) -> None:
        """Load all judges."""
        for one in self.judges:
            one.load()

    def take_metrics(self) -> dict[str, float]:
        """Return the mean disagreement since the last call, and each judge's own metrics behind its name."""
        counts = self._counts.take()
        mean = counts["disagreement"] / counts["num_judgments"] if counts["num_judgments"] else nan
        return {
            **{f"{one.name}/{key}": value for one in self.judges for key, value in one.take_metrics().items()},
            "disagreement": mean,
        }

    def grade(self, requests: Sequence[GradingRequest | Mapping[str, Any]]) -> list[Judgment]:
        """Grade each response with every judge."""
        parsed = parse_requests(requests, GradingRequest)
        answers = zip(*(grade_requests(one, parsed) for one in self.judges), strict=True)
        found = [self._judgment(request, row) for request, row in zip(parsed, answers, strict=True)]
        known = [one.disagreement for one in found if one.disagreement is not None]
        self._counts.add(disagreement=sum(known), num_judgments=len(known))
        return found

    def compare(self, requests: Sequence[ComparisonRequest | Mapping[str, Any]]) -> list[Comparison]:
        """Compare two responses each with every judge."""
        parsed = parse_requests(requests, ComparisonRequest)
        return [self._comparison(row) for row in zip(*(one.compare(parsed) for one in self.judges), strict=True)]

    def _judgment(self, request: GradingRequest, answers: Sequence[Judgment]) -> Judgment:
        shared = {
            **self._shared(answers),
            "flags": _union(one.flags for one in answers),
            "parts": _mean_parts(request.rubric, answers) if isinstance(request.rubric, Checklist) else (),
        }
        if not _worst(answers).is_scored:
            return Judgment(**shared)
        expected = _AGGREGATES[self.aggregate](_known(score_of(one) for one in answers))
        if not isinstance(request.rubric, Checklist) or request.rubric.clip:
            expected = max(float(request.rubric.scale.low), expected)
        probs = [one.score_probs for one in answers if one.score_probs is not None]
        mixed = mean_probs(probs) if len(probs) == len(answers) else None
        return Judgment(
            **shared,
            score=None if isinstance(request.rubric, Checklist) else _nearest(expected, request.rubric.scale),
            expected_score=expected,
            score_probs=mixed,
            entropy=None if mixed is None else entropy(mixed),
            is_partial=any(one.is_partial for one in answers),
        )

    def _comparison(self, answers: Sequence[Comparison]) -> Comparison:
        flags = {side: _union(getattr(one, side) for one in answers) for side in ("flags_a", "flags_b")}
        shared = {**self._shared(answers), **flags}
        if not _worst(answers).is_scored:
            return Comparison(**shared)
        probs = _known(score_of(one) for one in answers)
        return Comparison(**shared, prob_a=median(probs) if self.aggregate == "median" else fmean(probs))

    def _shared(self, answers: Sequence[JudgeAnswer]) -> dict[str, Any]:
        """Return the fields that judgments and comparisons have, scored or not."""
        return {
            "outcome": _worst(answers),
            "given_by": self.name,
            "judge_scores": {judge.name: score_of(one) for judge, one in zip(self.judges, answers, strict=True)},
            "feedback": self._feedback(answers),
            "error": self._error(answers),
            **summed_counts(answers),
        }

    def _feedback(self, answers: Sequence[JudgeAnswer]) -> str:
        rows = zip(self.judges, answers, strict=True)
        return "\n".join(f"{judge.name}: {one.feedback}" for judge, one in rows if one.feedback)

    def _error(self, answers: Sequence[JudgeAnswer]) -> str | None:
        rows = zip(self.judges, answers, strict=True)
        failures = [f"{judge.name}: {one.error or one.outcome.value}" for judge, one in rows if not one.is_scored]
        return "; ".join(failures) or None


def _worst(answers: Sequence[JudgeAnswer]) -> Outcome:
    return max((one.outcome for one in answers), key=lambda outcome: outcome.severity)


def _known(scores: Iterable[float | None]) -> list[float]:
    return [score for score in scores if score is not None]


def _union(flags: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(flag for some in flags for flag in some))


def _mean_parts(checklist: Checklist, answers: Sequence[Judgment]) -> tuple[Part, ...]:
    """Return the criteria with the means of the judges' values; None if one of them could not tell."""
    if not all(one.parts for one in answers):  # a flagged response has none
        return ()
    rows = list(zip(*(one.parts for one in answers), strict=True))
    known = {row[0].name: _known(part.value for part in row) for row in rows}
    means = {name: fmean(values) if len(values) == len(answers) else None for name, values in known.items()}
    return tuple(
        replace(part, source=row[0].source, error=next((one.error for one in row if one.error), None))
        for part, row in zip(checklist.score(means).parts, rows, strict=True)
    )


def _nearest(score: float, scale: ScoreScale) -> int:
    return min(scale.labels, key=lambda label: abs(label - score))
