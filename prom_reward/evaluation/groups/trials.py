"""Every method's scores for labeled groups, from what the judges said once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from prom_reward.answers import summed_counts
from prom_reward.evaluation.groups.labeled_groups import LabeledGroup
from prom_reward.evaluation.scores import grade_all
from prom_reward.judging.base import Judge
from prom_reward.judging.composed.cascade import CascadeJudge
from prom_reward.judging.composed.escalation import decidedness, score_of
from prom_reward.judging.composed.panel import PanelJudge
from prom_reward.rewards.groups.contest import Ranking
from prom_reward.rewards.groups.noise import estimate_noise
from prom_reward.rewards.groups.ranking import rank_groups
from prom_reward.rewards.groups.rule import GroupRule
from prom_reward.rewards.groups.topologies import TOPOLOGIES
from prom_reward.types import Checklist, Comparison, ComparisonRequest, GradingRequest, JudgeAnswer, Judgment

POINTWISE, LENGTH = "pointwise", "length"
_SHARE = 0.3  # of the groups that a mixture compares, or that go to the second judge

Groups = Sequence[Sequence[GradingRequest]]


@dataclass(frozen=True, slots=True)
class Tried:
    """One method on one group."""

    scores: Sequence[float | None]
    """One for each answer."""
    num_prompts: int = 0
    """Prompts, both orders of a pair as two."""
    num_read: int | None = 0
    """Tokens of these prompts; None if a judge does not tell."""
    num_written: int | None = 0
    """Tokens of the judge's answers; the same."""
    flips: Sequence[bool] = ()
    """Of each pair, whether its verdict changes with the order."""


class Recorded(Judge):
    """Asks a judge once for everything that any method may need, and answers from that.

    Args:
        judge: The judge.
        groups: The groups.
        on_batch: Called after each call of the judge with the number of its prompts.
        name: Another name than the judge's; then only grades are recorded.
    """

    fingerprint = "recorded"
    reads_checklists = True

    def __init__(
        self,
        judge: Judge,
        groups: Sequence[LabeledGroup],
        on_batch: Callable[[int], None],
        *,
        name: str | None = None,
    ) -> None:
        self.name, self._ranks = name or judge.name, judge.ranks and name is None
        asked = list(dict.fromkeys(request for group in groups for request in group.requests))
        self._judgments = dict(zip(asked, grade_all(judge, asked, on_batch=on_batch), strict=True))
        self._comparisons: dict[ComparisonRequest, Comparison] = {}
        for group in groups if self._ranks else ():
            pairs = _recorded_pairs(group.requests)
            self._comparisons |= zip(pairs, judge.compare(pairs), strict=True)
            on_batch(len(pairs))

    @property
    def ranks(self) -> bool:
        """Whether comparisons were recorded."""
        return self._ranks

    def grade(self, requests: Sequence[GradingRequest]) -> list[Judgment]:
        """Return the recorded grades."""
        return [self._judgments[request] for request in requests]

    def compare(self, requests: Sequence[ComparisonRequest]) -> list[Comparison]:
        """Return the recorded comparisons."""
        return [self._comparisons[request] for request in requests]


def num_pairs(group: Sequence[GradingRequest]) -> int:
    """Return the number of comparisons that are recorded of a group."""
    return len(_recorded_pairs(group))


def tried_methods(judge: Recorded, second: Recorded | None, groups: Groups) -> dict[str, list[Tried]]:
    """Return every method's scores and costs for each group."""
    graded = [judge.grade(group) for group in groups]
    found = {
        LENGTH: [Tried([float(len(one.response)) for one in group]) for group in groups],
        POINTWISE: [_graded(row) for row in graded],
        **{
            name: [_ranked(one, judge) for one in rank_groups(judge, groups, rule)]
            for name, rule in _rules(judge, groups)
        },
    }
    margins = [decidedness(group, row, "group_margin") for group, row in zip(groups, graded, strict=True)]
    closest = sorted(range(len(groups)), key=margins.__getitem__)[: round(_SHARE * len(groups))]
    found[f"adaptive for {_SHARE:.0%}"] = [
        found["adaptive" if at in closest else POINTWISE][at] for at in range(len(groups))
    ]
    return found if second is None else {**found, **_with_second(judge, second, groups)}


def prior_weight(judge: Recorded, groups: Groups) -> float | None:
    """Return the weight of grades that the judge's noise suggests for `GroupReward`; None if too little is known."""
    found = []
    for ranking, group in zip(rank_groups(judge, groups, GroupRule(topology="round_robin")), groups, strict=True):
        scores = [score_of(one) for one in ranking.judgments]
        grades = [None if one is None else group[0].rubric.scale.to_unit(one) for one in scores]
        found.append((grades, {(pair.first, pair.second): pair.prob_first for pair in ranking.pairs}))
    noise = estimate_noise(found) if judge.ranks else None
    return None if noise is None else noise.prior_weight


def _rules(judge: Judge, groups: Groups) -> list[tuple[str, GroupRule]]:
    has_anchor = judge.ranks and all(group[0].reference_answer is not None for group in groups)
    names = [name for name in TOPOLOGIES if name != "anchor" or has_anchor]
    ignoring = ("round_robin, grades ignored", GroupRule(topology="round_robin", prior_weight=0))
    return [*((str(name), GroupRule(topology=name)) for name in names), ignoring]


def _with_second(judge: Recorded, second: Recorded, groups: Groups) -> dict[str, list[Tried]]:
    """Return the methods that need a second judge."""
    asked = [request for group in groups for request in group]
    made: Mapping[str, Judge] = {
        f"{second.name} alone": second,
        f"cascade of {_SHARE:.0%}": CascadeJudge(judge, second, budget=_SHARE),
        "panel, mean": PanelJudge([judge, second]),
        "panel, lower bound": PanelJudge([judge, second], aggregate="lower_bound"),
    }
    found = {}
    for name, one in made.items():
        answers = iter(one.grade(asked))
        found[name] = [
            _joined([next(answers) for _ in group], [*([judge] if one is not second else []), second], group)
            for group in groups
        ]
    return found


def _joined(answers: Sequence[Judgment], judges: Sequence[Recorded], group: Sequence[GradingRequest]) -> Tried:
    """Return what answers of several judges cost: of a cascade the second one's only if they are its."""
    first, *others = judges
    used = [first, *(one for one in others if answers[0].given_by != first.name)]
    asked = [answer for one in used for answer in one.grade(group)]
    return replace(_graded(asked), scores=[score_of(one) for one in answers])


def _graded(answers: Sequence[Judgment]) -> Tried:
    return Tried([score_of(one) for one in answers], len(answers), **_tokens(answers))


def _ranked(ranking: Ranking, judge: Judge) -> Tried:
    scores = [None if one is None else one.value for one in ranking.scores]
    asked = [pair for pair in ranking.pairs if judge.ranks and pair.forward.num_prompt_tokens != 0]  # not from grades
    sides = [side for pair in asked for side in (pair.forward, pair.backward)]
    tokens = _tokens([*ranking.judgments, *sides])
    flips = [pair.follows_order for pair in asked if pair.prob_first is not None]
    return Tried(scores, len(ranking.judgments) + len(sides), **tokens, flips=flips)


def _tokens(answers: Sequence[JudgeAnswer]) -> dict[str, Any]:
    """Return what was read and written, without what prompts share: another method's calls would share otherwise."""
    counts = summed_counts(answers)
    return {"num_read": counts["num_prompt_tokens"], "num_written": counts["num_generated_tokens"]}


def _recorded_pairs(group: Sequence[GradingRequest]) -> list[ComparisonRequest]:
    """Return the comparisons that a method may ask for; by a checklist the grades give all but the reference's."""
    is_graded = isinstance(group[0].rubric, Checklist)
    pairs = [] if is_graded else [ComparisonRequest.of(*pair) for pair in permutations(group, 2)]
    return pairs + _with_reference(group)


def _with_reference(group: Sequence[GradingRequest]) -> list[ComparisonRequest]:
    """Return both orders of each answer with the reference answer, which is no reference for itself."""
    reference = group[0].reference_answer
    if reference is None:
        return []
    bare = [replace(one, reference_answer=None) for one in group]
    pairs = [ComparisonRequest.of(one, replace(one, response=reference)) for one in bare if one.response != reference]
    return [order for pair in pairs for order in (pair, pair.swapped())]
