"""Rewards of rows that are compared with each other, for servers and frameworks without TRL's trainer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prom_reward.errors import RowError
from prom_reward.judging.base import Judge
from prom_reward.rewards.groups.members import Member, grouped
from prom_reward.rewards.groups.rule import GroupRule
from prom_reward.rewards.groups.verdicts import MemberVerdict, judge_groups
from prom_reward.rewards.reward_rule import RewardRule
from prom_reward.types import GradingRequest, Judgment


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """A row's reward, and what its group says about it."""

    reward: float | None
    """None if neither a grade nor a comparison joins it to the others, or if no other one came."""
    verdicts: Sequence[MemberVerdict]
    """One for each rubric."""

    @property
    def judgments(self) -> tuple[Judgment, ...]:
        """Its grades, one for each rubric."""
        return tuple(one.judgment for one in self.verdicts)


def compare_rows(
    judge: Judge,
    rule: GroupRule,
    reward_rule: RewardRule,
    rows: Sequence[Sequence[GradingRequest]],
    *,
    group_size: int | None = None,
) -> list[ComparedRow]:
    """Return the reward of each row, in order.

    Args:
        judge: Grades and compares.
        rule: The pairs to compare, and how they become scores.
        reward_rule: Joins the rubrics of a row; its `on_unscored` may be a number.
        rows: The requests of each row, one for each rubric.
        group_size: The size of the group that all rows are; one row of a larger group is compared with nothing, so it
            has no reward. None: those with one instruction, rubrics and reference are a group.

    Raises:
        RowError: The rows of one group have different instructions, rubrics or references.
        ConfigError: The judge cannot make the rule's comparisons.
    """
    if group_size is not None and len({len(row) for row in rows}) > 1:
        raise RowError(
            f"got {', '.join(str(len(row)) for row in rows)} rubrics in the rows of one group; expected equal"
        )
    is_alone = group_size is not None and len(rows) == 1 < group_size
    members = [Member(group=_key(row) if group_size is None else "", requests=row) for row in rows]
    judged = judge_groups(judge, rule, members, dict(enumerate(grouped(members, None))))
    verdicts = dict(pair for group in judged for pair in group.verdicts())
    return [
        ComparedRow(
            reward_rule.combined(
                [request.rubric for request in row], [None if is_alone else one.reward for one in verdicts[at]]
            ),
            verdicts[at],
        )
        for at, row in enumerate(rows)
    ]


def _key(row: Sequence[GradingRequest]) -> str:
    return repr([replace(request, response="") for request in row])
