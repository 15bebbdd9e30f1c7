"""PrometheusJudge: the only place where prompts, engine, parsing and scores meet.

It does not know trainers, data sets or rewards.
"""

import copy
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

from prom_reward.engines.base import Engine, Generation, SamplingParams
from prom_reward.errors import ConfigError
from prom_reward.judging.aggregation import aggregate_scores, aggregate_winners, compare_judgments
from prom_reward.judging.base import Judge
from prom_reward.judging.cache import JudgmentCache
from prom_reward.judging.calibration import Calibration
from prom_reward.judging.flags import FlagPolicy
from prom_reward.judging.truncation import truncate_middle
from prom_reward.prompts.checklist import CHECKLIST_TEXTS
from prom_reward.prompts.guard.neutralize import GUARD_VERSION
from prom_reward.prompts.prometheus import TASK_TEXTS, Layout, PromptStyle, TaskTexts, task_texts
from prom_reward.prompts.template import SCORE_PREFIX, comparison_prompt, grading_prompt
from prom_reward.types import Comparison, ComparisonRequest, GradingRequest, JudgePrompt, Judgment

logger = logging.getLogger(__name__)

JudgeMode = Literal["feedback", "score"]
CriterionText = Literal["rubric", "compact"]


class PrometheusJudge(Judge):
    """Grades and compares responses with an evaluator LM.

    Args:
        engine: Runs the model.
        prompt_style: "prometheus-v1" or "prometheus-v2": the task texts that the model was trained on.
        layout: "prometheus" is the published order of the sections; "response_last" lets all responses to one
            instruction share what stands before them, for models that were trained on it or on neither.
        mode: "feedback" lets the judge write feedback before its score, as in the papers; "score" reads the
            distribution over the scores at once, with one prefill and no feedback.
        sampling: How feedback is written; without effect in score mode.
        num_samples: Feedbacks per request, aggregated; without effect in score mode.
        guard: Neutralize what could pass for judge text in responses.
        truncate_response: In direct assessment, "middle" cuts a response that does not fit the context together
            with the longest feedback in its middle, with a mark that says how much is missing; None gives
            TOO_LONG. In pairwise ranking nothing is cut.
        calibration: A strictly monotone map that every expected score goes through.
        cache: Keeps what the engine wrote, so that nothing is asked for twice.
        flags: Which detectors look at responses, and what becomes of a flagged one; None marks it and leaves its
            score.
        criterion_text: The task text of a checklist's criteria: "rubric" is the judge's own with two levels,
            "compact" this project's short one, in which N criteria of a response cost little more than one.
        name: A name for logs and reports.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        prompt_style: PromptStyle = "prometheus-v2",
        layout: Layout = "prometheus",
        mode: JudgeMode = "feedback",
        sampling: SamplingParams | None = None,
        num_samples: int = 1,
        guard: bool = True,
        truncate_response: Literal["middle"] | None = None,
        calibration: Calibration | None = None,
        cache: JudgmentCache | None = None,
        flags: FlagPolicy | None = None,
        criterion_text: CriterionText = "rubric",
        name: str = "judge",
    ) -> None:
        if criterion_text not in ("rubric", "compact"):
            raise ConfigError(f"got criterion_text={criterion_text!r}; expected rubric or compact")
        if prompt_style not in TASK_TEXTS:
            raise ConfigError(f"got prompt_style={prompt_style!r}; expected one of {', '.join(TASK_TEXTS)}")
        if layout not in ("prometheus", "response_last"):
            raise ConfigError(f"got layout={layout!r}; expected prometheus or response_last")
        if mode not in ("feedback", "score"):
            raise ConfigError(f"got mode={mode!r}; expected feedback or score")
        if num_samples < 1:
            raise ConfigError(f"got num_samples={num_samples}; expected at least 1")
        if truncate_response not in (None, "middle"):
            raise ConfigError(f"got truncate_response={truncate_response!r}; expected 'middle' or None")
        self.engine = engine
        self.prompt_style: PromptStyle = prompt_style
        self.layout: Layout = layout
        self.mode: JudgeMode = mode
        self.sampling = sampling or SamplingParams()
        self.num_samples = num_samples if mode == "feedback" else 1
        self.guard = guard
        self.truncate_response = truncate_response
        self.calibration = calibration
        self.cache = cache
        self.flags = flags or FlagPolicy()
        self.criterion_text: CriterionText = criterion_text
        self.name = name

    @property
    def fingerprint(self) -> str:
        """All that can change a judgment besides the request."""
        return f"{self.engine.fingerprint}|{self._settings}"

    @property
    def identity(self) -> str:
        """The fingerprint without what only this machine adds to it."""
        return f"{self.engine.identity}|{self._settings}"

    @property
    def machine(self) -> Mapping[str, Any]:
        """What of this machine can change a judgment; see `prom_reward.engines.base.Engine.machine`."""
        return self.engine.machine

    def seeded(self, seed: int) -> "PrometheusJudge":
        """Return this judge with a seed if it samples without one."""
        if self.sampling.seed is not None:
            return self
        other = copy.copy(self)
        other.sampling = replace(self.sampling, seed=seed)
        return other

    @property
    def _settings(self) -> str:
        own = [self.prompt_style, self.layout, self.mode, self.num_samples, self.truncate_response, self.criterion_text]
        guard = GUARD_VERSION if self.guard else "off"
        sampling = json.dumps(asdict(self.sampling)) if self.mode == "feedback" else ""
        guarded = f"guard={guard}{self.flags.fingerprint and f'|{self.flags.fingerprint}'}"
        return f"{own}|{guarded}|{sampling}|{self.calibration or ''}"

    def with_guards(self, *, guard: bool, flags: FlagPolicy) -> "PrometheusJudge":
        """Return a judge on the same engine with other guards, for comparisons."""
        other = copy.copy(self)
        other.guard, other.flags = guard, flags
        return other

    def grading_prompt(self, request: GradingRequest) -> JudgePrompt:
        """Return the prompt that grades a request."""
        is_compact = request.rubric.is_criterion and self.criterion_text == "compact"
        texts = CHECKLIST_TEXTS if is_compact else self._texts
        return grading_prompt(request, texts, guard=self.guard, response_prefix=self._prefix)

    @property
    def ranks(self) -> bool:
        """Whether the judge's task texts know pairwise ranking; else `compare` grades both responses."""
        return self._texts.relative is not None

    def comparison_prompt(self, request: ComparisonRequest) -> JudgePrompt:
        """Return the prompt that compares the two responses of a request, for a judge that `ranks`."""
        return comparison_prompt(request, self._texts, guard=self.guard, response_prefix=self._prefix)

    def grade(self, requests: Sequence[GradingRequest]) -> list[Judgment]:
        """Grade each response by direct assessment.

        Returns:
            One judgment a request, in order. One that could not be scored says why in its outcome.
        """
        prompts = [self._fitting_prompt(request) for request in requests]
        samples = self._generate(prompts)
        judgments = [
            aggregate_scores(request, prompt, generations)
            for request, prompt, generations in zip(requests, prompts, samples, strict=True)
        ]
        if self.calibration is not None:
            scales = [request.rubric.scale for request in requests]
            judgments = [self.calibration.judgment(one, scale) for one, scale in zip(judgments, scales, strict=True)]
        return [self.flags.judgment(request, one) for request, one in zip(requests, judgments, strict=True)]

    def compare(self, requests: Sequence[ComparisonRequest]) -> list[Comparison]:
        """Compare two responses each by pairwise ranking.

        Prometheus v1 knows no ranking: as in its paper both responses are graded and the expected scores
        compared; equal ones are a "tie".

        Returns:
            One comparison a request, in order.
        """
        if not self.ranks:
            return self._compare_by_grading(requests)
        prompts = [self.comparison_prompt(request) for request in requests]
        samples = self._generate(prompts)
        found = [aggregate_winners(prompt, generations) for prompt, generations in zip(prompts, samples, strict=True)]
        return [self.flags.comparison(request, one) for request, one in zip(requests, found, strict=True)]

    def load(self) -> None:
        """Load the engine's weights now; else they are loaded at the first use."""
        self.engine.load()

    def take_metrics(self) -> dict[str, float]:
        """Return what engine and cache counted since this was last asked, by name; durations in seconds."""
        cached = self.cache.take_metrics() if self.cache is not None else {}
        return {**self.engine.take_metrics(), **cached}

    @property
    def _texts(self) -> TaskTexts:
        return task_texts(self.prompt_style, self.layout)

    @property
    def _prefix(self) -> str:
        return SCORE_PREFIX if self.mode == "score" else ""

    def _generate(self, prompts: Sequence[JudgePrompt]) -> list[list[Generation]]:
        """Return `num_samples` generations for every prompt."""
        repeated = [prompt for prompt in prompts for _ in range(self.num_samples)]
        flat = self._answers(repeated) if repeated else []
        if len(flat) != len(repeated):
            raise RuntimeError(f"the engine answered {len(flat)} of {len(repeated)} prompts; this is a bug in it")
        return [flat[start : start + self.num_samples] for start in range(0, len(flat), self.num_samples)]

    def _answers(self, prompts: Sequence[JudgePrompt]) -> list[Generation]:
        if self.cache is None:
            return self.engine.generate(prompts, self.sampling)
        return self.cache.generate(
            self.engine.generate,
            prompts,
            self.sampling,
            fingerprint=self.engine.fingerprint,
            has_guard=self.guard,
        )

    def _fitting_prompt(self, request: GradingRequest) -> JudgePrompt:
        prompt = self.grading_prompt(request)
        if self.truncate_response is None or self.engine.context_length is None:
            return prompt
        reserve = self.sampling.max_new_tokens if self.mode == "feedback" else 0
        limit = self.engine.context_length - reserve - 16  # closing, marker and verdict
        if self.engine.count_tokens(prompt) <= limit:
            return prompt

        def fits(response: str) -> bool:
            return self.engine.count_tokens(self.grading_prompt(replace(request, response=response))) <= limit

        shortened = truncate_middle(request.response, fits)
        if shortened is None:  # it is not the response that is too long
            return prompt
        logger.warning("response of %d characters cut to fit the judge's context", len(request.response))
        return self.grading_prompt(replace(request, response=shortened))

    def _compare_by_grading(self, requests: Sequence[ComparisonRequest]) -> list[Comparison]:
        sides = [
            GradingRequest(
                instruction=request.instruction,
                response=response,
                rubric=request.rubric,
                reference_answer=request.reference_answer,
            )
            for request in requests
            for response in (request.response_a, request.response_b)
        ]
        judgments = self.with_guards(guard=self.guard, flags=FlagPolicy(detectors=())).grade(sides)
        found = [compare_judgments(judgments[at], judgments[at + 1]) for at in range(0, len(judgments), 2)]
        return [self.flags.comparison(request, one) for request, one in zip(requests, found, strict=True)]
