"""Judgments of a row become its verdict columns, and for a pair the margin and whether the judge agrees.

Words: a *judgment* is by one rubric, a *verdict* by all rubrics of a row; a *score* is an integer of a rubric's scale.
"Label" is only the verb, and the name of the file with the labeled rows.

A margin is in logit units, as `trl.RewardTrainer` subtracts it inside its log-sigmoid: the logit of the probability
that the chosen response is the better one. Direct assessment gives the probability `(1 + u_chosen - u_rejected) / 2`
with scores u on [0, 1] (the chance that one of two coins wins, ties as half); pairwise ranking gives it directly. One
point of a 1-5 scale is a margin of 0.51, two are 1.10.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import fsum, log
from typing import Any, Literal

from prom_reward.rubrics.reading import AnyRubric
from prom_reward.types import Comparison, Judgment, Outcome

Side = Literal["chosen", "rejected", "tie"]

SIDES: tuple[Literal["chosen"], Literal["rejected"]] = ("chosen", "rejected")
"""The prefixes of a pair's verdict columns."""
VERDICT_COLUMNS = (
    *(one.name for one in fields(Judgment) if not one.name.startswith("num_")),
    "unit_score",
    "judgments",
)
"""The columns of a response: a judgment's fields without the token counts, the score on [0, 1], and each judgment of
several rubrics."""
RANKING_COLUMNS = ("outcome", "winner", "prob_chosen", "orders", "feedback", "error", "chosen_flags", "rejected_flags")
"""The columns of a pairwise ranking, here without their prefix `ranking_`."""
PAIR_COLUMNS = ("prob_chosen", "margin", "agreement")
"""The columns of a pair as a whole."""

MAX_PROB = 0.99
"""A probability is clipped to this before its logit is taken, so no margin is over 4.6."""
SAME = 1e-9
"""Scores and margins that differ by less are the same: weighted means are rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseVerdict:
    """The judgments of one response by all of its rubrics."""

    rubrics: tuple[AnyRubric, ...]
    """The rubrics, at least one."""
    judgments: tuple[Judgment, ...]
    """A judgment for each."""

    @property
    def outcome(self) -> Outcome:
        """The worst outcome: if one rubric is unscored, so is the response."""
        return max((one.outcome for one in self.judgments), key=lambda outcome: outcome.severity)

    @property
    def unit_score(self) -> float | None:
        """The weighted mean of the expected scores, each mapped from its rubric's scale to [0, 1]."""
        if not self.outcome.is_scored:
            return None
        pairs = zip(self.rubrics, self.judgments, strict=True)
        return _weighted(self.rubrics, [rubric.scale.to_unit(one.expected_score or 0.0) for rubric, one in pairs])

    @property
    def judgment(self) -> Judgment:
        """The one judgment; of several their weighted means, without integer and distribution.

        The expected score is on the rubrics' scale if they share one, else on [0, 1].
        """
        if len(self.judgments) == 1:
            return self.judgments[0]
        return Judgment(
            outcome=self.outcome,
            feedback=_joined_feedback(self.rubrics, [one.feedback for one in self.judgments]),
            expected_score=self._expected_score(),
            entropy=self._mean([one.entropy for one in self.judgments]),
            is_partial=any(one.is_partial for one in self.judgments),
            flags=_union(*(one.flags for one in self.judgments)),
            error=next((one.error for one in self.judgments if one.error), None),
        )

    def columns(self, prefix: str = "") -> dict[str, Any]:
        """Return the verdict columns; `judgments` only if there are several rubrics."""
        values = {**self.judgment.to_columns(), "unit_score": self.unit_score}
        if len(self.judgments) > 1:
            named = zip(self.rubrics, self.judgments, strict=True)
            values["judgments"] = [{"rubric_name": rubric.name, **one.to_dict()} for rubric, one in named]
        return {f"{prefix}{name}": values[name] for name in VERDICT_COLUMNS if name in values}

    def _expected_score(self) -> float | None:
        if len({rubric.scale for rubric in self.rubrics}) > 1:
            return self.unit_score
        return self._mean([one.expected_score for one in self.judgments])

    def _mean(self, values: Sequence[float | None]) -> float | None:
        """Return the weighted mean of a scored response's values; None if a judge does not tell one of them."""
        told = [value for value in values if value is not None]
        return _weighted(self.rubrics, told) if self.outcome.is_scored and len(told) == len(values) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRanking:
    """The comparisons of a pair by all of its rubrics, in both orders."""

    rubrics: tuple[AnyRubric, ...]
    """The rubrics, at least one."""
    comparisons: tuple[tuple[Comparison, Comparison], ...]
    """For each rubric the comparison with the chosen response first, and the one with the rejected response first."""

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of all comparisons."""
        return max((one.outcome for pair in self.comparisons for one in pair), key=lambda outcome: outcome.severity)

    @property
    def prob_chosen(self) -> float | None:
        """The probability that the chosen response is better: the mean of both orders, weighted by rubric."""
        if not self.outcome.is_scored:
            return None
        means = [((first.prob_a or 0.0) + 1 - (second.prob_a or 0.0)) / 2 for first, second in self.comparisons]
        return _weighted(self.rubrics, means)

    @property
    def winner(self) -> Side | None:
        """The better side; a "tie" if the two orders disagree, or the rubrics do by weight."""
        if not self.outcome.is_scored:
            return None
        return _side(_weighted(self.rubrics, [_vote(*_winners(*pair)) for pair in self.comparisons]))

    def columns(self) -> dict[str, Any]:
        """Return the ranking's columns."""
        pairs = self.comparisons
        values = {
            "outcome": self.outcome.value,
            "winner": self.winner,
            "prob_chosen": self.prob_chosen,
            "orders": [list(_winners(*pair)) for pair in pairs],
            "feedback": _joined_feedback(self.rubrics, [one.feedback or other.feedback for one, other in pairs]),
            "error": next((one.error for pair in pairs for one in pair if one.error), None),
            "chosen_flags": list(_union(*(flags for one, other in pairs for flags in (one.flags_a, other.flags_b)))),
            "rejected_flags": list(_union(*(flags for one, other in pairs for flags in (one.flags_b, other.flags_a)))),
        }
        return {f"ranking_{name}": values[name] for name in RANKING_COLUMNS}


def pair_columns(
    chosen: ResponseVerdict | None, rejected: ResponseVerdict | None, ranking: PairRanking | None
) -> dict[str, Any]:
    """Return all columns of a pair.

    Args:
        chosen: The chosen side by direct assessment; None if the pair was only ranked.
        rejected: The other side.
        ranking: The pairwise ranking; None if the responses were only graded.
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
    return columns | dict(zip(PAIR_COLUMNS, _joined(opinions), strict=True))


def _joined(opinions: Sequence[tuple[float | None, Side | None]]) -> tuple[float | None, float | None, str | None]:
    """Return probability, margin and agreement.

    It is a tie if grading and ranking name different sides, or vote and mean do; if one is a tie, the other decides.
    """
    probs = [prob for prob, _ in opinions if prob is not None]
    if len(probs) < len(opinions):
        return None, None, None
    prob = fsum(probs) / len(probs)
    voted = _side(fsum(_vote(side, side) for _, side in opinions))
    winner = voted if voted == _side(prob - 0.5) else "tie"
    agreement = {"chosen": "agrees", "rejected": "disagrees", "tie": "tie"}[winner]
    return prob, 0.0 if winner == "tie" else logit(prob), agreement


def graded_prob(chosen: float | None, rejected: float | None) -> float | None:
    """Return the probability that the first of two responses is better, given their scores on [0, 1].

    A checklist without clipping gives scores under 0, too: two responses over 1 apart are certain.
    """
    return None if chosen is None or rejected is None else min(1.0, max(0.0, (1 + chosen - rejected) / 2))


def logit(prob: float) -> float:
    """Return the log-odds of a probability, clipped to MAX_PROB."""
    clipped = min(max(prob, 1 - MAX_PROB), MAX_PROB)
    return log(clipped) - log(1 - clipped)


def _side(lead: float) -> Side:
    return "chosen" if lead > SAME else "rejected" if lead < -SAME else "tie"


def _winners(first: Comparison, second: Comparison) -> tuple[Side | None, Side | None]:
    """Return the winners of both orders, named by the side of the row."""
    sides: dict[str, Side] = {"A": "chosen", "B": "rejected", "tie": "tie"}
    swapped: dict[str, Side] = {"A": "rejected", "B": "chosen", "tie": "tie"}
    return sides.get(first.winner or ""), swapped.get(second.winner or "")


def _vote(first: Side | None, second: Side | None) -> float:
    """Return 1 if both say chosen, -1 if both say rejected, else 0."""
    if first != second:
        return 0.0
    return {"chosen": 1.0, "rejected": -1.0}.get(first or "tie", 0.0)


def _joined_feedback(rubrics: Sequence[AnyRubric], feedback: Sequence[str]) -> str:
    """Return the one feedback, or a line for each rubric that has one."""
    if len(feedback) == 1:
        return feedback[0]
    return "\n".join(f"[{rubric.name}] {text}" for rubric, text in zip(rubrics, feedback, strict=True) if text)


def _union(*flags: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(flag for some in flags for flag in some))


def _weighted(rubrics: Sequence[AnyRubric], values: Sequence[float]) -> float:
    total = fsum(rubric.weight for rubric in rubrics)
    return fsum(rubric.weight * value for rubric, value in zip(rubrics, values, strict=True)) / total
