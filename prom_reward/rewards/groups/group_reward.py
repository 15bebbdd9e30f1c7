"""GroupReward: rewards from comparisons inside of a group, for TRL's trainers."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from prom_reward.errors import ConfigError
from prom_reward.judging.base import Judge
from prom_reward.prompts.transcripts import PromptValue
from prom_reward.rewards.async_reward import AsyncReward
from prom_reward.rewards.batch import JudgedBatch, RowReader
from prom_reward.rewards.groups.members import Member, MemberReader, grouped
from prom_reward.rewards.groups.metrics import group_metrics
from prom_reward.rewards.groups.ranking import check_rule
from prom_reward.rewards.groups.ranks import gathered, own_rank
from prom_reward.rewards.groups.rule import GroupRule, ScoreScaling, ScoringMethod
from prom_reward.rewards.groups.topologies import Topology
from prom_reward.rewards.groups.verdicts import MemberVerdict, judge_groups, log_columns
from prom_reward.rewards.judgment_log import JudgmentLog
from prom_reward.rewards.observers.observer import LogMetric, Observer
from prom_reward.rewards.reporting import CallingTrainer, LogExtra, Reporter, derived_name, given_name
from prom_reward.rewards.reward_rule import RewardRule
from prom_reward.rubrics.reading import AnyRubric, RubricLike, read_rubrics

logger = logging.getLogger(__name__)


class GroupReward:
    """Turns the rollouts to one prompt into rewards by comparing them with each other.

    Pass an instance to `reward_funcs` of GRPO, RLOO or Online DPO, like a `PrometheusReward`. A group is all rollouts
    to one prompt with one rubric and one reference; if the ranks of a training split a group, it is gathered before it
    is judged. Every rollout is graded, and pairs of them are compared in both orders. Equal rollouts get equal rewards.

    Args:
        judge: Grades and compares the responses. By a checklist, or if it does not rank, its grades give the
            comparisons.
        rubric: The default rubric or rubrics, as for `PrometheusReward`.
        topology: The pairs to compare; `prom_reward.rewards.groups.topologies` states their costs.
        pairs_per_response: Pairs that "adaptive" compares for each response.
        method: "bradley_terry" fits strengths to grades and comparisons; "win_rate" is the mean probability of winning.
        scale: "centered": mean 0 in the group. For GRPO and RLOO, which subtract the group's mean anyway. "anchor": the
            probability of beating the reference answer or the baseline, which means the same in every group.
        prior_weight: The weight of the grades beside the comparisons; 0 ignores them.
        on_unscored: The reward of a rollout that neither a grade nor a comparison places, as for `PrometheusReward`.
        on_unscored_rubric: The same if only some of a row's rubrics have no score.
        rubric_column: The column with a row's rubric, as for `PrometheusReward`.
        reference_column: The column with a row's reference answer.
        group_column: A column with an id that keeps groups of the same prompt apart.
        baseline_column: The column with the answer that `topology="anchor"` compares with; None for the reference.
        num_generations: The size of a group, if the trainer does not tell it: then each run of so many rows with one
            prompt is a group. Without it all rows with one prompt are one.
        include_reasoning: Show thoughts to the judge, as for `PrometheusReward`.
        opens_thoughts: The policy's chat template opens its thoughts, as for `PrometheusReward`.
        observers: Look at the judged batches, as for `PrometheusReward`.
        log_path: A `.jsonl` file to which every judgment is appended, with its group's scores and comparisons.
        name: The name under which trainers log this reward; None derives one that is unique to the settings.

    Raises:
        ConfigError: A setting is not one of those above, or the judge cannot do what it asks for.
        RubricError: The default rubric cannot be read.
    """

    def __init__(
        self,
        judge: Judge,
        rubric: RubricLike | None = None,
        *,
        topology: Topology = "adaptive",
        pairs_per_response: float = 2.0,
        method: ScoringMethod = "bradley_terry",
        scale: ScoreScaling = "centered",
        prior_weight: float = 1.0,
        on_unscored: Literal["none", "raise"] | float | None = "none",
        on_unscored_rubric: Literal["unscored", "renormalize"] = "unscored",
        rubric_column: str | None = None,
        reference_column: str | None = None,
        group_column: str | None = None,
        baseline_column: str | None = None,
        num_generations: int | None = None,
        include_reasoning: bool = False,
        opens_thoughts: bool = False,
        observers: Iterable[Observer] = (),
        log_path: str | Path | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(judge, Judge):
            raise ConfigError(f"got {judge!r:.60} as the judge; expected one of load_judge, or a subclass of Judge")
        if num_generations is not None and (not isinstance(num_generations, int) or num_generations < 1):
            raise ConfigError(f"got num_generations={num_generations!r}; expected a whole number over 0, or None")
        self.judge = judge
        self.rows = RowReader(
            rubrics=() if rubric is None else read_rubrics(rubric),
            rubric_column=rubric_column,
            reference_column=reference_column,
            include_reasoning=include_reasoning,
            opens_thoughts=opens_thoughts,
        )
        self.group_rule = GroupRule(
            topology=topology,
            pairs_per_response=pairs_per_response,
            method=method,
            scale=scale,
            prior_weight=prior_weight,
        )
        check_rule(judge, self.group_rule)
        self.rule = RewardRule(on_unscored=on_unscored, on_unscored_rubric=on_unscored_rubric)
        self.num_generations = num_generations
        self._members = MemberReader(
            group_column=group_column, baseline_column=baseline_column, include_reasoning=include_reasoning
        )
        self._reporter = Reporter(self.rows, observers, log_path)
        settings = [judge.name, judge.identity, self.rows, self.group_rule, self.rule, self._members, num_generations]
        self.__name__ = given_name(name) or derived_name("group", self.rows.rubrics, settings)
        self._has_warned_of_one = self._has_warned_of_others = False
        if not judge.ranks:
            logger.warning("the judge %r does not rank: its comparisons are made of its grades", judge.name)
        elif not judge.taught_to_rank:
            told = "the judge %r was not trained for pairwise ranking: `prom-reward evaluate --groups` measures it"
            logger.warning(told, judge.name)

    def __repr__(self) -> str:
        rubrics = ", ".join(rubric.name for rubric in self.rubrics) or "of each row"
        return f"GroupReward({self.__name__!r}, judge={self.judge!r}, rubric={rubrics}, {self.group_rule.topology})"

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
        """Return one reward per completion, in order. Every rank of a training must call it equally often.

        Args:
            prompts: N prompts, strings or message lists.
            completions: N completions, in the same order.
            log_metric: The trainer's logger of metrics, if it has one.
            log_extra: The trainer's logger of columns for its completions table, if it has one.
            trainer_state: The trainer's state; its step goes into the judgment log.
            columns: The data set's columns, N values each, and everything else that a trainer passes.

        Raises:
            ConfigError: Another reward function of the trainer has the same name.
            UnscoredError: A response has no reward and `on_unscored` is "raise".
            RubricError, RowError: A row's values cannot be read, or a group's responses answer different instructions.
            WorkError: Another rank failed.
        """
        trainer = CallingTrainer.of(self.__name__, log_metric, log_extra)

        def read() -> list[Member]:
            self._reporter.start(prompts, columns)
            requests = self.rows.requests(prompts, completions, columns, guard=self.judge.guard)
            return self._members.members(prompts, requests, columns)

        parts = gathered(read)
        members = list(chain.from_iterable(parts))
        groups = grouped(members, self.num_generations or trainer.num_generations)
        self._warn_of_sizes(groups)
        rank, num_ranks = own_rank()
        own = dict(list(enumerate(groups))[rank::num_ranks])
        start = time.perf_counter()
        judged = gathered(lambda: judge_groups(self.judge, self.group_rule, members, own))
        seconds = time.perf_counter() - start
        verdicts = dict(row for part in judged for group in part for row in group.verdicts())
        first = sum(map(len, parts[:rank]))
        rows = [verdicts[row] for row in range(first, first + len(prompts))]
        batch = JudgedBatch(
            number=self._reporter.num_batches,
            judge=self.judge,
            requests=[member.requests for member in parts[rank]],
            judgments=[[one.judgment for one in row] for row in rows],
            rewards=[self._reward(member, row) for member, row in zip(parts[rank], rows, strict=True)],
            seconds=seconds,
        )
        metrics = group_metrics([ranking for group in judged[rank] for ranking in group.rankings])
        columns_of_log = log_columns([one for row in rows for one in row])
        self._reporter.show(batch, trainer, trainer_state, metrics=metrics, columns=columns_of_log)
        return self.rule.checked(batch.rewards, batch.judgments)

    def as_async(self) -> Callable[..., Awaitable[list[float | None]]]:
        """Return this reward as a coroutine function, as `PrometheusReward.as_async` does; for one process.

        With several ranks it raises ConfigError when it is called: ranks gather their groups in order, and awaited
        rewards have none.
        """
        return AsyncReward(self)

    def share_policy(self, policy: Any) -> None:
        """Run the judge on the policy's own weights; see `PrometheusReward.share_policy`."""
        from prom_reward.rewards.policy_sharing import judge_on_policy

        self.judge = judge_on_policy(self.judge, policy)

    def _reward(self, member: Member, verdicts: Sequence[MemberVerdict]) -> float | None:
        return self.rule.combined([request.rubric for request in member.requests], [one.reward for one in verdicts])

    def _warn_of_sizes(self, groups: Sequence[Sequence[int]]) -> None:
        sizes = sorted({len(group) for group in groups})
        if self.num_generations and sizes not in ([], [self.num_generations]) and not self._has_warned_of_others:
            self._has_warned_of_others = True
            logger.warning(
                "got groups of %s, not of num_generations=%d: the rows are not in runs of so many with one prompt, so "
                "all rows with one prompt are one group",
                " and ".join(map(str, sizes)),
                self.num_generations,
            )
        if not self._has_warned_of_one and 1 in sizes:
            self._has_warned_of_one = True
            logger.warning(
                "a group has one response, which is compared with nothing%s; expected several to each prompt",
                "" if self.group_rule.scale == "anchor" else ": its reward is 0",
            )
