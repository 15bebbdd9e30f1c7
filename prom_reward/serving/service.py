"""The served judge: rollouts go in, rewards and judgments come out, and everything is logged and counted once."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar, cast

from prom_reward.errors import ConfigError
from prom_reward.judging.base import Judge
from prom_reward.prompts.transcripts import PromptValue
from prom_reward.rewards.batch import JudgedBatch, RowReader
from prom_reward.rewards.groups.contest import Ranking
from prom_reward.rewards.groups.ranking import rank_groups
from prom_reward.rewards.groups.rows import compare_rows
from prom_reward.rewards.groups.rule import GroupRule
from prom_reward.rewards.judgment_log import JudgmentLog, batch_records
from prom_reward.rewards.observers.observer import Observer, Watch
from prom_reward.rewards.reward_rule import RewardRule, unscored_reason
from prom_reward.rewards.unread_fields import UnreadFields
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.serving.batcher import Batcher, BatchLimits, QueueFullError, RequestGroup
from prom_reward.serving.gathering import Gathering
from prom_reward.serving.history import History
from prom_reward.serving.metrics import ServiceMetrics
from prom_reward.serving.queued_judge import QueuedJudge
from prom_reward.types import Comparison, ComparisonRequest, GradingRequest, JudgeAnswer, JudgeRequest, Judgment

logger = logging.getLogger(__name__)

_ResultT = TypeVar("_ResultT")

_MAX_RANKERS = 64  # groups that are compared at once; their threads only wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A policy's answer to a prompt, with the other columns of its row."""

    prompt: PromptValue
    """A string or messages."""
    completion: PromptValue
    """A string or messages."""
    columns: Mapping[str, Any]
    """Rubric and reference answer under the names of `prom_reward.data.columns`; others are ignored."""


@dataclass(frozen=True, slots=True)
class RewardedRollout:
    """A rollout's reward with its reason."""

    reward: float | None
    """None if it could not be scored."""
    requests: tuple[GradingRequest, ...]
    """One per rubric."""
    judgments: tuple[Judgment, ...]
    """One per rubric."""

    @property
    def unit_score(self) -> float | None:
        """The weighted mean of the expected scores, each from 0 to 1; None if one is missing."""
        scales = [request.rubric.scale for request in self.requests]
        weights = [request.rubric.weight for request in self.requests]
        total = 0.0
        for scale, weight, judgment in zip(scales, weights, self.judgments, strict=True):
            if self.reward is None or judgment.expected_score is None:
                return None
            total += weight * scale.to_unit(judgment.expected_score)
        return total / sum(weights)

    @property
    def problem(self) -> str | None:
        """Why there is no reward; None if there is one."""
        return unscored_reason(self.judgments) if self.reward is None else None


class JudgeService:
    """The service behind all protocols: grades, comparisons and rewards of one judge.

    Belongs to one event loop; `run` judges there until `close`.

    Args:
        judge: The judge.
        rows: Reads the rubric and the reference of rollouts.
        rule: Turns judgments into rewards; its `on_unscored` is "none".
        limits: When a batch goes to the judge.
        observers: Look at the judged batches, as in `PrometheusReward`.
        log_path: A `.jsonl` file to which every judgment is appended; None for no log.
        read_rubrics: Reads the default rubrics again; None if there are none.
    """

    def __init__(
        self,
        judge: Judge,
        *,
        rows: RowReader,
        rule: RewardRule,
        limits: BatchLimits | None = None,
        observers: Iterable[Observer] = (),
        log_path: str | Path | None = None,
        read_rubrics: Callable[[], tuple[AnyRubric, ...]] | None = None,
    ) -> None:
        self.judge = judge
        self.rows = rows
        self.rule = rule
        self.batcher = Batcher(judge, limits, on_batch=self._judged)
        self.metrics = ServiceMetrics(self.batcher)
        self._unread = UnreadFields()
        self.history = History()
        """The last minutes, for the live page."""
        self._watches = [Watch(observer) for observer in observers]
        self._log = JudgmentLog(log_path) if log_path is not None else None
        self._num_batches = 0
        self._recording = threading.Lock()
        self._rankers = ThreadPoolExecutor(_MAX_RANKERS, "prom-reward-rank")
        self._read_rubrics = read_rubrics
        self._groups: Gathering[Rollout, RewardedRollout] = Gathering(
            longest_wait_s=self.batcher.limits.max_group_wait_s
        )
        self.is_judging = False
        """Whether requests are judged now."""

    @cached_property
    def fingerprint(self) -> str:
        """The judge's fingerprint."""
        return self.judge.fingerprint

    async def run(self) -> None:
        """Judge what arrives until `close`, and then what still waits."""
        self.is_judging = True
        await self.batcher.run()
        await asyncio.to_thread(self._rankers.shutdown)  # its threads ask this loop once more

    def close(self) -> None:
        """Take no more requests."""
        self.is_judging = False
        self.release_groups()
        self.batcher.close()

    def release_groups(self) -> None:
        """Answer those who wait for the rest of a group: the server stops, and it will not come."""
        self._groups.close(QueueFullError("the server is stopping; send the group again later"))

    def reload_rubrics(self) -> tuple[AnyRubric, ...]:
        """Read the default rubrics again and take them from the next request on; if that fails, the old ones stay.

        Raises:
            ConfigError, RubricError: There are none, or they cannot be read.
        """
        if self._read_rubrics is None:
            raise ConfigError("the server was started without a rubric; start it with --rubric to read one again")
        self.rows = replace(self.rows, rubrics=self._read_rubrics())
        return self.rows.rubrics

    async def grade(self, requests: Sequence[GradingRequest], group: RequestGroup | None = None) -> list[Judgment]:
        """Grade responses together with those of other callers; see `Batcher.judge`."""
        return cast(list[Judgment], await self.batcher.judge(requests, group))

    async def compare(
        self, requests: Sequence[ComparisonRequest], group: RequestGroup | None = None
    ) -> list[Comparison]:
        """Compare pairs of responses; see `Batcher.judge`."""
        return cast(list[Comparison], await self.batcher.judge(requests, group))

    async def reward(self, rollouts: Sequence[Rollout], group: RequestGroup | None = None) -> list[RewardedRollout]:
        """Return the rewards of rollouts, in order.

        Raises:
            RubricError, RowError: A rollout's rubric, reference, prompt or completion cannot be read.
        """
        requests = self._requests(rollouts)
        judged = iter(await self.grade([request for row in requests for request in row], group))
        judgments = [tuple(next(judged) for _ in row) for row in requests]
        return [
            RewardedRollout(self.rule.reward(row, found), tuple(row), found)
            for row, found in zip(requests, judgments, strict=True)
        ]

    async def reward_by_comparing(
        self, rollouts: Sequence[Rollout], rule: GroupRule, group: RequestGroup | None = None
    ) -> list[RewardedRollout]:
        """Return the rewards of rollouts that are compared with each other, in order.

        Args:
            rollouts: Those of one caller.
            rule: The pairs to compare, and how they become rewards.
            group: The group that the rollouts are a part of: it is judged when all of it has come. None compares the
                rollouts to each prompt among these.

        Raises:
            RubricError, RowError: A rollout cannot be read, or is no member of its group.
        """
        if group is None:
            return await self._compared(rollouts, rule)
        self._requests(rollouts)  # refused before it waits if it cannot be read
        whole = partial(self._compared, rule=rule, group_size=group.size)
        return await self._groups.results((group.name, rule), group.size, rollouts, whole)

    async def rank(self, group: Sequence[GradingRequest], rule: GroupRule) -> Ranking:
        """Rank the responses to one instruction by grades and comparisons; see `rank_groups`."""
        return (await self._with_queued_judge(lambda judge: rank_groups(judge, [list(group)], rule)))[0]

    async def _compared(
        self, rollouts: Sequence[Rollout], rule: GroupRule, group_size: int | None = None
    ) -> list[RewardedRollout]:
        requests = self._requests(rollouts)  # at once: the default rubrics may be read again while a group gathers
        found = await self._with_queued_judge(
            lambda judge: compare_rows(judge, rule, self.rule, requests, group_size=group_size)
        )
        return [
            RewardedRollout(one.reward, tuple(row), one.judgments) for row, one in zip(requests, found, strict=True)
        ]

    async def _with_queued_judge(self, work: Callable[[Judge], _ResultT]) -> _ResultT:
        """Run synchronous code in a thread with a judge whose requests join the batches."""
        queued = QueuedJudge(self.judge, self.batcher)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._rankers, work, queued)
        finally:
            queued.close()

    def _requests(self, rollouts: Sequence[Rollout]) -> list[list[GradingRequest]]:
        names = {name: None for rollout in rollouts for name in rollout.columns}
        columns = {name: [rollout.columns.get(name) for rollout in rollouts] for name in names}
        prompts, completions = [one.prompt for one in rollouts], [one.completion for one in rollouts]
        requests = self.rows.requests(prompts, completions, columns, guard=self.judge.guard)
        for rollout in rollouts:
            self._unread.warn(self.rows, rollout.prompt, rollout.columns)
        return requests

    def _judged(self, requests: Sequence[JudgeRequest], answers: Sequence[JudgeAnswer], seconds: float) -> None:
        """Count, show and log a batch. Runs in a thread of the judge's; a failure ends no request."""
        graded = [
            (request, answer)
            for request, answer in zip(requests, answers, strict=True)
            if isinstance(request, GradingRequest) and isinstance(answer, Judgment)
        ]
        try:
            with self._recording:
                self.metrics.judged(answers, seconds, self.judge.take_metrics())
                self.history.add(answers, graded, seconds)
                if graded and (self._log is not None or self._watches):
                    self._record(graded, seconds)
        except Exception as error:
            logger.warning("a batch was judged, but not recorded (%s: %s)", type(error).__name__, error)

    def _record(self, graded: Sequence[tuple[GradingRequest, Judgment]], seconds: float) -> None:
        """Show graded responses to the observers, and append them to the judgment log."""
        self._num_batches += 1
        batch = JudgedBatch(
            number=self._num_batches,
            judge=self.judge,
            requests=[[request] for request, _ in graded],
            judgments=[[judgment] for _, judgment in graded],
            rewards=[self.rule.reward([request], [judgment]) for request, judgment in graded],
            seconds=seconds,
        )
        found = [watch.look(batch, self.metrics.observed) for watch in self._watches]
        columns = {name: values for columns in found for name, values in columns.items()}
        if self._log is not None:
            self._log.append(batch_records(batch, step=None, mode=None, columns=columns))
