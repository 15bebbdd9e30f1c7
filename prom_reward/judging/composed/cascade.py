"""CascadeJudge: a cheap judge, and a strong one for the groups whose order the cheap one leaves undecided."""

import copy
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any, TypeVar, get_args

from prom_reward.answers import summed_counts
from prom_reward.errors import ConfigError, WorkError, near_miss, number_of
from prom_reward.judging.asking.requests import parse_requests
from prom_reward.judging.base import Judge, note_on_members
from prom_reward.judging.checklists import grade_requests
from prom_reward.judging.composed.counts import Counts, Rest
from prom_reward.judging.composed.escalation import (
    EscalateBy,
    decidedness,
    grading_groups,
    leader,
    pair_groups,
    score_of,
)
from prom_reward.rubrics.formats import is_number
from prom_reward.types import Comparison, ComparisonRequest, GradingRequest, JudgeAnswer, Judgment, Outcome

logger = logging.getLogger(__name__)

_AnswerT = TypeVar("_AnswerT", Judgment, Comparison)
_RequestT = TypeVar("_RequestT", GradingRequest, ComparisonRequest)
_MAX_SKIPPED = 63  # calls without the strong judge after it failed several times in a row


class CascadeJudge(Judge):
    """Asks a cheap judge for everything and a strong one for the groups that are hardest to order.

    A group is all responses to one instruction under one rubric or checklist with one reference in one call, or both
    orders of a pair. It goes to the strong judge as a whole or not at all, so that the two judges' scales never mix
    inside of a group. Across groups each judge's own calibration puts its scores on the scale of the labels.
    If the strong judge fails on a part of a group, the cheap answers stand for all of it, and their `error` says so.

    Args:
        cheap: Judges everything.
        strong: Judges the undecided groups.
        budget: The largest share of a call's requests that the strong judge gets, from 0 to 1.
        max_calls: The largest number of a call's requests that it gets; None for no limit.
        by: The groups that go first. "group_margin": whose two best responses score closest; a response by itself has
            no order, and goes after all groups if it is unscored, else only if the budget is 1. "entropy": whose
            answers are least certain. "random": a baseline. Any other group that the cheap judge could not score goes
            before all others.
        name: A name for logs and reports.

    Metrics: `judge/escalated` is the number of requests that the strong judge answered, `judge/escalation_failed` of
    those that it did not, `judge/best_changed` the number of groups whose best response it changed, and
    `judge/strong_seconds` its time.

    Raises:
        ConfigError: A setting is not one of those above, or the judges have one name.
    """

    reads_checklists = True

    def __init__(
        self,
        cheap: Judge,
        strong: Judge,
        *,
        budget: float = 0.3,
        max_calls: int | None = None,
        by: EscalateBy = "group_margin",
        name: str = "cascade",
    ) -> None:
        if not isinstance(cheap, Judge) or not isinstance(strong, Judge):
            raise ConfigError(f"got {cheap!r:.40} and {strong!r:.40} as judges; expected two of load_judge")
        if cheap.name == strong.name:
            raise ConfigError(
                f"got two judges named {cheap.name!r}; give one another name, so that judgments say whose"
            )
        if not is_number(budget) or not 0 <= budget <= 1:
            raise ConfigError(f"got budget={budget!r}; expected a share from 0 to 1 (max_calls takes a number)")
        if max_calls is not None and (isinstance(max_calls, bool) or not isinstance(max_calls, int) or max_calls < 0):
            raise ConfigError(f"got max_calls={max_calls!r}; expected a whole number, 0 or more, or None")
        if by not in get_args(EscalateBy):
            known = get_args(EscalateBy)
            raise ConfigError(f"got by={by!r}; expected one of {', '.join(known)}.{near_miss(str(by), known)}")
        self.cheap, self.strong = cheap, strong
        self.budget, self.max_calls, self.by = budget, max_calls, by
        self.name = name
        self.guard = cheap.guard or strong.guard
        self.taught_to_rank = cheap.taught_to_rank and strong.taught_to_rank
        self.is_repeatable = False  # an answer depends on the other requests of its call
        self.judges_groups = True
        self.pairs_note = note_on_members([cheap, strong])
        self._counts = Counts("escalated", "escalation_failed", "best_changed", "strong_seconds")
        self._rest = Rest(_MAX_SKIPPED)
        self._said: set[str] = set()

    def __repr__(self) -> str:
        return f"CascadeJudge({self.cheap!r}, {self.strong!r}, budget={self.budget}, by={self.by})"

    @property
    def fingerprint(self) -> str:
        """Both judges', and the rule of escalation."""
        return f"{self._rule}|{self.cheap.fingerprint}|{self.strong.fingerprint}"

    @property
    def identity(self) -> str:
        """The part of the fingerprint that is the same on every machine."""
        return f"{self._rule}|{self.cheap.identity}|{self.strong.identity}"

    @property
    def _rule(self) -> str:
        return f"cascade:{self.budget}:{self.max_calls}:{self.by}"

    @property
    def machine(self) -> Mapping[str, Any]:
        """Both judges' settings of this machine, by their names."""
        return {one.name: dict(one.machine) for one in (self.cheap, self.strong) if one.machine}

    @property
    def ranks(self) -> bool:
        """Whether both judges do."""
        return self.cheap.ranks and self.strong.ranks

    def seeded(self, seed: int) -> "CascadeJudge":
        """Return this judge with a seed for each of both that samples without one; what both count is joined."""
        return self._with(self.cheap.seeded(seed), self.strong.seeded(seed))

    def without_cache(self) -> "CascadeJudge":
        """Return this judge without the caches of both."""
        return self._with(self.cheap.without_cache(), self.strong.without_cache())

    def _with(self, cheap: Judge, strong: Judge) -> "CascadeJudge":
        other = copy.copy(self)
        other.cheap, other.strong = cheap, strong
        return other

    def load(self) -> None:
        """Load both judges."""
        self.cheap.load()
        self.strong.load()

    def take_metrics(self) -> dict[str, float]:
        """Return the counts of escalations since the last call, and both judges' own; "strong_" begins the strong's."""
        strong = {f"strong_{name}": value for name, value in self.strong.take_metrics().items()}
        return {**self.cheap.take_metrics(), **strong, **self._counts.take()}

    def grade(self, requests: Sequence[GradingRequest | Mapping[str, Any]]) -> list[Judgment]:
        """Grade each response; each judgment says who gave it (`given_by`) and what both said (`judge_scores`)."""
        parsed = parse_requests(requests, GradingRequest)
        ask_cheap, ask_strong = (partial(grade_requests, judge) for judge in (self.cheap, self.strong))
        return self._answers(parsed, grading_groups(parsed), ask_cheap, ask_strong)

    def compare(self, requests: Sequence[ComparisonRequest | Mapping[str, Any]]) -> list[Comparison]:
        """Compare two responses each; both orders of a pair go to one judge."""
        parsed = parse_requests(requests, ComparisonRequest)
        return self._answers(parsed, pair_groups(parsed), self.cheap.compare, self.strong.compare)

    def _answers(
        self,
        requests: Sequence[_RequestT],
        groups: Sequence[list[int]],
        ask_cheap: Callable[[Sequence[_RequestT]], list[_AnswerT]],
        ask_strong: Callable[[Sequence[_RequestT]], list[_AnswerT]],
    ) -> list[_AnswerT]:
        cheap = ask_cheap(requests)
        said = [_named(one, self.cheap.name, {self.cheap.name: score_of(one)}) for one in cheap]
        chosen = self._chosen(requests, cheap, groups)
        places = [at for group in chosen for at in group]
        strong = self._strong_answers([requests[at] for at in places], ask_strong)
        if strong is None:
            for group in chosen:
                self._leave(group, said)
            return said
        found = dict(zip(places, strong, strict=True))
        for group in chosen:
            self._take_over(group, requests, said, found)
        return said

    def _take_over(
        self,
        group: Sequence[int],
        requests: Sequence[_RequestT],
        said: list[_AnswerT],
        strong: Mapping[int, _AnswerT],
    ) -> None:
        """Put the strong answers in the place of a group's cheap ones, unless one that was scored would be lost.

        A flagged response is not lost: the strong judge's detectors have said what they find.
        """
        if any(said[at].is_scored and not _is_answered(strong[at]) for at in group):
            self._leave(group, said)
            return
        asked = [requests[at] for at in group]
        before, after = (leader(asked, [answers[at] for at in group]) for answers in (said, strong))
        self._counts.add(escalated=len(group), best_changed=before != after)
        for at in group:
            scores = {**(said[at].judge_scores or {}), self.strong.name: score_of(strong[at])}
            said[at] = _with_costs(_named(strong[at], self.strong.name, scores), said[at])

    def _leave(self, group: Sequence[int], said: list[_AnswerT]) -> None:
        """Leave the cheap answers of a group that was meant for the strong judge, and say so in them."""
        self._counts.add(escalation_failed=len(group))
        problem = f"the strong judge {self.strong.name!r} failed; the cheap answer stands"
        for at in group:
            said[at] = replace(said[at], error=said[at].error or problem)

    def _strong_answers(
        self, requests: Sequence[_RequestT], ask: Callable[[Sequence[_RequestT]], list[_AnswerT]]
    ) -> list[_AnswerT] | None:
        """Return the strong judge's answers; None if it is down. Waiting for it takes long, so it rests then."""
        if not requests:
            return []
        begun = self._rest.begin()
        if begun is None:
            return None
        start = time.perf_counter()
        try:
            answers = ask(requests)
        except WorkError as error:
            self._rest.failed(begun)
            self._say_once("the strong judge %r failed (%s); the cheap answers stand", self.strong.name, str(error))
            return None
        finally:
            self._counts.add(strong_seconds=time.perf_counter() - start)
        self._rest.worked()
        return answers

    def _chosen(
        self, requests: Sequence[_RequestT], answers: Sequence[_AnswerT], groups: Sequence[list[int]]
    ) -> list[list[int]]:
        """Return the groups that go to the strong judge, the most undecided first, within the budget."""
        num_left = int(self.budget * len(requests) + 1e-9)  # .3 * 10 is a little less than 3
        num_left = num_left if self.max_calls is None else min(num_left, self.max_calls)
        decided = [
            decidedness([requests[at] for at in group], [answers[at] for at in group], self.by) for group in groups
        ]
        order = sorted(range(len(groups)), key=decided.__getitem__)
        open_groups = [groups[at] for at in order if decided[at] < inf or self.budget == 1]
        chosen = []
        for group in open_groups:
            if len(group) <= num_left:
                num_left -= len(group)
                chosen.append(group)
        if groups and not chosen and self.budget > 0 and self.max_calls != 0:
            why = "the budget is smaller than each group" if open_groups else "no group has two responses"
            self._say_once(
                "nothing goes to the strong judge: %s in a call of %s", why, number_of(len(requests), "request")
            )
        return chosen

    def _say_once(self, message: str, *values: str) -> None:
        logger.log(logging.DEBUG if message in self._said else logging.WARNING, message, *values)
        self._said.add(message)


def _is_answered(answer: JudgeAnswer) -> bool:
    return answer.is_scored or answer.outcome is Outcome.FLAGGED


def _named(answer: _AnswerT, name: str, scores: Mapping[str, float | None]) -> _AnswerT:
    return replace(answer, given_by=name, judge_scores=scores)


def _with_costs(answer: _AnswerT, cheap: _AnswerT) -> _AnswerT:
    """Add the tokens of the cheap judge to an answer of the strong one."""
    counts: dict[str, Any] = summed_counts([answer, cheap])
    return replace(answer, **counts)
