"""Ranks the responses to one instruction by grades and comparisons, for `GroupReward` and for servers."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, cast

from prom_reward.errors import ConfigError, RowError, WorkError
from prom_reward.judging.base import Judge
from prom_reward.judging.checklists import grade_requests
from prom_reward.rewards.groups.contest import Contest, Ranking, ResponseGroup
from prom_reward.rewards.groups.rule import GroupRule
from prom_reward.rubrics.reading import AnyRubric, RubricLike
from prom_reward.types import Comparison, ComparisonRequest, GradingRequest


def rank_responses(
    judge: Judge,
    *,
    instruction: str,
    responses: Sequence[str],
    rubric: RubricLike,
    reference_answer: str | None = None,
    baseline: str | None = None,
    rule: GroupRule | None = None,
) -> Ranking:
    """Rank the responses to one instruction.

    Args:
        judge: Grades and compares them.
        instruction: The policy's prompt.
        responses: The answers, one or more.
        rubric: A rubric or checklist in any form that `read_rubrics` reads.
        reference_answer: An answer that deserves the best score.
        baseline: The anchor of the topology "anchor"; None takes the reference answer.
        rule: The pairs to compare, and how they become scores.

    Raises:
        RowError: There is no response, a value is no text, or the anchor is missing.
        RubricError: The rubric cannot be read.
    """
    if isinstance(responses, str) or not responses:
        raise RowError(f"got {responses!r:.60} as the responses; expected a list of at least one text")
    first = GradingRequest(
        instruction=instruction,
        response=responses[0],
        rubric=cast(AnyRubric, rubric),  # the request reads it
        reference_answer=reference_answer,
    )
    group = [replace(first, response=one) for one in responses]
    return rank_groups(judge, [group], rule or GroupRule(), baselines=[baseline])[0]


def rank_groups(
    judge: Judge, groups: Sequence[ResponseGroup], rule: GroupRule, *, baselines: Sequence[str | None] | None = None
) -> list[Ranking]:
    """Rank the responses of each group.

    The judge is called once for all grades, and once for each round of comparisons in all groups, so that prompts share
    their beginnings. A judge that does not rank is asked for grades alone, and so is every judge by a checklist; the
    grades give the comparisons.

    Args:
        judge: Grades and compares the responses.
        groups: The groups.
        rule: The pairs to compare, and how they become scores.
        baselines: The anchor of each group; None takes the reference answers.

    Raises:
        RowError: The responses of a group answer different instructions, or an anchor is missing.
        ConfigError: The rule needs an anchor, and the judge cannot compare.
    """
    check_rule(judge, rule)
    anchors = baselines or [None] * len(groups)
    contests = [Contest(group, rule, anchor) for group, anchor in zip(groups, anchors, strict=True)]
    asked = [request for contest in contests for request in contest.members]
    graded = iter(grade_requests(judge, asked))
    for contest in contests:
        contest.judgments = [next(graded) for _ in contest.members]
    while duels := [(contest, pair) for contest in contests for pair in contest.next_pairs()]:
        for (contest, pair), (forward, backward) in zip(duels, _both_orders(judge, duels), strict=True):
            contest.add(pair, forward, backward)
    return [contest.ranking() for contest in contests]


def check_rule(judge: Judge, rule: GroupRule) -> None:
    """Raise ConfigError if the judge cannot make the rule's comparisons."""
    if rule.topology == "anchor" and not judge.ranks:
        raise ConfigError(f"the judge {judge.name!r} does not compare; expected one that does for topology='anchor'")


def _both_orders(judge: Judge, duels: Sequence[tuple[Contest, tuple[int, int]]]) -> list[tuple[Comparison, Comparison]]:
    """Return the comparisons of each pair, with its first member shown first and shown second."""
    is_graded = [not judge.ranks or contest.has_graded_pairs for contest, _ in duels]
    asked = [contest.request(pair) for (contest, pair), graded in zip(duels, is_graded, strict=True) if not graded]
    compared = iter(_compared(judge, asked))
    return [
        contest.by_grading(pair) if graded else next(compared)
        for (contest, pair), graded in zip(duels, is_graded, strict=True)
    ]


def _compared(judge: Judge, requests: Sequence[ComparisonRequest]) -> list[tuple[Comparison, Comparison]]:
    """Ask the judge for both orders of each request."""
    asked = list(chain.from_iterable((one, one.swapped()) for one in requests))
    found: Any = judge.compare(asked) if asked else []
    if not isinstance(found, list | tuple) or not all(isinstance(one, Comparison) for one in found):
        raise WorkError(
            f"the judge {judge.name!r} gave {found!r:.60}; expected a list with a Comparison for each request"
        )
    if len(found) != len(asked):
        raise WorkError(f"the judge {judge.name!r} gave {len(found)} comparisons for {len(asked)} requests")
    return list(zip(found[::2], found[1::2], strict=True))
