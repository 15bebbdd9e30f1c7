"""One group in the course of its comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from prom_reward.answers import summed_counts
from prom_reward.errors import RowError
from prom_reward.judging.aggregation import compare_judgments, counted
from prom_reward.rewards.groups.rule import GroupRule
from prom_reward.rewards.groups.strengths import Pair, Results, Score, fit_strengths, win_rates
from prom_reward.rewards.groups.topologies import RoundState, next_pairs
from prom_reward.types import Checklist, Comparison, ComparisonRequest, GradingRequest, Judgment

PlaceProbs = tuple[int, float | None, float | None, float | None]
"""Another member's place, and the probability of being better: the mean of both orders, shown first, shown second.
None if a comparison failed."""
ResponseGroup = Sequence[GradingRequest]
"""The responses to one instruction under one rubric, with one reference answer or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairVerdict:
    """Two members of a group, compared in both orders."""

    first: int
    """The place of a response in its group; of equal responses that of the first one."""
    second: int
    """The same; the number of responses stands for the anchor."""
    forward: Comparison
    """The first one shown first."""
    backward: Comparison
    """The second one shown first."""

    @property
    def prob_first(self) -> float | None:
        """P(the first is better), the mean of both orders; None if one of them failed."""
        return _mean(self.orders)

    @property
    def orders(self) -> tuple[float | None, float | None]:
        """P(the first is better) if it is shown first, and if it is shown second; None if that failed."""
        return self.forward.prob_a, _other_side(self.backward.prob_a)

    @property
    def follows_order(self) -> bool:
        """Whether the verdict changes when the order is swapped."""
        forward, backward = self.forward.prob_a, self.backward.prob_a
        return forward is not None and backward is not None and (forward - 0.5) * (backward - 0.5) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The scores of a group's responses, with all verdicts that they are made of."""

    scores: tuple[Score | None, ...]
    """One for each response, in order; None if nothing joins it to the others."""
    judgments: tuple[Judgment, ...]
    """The grade of each response."""
    pairs: tuple[PairVerdict, ...]
    """The comparisons, in the order in which they were asked for."""

    def probs(self, place: int) -> "list[PlaceProbs]":
        """Return the places that a response was compared with, each with the probabilities that it is better.

        Of equal responses the first one has the comparisons.
        """
        found: list[PlaceProbs] = []
        for pair in self.pairs:
            shown_first, shown_second = pair.orders
            if pair.first == place:
                found.append((pair.second, pair.prob_first, shown_first, shown_second))
            elif pair.second == place:
                orders = _other_side(shown_second), _other_side(shown_first)
                found.append((pair.first, _mean(orders), *orders))
        return found

    def comparison_counts(self, place: int) -> dict[str, int | None]:
        """Return the token counts of the pairs that stand at a response: at their first one, unless it is the anchor.

        So the sum over all responses counts each pair once.
        """
        return summed_counts(order for pair in self._own(place) for order in (pair.forward, pair.backward))

    def comparison_feedback(self, place: int) -> list[tuple[int, str, str]]:
        """Return what the judge wrote on the pairs that stand at a response, each with the other one's place.

        The texts are those with the response shown first, and shown second; of a failed comparison the error.
        """
        found = []
        for pair in self._own(place):
            is_first = pair.first == place
            orders = (pair.forward, pair.backward) if is_first else (pair.backward, pair.forward)
            shown_first, shown_second = (one.feedback or one.error or "" for one in orders)
            if shown_first or shown_second:
                found.append((pair.second if is_first else pair.first, shown_first, shown_second))
        return found

    def _own(self, place: int) -> list[PairVerdict]:
        last = len(self.judgments)
        return [pair for pair in self.pairs if place == (pair.second if pair.first == last else pair.first)]


class Contest:
    """A group, its members and their comparisons so far. Equal responses are one member.

    Args:
        group: The responses, at least one.
        rule: The pairs to compare, and how they become scores.
        baseline: The anchor of the topology "anchor"; None takes the reference answer.

    Raises:
        RowError: The responses answer different instructions, or the anchor is missing.
    """

    def __init__(self, group: ResponseGroup, rule: GroupRule, baseline: str | None = None) -> None:
        if any(replace(request, response="") != replace(group[0], response="") for request in group):
            raise RowError(
                "got responses to different instructions, rubrics or references in one group; expected one of each (a "
                "completion of several messages has an instruction of its own: take PrometheusReward for it)"
            )
        self._group, self._rule = group, rule
        self._texts = list(dict.fromkeys(request.response for request in group))
        self._places = [self._texts.index(request.response) for request in group]
        self.members = [group[self._places.index(at)] for at in range(len(self._texts))]
        """The different responses, in order: these are graded."""
        self.judgments: Sequence[Judgment] = ()
        """Their grades."""
        self._pairs: dict[Pair, PairVerdict] = {}
        self._anchor = self._add_anchor(baseline) if rule.topology == "anchor" else None

    def _add_anchor(self, baseline: str | None) -> int:
        anchor = self._group[0].reference_answer if baseline is None else baseline
        if anchor is None:
            raise RowError("got no reference answer and no baseline; expected one of them for the topology 'anchor'")
        if anchor not in self._texts:
            self._texts.append(anchor)
        return self._texts.index(anchor)

    def next_pairs(self) -> list[Pair]:
        """Return the pairs of the next round; none if all was compared."""
        standing = RoundState(
            grades=self._grades,
            results=self._results,
            anchor=self._anchor,
            budget=ceil(self._rule.pairs_per_response * len(self.members)),
            prior_weight=self._rule.prior_weight,
        )
        return next_pairs(self._rule.topology, standing)

    def request(self, pair: Pair) -> ComparisonRequest:
        """Return the request that shows the pair's first member first. The anchor is no reference for itself."""
        asked = self._group[0]
        is_reference = self._anchor is not None and self._texts[self._anchor] == asked.reference_answer
        return ComparisonRequest(
            instruction=asked.instruction,
            response_a=self._texts[pair[0]],
            response_b=self._texts[pair[1]],
            rubric=asked.rubric,
            reference_answer=None if is_reference else asked.reference_answer,
        )

    @property
    def has_graded_pairs(self) -> bool:
        """Whether the grades give the comparisons, whatever the judge: by a checklist, as long as all are graded."""
        return isinstance(self._group[0].rubric, Checklist) and self._anchor is None

    def by_grading(self, pair: Pair) -> tuple[Comparison, Comparison]:
        """Return both orders of a comparison from the distributions or scores of the grades, without their feedback."""
        one, other = (replace(counted(self.judgments[at]), feedback="") for at in pair)
        return compare_judgments(one, other), compare_judgments(other, one)

    def add(self, pair: Pair, forward: Comparison, backward: Comparison) -> None:
        """Keep the verdicts on a pair."""
        first, second = (self._places.index(at) if at in self._places else len(self._group) for at in pair)
        self._pairs[pair] = PairVerdict(first=first, second=second, forward=forward, backward=backward)

    def ranking(self) -> Ranking:
        """Return the scores that follow from the grades and the comparisons so far."""
        scores = self._win_rates() if self._rule.method == "win_rate" else self._strengths()
        graded = tuple(self.judgments[at] for at in self._places)
        return Ranking(scores=tuple(scores), judgments=graded, pairs=tuple(self._pairs.values()))

    @property
    def _grades(self) -> list[float | None]:
        scale = self._group[0].rubric.scale
        scores = [one.expected_score for one in self.judgments]
        grades = [None if one is None else scale.to_unit(one) for one in scores]
        return [*grades, *[None] * (len(self._texts) - len(grades))]

    @property
    def _results(self) -> Results:
        return {pair: verdict.prob_first for pair, verdict in self._pairs.items()}

    def _strengths(self) -> list[Score | None]:
        found = fit_strengths(self._results, self._grades, prior_weight=self._rule.prior_weight)
        if self._rule.scale == "anchor":
            assert self._anchor is not None  # the rule's scale needs the anchor's topology
            return found.beating(self._anchor, self._places)
        return found.centered(self._places)

    def _win_rates(self) -> list[Score | None]:
        rates = win_rates(self._results, len(self._texts))
        if self._anchor is not None and self._rule.scale == "anchor":  # its own rate is against all others
            rates[self._anchor] = None if rates[self._anchor] is None else 0.5
        if len(self._texts) == 1:  # equal responses tie
            rates = [None if grade is None else 0.5 for grade in self._grades]
        known = [rate for at in self._places if (rate := rates[at]) is not None]
        middle = sum(known) / len(known) if known and self._rule.scale == "centered" else 0.0
        return [None if (rate := rates[at]) is None else Score(rate - middle) for at in self._places]


def _mean(orders: tuple[float | None, float | None]) -> float | None:
    first, second = orders
    return None if first is None or second is None else (first + second) / 2


def _other_side(prob: float | None) -> float | None:
    return None if prob is None else 1 - prob
