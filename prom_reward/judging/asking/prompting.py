"""The settings that make a judge's prompts of requests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from prom_reward.judging.asking.truncation import fitting_request
from prom_reward.judging.asking.wordings import worded_requests
from prom_reward.judging.head import ScoreHead
from prom_reward.prompts.checklist import CRITERION_TEXTS
from prom_reward.prompts.decision import DECISION_TEXTS
from prom_reward.prompts.prometheus import Layout, LevelOrder, PromptStyle, TaskTexts, task_texts
from prom_reward.prompts.template import SCORE_PREFIX, comparison_prompt, grading_prompt
from prom_reward.rubrics.reading import with_levels
from prom_reward.types import ComparisonRequest, GradingRequest, JudgePrompt

JudgeMode = Literal["feedback", "score"]
CriterionText = Literal["rubric", "compact", "criterion_first"]

_ORDERS: Mapping[LevelOrder, tuple[bool, ...]] = {
    "worst_first": (False,),
    "best_first": (True,),
    "both": (False, True),
}
"""For each prompt of an order whether the best score comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompting:
    """The settings of a judge's prompts; the fields are those of `PrometheusJudge`."""

    prompt_style: PromptStyle
    """The task texts."""
    layout: Layout
    """The order of their sections."""
    mode: JudgeMode
    """Whether feedback is written before the score."""
    guard: bool
    """Neutralize judge text in responses."""
    criterion_text: CriterionText
    """The task text of a checklist's criteria."""
    criteria_notes: tuple[str, ...]
    """Sentences after the criteria, each for a prompt of its own."""
    level_order: LevelOrder
    """The order in which a rubric's scores are described."""
    head: ScoreHead | None
    """The linear functions that are read from the hidden state."""

    @property
    def texts(self) -> TaskTexts:
        """The task texts in their order."""
        return DECISION_TEXTS if self.prompt_style == "decision" else task_texts(self.prompt_style, self.layout)

    def grading(
        self, request: GradingRequest, *, fits: Callable[[JudgePrompt], bool] | None = None
    ) -> list[JudgePrompt]:
        """Return the prompts whose answers grade a request by a rubric or criterion.

        Args:
            request: The request.
            fits: Whether a prompt fits; a response that does not is cut. None cuts nothing.
        """
        rubric = with_levels(request.rubric)
        orders = _ORDERS["worst_first" if rubric.is_criterion else self.level_order]
        worded = worded_requests(request, self.criteria_notes)
        return [self._fitting(one, best_first, fits) for one in worded for best_first in orders]

    def comparison(self, request: ComparisonRequest) -> JudgePrompt:
        """Return the prompt that compares a request's responses."""
        return comparison_prompt(request, self.texts, guard=self.guard, response_prefix=self._prefix)

    def _fitting(
        self, request: GradingRequest, best_first: bool, fits: Callable[[JudgePrompt], bool] | None
    ) -> JudgePrompt:
        if fits is not None:
            request = fitting_request(request, lambda one: fits(self._prompt(one, best_first)))
        return self._prompt(request, best_first)

    def _prompt(self, request: GradingRequest, best_first: bool) -> JudgePrompt:
        rubric = with_levels(request.rubric)
        texts = CRITERION_TEXTS.get(self.criterion_text, self.texts) if rubric.is_criterion else self.texts
        prefix = self._prefix
        prompt = grading_prompt(request, texts, guard=self.guard, response_prefix=prefix, best_first=best_first)
        return prompt if self.head is None else self.head.prompt(prompt, rubric)

    @property
    def _prefix(self) -> str:
        return SCORE_PREFIX if self.mode == "score" else ""
