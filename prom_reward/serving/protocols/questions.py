"""Typed questions about a text, as the decision protocols ask them: each becomes a rubric with a level per option.

The judge answers with its own prompt, and the probabilities are its distribution over the levels.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

from prom_reward.errors import RowError, number_of
from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale
from prom_reward.serving.service import JudgeService
from prom_reward.types import GradingRequest, Judgment

_INSTRUCTION = "Read the response as a document, and answer the question of the score rubric about it."
_TEXT_PARTS = ("input_text", "output_text", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to one question."""

    probs: tuple[float, ...] | None
    """The probability of each option, in order; None if the judge gave no distribution."""
    judgment: Judgment
    """All that the judge said."""

    @property
    def expected(self) -> float:
        """The expected place of the option, from 0."""
        return sum(at * prob for at, prob in enumerate(self.probs or ()))

    @property
    def confidence(self) -> float:
        """One minus the entropy over its maximum: 1 if one option has all the probability, 0 if all have the same."""
        probs = self.probs or ()
        entropy = -sum(prob * log(prob) for prob in probs if prob > 0)
        return min(1.0, max(0.0, 1 - entropy / log(len(probs))))


def question_rubric(name: str, instructions: str, options: Sequence[str]) -> Rubric:
    """Return the rubric of a question.

    Raises:
        RowError: There are less than two options.
        RubricError: There are too many, or no instructions.
    """
    if len(options) < 2:
        raise RowError(f"question {name!r:.40}: got {number_of(len(options), 'option')}; expected at least two")
    scale = ScoreScale(0, len(options) - 1)
    return Rubric(name=name, criteria=instructions, descriptions=dict(enumerate(options)), scale=scale)


async def decide(service: JudgeService, text: str, rubrics: Sequence[Rubric]) -> list[Decision]:
    """Answer questions about a text, in order."""
    requests = [GradingRequest(instruction=_INSTRUCTION, response=text, rubric=rubric) for rubric in rubrics]
    return [
        Decision(probs=_probs(judgment, rubric), judgment=judgment)
        for rubric, judgment in zip(rubrics, await service.grade(requests), strict=True)
    ]


def content_text(value: object, what: str) -> str:
    """Return a text, the joined texts of content parts, or other JSON as it is written.

    Raises:
        RowError: It is empty, or holds an image.
    """
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, list) and value and all(isinstance(part, Mapping) and "type" in part for part in value):
        return "\n".join(_part(part, what) for part in value)
    if isinstance(value, Mapping | list) and value:
        return json.dumps(value, ensure_ascii=False, indent=1)
    raise RowError(f"{what}: got {value!r:.60}; expected a text, or JSON that is not empty")


def _part(part: Mapping[str, Any], what: str) -> str:
    if part["type"] in _TEXT_PARTS and isinstance(part.get("text"), str):
        return str(part["text"])
    if part["type"] == "input_json":
        return json.dumps(part.get("data"), ensure_ascii=False, indent=1)
    raise RowError(f"{what}: got a part of type {part['type']!r:.40}; expected input_text or input_json")


def _probs(judgment: Judgment, rubric: Rubric) -> tuple[float, ...] | None:
    if not judgment.is_scored or judgment.score_probs is None:
        return None
    return tuple(judgment.score_probs.get(label, 0.0) for label in rubric.scale.labels)
