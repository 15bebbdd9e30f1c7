"""PrometheusJudge: fills prompts, asks an engine, and parses its answers."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from typing import Any, Literal, get_args

from prom_reward.engines.base import Engine, Generation, SamplingParams
from prom_reward.errors import ConfigError
from prom_reward.judging.aggregation import aggregate_scores, aggregate_winners, compare_judgments
from prom_reward.judging.base import Judge
from prom_reward.judging.cache import JudgmentCache, Lookup
from prom_reward.judging.calibration import Calibration
from prom_reward.judging.checklists import Expansion
from prom_reward.judging.flags import FlagPolicy
from prom_reward.judging.requests import parse_requests
from prom_reward.judging.truncation import fitting_request
from prom_reward.judging.wordings import worded_requests
from prom_reward.prompts.checklist import CRITERION_TEXTS
from prom_reward.prompts.decision import DECISION_TEXTS
from prom_reward.prompts.guard.neutralize import GUARD_VERSION
from prom_reward.prompts.prometheus import Layout, PromptStyle, TaskTexts, task_texts
from prom_reward.prompts.template import SCORE_PREFIX, comparison_prompt, grading_prompt
from prom_reward.rubrics.reading import with_levels
from prom_reward.types import Checklist, Comparison, ComparisonRequest, GradingRequest, JudgePrompt, Judgment

JudgeMode = Literal["feedback", "score"]
CriterionText = Literal["rubric", "compact", "criterion_first"]


class PrometheusJudge(Judge):
    """Grades and compares responses with an evaluator LM.

    Args:
        engine: Runs the model.
        prompt_style: "prometheus-v1" or "prometheus-v2": the task texts that the model was trained on; "decision" for
            an engine that asks a decision endpoint.
        layout: "prometheus" is the published order of the sections; "response_last" puts the response last, so that
            all responses to one instruction share the text before them. Use it for models that were trained on it or
            on neither.
        mode: "feedback" lets the judge write feedback before its score, as in the papers; "score" reads the
            distribution over the scores at once, with one prefill and no feedback.
        sampling: How feedback is written; without effect in score mode.
        num_samples: Number of feedbacks per request, aggregated; without effect in score mode.
        guard: Neutralize judge text in responses.
        truncate_response: In direct assessment, "middle" cuts the middle out of a response that does not fit the
            context together with the longest feedback, and marks the cut with its length; None gives TOO_LONG. In
            pairwise ranking nothing is cut.
        calibration: A strictly monotone map of the expected scores.
        cache: Keeps the engine's answers, so that nothing is asked for twice.
        flags: The detectors to run on responses, and the consequence of a flag; None marks flagged judgments and keeps
            their scores.
        criterion_text: The task text of a checklist's criteria: "rubric" is the judge's own; for ours see `prompts/`.
        criteria_notes: Sentences to add to a rubric's criteria; the answers under several are averaged, each at its
            own price. An empty one stands for the criteria alone.
        name: A name for logs and reports.
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
        calibration: Calibration | None = None,
        cache: JudgmentCache | None = None,
        flags: FlagPolicy | None = None,
        criterion_text: CriterionText = "rubric",
        criteria_notes: Sequence[str] = (),
        name: str = "judge",
    ) -> None:
        _check("criterion_text", criterion_text, get_args(CriterionText))
        _check("prompt_style", prompt_style, get_args(PromptStyle))
        _check("layout", layout, get_args(Layout))
        _check("mode", mode, get_args(JudgeMode))
        _check("truncate_response", truncate_response, (None, "middle"))
        if num_samples < 1:
            raise ConfigError(f"got num_samples={num_samples}; expected at least 1")
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
        self.criteria_notes = tuple(criteria_notes)
        self.name = name

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
        noted = f"|notes={list(self.criteria_notes)}" if self.criteria_notes else ""
        guarded = f"guard={guard}{self.flags.fingerprint and f'|{self.flags.fingerprint}'}"
        return f"{own}|{guarded}|{sampling}|{self.calibration or ''}{noted}"

    def __repr__(self) -> str:
        return f"PrometheusJudge({self.name!r}, {type(self.engine).__name__}, mode={self.mode})"

    def with_engine(self, engine: Engine) -> "PrometheusJudge":
        """Return the same judge on another engine."""
        return self._with(engine=engine)

    def with_guards(self, *, guard: bool, flags: FlagPolicy) -> "PrometheusJudge":
        """Return a judge on the same engine with other guards, for comparisons."""
        return self._with(guard=guard, flags=flags)

    def with_reading(self, *, mode: JudgeMode, layout: Layout, criteria_notes: Sequence[str]) -> "PrometheusJudge":
        """Return a judge on the same engine that asks and reads otherwise, for comparisons."""
        num_samples = self.num_samples if mode == "feedback" else 1
        return self._with(mode=mode, layout=layout, criteria_notes=tuple(criteria_notes), num_samples=num_samples)

    def _with(self, **attributes: Any) -> "PrometheusJudge":
        other = copy.copy(self)
        vars(other).update(attributes)
        return other

    def grading_prompt(self, request: GradingRequest) -> JudgePrompt:
        """Return the prompt that grades a request; with several `criteria_notes` the first of them."""
        return self._prompt(worded_requests(request, self.criteria_notes)[0])

    def _prompt(self, request: GradingRequest) -> JudgePrompt:
        is_criterion = with_levels(request.rubric).is_criterion
        texts = CRITERION_TEXTS.get(self.criterion_text, self._texts) if is_criterion else self._texts
        return grading_prompt(request, texts, guard=self.guard, response_prefix=self._prefix)

    @property
    def ranks(self) -> bool:
        """Whether the judge compares in one prompt: it was trained for it and has the text; else it grades both."""
        return self.taught_to_rank and self._texts.relative is not None

    def comparison_prompt(self, request: ComparisonRequest) -> JudgePrompt:
        """Return the prompt that compares a request's responses, for a judge that `ranks`."""
        return comparison_prompt(request, self._texts, guard=self.guard, response_prefix=self._prefix)

    def grade(self, requests: Sequence[GradingRequest | Mapping[str, Any]]) -> list[Judgment]:
        """Grade each response by direct assessment.

        Args:
            requests: Requests, or mappings with their fields.

        Returns:
            One judgment per request, in order. The outcome of an unscored one says why.
        """
        parsed, asked, prompts = self._asked(requests)
        return self._joined(parsed, asked, prompts, self._generate([*chain(*prompts)]))

    async def agrade(self, requests: Sequence[GradingRequest | Mapping[str, Any]]) -> list[Judgment]:
        """Grade as `grade` does, without blocking the event loop."""
        parsed, asked, prompts = self._asked(requests)
        return self._joined(parsed, asked, prompts, await self._agenerate([*chain(*prompts)]))

    def compare(self, requests: Sequence[ComparisonRequest | Mapping[str, Any]]) -> list[Comparison]:
        """Compare two responses each by pairwise ranking.

        A judge that was not trained to rank, as Prometheus v1, grades both responses as in v1's paper and compares the
        expected scores; equal ones are a "tie". Checklists are compared in the same way.

        Args:
            requests: Requests, or mappings with their fields.

        Returns:
            One comparison per request, in order.
        """
        parsed = parse_requests(requests, ComparisonRequest)
        is_graded = [not self.ranks or isinstance(request.rubric, Checklist) for request in parsed]
        graded = iter(self._compare_by_grading([one for one, grades in zip(parsed, is_graded, strict=True) if grades]))
        ranked = iter(self._rank([one for one, grades in zip(parsed, is_graded, strict=True) if not grades]))
        found = [next(graded if grades else ranked) for grades in is_graded]
        return [self.flags.comparison(request, one) for request, one in zip(parsed, found, strict=True)]

    def load(self) -> None:
        """Load the engine's weights now; without it they are loaded at the first use."""
        self.engine.load()

    def take_metrics(self) -> dict[str, float]:
        """Return the counts of engine and cache since the last call, by name; durations in seconds."""
        cached = self.cache.take_metrics() if self.cache is not None else {}
        return {**self.engine.take_metrics(), **cached}

    @property
    def _texts(self) -> TaskTexts:
        return DECISION_TEXTS if self.prompt_style == "decision" else task_texts(self.prompt_style, self.layout)

    @property
    def _prefix(self) -> str:
        return SCORE_PREFIX if self.mode == "score" else ""

    def _asked(
        self, requests: Sequence[GradingRequest | Mapping[str, Any]]
    ) -> tuple[list[GradingRequest], Expansion, list[list[JudgePrompt]]]:
        """Return the requests, what is asked for them, and the prompts of that: one for each wording of a rubric."""
        parsed = parse_requests(requests, GradingRequest)
        asked = Expansion.of(parsed)
        worded = [worded_requests(request, self.criteria_notes) for request in asked.requests]
        return parsed, asked, [[self._fitting_prompt(one) for one in wordings] for wordings in worded]

    def _joined(
        self,
        requests: Sequence[GradingRequest],
        asked: Expansion,
        prompts: Sequence[list[JudgePrompt]],
        samples: Sequence[list[Generation]],
    ) -> list[Judgment]:
        """Return one calibrated and flagged judgment per request; a checklist is flagged as a whole."""
        judgments, generated = [], iter(samples)
        for request, wordings in zip(asked.requests, prompts, strict=True):
            judgment = aggregate_scores(request, wordings[0], [one for _ in wordings for one in next(generated)])
            if self.calibration is not None:
                judgment = self.calibration.judgment(judgment, request.rubric.scale)
            judgments.append(judgment)
        pairs = zip(requests, asked.joined(judgments), strict=True)
        return [self.flags.judgment(request, one) for request, one in pairs]

    def _generate(self, prompts: Sequence[JudgePrompt]) -> list[list[Generation]]:
        """Return `num_samples` generations for every prompt."""
        found = self._look_up(prompts)
        asked = [found.prompts[at] for at in found.missing]
        return self._samples(found, self.engine.generate(asked, self.sampling) if asked else [])

    async def _agenerate(self, prompts: Sequence[JudgePrompt]) -> list[list[Generation]]:
        """Return the same without blocking the event loop."""
        found = self._look_up(prompts)
        asked = [found.prompts[at] for at in found.missing]
        return self._samples(found, await self.engine.agenerate(asked, self.sampling) if asked else [])

    def _look_up(self, prompts: Sequence[JudgePrompt]) -> Lookup:
        """Return the prompts of all samples, with the cache's answers."""
        repeated = [prompt for prompt in prompts for _ in range(self.num_samples)]
        if self.cache is None or not repeated:
            return Lookup(repeated, [], {}, range(len(repeated)))
        return self.cache.look_up(repeated, self.sampling, fingerprint=self.engine.fingerprint, has_guard=self.guard)

    def _samples(self, found: Lookup, fresh: Sequence[Generation]) -> list[list[Generation]]:
        """Return all samples of each prompt, the cache's and the engine's."""
        if len(fresh) != len(found.missing):
            raise RuntimeError(f"the engine answered {len(fresh)} of {len(found.missing)} prompts; this is a bug in it")
        flat = self.cache.complete(found, fresh) if self.cache is not None and found.keys else fresh
        return [list(flat[start : start + self.num_samples]) for start in range(0, len(flat), self.num_samples)]

    def _fitting_prompt(self, request: GradingRequest) -> JudgePrompt:
        if self.truncate_response is not None:
            request = fitting_request(request, lambda one: self.engine.fits(self._prompt(one), self.sampling))
        return self._prompt(request)

    def _compare_by_grading(self, requests: Sequence[ComparisonRequest]) -> list[Comparison]:
        sides = [side for request in requests for side in request.sides()]
        judgments = self.with_guards(guard=self.guard, flags=FlagPolicy(detectors=())).grade(sides)
        return [compare_judgments(judgments[at], judgments[at + 1]) for at in range(0, len(judgments), 2)]

    def _rank(self, requests: Sequence[ComparisonRequest]) -> list[Comparison]:
        prompts = [self.comparison_prompt(request) for request in requests]
        pairs = zip(prompts, self._generate(prompts), strict=True)
        return [aggregate_winners(prompt, generations) for prompt, generations in pairs]


def _check(name: str, value: Any, known: Sequence[Any]) -> None:
    if value not in known:
        raise ConfigError(f"got {name}={value!r}; expected {' or '.join(map(str, known))}")
