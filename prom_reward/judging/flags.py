"""The consequence of a detector's flag: a mark alone, the lowest score, or no score."""

from dataclasses import dataclass, replace
from typing import Literal

from prom_reward.errors import ConfigError, near_miss
from prom_reward.judging.distributions import entropy, one_hot
from prom_reward.prompts.guard.detectors import DETECTOR_VERSION, DETECTORS, detect
from prom_reward.types import (
    Checklist,
    Comparison,
    ComparisonRequest,
    GradingRequest,
    JudgeAnswer,
    Judgment,
    Outcome,
    Rubric,
    Winner,
)

OnFlag = Literal["log", "lowest", "unscored"]

Flags = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FlagPolicy:
    """The detectors to run on responses, and the consequence of a flag."""

    on_flag: OnFlag = "log"
    """"log" marks the judgment and leaves its score, "lowest" gives the scale's lowest score, "unscored" none.

    The lowest answer to a pitfall is the good one: a single criterion of a checklist is unscored with "lowest", too.
    A judgment on which the engine failed stays failed, so that it is counted and can be asked for again.
    """
    detectors: tuple[str, ...] = tuple(DETECTORS)
    """Names of detectors; empty runs none."""

    def __post_init__(self) -> None:
        if self.on_flag not in ("log", "lowest", "unscored"):
            raise ConfigError(f"got on_flag={self.on_flag!r}; expected log, lowest or unscored")
        for name in self.detectors:
            if name not in DETECTORS:
                known = ", ".join(DETECTORS)
                raise ConfigError(f"unknown detector {name!r}; expected some of {known}.{near_miss(name, DETECTORS)}")

    @property
    def fingerprint(self) -> str:
        """The settings that can change a score; empty if none can."""
        if self.on_flag == "log" or not self.detectors:
            return ""
        return f"{self.on_flag}:{','.join(self.detectors)}:{DETECTOR_VERSION}"

    def judgment(self, request: GradingRequest, judgment: Judgment) -> Judgment:
        """Return a judgment with its response's flags and their consequence."""
        flags = detect(request, self.detectors)
        if not flags:
            return judgment
        flagged = replace(judgment, flags=flags)
        if self._is_mark_alone(judgment):
            return flagged
        reason = f"flagged: {', '.join(flags)}"
        is_criterion = isinstance(request.rubric, Rubric) and request.rubric.is_criterion
        if self.on_flag == "unscored" or is_criterion:
            return replace(
                flagged,
                outcome=Outcome.FLAGGED,
                score=None,
                score_probs=None,
                expected_score=None,
                entropy=None,
                sampled_scores=(),
                error=reason,
            )
        if isinstance(request.rubric, Checklist):
            worst = request.rubric.lowest_score
            return replace(flagged, outcome=Outcome.SCORED, expected_score=worst, parts=(), error=reason)
        lowest = request.rubric.scale.low
        probs = one_hot(lowest, request.rubric.scale.labels)
        return replace(
            flagged,
            outcome=Outcome.SCORED,
            score=lowest,
            score_probs=probs,
            expected_score=float(lowest),
            entropy=entropy(probs),
            sampled_scores=(lowest,) * max(1, len(judgment.sampled_scores)),
            error=reason,
        )

    def comparison(self, request: ComparisonRequest, comparison: Comparison) -> Comparison:
        """Return a comparison with both sides' flags; with "lowest" a flagged side loses, two flagged ones tie."""
        flags_a, flags_b = (detect(side, self.detectors) for side in request.sides())
        if not flags_a and not flags_b:
            return comparison
        flagged = replace(comparison, flags_a=flags_a, flags_b=flags_b)
        if self._is_mark_alone(comparison):
            return flagged
        reason = f"flagged: {', '.join(dict.fromkeys((*flags_a, *flags_b)))}"
        if self.on_flag == "unscored":
            return replace(flagged, outcome=Outcome.FLAGGED, winner=None, prob_a=None, error=reason)
        winner: Winner = "tie" if flags_a and flags_b else "B" if flags_a else "A"
        prob_a = {"tie": 0.5, "A": 1.0, "B": 0.0}[winner]
        return replace(flagged, outcome=Outcome.SCORED, winner=winner, prob_a=prob_a, error=reason)

    def _is_mark_alone(self, answer: JudgeAnswer) -> bool:
        return self.on_flag == "log" or answer.outcome is Outcome.ENGINE_FAILED
