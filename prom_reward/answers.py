"""A judge's answers: the judgment of a response, the comparison of two, and how they ended."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any, Literal, Self, get_args

from prom_reward.errors import RowError
from prom_reward.pages.notebook import answer_html
from prom_reward.rubrics.checklists.checklist import Part
from prom_reward.rubrics.formats import is_number

Winner = Literal["A", "B", "tie"]
TOKEN_COUNTS = ("num_prompt_tokens", "num_computed_tokens", "num_generated_tokens")
"""The cost of an answer."""
_ROUNDING = 1e-6  # of sums of probabilities


class Outcome(Enum):
    """How a judgment ended, from the best to the worst. Test `judgment.is_scored`, never the truth of a member."""

    SCORED = "scored"
    """The judge gave a verdict by itself."""
    FORCED = "forced"
    """The judge did not finish; the verdict was read after a forced `[RESULT]`."""
    FLAGGED = "flagged"
    """A detector flagged the response and the judge leaves such responses unscored (`on_flag="unscored"`)."""
    NO_RESULT = "no_result"
    """The judge's text holds no verdict."""
    OFF_SCALE = "off_scale"
    """The judge's verdict is not on the rubric's scale."""
    TOO_LONG = "too_long"
    """The prompt does not fit the judge's context."""
    ENGINE_FAILED = "engine_failed"
    """The engine failed on this request."""

    @property
    def is_scored(self) -> bool:
        """Whether a verdict exists."""
        return self in (Outcome.SCORED, Outcome.FORCED)

    @property
    def severity(self) -> int:
        """The rank from the best (0) to the worst; of several outcomes the worst counts."""
        return list(Outcome).index(self)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Answer:
    """The part that Judgment and Comparison share."""

    outcome: Outcome
    """How it ended; with several samples the worst outcome among the scored ones, or of all if none is scored."""
    given_by: str = ""
    """The judge that gave it, if the judge is made of several."""
    judge_scores: Mapping[str, float | None] | None = None
    """What those judges said, by name: their expected scores, or their probabilities that A is better."""
    num_prompt_tokens: int | None = None
    """Tokens of its prompts: of all criteria, wordings and orders, of every judge; samples of one prompt count once.
    None if the judge does not tell, as for the next two."""
    num_computed_tokens: int | None = None
    """Tokens that were prefilled, over all samples: without what prompts of the call share at their beginning."""
    num_generated_tokens: int | None = None
    """Tokens that the judge wrote, over all samples."""

    def __repr__(self) -> str:
        """Return one line with rounded numbers and cut texts, without counts and defaults."""
        hidden = ("outcome", "score_probs", "sampled_scores")
        told = [one for one in fields(self) if one.name not in hidden and not one.name.startswith("num_")]
        shown = [f"{one.name}={_short(value)}" for one in told if (value := getattr(self, one.name)) != one.default]
        return f"{type(self).__name__}({', '.join([self.outcome.value, *shown])})"

    def _repr_html_(self) -> str:
        """Return a card for notebooks."""
        return answer_html(type(self).__name__, self.to_dict())

    @property
    def is_scored(self) -> bool:
        """Whether there is a verdict."""
        return self.outcome.is_scored

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values; labels become strings, and `parts` stand there if there are some."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values = {name: value for name, value in values.items() if name != "parts" or value}
        return {name: _JSON[name](value) if name in _JSON else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read a dictionary of `to_dict`; other keys are ignored, so a log's record can be read.

        Raises:
            RowError: The outcome is missing or unknown, or a value has another type.
        """
        if "outcome" not in values:
            raise RowError(f"got a judgment with the keys {sorted(map(str, values))!r:.80}; expected 'outcome'")
        known = {one.name: values[one.name] for one in fields(cls) if one.name in values}
        try:
            return cls(**{name: _PYTHON[name](value) if name in _PYTHON else value for name, value in known.items()})
        except (TypeError, ValueError, AttributeError) as error:
            raise RowError(f"cannot read a judgment ({error}); expected the values that to_dict writes") from error


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    text = repr(value)
    return f"{text[:57]}...{text[-1]}" if isinstance(value, str) and len(text) > 61 else text


def _number(value: Any) -> Any:
    if value is not None and not is_number(value):
        raise TypeError(f"got {value!r:.40}; expected a number or null")
    return value


def _count(value: Any) -> Any:
    """Return a whole number, also if a table wrote it as 12.0."""
    if value is None:
        return None
    if not is_number(value) or value < 0 or value != int(value):
        raise TypeError(f"got {value!r:.40}; expected a number of tokens or null")
    return int(value)


def _part(values: Mapping[str, Any]) -> Part:
    part = Part(**values)
    _number(part.value)
    return part


_JSON: Mapping[str, Any] = {
    "outcome": lambda value: value.value,
    "score_probs": lambda value: None if value is None else {str(label): prob for label, prob in value.items()},
    "judge_scores": lambda value: None if value is None else dict(value),
    **dict.fromkeys(("sampled_scores", "flags", "flags_a", "flags_b"), list),
    "parts": lambda parts: [asdict(part) for part in parts],
}
_PYTHON: Mapping[str, Any] = {
    "outcome": Outcome,
    "score_probs": lambda value: None if value is None else {int(label): prob for label, prob in value.items()},
    "judge_scores": lambda value: None if value is None else dict(value),
    **dict.fromkeys(("sampled_scores", "flags", "flags_a", "flags_b"), tuple),
    "parts": lambda parts: tuple(map(_part, parts)),
    **dict.fromkeys(("score", "expected_score", "entropy", "prob_a"), _number),
    **dict.fromkeys(TOKEN_COUNTS, _count),
}


def summed_counts(answers: "Iterable[Judgment | Comparison]") -> dict[str, int | None]:
    """Return the sum of each token count by its name; None if one of the answers does not tell it."""
    told = list(answers)
    counts = {name: [getattr(one, name) for one in told] for name in TOKEN_COUNTS}
    return {name: None if None in values else sum(values) for name, values in counts.items()}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Judgment(_Answer):
    """The verdict on one response, or the Outcome that says why there is none."""

    feedback: str = ""
    """The judge's feedback, with several samples that of the first scored one."""
    score: int | None = None
    """The judge's integer, with several samples the most frequent one."""
    score_probs: Mapping[int, float] | None = None
    """Probability of each label of the scale, summing to 1; the mean over samples."""
    expected_score: float | None = None
    """Mean of `score_probs`, on the rubric's scale; calibrated if the judge has a calibration. Every scored judgment
    has one: the integer if a judge gives that alone."""
    entropy: float | None = None
    """Entropy of `score_probs` in nats; 0 is certain."""
    is_partial: bool = False
    """A label of `score_probs` has probability 0 only because a server did not name it."""
    sampled_scores: tuple[int, ...] = ()
    """The integers of all scored samples; their mean is the paper's protocol."""
    flags: tuple[str, ...] = ()
    """The detectors that flagged the response; see `prom_reward.prompts.guard.detectors.DETECTORS`."""
    error: str | None = None
    """The reason of a failure, if there was one."""
    parts: tuple[Part, ...] = ()
    """The criteria of a checklist, which has no integer and no distribution."""

    def __post_init__(self) -> None:
        """Take the integer as the expected score if a judge gives that alone.

        Raises:
            ValueError: It is scored and has neither.
        """
        if self.is_scored and self.expected_score is None:
            if self.score is None:
                raise ValueError("got a scored judgment without a score; expected score, expected_score or both")
            object.__setattr__(self, "expected_score", float(self.score))

    def to_columns(self) -> dict[str, Any]:
        """Return `to_dict` without the names of judges if there is one: a graded row."""
        left_out = () if self.given_by else ("given_by", "judge_scores")
        return {name: value for name, value in self.to_dict().items() if name not in left_out}

    @property
    def disagreement(self) -> float | None:
        """The largest difference between the judges' scores, None if fewer than two scored."""
        scores = [score for score in (self.judge_scores or {}).values() if score is not None]
        return max(scores) - min(scores) if len(scores) > 1 else None

    @property
    def mean_score(self) -> float | None:
        """The mean of the sampled integers; the integer if the judge lists no samples, None if there is none."""
        return sum(self.sampled_scores) / len(self.sampled_scores) if self.sampled_scores else self.score


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Comparison(_Answer):
    """The verdict on two responses, or the Outcome that says why there is none."""

    winner: Winner | None = None
    """The better response. Sampled verdicts vote; of a judge that grades both the higher expected score wins ("tie" if
    they are equal), so that its winners make no cycles, and `prob_a` is 1/2 if the distributions favor the other one;
    of a judge that gives `prob_a` alone the likelier one wins. If votes are close, `prob_a` may favor the other
    response. Every scored comparison has a winner."""
    feedback: str = ""
    """The judge's feedback."""
    prob_a: float | None = None
    """Probability that response A is the better one, from the distribution at the verdict; 1, 0 or 1/2 of a judge that
    gives the winner alone. Every scored comparison has one."""
    flags_a: tuple[str, ...] = ()
    """The detectors that flagged response A."""
    flags_b: tuple[str, ...] = ()
    """The detectors that flagged response B."""
    error: str | None = None
    """The reason of a failure, if there was one."""

    def __post_init__(self) -> None:
        """Take a winner as certain if a judge gives no probability, and the likelier side if it gives no winner.

        Raises:
            ValueError: It is scored and has neither, or one of another kind.
        """
        if not self.is_scored:
            return
        if self.winner not in (None, *get_args(Winner)):
            raise ValueError(f"got the winner {self.winner!r:.40}; expected one of {', '.join(get_args(Winner))}")
        if self.prob_a is not None and not (is_number(self.prob_a) and abs(self.prob_a - 0.5) <= 0.5 + _ROUNDING):
            raise ValueError(f"got prob_a={self.prob_a!r:.40}; expected a probability, from 0 to 1")
        if self.prob_a is None:
            if self.winner is None:
                raise ValueError("got a scored comparison without a verdict; expected winner, prob_a or both")
            object.__setattr__(self, "prob_a", {"A": 1.0, "B": 0.0, "tie": 0.5}[self.winner])
        elif self.winner is None:
            object.__setattr__(self, "winner", "A" if self.prob_a > 0.5 else "B" if self.prob_a < 0.5 else "tie")
