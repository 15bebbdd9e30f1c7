"""The values that pass between the stages; all are frozen.

ScoreScale, Rubric                  what is judged (from `prom_reward.rubrics`)
GradingRequest, ComparisonRequest   what a judge is asked
JudgePrompt, TextSpan               what an engine is given, and the parts of its rendered text
Outcome, Judgment, Comparison       what a judge answers
Conversation, Judge                 the protocols between the stages

It does not know how any of them is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal, Protocol, runtime_checkable

from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale

__all__ = [
    "RESULT_MARKER",
    "Comparison",
    "ComparisonRequest",
    "Conversation",
    "GradingRequest",
    "Judge",
    "JudgePrompt",
    "Judgment",
    "Outcome",
    "Rubric",
    "ScoreScale",
    "TextSpan",
    "Winner",
]

RESULT_MARKER = "[RESULT]"
"""What a Prometheus judge writes between its feedback and its verdict."""

Winner = Literal["A", "B", "tie"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GradingRequest:
    """One response to grade by direct assessment."""

    instruction: str
    """What the policy was asked."""
    response: str
    """What the policy answered; may be empty."""
    rubric: Rubric
    """What to judge by."""
    reference_answer: str | None = None
    """An answer that deserves the best score; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRequest:
    """Two responses to one instruction, to compare by pairwise ranking."""

    instruction: str
    """What the policy was asked."""
    response_a: str
    """The response shown first."""
    response_b: str
    """The response shown second."""
    rubric: Rubric
    """What to judge by."""
    reference_answer: str | None = None
    """An answer that deserves the best score; None where there is none."""

    def swapped(self) -> "ComparisonRequest":
        """Return the same comparison with the responses in the other order."""
        return replace(self, response_a=self.response_b, response_b=self.response_a)


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """A filled prompt before it becomes a conversation of some model."""

    system: str
    """The system message; empty for none."""
    user: str
    """The task text with all components filled in."""
    response_prefix: str = ""
    """What is put in the judge's mouth; ends in `[RESULT] ` where the score is read at once."""
    labels: tuple[str, ...] = field(default=("1", "2", "3", "4", "5"), kw_only=True)
    """The verdicts whose distribution is read after `[RESULT]`."""

    @property
    def reads_score_at_once(self) -> bool:
        """Whether the judge writes no feedback: the prefix already ends in the result marker."""
        return self.response_prefix.rstrip().endswith(RESULT_MARKER)


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A part of a rendered conversation."""

    text: str
    """The text, to be joined with its neighbours' without separator."""
    is_markup: bool
    """True for the conversation's own markers: only here may a special token come out."""


class Outcome(Enum):
    """How a judgment ended. Test `judgment.is_scored`, never the truth of a member."""

    SCORED = "scored"
    """The judge gave a verdict by itself."""
    FORCED = "forced"
    """The judge did not finish; the verdict was read after a forced `[RESULT]`."""
    NO_RESULT = "no_result"
    """The judge's text holds no verdict."""
    OFF_SCALE = "off_scale"
    """The judge's verdict is not on the rubric's scale."""
    TOO_LONG = "too_long"
    """The prompt does not fit the judge's context."""
    ENGINE_FAILED = "engine_failed"
    """The engine failed on this request."""
    FLAGGED = "flagged"
    """A detector flagged the response and the judge leaves such responses unscored (`on_flag="unscored"`)."""

    @property
    def is_scored(self) -> bool:
        """Whether a verdict exists."""
        return self in (Outcome.SCORED, Outcome.FORCED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgment:
    """The verdict on one response, or the Outcome that says why there is none."""

    outcome: Outcome
    """How it ended; with several samples the worst outcome among the scored ones."""
    feedback: str = ""
    """The judge's feedback; of the first scored sample where there are several."""
    score: int | None = None
    """The judge's integer; the most frequent one of several samples."""
    score_probs: Mapping[int, float] | None = None
    """Probability of each label of the scale, summing to 1; the mean over samples."""
    expected_score: float | None = None
    """Mean of `score_probs`, on the rubric's scale; calibrated where the judge has a calibration."""
    entropy: float | None = None
    """Entropy of `score_probs` in nats; 0 is certain."""
    is_partial: bool = False
    """A label of `score_probs` has probability 0 only because a server did not name it."""
    sampled_scores: tuple[int, ...] = ()
    """The integers of all scored samples; their mean is the paper's protocol."""
    num_prompt_tokens: int = 0
    """Length of the judge's prompt."""
    num_computed_tokens: int = 0
    """Tokens that were prefilled, over all samples."""
    num_generated_tokens: int = 0
    """Tokens that the judge wrote, over all samples."""
    flags: tuple[str, ...] = ()
    """The detectors that flagged the response; see `prom_reward.prompts.guard.detectors.DETECTORS`."""
    error: str | None = None
    """What went wrong, where something did."""

    @property
    def is_scored(self) -> bool:
        """Whether `score` and `expected_score` exist."""
        return self.outcome.is_scored

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON values, without token counts; labels become strings."""
        probs = self.score_probs
        return {
            "outcome": self.outcome.value,
            "score": self.score,
            "expected_score": self.expected_score,
            "score_probs": {str(label): prob for label, prob in probs.items()} if probs else None,
            "entropy": self.entropy,
            "sampled_scores": list(self.sampled_scores),
            "feedback": self.feedback,
            "flags": list(self.flags),
            "error": self.error,
        }

    @property
    def mean_score(self) -> float | None:
        """The mean of the sampled integers, None where there are none."""
        return sum(self.sampled_scores) / len(self.sampled_scores) if self.sampled_scores else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The verdict on two responses, or the Outcome that says why there is none."""

    outcome: Outcome
    """How it ended."""
    winner: Winner | None = None
    """The better response, or "tie" where a judge of single responses scores both alike."""
    feedback: str = ""
    """The judge's feedback."""
    prob_a: float | None = None
    """Probability that response A is the better one, from the distribution at the verdict."""
    num_prompt_tokens: int = 0
    """Length of the judge's prompt or prompts."""
    num_generated_tokens: int = 0
    """Tokens that the judge wrote."""
    flags_a: tuple[str, ...] = ()
    """The detectors that flagged response A."""
    flags_b: tuple[str, ...] = ()
    """The detectors that flagged response B."""
    error: str | None = None
    """What went wrong, where something did."""

    @property
    def is_scored(self) -> bool:
        """Whether `winner` exists."""
        return self.outcome.is_scored


class Conversation(Protocol):
    """Turns a prompt into the text of one model's conversation."""

    @property
    def adds_bos(self) -> bool:
        """Whether one BOS has to be put before the ids of the text."""
        ...

    @property
    def written_bos(self) -> str:
        """The BOS where the text itself begins with it, else empty."""
        ...

    def render(self, prompt: JudgePrompt) -> tuple[TextSpan, ...]:
        """Return the conversation up to and with the response prefix."""
        ...


@runtime_checkable
class Judge(Protocol):
    """Grades and compares responses. Lists come back with the same length, in order."""

    @property
    def fingerprint(self) -> str:
        """All that can change a judgment besides the request."""
        ...

    def grade(self, requests: Sequence[GradingRequest]) -> list[Judgment]:
        """Grade each response by direct assessment."""
        ...

    def compare(self, requests: Sequence[ComparisonRequest]) -> list[Comparison]:
        """Compare the two responses of each request by pairwise ranking."""
        ...
