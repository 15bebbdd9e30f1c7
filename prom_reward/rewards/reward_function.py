"""PrometheusReward: the reward function that TRL's trainers call.

It does not know how a judgment is made, nor the group or the step that it is called for.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prom_reward.errors import ConfigError, UnscoredError
from prom_reward.judging.base import Judge
from prom_reward.prompts.transcripts import PromptValue
from prom_reward.rewards.audit_judge import AuditJudge
from prom_reward.rewards.canaries import Canaries
from prom_reward.rewards.columns import batch_requests
from prom_reward.rewards.judgment_log import JudgmentLog, judgment_record
from prom_reward.rewards.metrics import LogMetric, log_metrics, shown_feedback, shown_scores
from prom_reward.rewards.normalizers import Normalizer, resolve_normalizer
from prom_reward.rewards.reward_name import derived_name
from prom_reward.rewards.watch import Watch
from prom_reward.rubrics.rubric import parse_rubrics
from prom_reward.types import GradingRequest, Judgment, Rubric, ScoreScale

if TYPE_CHECKING:
    from prom_reward.rewards.reward_model import OnUnscored, PrometheusRewardModel

ScoreKind = Literal["expected", "integer"]

logger = logging.getLogger(__name__)


class PrometheusReward:
    """Turns policy rollouts and task rubrics into rewards.

    Pass an instance to a trainer's `reward_funcs`. A row's own `rubric` and `reference_answer` columns win over
    the default rubric. Where a row has several rubrics, its reward is the sum of `weight * reward` over them,
    with the weights as they are given.

    Args:
        judge: Grades the responses, for example `load_judge("smollm2-135m")`.
        rubric: The default rubric in any form that `Rubric.parse` reads, or a list of them; None where every
            row brings its own.
        normalizer: "unit" maps the scale to [0, 1], "centered" to [-1, 1], "identity" leaves the score; or a
            callable `(scores, scale) -> rewards`, which is called with one score at a time. Nothing may depend on
            the batch: groups are split across ranks, and GRPO scales by the group's deviation itself.
        score: "expected" is the mean of the score's distribution (no ties, less noise); "integer" is the mean of
            the sampled integers, which with three samples is the papers' protocol.
        on_unscored: What a trainer gets for a response that could not be scored. "none": None, which in GRPO and
            RLOO leaves the row out (from TRL 1.6 on its advantage is 0; before, its reward counts as 0; beside
            other reward functions the sum goes on without it, as if it were 0) and which Online DPO takes as 0.
            "raise": UnscoredError, which ends the training. A number: that reward. For PPO, Nash-MD and XPO see
            `as_reward_model`.
        on_unscored_rubric: What becomes of a row of several rubrics when one of them is unscored. "unscored":
            the row is unscored. "renormalize": the other rubrics' sum is scaled up to the full weight.
        rubric_column: The data set's column with a row's rubric or rubrics.
        reference_column: The data set's column with a row's reference answer.
        include_reasoning: Show the judge what a reasoning policy thought, too.
        canaries: In a share of batches, grades responses once more with an attack behind them; None never does.
            Only with trainers that pass `log_metric`: GRPO and RLOO, PPO, Nash-MD and XPO by `as_reward_model`.
        audit: A second judge that scores a sample; `DivergenceCallback` can stop a run in which the two part.
            Where it or a canary fails, a warning says so once, and the training goes on.
        log_path: A JSONL file to which every judgment is appended; None for no log.
        name: The name under which trainers log this reward; None derives one that is unique to the settings.

    Raises:
        ConfigError: A setting is not one of those above.
        RubricError: The default rubric cannot be read.
    """

    def __init__(
        self,
        judge: Judge,
        rubric: "str | Mapping[str, Any] | Rubric | Sequence[Any] | None" = None,
        *,
        normalizer: str | Normalizer | Callable[..., list[float | None]] = "unit",
        score: ScoreKind = "expected",
        on_unscored: Literal["none", "raise"] | float = "none",
        on_unscored_rubric: Literal["unscored", "renormalize"] = "unscored",
        rubric_column: str = "rubric",
        reference_column: str = "reference_answer",
        include_reasoning: bool = False,
        canaries: Canaries | None = None,
        audit: AuditJudge | None = None,
        log_path: str | Path | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(judge, Judge):
            raise ConfigError(
                f"got {judge!r:.60} as the judge; expected one of load_judge, or a subclass of prom_reward.Judge"
            )
        is_number = isinstance(on_unscored, int | float) and not isinstance(on_unscored, bool) and isfinite(on_unscored)
        if not is_number and on_unscored not in ("none", "raise"):
            raise ConfigError(f"got on_unscored={on_unscored!r}; expected 'none', 'raise' or a finite number")
        if score not in ("expected", "integer"):
            raise ConfigError(f"got score={score!r}; expected 'expected' or 'integer'")
        if on_unscored_rubric not in ("unscored", "renormalize"):
            raise ConfigError(f"got on_unscored_rubric={on_unscored_rubric!r}; expected 'unscored' or 'renormalize'")
        self.judge = judge
        self.rubrics = () if rubric is None else parse_rubrics(rubric)
        self.normalizer = resolve_normalizer(normalizer)
        self.score: ScoreKind = score
        self.on_unscored = on_unscored
        self.on_unscored_rubric = on_unscored_rubric
        self.rubric_column = rubric_column
        self.reference_column = reference_column
        self.include_reasoning = include_reasoning
        self.canaries = canaries
        self.audit = audit
        self._canary_watch = Watch(name="a canary", metric="judge/canary/failed")
        self._audit_watch = Watch(name="the audit judge", metric="audit/failed")
        self._has_warned_of_canaries = False
        self.log = JudgmentLog(log_path) if log_path is not None else None
        self.__name__ = name or derived_name(self)

    def __call__(
        self,
        prompts: Sequence[PromptValue],
        completions: Sequence[PromptValue],
        *,
        log_metric: LogMetric | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        trainer_state: Any = None,
        **columns: Any,
    ) -> list[float | None]:
        """Return one reward a completion, in order.

        Args:
            prompts: N prompts, strings or message lists.
            completions: N completions, in the same order.
            log_metric: A trainer's metric logger, where it has one.
            log_extra: A trainer's logger of columns for its completions table, where it has one.
            trainer_state: The trainer's state; its step goes into the judgment log.
            columns: The data set's columns, N values each, and whatever else a trainer passes.

        Raises:
            UnscoredError: A response could not be scored and `on_unscored` is "raise".
            RubricError, RowError: A row's rubric, reference, prompt or completion cannot be read.
        """
        requests = batch_requests(
            prompts,
            completions,
            columns,
            default_rubrics=self.rubrics,
            rubric_column=self.rubric_column,
            reference_column=self.reference_column,
            include_reasoning=self.include_reasoning,
            guard=self.judge.guard,
        )
        start = time.perf_counter()
        flat = self.judge.grade([request for row in requests for request in row])
        seconds = time.perf_counter() - start
        judgments = _unflatten(flat, [len(row) for row in requests])
        rewards = [self._row_reward(row, judged) for row, judged in zip(requests, judgments, strict=True)]
        if not isinstance(self.on_unscored, str):
            rewards = [float(self.on_unscored) if reward is None else reward for reward in rewards]
        if log_metric is not None:
            log_metrics(log_metric, requests, judgments, seconds, counted=self.judge.take_metrics(), rewards=rewards)
        audited = self._watch([request for row in requests for request in row], flat, log_metric)
        self._write_log(requests, judgments, rewards, audited, trainer_state)
        if log_extra is not None:
            log_extra("judge_score", [shown_scores(row) for row in judgments])
            log_extra("judge_feedback", [shown_feedback(*row) for row in zip(requests, judgments, strict=True)])
        if self.on_unscored == "raise" and None in rewards:
            raise UnscoredError(_unscored_reason(judgments[rewards.index(None)]))
        return rewards

    def _watch(
        self, requests: list[GradingRequest], judgments: list[Judgment], log_metric: LogMetric | None
    ) -> list[float | None]:
        """Let canaries and the audit judge look at a batch, which changes no reward; return the latter's scores."""
        if self.canaries is not None and log_metric is not None:
            look = partial(self.canaries.watch, self.judge, requests, judgments, log_metric)
            self._canary_watch.run(look, log_metric)
        elif self.canaries is not None and not self._has_warned_of_canaries:
            self._has_warned_of_canaries = True
            logger.warning("canaries are set, but this trainer gives its rewards no log_metric: none will fly")
        audited = None
        if self.audit is not None:
            audited = self._audit_watch.run(partial(self.audit.watch, requests, judgments, log_metric), log_metric)
        return audited or [None] * len(requests)

    def as_async(self) -> "Callable[..., Awaitable[list[float | None]]]":
        """Return this reward as a coroutine function, for the `reward_funcs` of GRPO and RLOO.

        Those trainers await all their async rewards together, so that judges on servers work at the same time. It
        pickles where the reward does. OnlineDPO takes no coroutine functions: pass the reward itself.
        """
        function = partial(_in_a_thread, self)
        setattr(function, "__name__", self.__name__)  # noqa: B010  trainers log a reward by it; mypy knows none here
        return function

    def as_reward_model(self, processing_class: Any, *, on_unscored: "OnUnscored" = "mean") -> "PrometheusRewardModel":
        """Return this reward as the module that PPO, Nash-MD and XPO take; see `PrometheusRewardModel`.

        Args:
            processing_class: The policy's tokenizer, or a processor that has one.
            on_unscored: What stands in for a response that could not be scored: "mean", "raise" or a number.
        """
        from prom_reward.rewards.reward_model import PrometheusRewardModel

        return PrometheusRewardModel(self, processing_class, on_unscored=on_unscored)

    def share_policy(self, policy: Any) -> None:
        """Let the judge work on the policy's own weights, so that only its adapter takes memory.

        Args:
            policy: A trainer whose policy is a PEFT model with LoRA adapters, or that `peft.PeftModel` itself.

        Raises:
            ConfigError: The judge runs no weights in this process, or the policy cannot carry it.
        """
        from prom_reward.rewards.policy_sharing import judge_on_policy

        self.judge = judge_on_policy(self.judge, policy)

    def _row_reward(self, requests: Sequence[GradingRequest], judgments: Sequence[Judgment]) -> float | None:
        """Return the weighted sum of a row's rubrics, or None where the row is unscored."""
        scored = [
            (request, judgment) for request, judgment in zip(requests, judgments, strict=True) if judgment.is_scored
        ]
        if not scored or (len(scored) < len(requests) and self.on_unscored_rubric == "unscored"):
            return None
        total = 0.0
        for request, judgment in scored:
            score = judgment.expected_score if self.score == "expected" else _integer_score(judgment)
            reward = self._normalized(score, request.rubric.scale)
            if reward is None:
                return None
            total += request.rubric.weight * reward
        full = sum(request.rubric.weight for request in requests)
        return total * full / sum(request.rubric.weight for request, _ in scored)

    def _normalized(self, score: float | None, scale: ScoreScale) -> float | None:
        """Return one score's reward; scores are handed over one by one, so that none depends on another."""
        rewards = list(self.normalizer([score], scale))
        if len(rewards) != 1:
            raise ConfigError(f"the normalizer gave {len(rewards)} rewards for 1 score; expected as many of each")
        if rewards[0] is None:
            return None
        reward = float(rewards[0])
        if not isfinite(reward):
            raise ConfigError(
                f"the normalizer gave {reward} for the score {score:.4g}; expected a finite number or None"
            )
        return reward

    def _write_log(
        self,
        requests: Sequence[Sequence[GradingRequest]],
        judgments: Sequence[Sequence[Judgment]],
        rewards: Sequence[float | None],
        audited: Sequence[float | None],
        trainer_state: Any,
    ) -> None:
        """Append a record for every judgment; one that the audit judge scored, too, has its `audit_score`."""
        if self.log is None:
            return
        step = getattr(trainer_state, "global_step", None)
        second = iter(audited)
        self.log.append(
            {
                "step": step,
                "row": index,
                "judge": self.judge.name,
                **judgment_record(request, judgment),
                "weight": request.rubric.weight,
                "reward": reward,
                **({} if (audit_score := next(second)) is None else {"audit_score": audit_score}),
            }
            for index, (row, judged, reward) in enumerate(zip(requests, judgments, rewards, strict=True))
            for request, judgment in zip(row, judged, strict=True)
        )


async def _in_a_thread(reward: PrometheusReward, **batch: Any) -> list[float | None]:
    """Compute rewards without holding up the event loop."""
    return await asyncio.to_thread(reward, **batch)


def _integer_score(judgment: Judgment) -> float | None:
    """Return the mean of the sampled integers; a judge that lists none still has its score."""
    return judgment.score if judgment.mean_score is None else judgment.mean_score


def _unscored_reason(judgments: Sequence[Judgment]) -> str:
    failed = next((judgment for judgment in judgments if not judgment.is_scored), None)
    if failed is None:
        return "a response was scored, but the normalizer gave None for its score"
    reason = f" ({failed.error})" if failed.error else ""
    return f"a response could not be scored: {failed.outcome.value}{reason}"


def _unflatten(flat: Sequence[Judgment], lengths: Sequence[int]) -> list[list[Judgment]]:
    rest = iter(flat)
    return [[next(rest) for _ in range(length)] for length in lengths]
