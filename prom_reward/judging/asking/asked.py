"""Grading requests with the prompts that are asked for them, and the way back from samples to judgments."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prom_reward.engines.base import Generation
from prom_reward.judging.aggregation import aggregate_scores, tempered
from prom_reward.judging.asking.requests import parse_requests
from prom_reward.judging.calibration import Calibration
from prom_reward.judging.checklists import Expansion
from prom_reward.rubrics.reading import with_levels
from prom_reward.types import GradingRequest, JudgePrompt, Judgment


@dataclass(frozen=True, slots=True)
class Asked:
    """Some requests, and the prompts that they become."""

    requests: Sequence[GradingRequest]
    """The requests, also by checklists."""
    expansion: Expansion
    """The same by rubrics alone."""
    wordings: Sequence[list[JudgePrompt]]
    """The prompts for each request of the expansion, whose answers are averaged."""

    @classmethod
    def of(
        cls,
        requests: Sequence[GradingRequest | Mapping[str, Any]],
        prompts: Callable[[GradingRequest], list[JudgePrompt]],
    ) -> "Asked":
        """Read requests and make their prompts."""
        parsed = parse_requests(requests, GradingRequest)
        expansion = Expansion.of(parsed)
        return cls(parsed, expansion, [prompts(request) for request in expansion.requests])

    @property
    def prompts(self) -> list[JudgePrompt]:
        """All prompts, in order."""
        return [prompt for wordings in self.wordings for prompt in wordings]

    def judgments(
        self, samples: Sequence[list[Generation]], *, temperature: float, calibration: Calibration | None
    ) -> list[Judgment]:
        """Return one judgment for each request.

        Args:
            samples: Those of each prompt.
            temperature: Flattens or sharpens the distributions; criteria keep theirs.
            calibration: Maps the expected scores; criteria keep theirs, and None leaves all.
        """
        found, generated = [], iter(samples)
        for request, wordings in zip(self.expansion.requests, self.wordings, strict=True):
            judgment = aggregate_scores(request, wordings[0], [next(generated) for _ in wordings])
            rubric = with_levels(request.rubric)
            if temperature != 1 and not rubric.is_criterion:
                judgment = tempered(judgment, temperature)
            if calibration is not None:
                judgment = calibration.judgment(judgment, rubric)
            found.append(judgment)
        return self.expansion.joined(found)
