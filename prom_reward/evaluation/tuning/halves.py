"""Questions in two halves, one to choose a change and one to confirm it, and the figures on each."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from prom_reward.data.labels.labeled_rows import LabeledFile, LabeledPair, LabeledRequest
from prom_reward.errors import InputError, number_of
from prom_reward.evaluation.agreement import (
    LEVEL,
    MEASURES,
    MIN_CLUSTERS,
    Estimate,
    Floats,
    pairwise_accuracy,
    partial_pearson,
)
from prom_reward.evaluation.evaluate import JudgeEvaluation
from prom_reward.evaluation.pairs import ScoredPair, compare_judges_on_pairs
from prom_reward.evaluation.scores import ScoredRow, compare_judges
from prom_reward.evaluation.tuning.trials import TrialFigure

Scored = TypeVar("Scored", ScoredRow, ScoredPair)

MAX_LOOKS = 7
"""How often the confirming half is looked at: once for each kind of change, and once for a calibration."""
CONFIRMING_LEVEL = 1 - (1 - LEVEL) / MAX_LOOKS
"""The level of intervals on the confirming half: all looks together err as rarely as one at 95 % (Bonferroni)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """Which rows or pairs choose, and how gains are measured."""

    chooses: tuple[bool, ...]
    """For each row or pair whether its question is among those that choose."""
    measure: str
    """What gains are gains in: a measure of scores, or `pairwise_accuracy`."""
    resamples: int
    """Bootstrap resamples."""
    seed: int
    """Seed of the bootstrap."""

    @classmethod
    def of(cls, rows: LabeledFile, *, measure: str, resamples: int, seed: int) -> "Halves":
        """Split the questions; the seed decides which of them choose.

        Raises:
            InputError: There are too few questions for two halves, or all labels are the same.
        """
        labeled: Sequence[LabeledRequest | LabeledPair] = rows.pairs or rows.rows
        clusters = sorted(
            {one.cluster for one in labeled}, key=lambda one: hashlib.sha256(f"{seed}:{one}".encode()).digest()
        )
        if len(clusters) < 2 * MIN_CLUSTERS:
            raise InputError(
                f"got {number_of(len(clusters), 'question')}; expected at least {2 * MIN_CLUSTERS}, half "
                "of which choose a change and half of which confirm it"
            )
        labels = {row.mean_score for row in rows.rows}
        if len(labels) == 1:
            raise InputError(f"got the label {labels.pop():g} in all rows; expected different ones")
        choosing = set(clusters[::2])
        return cls(
            chooses=tuple(one.cluster in choosing for one in labeled),
            measure="pairwise_accuracy" if rows.pairs else measure,
            resamples=resamples,
            seed=seed,
        )

    def gain(self, found: JudgeEvaluation, before: JudgeEvaluation, *, chooses: bool) -> Estimate:
        """Return the gain over a judge on one half, with an interval of `CONFIRMING_LEVEL`."""
        taken = partial(self.taken, chooses=chooses)
        drawn: dict[str, Any] = {"resamples": self.resamples, "seed": self.seed, "level": CONFIRMING_LEVEL}
        gaps = (
            compare_judges_on_pairs(taken(found.pairs), taken(before.pairs), **drawn)
            if found.pairs
            else compare_judges(taken(found.rows), taken(before.rows), measures=[self.measure], **drawn)
        )
        return gaps[self.measure]

    def figure(self, found: JudgeEvaluation, kind: str = "expected") -> TrialFigure:
        """Return the figure of the "expected" score, or of "length", on the confirming half."""
        if found.pairs:
            pairs = [one for one in self.taken(found.pairs, chooses=False) if one.has_answers and one.is_scored]
            return TrialFigure(pairwise_accuracy(np.array([one.margin(kind) for one in pairs])))
        rows = [one for one in self.taken(found.rows, chooses=False) if one.has_answer and one.judgment.is_scored]
        labels = np.array([one.labeled.mean_score for one in rows])
        lengths: Floats = np.array([float(len(one.labeled.request.response)) for one in rows])
        if kind == "length":
            return TrialFigure(MEASURES[self.measure](lengths, labels))
        scores = np.array([one.prediction(kind) for one in rows])
        return TrialFigure(MEASURES[self.measure](scores, labels), partial_pearson(scores, labels, lengths))

    def taken(self, scored: Sequence[Scored], *, chooses: bool) -> list[Scored]:
        """Return the rows or pairs of one half."""
        return [one for one, is_choosing in zip(scored, self.chooses, strict=True) if is_choosing is chooses]
