"""Each rubric in figures: is it constant, does it follow length, how much of the advantage is its own?"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prom_reward.evaluation.agreement import spearman
from prom_reward.explorer.judged import Judged
from prom_reward.explorer.links import condition, explorer_link


@dataclass(frozen=True, slots=True, kw_only=True)
class RubricRow:
    """The figures of a rubric's scored judgments."""

    name: str
    """The rubric's name."""
    count: int
    """Scored judgments."""
    mean: float
    """Of the expected scores."""
    deviation: float
    """Their standard deviation."""
    scale: tuple[int, int]
    """The rubric's lowest and highest score, as far as distributions show it."""
    best_share: float | None
    """The share of integers that are the best score; None without integers, as of a checklist."""
    usual: tuple[int, float] | None
    """The most frequent integer, and its share."""
    length_correlation: float | None
    """Spearman, between expected score and characters; None if either is constant."""
    advantage_share: float | None
    """The part of the rewards' variance inside of groups that this rubric makes; all rubrics' parts add up to 1."""

    @property
    def link(self) -> str:
        """Leads to its judgments."""
        return explorer_link(view="judgments", where=condition("rubric", self.name))

    @property
    def bar(self) -> float:
        """The length of the share's bar, in percent."""
        return 100 * min(1.0, max(0.0, self.advantage_share or 0.0))


def rubric_rows(judgments: Sequence[Judged]) -> list[RubricRow]:
    """Return the figures of every rubric that gave a score, the most frequent first."""
    rubrics: dict[str, list[Judged]] = defaultdict(list)
    for one in judgments:
        if one.expected_score is not None:
            rubrics[one.rubric].append(one)
    scales = {name: _scale(found) for name, found in rubrics.items()}
    shares = advantage_shares(judgments, scales)
    rows = [_row(name, found, scales[name], shares.get(name)) for name, found in rubrics.items()]
    return sorted(rows, key=lambda row: (-row.count, row.name))


def _row(name: str, judgments: Sequence[Judged], scale: tuple[int, int], share: float | None) -> RubricRow:
    scores = np.array([one.expected_score for one in judgments], dtype=float)
    integers = Counter(int(one.score) for one in judgments if one.score is not None)
    usual = integers.most_common(1)
    return RubricRow(
        name=name,
        count=len(judgments),
        mean=float(scores.mean()),
        deviation=float(scores.std()),
        scale=scale,
        best_share=integers[scale[1]] / integers.total() if integers else None,
        usual=(usual[0][0], usual[0][1] / integers.total()) if usual else None,
        length_correlation=spearman(np.array([one.length for one in judgments], dtype=float), scores),
        advantage_share=share,
    )


def advantage_shares(judgments: Sequence[Judged], scales: dict[str, tuple[int, int]]) -> dict[str, float]:
    """Return each rubric's share of the variance of rewards inside of groups.

    A reward is the sum of weight x score on [0, 1], so a term's share is the sum over groups of its covariance with the
    reward, over that of the reward's variance. Responses that lack a rubric's score are left out.
    """
    terms: dict[tuple[str, str], dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for one in judgments:
        if one.expected_score is not None:
            low, high = scales[one.rubric]
            terms[one.group, one.source][one.member][one.rubric] = (
                one.weight * (one.expected_score - low) / max(1, high - low)
            )
    sums: dict[str, float] = defaultdict(float)
    for members in terms.values():
        names = sorted(set.union(*map(set, members.values())))
        whole = np.array([[found[name] for name in names] for found in members.values() if len(found) == len(names)])
        if len(whole) > 1:
            centered = whole - whole.mean(axis=0)
            for name, covariance in zip(names, centered.T @ centered.sum(axis=1), strict=True):
                sums[name] += float(covariance)
    total = sum(sums.values())
    return {name: value / total for name, value in sums.items()} if total > 0 else {}


def _scale(judgments: Sequence[Judged]) -> tuple[int, int]:
    if any(one.parts for one in judgments):
        return (0, 1)  # a checklist's
    labels = {int(label) for one in judgments for label in one.probs or ()}
    labels |= {int(one.score) for one in judgments if one.score is not None}
    return (min(labels), max(labels)) if len(labels) > 1 else (1, 5)
