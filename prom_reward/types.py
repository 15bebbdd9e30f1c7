"""The values that pass between the stages, all frozen, and the Conversation protocol.

ScoreScale, Rubric, Checklist       the criteria (from `prom_reward.rubrics`)
GradingRequest, ComparisonRequest   a judge's input; one of them is a JudgeRequest
JudgePrompt, Readout, TextSpan      an engine's input, what it may read besides, and the parts of its rendered text
Outcome, Judgment, Comparison       a judge's output (from `prom_reward.answers`); one of the last two is a JudgeAnswer
Conversation                        writes a prompt as one model's conversation
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Protocol

from prom_reward.answers import Comparison, Judgment, Outcome, Winner
from prom_reward.errors import RowError, RubricError
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.reading import AnyRubric, read_rubrics
from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale

__all__ = [
    "RESULT_MARKER",
    "Checklist",
    "Comparison",
    "ComparisonRequest",
    "Conversation",
    "GradingRequest",
    "JudgeAnswer",
    "JudgePrompt",
    "JudgeRequest",
    "Judgment",
    "Outcome",
    "Readout",
    "Rubric",
    "ScoreScale",
    "TextSpan",
    "Winner",
]

RESULT_MARKER = "[RESULT]"
"""The marker between a Prometheus judge's feedback and its verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradingRequest:
    """One response to grade by direct assessment."""

    instruction: str
    """The policy's prompt."""
    response: str
    """The policy's answer; may be empty."""
    rubric: AnyRubric
    """The rubric or checklist; any form that `read_rubrics` reads becomes one."""
    reference_answer: str | None = None
    """An answer that deserves the best score, if there is one; a blank text becomes None."""

    def __post_init__(self) -> None:
        _check_request(self, ("instruction", "response"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRequest:
    """Two responses to one instruction, to compare by pairwise ranking."""

    instruction: str
    """The policy's prompt."""
    response_a: str
    """The response shown first."""
    response_b: str
    """The response shown second."""
    rubric: AnyRubric
    """The rubric or checklist; any form that `read_rubrics` reads becomes one."""
    reference_answer: str | None = None
    """An answer that deserves the best score, if there is one; a blank text becomes None."""

    def __post_init__(self) -> None:
        _check_request(self, ("instruction", "response_a", "response_b"))

    @classmethod
    def of(cls, first: GradingRequest, second: GradingRequest) -> "ComparisonRequest":
        """Return the comparison of two responses, `first` shown first; all but the responses is that of `first`."""
        return cls(
            instruction=first.instruction,
            response_a=first.response,
            response_b=second.response,
            rubric=first.rubric,
            reference_answer=first.reference_answer,
        )

    def sides(self) -> tuple[GradingRequest, GradingRequest]:
        """Return what grades each response alone."""
        first = GradingRequest(
            instruction=self.instruction,
            response=self.response_a,
            rubric=self.rubric,
            reference_answer=self.reference_answer,
        )
        return first, replace(first, response=self.response_b)

    def swapped(self) -> "ComparisonRequest":
        """Return the same comparison with the responses in the other order."""
        return replace(self, response_a=self.response_b, response_b=self.response_a)


JudgeRequest = GradingRequest | ComparisonRequest
"""A request to a judge."""
JudgeAnswer = Judgment | Comparison
"""A judge's answer."""


def _check_request(request: JudgeRequest, texts: Sequence[str]) -> None:
    """Refuse values that are not texts, read the rubric, and take a blank reference for none."""
    for name in texts:
        value = getattr(request, name)
        if not isinstance(value, str):
            raise RowError(f"got {value!r:.60} as the {name}; expected a text")
    if request.reference_answer is not None and not isinstance(request.reference_answer, str):
        raise RowError(f"got {request.reference_answer!r:.60} as the reference_answer; expected a text or None")
    if not (request.reference_answer or "").strip():
        object.__setattr__(request, "reference_answer", None)
    rubrics = read_rubrics(request.rubric)
    if len(rubrics) != 1:
        raise RubricError(f"got {len(rubrics)} rubrics in a request; expected one: make a request for each")
    object.__setattr__(request, "rubric", rubrics[0])


@dataclass(frozen=True, slots=True)
class Readout:
    """A linear function of a model's last hidden state."""

    weights: bytes
    """One little-endian float32 for each hidden unit: bytes hash faster than numbers."""
    bias: float
    """The constant term."""

    @property
    def digest(self) -> str:
        """A digest of weights and bias."""
        return blake2b(self.weights + repr(self.bias).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """A filled prompt before it becomes a conversation of some model."""

    system: str
    """The system message; empty for none."""
    user: str
    """The task text with all components filled in."""
    response_prefix: str = ""
    """The beginning of the judge's answer; ends in `[RESULT] ` if the score is read at once."""
    labels: tuple[str, ...] = field(default=("1", "2", "3", "4", "5"), kw_only=True)
    """The verdicts whose distribution is read after `[RESULT]`."""
    label_texts: tuple[str, ...] = field(default=(), kw_only=True)
    """The meaning of each verdict, for decision endpoints, which take it apart from the text; else empty."""
    readout: Readout | None = field(default=None, kw_only=True, repr=False)
    """Linear functions of the hidden state at the score, to read besides its distribution; for score mode alone."""

    @property
    def reads_score_at_once(self) -> bool:
        """Whether the judge writes no feedback: the prefix already ends in the result marker."""
        return self.response_prefix.rstrip().endswith(RESULT_MARKER)


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A part of a rendered conversation."""

    text: str
    """The text; spans are joined without a separator."""
    is_markup: bool
    """True for the conversation's own markers: only these become special tokens."""


class Conversation(Protocol):
    """Turns a prompt into the text of one model's conversation."""

    @property
    def adds_bos(self) -> bool:
        """Whether the ids of the text need a BOS before them."""
        ...

    @property
    def written_bos(self) -> str:
        """The BOS if the text itself begins with it, else empty."""
        ...

    @property
    def turn_end(self) -> str:
        """The text that is written after an answer; empty if it is not known."""
        ...

    def render(self, prompt: JudgePrompt) -> tuple[TextSpan, ...]:
        """Return the conversation, up to the end of the response prefix."""
        ...
