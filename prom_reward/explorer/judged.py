"""One judgment as the explorer shows it, whatever it comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prom_reward.rubrics.checklists.checklist import Part


@dataclass(frozen=True, slots=True)
class Meeting:
    """A response's comparison with another one of its group."""

    other: int
    """The other one's place in the group; the number of responses stands for the anchor."""
    prob: float | None
    """The probability that the response is better, the mean of both orders; None if the comparison failed."""
    orders: tuple[float | None, float | None] = (None, None)
    """The same if it is shown first, and if it is shown second."""
    feedback: tuple[str, str] = ("", "")
    """The judge's feedback on both, at one of the two responses."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A response's standing by its group's comparisons."""

    place: int
    """Its place in the group, from 0."""
    score: float | None
    """Its score in the group."""
    standard_error: float | None
    """The score's."""
    meetings: Sequence[Meeting]
    """Its comparisons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One judgment with its request; long texts are cut."""

    row: int
    """The row, counted from 0, or the step of a training, counted from 1: 0 if no trainer told it."""
    group: str
    """A key that the responses to one prompt share: those of a step, of a row, or of all rows with this prompt."""
    side: str
    """"chosen", "rejected", "response", or "1", "2"... of several responses."""
    member: str
    """The response's name within its group."""
    rubric: str
    """The rubric's name."""
    outcome: str
    """The outcome."""
    score: float | None
    """The integer."""
    expected_score: float | None
    """The expected score."""
    probs: Mapping[str, float] | None
    """The distribution."""
    entropy: float | None
    """In nats."""
    length: int
    """Characters of the response."""
    prompt: str
    """The instruction."""
    response: str
    """The response."""
    feedback: str
    """The judge's feedback, or the error."""
    margin: float | None = None
    """Of the pair, in logit units."""
    agreement: str | None = None
    """Of the pair."""
    part: str = ""
    """The part of the data."""
    reward: float | None = None
    """A training's reward, or the score on [0, 1] of a labeled response, by all rubrics."""
    weight: float = 1.0
    """The rubric's weight in the reward."""
    flags: tuple[str, ...] = ()
    """The detectors that flagged the response."""
    judge: str = ""
    """The judge's name."""
    reference: str = ""
    """The reference answer."""
    other_score: float | None = None
    """The expected score of a second source."""
    other_feedback: str = ""
    """Its feedback."""
    digest: str = ""
    """The rubric's digest; empty if the source holds only its name."""
    given_by: str = ""
    """The judge that gave the score, if the judge is made of several."""
    judge_scores: Mapping[str, float | None] = field(default_factory=dict)
    """The scores of those judges, by name."""
    tokens: Mapping[str, float | None] = field(default_factory=dict)
    """Tokens that were read, computed and written by these names; None or missing if the judge does not tell."""
    parts: tuple[Part, ...] = ()
    """The criteria of a checklist."""
    standing: Standing | None = None
    """Its standing by its group's comparisons."""
    source: str = ""
    """The side, if two steps or runs stand beside each other."""
    shift: float | None = None
    """The mean score of the second side minus that of the first, on this prompt and rubric."""
    label: float | None = None
    """A person's score."""
    rise: float | None = None
    """An attack's rise of the score, in points of a 1-5 scale."""
    is_cut: bool = False
    """Whether prompt, response or reference are shown in part."""

    @property
    def change(self) -> float | None:
        """The second source's score minus the first one's."""
        if self.other_score is None or self.expected_score is None:
            return None
        return self.other_score - self.expected_score

    @property
    def error(self) -> float | None:
        """The expected score minus the label."""
        return None if self.label is None or self.expected_score is None else self.expected_score - self.label

    @property
    def disagreement(self) -> float | None:
        """The largest difference between its judges' scores; None if fewer than two scored."""
        known = [score for score in self.judge_scores.values() if score is not None]
        return max(known) - min(known) if len(known) > 1 else None
