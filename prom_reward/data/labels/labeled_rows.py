"""Labeled rows as values: a response with scores, a preference pair, and what a whole file holds."""

from collections.abc import Sequence
from dataclasses import dataclass

from prom_reward.data.labels.criterion_labels import LabeledChecklist
from prom_reward.data.labels.row_labels import soft_labels
from prom_reward.data.recognition import Recognition
from prom_reward.errors import InputError
from prom_reward.types import GradingRequest, ScoreScale


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledRequest:
    """A response with the scores that it was given."""

    request: GradingRequest
    """The request to a judge."""
    scores: tuple[float, ...]
    """The annotators' scores on the rubric's scale, at least one; fractions are fine."""
    cluster: str
    """The question or document that it belongs to: rows of one cluster are not independent."""
    feedback: str | None = None
    """A written feedback that goes with the scores."""
    feedback_score: float | None = None
    """The score of the annotator who wrote it; None if it goes with all scores."""
    group: str = ""
    """The part of the data that it is reported under."""

    @property
    def mean_score(self) -> float:
        """The mean of the annotators' scores."""
        return sum(self.scores) / len(self.scores)

    @property
    def label_probs(self) -> dict[int, float]:
        """The share of every label; a fractional score is split between its two neighbors."""
        return soft_labels(self.scores, self.request.rubric.scale)

    @property
    def feedback_probs(self) -> dict[int, float]:
        """The same of the scores that the feedback goes with."""
        scores = self.scores if self.feedback_score is None else (self.feedback_score,)
        return soft_labels(scores, self.request.rubric.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledPair:
    """Two responses of which people preferred one."""

    chosen: GradingRequest
    """The preferred response."""
    rejected: GradingRequest
    """The other one, by the same rubric."""
    cluster: str
    """The prompt that it belongs to."""
    group: str = ""
    """The part of the data that it is reported under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledFile:
    """The rows and labels of a file."""

    rows: list[LabeledRequest]
    """Responses with scores."""
    pairs: list[LabeledPair]
    """Preference pairs."""
    checklists: list[LabeledChecklist]
    """Responses with verdicts on criteria."""
    recognition: Recognition
    """Which column each part was read from."""
    problems: list[str]
    """Rows that cannot be used, each with its place and what is wrong."""


def common_scale(rows: Sequence[LabeledRequest]) -> ScoreScale:
    """Return the scale that all rows' rubrics have.

    Raises:
        InputError: There are several.
    """
    scales = sorted({(row.request.rubric.scale.low, row.request.rubric.scale.high) for row in rows})
    if len(scales) > 1:
        shown = " and ".join(f"{low} to {high}" for low, high in scales)
        raise InputError(f"got rubrics on the scales {shown}; expected one scale, so measure each in a file of its own")
    return rows[0].request.rubric.scale
