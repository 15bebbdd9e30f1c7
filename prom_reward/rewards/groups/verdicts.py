"""The rankings of a batch's groups, and what they say about each rollout."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prom_reward.judging.base import Judge
from prom_reward.rewards.groups.contest import PlaceProbs, Ranking
from prom_reward.rewards.groups.members import Member
from prom_reward.rewards.groups.ranking import rank_groups
from prom_reward.rewards.groups.rule import GroupRule
from prom_reward.rewards.groups.strengths import Score
from prom_reward.types import Judgment


@dataclass(frozen=True, slots=True)
class MemberVerdict:
    """A rollout's strength in its group under one rubric."""

    group: int
    """The number of its group in the batch."""
    place: int
    """Its place in the group."""
    judgment: Judgment
    """Its grade."""
    score: Score | None
    """Its score; None if nothing joins it to the others."""
    comparisons: Sequence[PlaceProbs]
    """The places that it was compared with, and the probabilities that it is better."""
    comparison_counts: Mapping[str, int | None]
    """The tokens of the comparisons that stand at it; see `Ranking.comparison_counts`."""

    comparison_feedback: Sequence[tuple[int, str, str]]
    """The judge's feedback on them; see `Ranking.comparison_feedback`."""

    @property
    def reward(self) -> float | None:
        """The value of its score."""
        return None if self.score is None else self.score.value


@dataclass(frozen=True, slots=True)
class JudgedGroup:
    """A group of a batch, ranked under each of its rubrics."""

    number: int
    """Its number in the batch."""
    rows: Sequence[int]
    """The rows of its members in the batch of all ranks."""
    rankings: Sequence[Ranking]
    """One for each rubric."""

    def verdicts(self) -> Iterator[tuple[int, list[MemberVerdict]]]:
        """Return each member's row, and its verdicts, one for each rubric."""
        for at, row in enumerate(self.rows):
            yield (
                row,
                [
                    MemberVerdict(
                        group=self.number,
                        place=at,
                        judgment=one.judgments[at],
                        score=one.scores[at],
                        comparisons=one.probs(at),
                        comparison_counts=one.comparison_counts(at),
                        comparison_feedback=one.comparison_feedback(at),
                    )
                    for one in self.rankings
                ],
            )


def judge_groups(
    judge: Judge, rule: GroupRule, members: Sequence[Member], groups: Mapping[int, Sequence[int]]
) -> list[JudgedGroup]:
    """Rank groups under each of their rubrics.

    Args:
        judge: Grades and compares.
        rule: The pairs to compare, and how they become scores.
        members: The batch.
        groups: The rows of each group, by its number.
    """
    parts = [(rows, at) for rows in groups.values() for at in range(len(members[rows[0]].requests))]
    rankings = rank_groups(
        judge,
        [[members[row].requests[at] for row in rows] for rows, at in parts],
        rule,
        baselines=[members[rows[0]].baseline for rows, _ in parts],
    )
    flat = iter(rankings)
    return [
        JudgedGroup(number, rows, [next(flat) for _ in members[rows[0]].requests]) for number, rows in groups.items()
    ]


def log_columns(verdicts: Sequence[MemberVerdict]) -> dict[str, list[object]]:
    """Return the fields of the judgment log that say why a rollout has its reward."""
    return {
        "group": [one.group for one in verdicts],
        "place": [one.place for one in verdicts],
        "group_score": [one.reward for one in verdicts],
        "standard_error": [one.score.standard_error if one.score else None for one in verdicts],
        "comparisons": [[list(pair) for pair in one.comparisons] for one in verdicts],
        "comparison_feedback": [list(map(list, one.comparison_feedback)) or None for one in verdicts],
        "comparison_tokens": [dict(one.comparison_counts) for one in verdicts],
    }
