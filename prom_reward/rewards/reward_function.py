"""PrometheusReward: the reward function for TRL's trainers."""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prom_reward.errors import ConfigError
from prom_reward.judging.base import Judge
from prom_reward.judging.checklists import grade_requests
from prom_reward.prompts.transcripts import PromptValue
from prom_reward.rewards.async_reward import AsyncReward
from prom_reward.rewards.batch import JudgedBatch, RowReader
from prom_reward.rewards.judgment_log import JudgmentLog
from prom_reward.rewards.normalizers import NormalizerLike, resolve_normalizer
from prom_reward.rewards.observers.observer import LogMetric, Observer
from prom_reward.rewards.reporting import CallingTrainer, LogExtra, Reporter, derived_name, given_name
from prom_reward.rewards.reward_rule import RewardRule, ScoreKind
from prom_reward.rubrics.reading import AnyRubric, RubricLike, read_rubrics
from prom_reward.types import GradingRequest, ScoreScale

if TYPE_CHECKING:
    from prom_reward.rewards.reward_model import OnUnscored, PrometheusRewardModel


class PrometheusReward:
    """Turns policy rollouts and task rubrics into rewards.

    Pass an instance to a trainer's `reward_funcs`. A row's own rubric takes precedence over the default rubric, and the
    judge sees its reference answer. If a row has several rubrics, its reward is the sum of `weight * reward` over them.

    Args:
        judge: Grades the responses, for example `load_judge("smollm2-135m")`.
        rubric: The default rubric or checklist in any form that `read_rubrics` reads, or a list of them; None if every
            row brings its own. A checklist's score is from 0 to 1.
        normalizer: "unit" maps the scale to [0, 1], "centered" to [-1, 1], "identity" keeps the score; or a function
            `(score, scale) -> reward` or `(scores, scale) -> rewards`, which is called with one score at a time. It
            must not depend on the batch: groups are split across ranks, and GRPO scales by the group's deviation
            itself.
        score: "expected" is the mean of the score's distribution (no ties, less noise); "integer" is the mean of the
            sampled integers, with three samples the protocol of the papers; of a checklist's criteria it takes met
            or not met.
        on_unscored: The reward of a response that could not be scored. "none" (or None): None. GRPO and RLOO leave
            such a row out (its advantage is 0 from TRL 1.6 on, its reward 0 before; with other reward functions their
            sum counts, as if this reward were 0); Online DPO takes it as 0. "raise": UnscoredError, which ends the
            training. A number: that reward. For PPO, Nash-MD and XPO see `as_reward_model`.
        on_unscored_rubric: The reward of a row with several rubrics of which some are unscored. "unscored": the row is
            unscored. "renormalize": the sum over the other rubrics is scaled up to the full weight.
        rubric_column: The data set's column with a row's rubric or rubrics, or a path into one such as
            `extra_info.rubric`; None takes the known names (`rubric`, `rubrics`, `orig_criteria`, ...).
        reference_column: The same for a row's reference answer (`reference_answer`, `reference`, `ground_truth`, ...).
        include_reasoning: Show the policy's thoughts to the judge, and those in a reference.
        opens_thoughts: The policy's chat template opens its thoughts, so that a completion which never closes them was
            cut off in them: it is judged as an empty response.
        observers: Look at the judged batches and change no reward, for example `Canaries()` and
            `AuditJudge(judge=...)`. If one fails, a warning says so once and the training goes on.
        log_path: A `.jsonl` file to which every judgment is appended; None for no log.
        name: The name under which trainers log this reward; None derives one that is unique to the settings.

    If a trainer has several reward functions, the names of this reward's metrics and columns begin with "NAME/".

    Raises:
        ConfigError: A setting is not one of those above, or two default rubrics have one name.
        RubricError: The default rubric cannot be read.
    """

    def __init__(
        self,
        judge: Judge,
        rubric: RubricLike | None = None,
        *,
        normalizer: NormalizerLike = "unit",
        score: ScoreKind = "expected",
        on_unscored: Literal["none", "raise"] | float | None = "none",
        on_unscored_rubric: Literal["unscored", "renormalize"] = "unscored",
        rubric_column: str | None = None,
        reference_column: str | None = None,
        include_reasoning: bool = False,
        opens_thoughts: bool = False,
        observers: Iterable[Observer] = (),
        log_path: str | Path | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(judge, Judge):
            raise ConfigError(
                f"got {judge!r:.60} as the judge; expected one of load_judge, or a subclass of prom_reward.Judge"
            )
        rubrics = () if rubric is None else read_rubrics(rubric)
        self.judge = judge
        self.rows = RowReader(
            rubrics=rubrics,
            rubric_column=rubric_column,
            reference_column=reference_column,
            include_reasoning=include_reasoning,
            opens_thoughts=opens_thoughts,
        )
        self.rule = RewardRule(
            normalizer=resolve_normalizer(normalizer, *dict.fromkeys(rubric.scale for rubric in rubrics)),
            score=score,
            on_unscored=on_unscored,
            on_unscored_rubric=on_unscored_rubric,
        )
        self._reporter = Reporter(self.rows, observers, log_path)
        self.__name__ = given_name(name) or _derived_name(judge, self.rows, self.rule)

    def __repr__(self) -> str:
        rubrics = ", ".join(rubric.name for rubric in self.rubrics) or "of each row"
        return f"PrometheusReward({self.__name__!r}, judge={self.judge!r}, rubric={rubrics})"

    @property
    def log(self) -> JudgmentLog | None:
        """The judgment log."""
        return self._reporter.log

    @property
    def rubrics(self) -> tuple[AnyRubric, ...]:
        """The default rubrics, empty if every row brings its own."""
        return self.rows.rubrics

    def __call__(
        self,
        prompts: Sequence[PromptValue],
        completions: Sequence[PromptValue],
        *,
        log_metric: LogMetric | None = None,
        log_extra: LogExtra | None = None,
        trainer_state: Any = None,
        **columns: Any,
    ) -> list[float | None]:
        """Return one reward per completion, in order.

        Args:
            prompts: N prompts, strings or message lists.
            completions: N completions, in the same order.
            log_metric: The trainer's logger of metrics, if it has one.
            log_extra: The trainer's logger of columns for its completions table, if it has one.
            trainer_state: The trainer's state; its step goes into the judgment log.
            columns: The data set's columns, N values each, and everything else that a trainer passes.

        Raises:
            ConfigError: Another reward function of the trainer has the same name.
            UnscoredError: A response could not be scored and `on_unscored` is "raise".
            RubricError, RowError: A row's rubric, reference, prompt or completion cannot be read.
        """
        trainer = CallingTrainer.of(self.__name__, log_metric, log_extra)
        number = self._reporter.start(prompts, columns)
        batch = self._judged(number, self.rows.requests(prompts, completions, columns, guard=self.judge.guard))
        self._reporter.show(batch, trainer, trainer_state)
        return self.rule.checked(batch.rewards, batch.judgments)

    def _judged(self, number: int, requests: list[list[GradingRequest]]) -> JudgedBatch:
        start = time.perf_counter()
        asked = [request for row in requests for request in row]
        found = grade_requests(self.judge, asked)
        flat = iter(found)
        seconds = time.perf_counter() - start
        judgments = [[next(flat) for _ in row] for row in requests]
        return JudgedBatch(
            number=number,
            judge=self.judge,
            requests=requests,
            judgments=judgments,
            rewards=[self.rule.reward(row, judged) for row, judged in zip(requests, judgments, strict=True)],
            seconds=seconds,
        )

    def reward_one(self, prompt: PromptValue, completion: PromptValue, **columns: Any) -> float | None:
        """Return the reward of one rollout, for the `get_reward()` of an environment (TRL's `environment_factory`).

        Args:
            prompt: A string or messages.
            completion: A string or messages.
            columns: The values of the row's other columns.

        Raises:
            UnscoredError, RubricError, RowError: As `__call__` does.
        """
        row: dict[str, Any] = {name: [value] for name, value in columns.items()}
        return self([prompt], [completion], **row)[0]

    def as_async(self) -> "Callable[..., Awaitable[list[float | None]]]":
        """Return this reward as a coroutine function, for the `reward_funcs` of GRPO and RLOO.

        Those trainers await all their async rewards together, so that judges on servers work at the same time. It
        pickles if the reward does. OnlineDPO takes no coroutine functions: pass the reward itself.
        """
        return AsyncReward(self)

    def as_reward_model(self, processing_class: Any, *, on_unscored: "OnUnscored" = "mean") -> "PrometheusRewardModel":
        """Return this reward as the module that PPO, Nash-MD and XPO take; see `PrometheusRewardModel`.

        Args:
            processing_class: The policy's tokenizer, or a processor that has one.
            on_unscored: The reward of a response that could not be scored: "mean", "raise" or a number.
        """
        from prom_reward.rewards.reward_model import PrometheusRewardModel

        return PrometheusRewardModel(self, processing_class, on_unscored=on_unscored)

    def share_policy(self, policy: Any) -> None:
        """Run the judge on the policy's own weights, so that only its adapter takes memory.

        Args:
            policy: A trainer whose policy is a PEFT model with LoRA adapters, or that `peft.PeftModel` itself.

        Raises:
            ConfigError: The judge runs no weights in this process, or the policy cannot carry it.
        """
        from prom_reward.rewards.policy_sharing import judge_on_policy

        self.judge = judge_on_policy(self.judge, policy)


def _derived_name(judge: Judge, rows: RowReader, rule: RewardRule) -> str:
    """Return a name with a digest of everything that can change a reward."""
    scale = rows.rubrics[0].scale if rows.rubrics else ScoreScale()
    rewards = [rule.normalized(label, scale) for label in scale.labels]  # tell one lambda from another
    return derived_name("prometheus", rows.rubrics, [judge.name, judge.identity, rows, rule, rewards])
