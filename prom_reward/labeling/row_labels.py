"""The judgments on a row become its label: columns, and for a pair the margin and whether the judge agrees.

It does not know files or judges.

A margin is in logit units, as `trl.RewardTrainer` subtracts it inside of its log-sigmoid: the logit of the
probability that the chosen response is the better one. Direct assessment gives that probability as
`(1 + u_chosen - u_rejected) / 2` with scores u on [0, 1], the chance that one of two coins wins, ties as half;
pairwise ranking gives it itself. One point of a 1-5 scale is a margin of 0.51, two are 1.10.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, log
from typing import Any, Literal

from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import Comparison, Judgment, Outcome

Side = Literal["chosen", "rejected", "tie"]

MAX_PROB = 0.99
"""A probability is cut here before its logit is taken, so that no margin is over 4.6."""
_SAME = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The verdict on one response by all of its rubrics."""

    rubrics: tuple[Rubric, ...]
    """The rubrics, at least one."""
    judgments: tuple[Judgment, ...]
    """A judgment for each."""

    @property
    def outcome(self) -> Outcome:
        """The worst outcome: where one rubric is unscored, so is the response."""
        return max((one.outcome for one in self.judgments), key=lambda outcome: outcome.severity)

    @property
    def unit_score(self) -> float | None:
        """The weighted mean of the expected scores, each mapped from its rubric's scale to [0, 1]."""
        if not self.outcome.is_scored:
            return None
        pairs = zip(self.rubrics, self.judgments, strict=True)
        return self._mean([rubric.scale.to_unit(one.expected_score or 0.0) for rubric, one in pairs])

    def columns(self, prefix: str = "") -> dict[str, Any]:
        """Return the label's columns; with several rubrics also every judgment, and no integer or distribution.

        Scores of several rubrics are weighted means, on the rubrics' scale where they share one, else on [0, 1].
        """
        values = self._one() if len(self.judgments) == 1 else self._several()
        return {f"{prefix}{name}": value for name, value in values.items()}

    def _one(self) -> dict[str, Any]:
        verdict = self.judgments[0].to_dict()
        verdict.pop("sampled_scores")
        return {**verdict, "unit_score": self.unit_score}

    def _several(self) -> dict[str, Any]:
        is_scored = self.outcome.is_scored
        scales = {rubric.scale for rubric in self.rubrics}
        expected = [one.expected_score or 0.0 for one in self.judgments]
        named = list(zip(self.rubrics, self.judgments, strict=True))
        return {
            "outcome": self.outcome.value,
            "score": None,
            "expected_score": (self._mean(expected) if len(scales) == 1 else self.unit_score) if is_scored else None,
            "score_probs": None,
            "entropy": self._mean([one.entropy or 0.0 for one in self.judgments]) if is_scored else None,
            "feedback": "\n".join(f"[{rubric.name}] {one.feedback}" for rubric, one in named if one.feedback),
            "error": next((one.error for one in self.judgments if one.error), None),
            "unit_score": self.unit_score,
            "judgments": [{"rubric_name": rubric.name, **one.to_dict()} for rubric, one in named],
        }

    def _mean(self, values: Sequence[float]) -> float:
        return _weighted(self.rubrics, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The verdict on a pair by pairwise ranking in both orders."""

    rubrics: tuple[Rubric, ...]
    """The rubrics, at least one."""
    orders: tuple[tuple[Comparison, Comparison], ...]
    """For each rubric the comparison with the chosen response first, and the one with the rejected first."""

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of all comparisons."""
        return max((one.outcome for pair in self.orders for one in pair), key=lambda outcome: outcome.severity)

    @property
    def prob_chosen(self) -> float | None:
        """Probability that the chosen response is the better one: the mean of both orders, weighted by rubric."""
        if not self.outcome.is_scored:
            return None
        means = [((first.prob_a or 0.0) + 1 - (second.prob_a or 0.0)) / 2 for first, second in self.orders]
        return _weighted(self.rubrics, means)

    @property
    def winner(self) -> Side | None:
        """The better side; a "tie" where the two orders disagree, or the rubrics do by weight."""
        if not self.outcome.is_scored:
            return None
        votes = [_vote(_unswapped(first, second)) for first, second in self.orders]
        return _side(_weighted(self.rubrics, votes))

    def columns(self) -> dict[str, Any]:
        """Return the ranking's columns."""
        first, second = self.orders[0]
        errors = (one.error for pair in self.orders for one in pair)
        return {
            "ranking_outcome": self.outcome.value,
            "ranking_winner": self.winner,
            "ranking_prob_chosen": self.prob_chosen,
            "ranking_orders": [list(_unswapped(*pair)) for pair in self.orders],
            "ranking_feedback": first.feedback or second.feedback,
            "ranking_error": next((error for error in errors if error), None),
        }


def pair_columns(chosen: Label | None, rejected: Label | None, ranking: Ranking | None) -> dict[str, Any]:
    """Return all columns of a pair, with its probability, margin and agreement.

    Args:
        chosen: The chosen side by direct assessment; None where only ranking was asked for.
        rejected: The other side.
        ranking: The pairwise ranking; None where only direct assessment was asked for.
    """
    columns: dict[str, Any] = {}
    opinions: list[tuple[float | None, Side | None]] = []
    if chosen is not None and rejected is not None:
        columns |= {**chosen.columns("chosen_"), **rejected.columns("rejected_")}
        prob = graded_prob(chosen.unit_score, rejected.unit_score)
        opinions.append((prob, None if prob is None else _side(prob - 0.5)))
    if ranking is not None:
        columns |= ranking.columns()
        opinions.append((ranking.prob_chosen, ranking.winner))
    return columns | _verdict(opinions)


def _verdict(opinions: Sequence[tuple[float | None, Side | None]]) -> dict[str, Any]:
    """Return margin and agreement of one opinion or two; where they or their mean probability differ it is a tie."""
    probs = [prob for prob, _ in opinions if prob is not None]
    if len(probs) < len(opinions):
        return {"prob_chosen": None, "margin": None, "agreement": None, "swapped": None}
    prob = fsum(probs) / len(probs)
    voted = _side(fsum(_vote((side, side)) for _, side in opinions))
    winner = voted if voted == _side(prob - 0.5) else "tie"
    agreement = {"chosen": "agrees", "rejected": "disagrees", "tie": "tie"}[winner]
    margin = 0.0 if winner == "tie" else logit(prob)
    return {"prob_chosen": prob, "margin": margin, "agreement": agreement, "swapped": winner == "rejected"}


def graded_prob(chosen: float | None, rejected: float | None) -> float | None:
    """Return the probability that one of two responses is the better one by their scores on [0, 1], ties as half."""
    return None if chosen is None or rejected is None else (1 + chosen - rejected) / 2


def logit(prob: float) -> float:
    """Return the log-odds of a probability, which is cut to MAX_PROB first."""
    cut = min(max(prob, 1 - MAX_PROB), MAX_PROB)
    return log(cut) - log(1 - cut)


def _side(lead: float) -> Side:
    return "chosen" if lead > _SAME else "rejected" if lead < -_SAME else "tie"


def _unswapped(first: Comparison, second: Comparison) -> tuple[Side | None, Side | None]:
    """Return the winners of both orders, named by the side of the row."""
    sides: dict[str, Side] = {"A": "chosen", "B": "rejected", "tie": "tie"}
    swapped: dict[str, Side] = {"A": "rejected", "B": "chosen", "tie": "tie"}
    return sides.get(first.winner or ""), swapped.get(second.winner or "")


def _vote(winners: tuple[Side | None, Side | None]) -> float:
    """Return 1 where both say chosen, -1 where both say rejected, else 0."""
    return {("chosen", "chosen"): 1.0, ("rejected", "rejected"): -1.0}.get(
        (winners[0] or "tie", winners[1] or "tie"), 0.0
    )


def _weighted(rubrics: Sequence[Rubric], values: Sequence[float]) -> float:
    total = fsum(rubric.weight for rubric in rubrics)
    return fsum(rubric.weight * value for rubric, value in zip(rubrics, values, strict=True)) / total
