"""PrometheusJudge: fills prompts, asks an engine, and parses its answers."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from math import inf
from typing import Any, Literal, get_args

from prom_reward.engines.base import Engine, Generation, SamplingParams
from prom_reward.errors import ConfigError, check_flags
from prom_reward.judging.aggregation import aggregate_winners, compare_by_grading
from prom_reward.judging.asking.asked import Asked
from prom_reward.judging.asking.prompting import CriterionText, JudgeMode, Prompting
from prom_reward.judging.asking.requests import parse_requests
from prom_reward.judging.asking.samples import PromptSampler
from prom_reward.judging.base import Judge
from prom_reward.judging.cache import JudgmentCache
from prom_reward.judging.calibration import Calibration
from prom_reward.judging.flags import FlagPolicy
from prom_reward.judging.head import ScoreHead, states_settings
from prom_reward.prompts.guard.neutralize import GUARD_VERSION
from prom_reward.prompts.prometheus import Layout, LevelOrder, PromptStyle
from prom_reward.types import Checklist, Comparison, ComparisonRequest, GradingRequest, JudgePrompt, Judgment


class PrometheusJudge(Judge):
    """Grades and compares responses with an evaluator LM.

    Args:
        engine: Runs the model.
        prompt_style: "prometheus-v1" or "prometheus-v2": the task texts that the model was trained on; "decision" for
            an engine that asks a decision endpoint.
        layout: "prometheus" is the published order of the sections; "response_last" lets responses to one instruction
            share the text before them, for models that were trained on it or on neither.
        mode: "feedback" lets the judge write feedback before its score, as in the papers; "score" reads the
            distribution over the scores at once, with one prefill and no feedback.
        sampling: How feedback is written; without effect in score mode.
        num_samples: Number of feedbacks per request, aggregated; without effect in score mode.
        guard: Neutralize judge text in responses.
        truncate_response: In direct assessment, "middle" cuts the middle out of a response that does not fit the
            context together with the longest feedback, and marks the cut with its length; None gives TOO_LONG. In
            pairwise ranking nothing is cut.
        score_temperature: Over 1 flattens the distributions over a rubric's scores, under 1 sharpens them.
        calibration: A strictly monotone map of the expected scores.
        cache: Keeps the engine's answers, so that nothing is asked for twice.
        flags: The detectors to run on responses, and the consequence of a flag; None marks flagged judgments and keeps
            their scores.
        criterion_text: The task text of a checklist's criteria: "rubric" is the judge's own, "compact" (the criterion
            last) and "criterion_first" are this project's.
        criteria_notes: Sentences to add to a rubric's criteria; the answers under several are averaged, each at its
            own price. An empty one stands for the criteria alone.
        level_order: The order in which a rubric's scores are described, the published one or another; "both" averages
            the answers under both, each at its own price. Criteria keep the order of their answers.
        head: Shifts the scores by the engine's hidden states, which have to be those that it was fitted on.
        name: A name for logs and reports.

    Raises:
        ConfigError: A setting is unknown, or the head was fitted on another judge.
    """

    reads_checklists = True

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
        score_temperature: float = 1.0,
        calibration: Calibration | None = None,
        cache: JudgmentCache | None = None,
        flags: FlagPolicy | None = None,
        criterion_text: CriterionText = "rubric",
        criteria_notes: Sequence[str] = (),
        level_order: LevelOrder = "worst_first",
        head: ScoreHead | None = None,
        name: str = "judge",
    ) -> None:
        _check("criterion_text", criterion_text, get_args(CriterionText))
        _check("prompt_style", prompt_style, get_args(PromptStyle))
        _check("layout", layout, get_args(Layout))
        _check("level_order", level_order, get_args(LevelOrder))
        _check("mode", mode, get_args(JudgeMode))
        _check("truncate_response", truncate_response, (None, "middle"))
        check_flags(guard=guard)
        if num_samples < 1:
            raise ConfigError(f"got num_samples={num_samples}; expected at least 1")
        if not 0 < score_temperature < inf:
            raise ConfigError(f"got score_temperature={score_temperature}; expected over 0 (1 is off)")
        self.engine = engine
        self.prompt_style: PromptStyle = prompt_style
        self.layout: Layout = layout
        self.mode: JudgeMode = mode
        self.sampling = sampling or SamplingParams()
        self.num_samples = num_samples if mode == "feedback" else 1
        self.guard = guard
        self.truncate_response = truncate_response
        self.score_temperature = score_temperature
        self.calibration = calibration
        self.cache = cache
        self.flags = flags or FlagPolicy()
        self.criterion_text: CriterionText = criterion_text
        self.criteria_notes = tuple(criteria_notes)
        self.level_order: LevelOrder = level_order
        self.head = head
        self.name = name
        self._fitting_head()

    @property
    def fingerprint(self) -> str:
        """Everything that can change a judgment besides the request."""
        return f"{self.engine.fingerprint}|{self._settings}"

    @property
    def identity(self) -> str:
        """The part of the fingerprint that is the same on every machine; reading it touches no device."""
        return f"{self.engine.identity}|{self._settings}"

    @property
    def machine(self) -> Mapping[str, Any]:
        """Settings of this machine that can change a judgment; see `prom_reward.engines.base.Engine.machine`."""
        return self.engine.machine

    def seeded(self, seed: int) -> "PrometheusJudge":
        """Return this judge, with a seed if it samples without one."""
        if self.sampling.seed is not None:
            return self
        return self._with(sampling=replace(self.sampling, seed=seed))

    @property
    def is_repeatable(self) -> bool:  # type: ignore[override]  # the protocol's default is a plain value
        """Whether no answer is drawn: the score is read at once, or feedback is decoded greedily."""
        return self.mode == "score" or self.sampling.temperature == 0

    @property
    def _settings(self) -> str:
        own = [self.prompt_style, self.layout, self.mode, self.num_samples, self.truncate_response, self.criterion_text]
        guard = GUARD_VERSION if self.guard else "off"
        sampling = json.dumps(asdict(self.sampling)) if self.mode == "feedback" else ""
        guarded = f"guard={guard}{self.flags.fingerprint and f'|{self.flags.fingerprint}'}"
        return f"{own}|{guarded}|{sampling}|{self.calibration or ''}{self._tuned}"

    @property
    def _tuned(self) -> str:
        noted = f"|notes={list(self.criteria_notes)}" if self.criteria_notes else ""
        head = f"|head={self.head.digest}" if self.head is not None else ""
        tempered = f"|temperature={self.score_temperature}" if self.score_temperature != 1 else ""
        order = f"|{self.level_order}" if self.level_order != "worst_first" else ""
        return f"{noted}{head}{tempered}{order}"

    @property
    def scores_identity(self) -> str:
        """What a calibration is fitted on: the weights, the prompts, and all that moves the scores before it."""
        return f"{self.engine.identity}|{[self.prompt_style, self.layout, self.mode]}{self._tuned}"

    @property
    def states_settings(self) -> dict[str, str]:
        """What the hidden states at a score depend on besides the request; raises as `states_settings` does."""
        prompts = {name: getattr(self, name) for name in ("mode", "prompt_style", "layout", "level_order")}
        return states_settings(self.engine, {**prompts, "notes": str(list(self.criteria_notes))})

    def __repr__(self) -> str:
        return f"PrometheusJudge({self.name!r}, {type(self.engine).__name__}, mode={self.mode})"

    def with_engine(self, engine: Engine) -> "PrometheusJudge":
        """Return the same judge on another engine."""
        return self._with(engine=engine)._fitting_head()

    def with_guards(self, *, guard: bool, flags: FlagPolicy) -> "PrometheusJudge":
        """Return a judge on the same engine with other guards, for comparisons."""
        return self._with(guard=guard, flags=flags)

    def without_cache(self) -> "PrometheusJudge":
        """Return the same judge asking its engine for everything anew."""
        return self._with(cache=None)

    def with_reading(
        self,
        *,
        mode: JudgeMode | None = None,
        layout: Layout | None = None,
        criteria_notes: Sequence[str] | None = None,
        level_order: LevelOrder | None = None,
        score_temperature: float | None = None,
    ) -> "PrometheusJudge":
        """Return a judge on the same engine that asks and reads otherwise, for comparisons; None leaves a part."""
        mode = mode or self.mode
        return self._with(
            mode=mode,
            layout=layout or self.layout,
            criteria_notes=self.criteria_notes if criteria_notes is None else tuple(criteria_notes),
            level_order=level_order or self.level_order,
            score_temperature=score_temperature or self.score_temperature,
            num_samples=self.num_samples if mode == "feedback" else 1,
        )._fitting_head()

    def with_head(self, head: ScoreHead) -> "PrometheusJudge":
        """Return the same judge with a head that was fitted on it."""
        return self._with(head=head)._fitting_head()

    def _with(self, **attributes: Any) -> "PrometheusJudge":
        other = copy.copy(self)
        vars(other).update(attributes)
        return other

    def _fitting_head(self) -> "PrometheusJudge":
        """Return this judge; ConfigError if its head was fitted on other hidden states."""
        if self.head is not None:
            self.head.check(self.states_settings)
        return self

    def grading_prompt(self, request: GradingRequest) -> JudgePrompt:
        """Return the prompt that grades a request; with several wordings or orders the first of them."""
        return self._prompting.grading(request)[0]

    def grading_prompts(self, request: GradingRequest) -> list[JudgePrompt]:
        """Return all prompts whose answers grade a request by a rubric, with the response cut if it has to be."""
        fits = partial(self.engine.fits, sampling=self.sampling) if self.truncate_response is not None else None
        return self._prompting.grading(request, fits=fits)

    @property
    def ranks(self) -> bool:
        """Whether the judge compares in one prompt: it was trained for it and has the text; else it grades both."""
        return self.taught_to_rank and self._prompting.texts.relative is not None

    def comparison_prompt(self, request: ComparisonRequest) -> JudgePrompt:
        """Return the prompt that compares a request's responses, for a judge that `ranks`."""
        return self._prompting.comparison(request)

    def grade(self, requests: Sequence[GradingRequest | Mapping[str, Any]]) -> list[Judgment]:
        """Grade each response by direct assessment; one judgment per request, in order.

        Args:
            requests: Requests, or mappings with their fields.
        """
        asked = Asked.of(requests, self.grading_prompts)
        return self._judged(asked, self._sampler.generate(asked.prompts))

    async def agrade(self, requests: Sequence[GradingRequest | Mapping[str, Any]]) -> list[Judgment]:
        """Grade as `grade` does, without blocking the event loop."""
        asked = Asked.of(requests, self.grading_prompts)
        return self._judged(asked, await self._sampler.agenerate(asked.prompts))

    def compare(self, requests: Sequence[ComparisonRequest | Mapping[str, Any]]) -> list[Comparison]:
        """Compare two responses each by pairwise ranking; one comparison per request, in order.

        A judge that was not trained to rank, as Prometheus v1, grades both responses as in v1's paper and compares the
        expected scores; equal ones are a "tie". Checklists are compared in the same way.

        Args:
            requests: Requests, or mappings with their fields.
        """
        parsed = parse_requests(requests, ComparisonRequest)
        is_graded = [not self.ranks or isinstance(request.rubric, Checklist) for request in parsed]
        graded = iter(self._compare_by_grading([one for one, grades in zip(parsed, is_graded, strict=True) if grades]))
        ranked = iter(self._rank([one for one, grades in zip(parsed, is_graded, strict=True) if not grades]))
        comparisons = [next(graded if grades else ranked) for grades in is_graded]
        return [self.flags.comparison(request, one) for request, one in zip(parsed, comparisons, strict=True)]

    def load(self) -> None:
        """Load the engine's weights now; without it they are loaded at the first use."""
        self.engine.load()

    def take_metrics(self) -> dict[str, float]:
        """Return the counts of engine and cache since the last call, by name; durations in seconds."""
        cached = self.cache.take_metrics() if self.cache is not None else {}
        return {**self.engine.take_metrics(), **cached}

    @property
    def _prompting(self) -> Prompting:
        return Prompting(**{one.name: getattr(self, one.name) for one in fields(Prompting)})

    def _judged(self, asked: Asked, samples: Sequence[list[Generation]]) -> list[Judgment]:
        """Return one flagged judgment per request; a checklist is flagged as a whole."""
        found = asked.judgments(samples, temperature=self.score_temperature, calibration=self.calibration)
        return [self.flags.judgment(request, one) for request, one in zip(asked.requests, found, strict=True)]

    @property
    def _sampler(self) -> PromptSampler:
        return PromptSampler(self.engine, self.sampling, self.num_samples, cache=self.cache, has_guard=self.guard)

    def _compare_by_grading(self, requests: Sequence[ComparisonRequest]) -> list[Comparison]:
        return compare_by_grading(requests, self.with_guards(guard=self.guard, flags=FlagPolicy(detectors=())).grade)

    def _rank(self, requests: Sequence[ComparisonRequest]) -> list[Comparison]:
        prompts = [self.comparison_prompt(request) for request in requests]
        pairs = zip(prompts, self._sampler.generate(prompts), strict=True)
        return [aggregate_winners(prompt, generations) for prompt, generations in pairs]


def _check(name: str, value: Any, known: Sequence[Any]) -> None:
    if value not in known:
        raise ConfigError(f"got {name}={value!r}; expected {' or '.join(map(str, known))}")
