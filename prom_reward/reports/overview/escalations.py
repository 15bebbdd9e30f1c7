"""The changes by a cascade's strong judge over the steps of a training."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prom_reward.explorer.judged import Judged


@dataclass(slots=True)
class Escalations:
    """Judgments of a cascade by step, counted from 1."""

    counts: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """All judgments."""
    escalated: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Those that the strong judge gave."""
    changes: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """The distance of its scores from the cheap judge's, in points of the scale."""
    groups: dict[tuple[int, str, str], dict[str, tuple[float, float]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By step, group and rubric, then by response: the cheap judge's score, and the one that counts."""

    def count(self, one: Judged) -> None:
        """Count a judgment; those of single judges and of panels, whose score is nobody's own, are left out."""
        if one.given_by not in one.judge_scores:
            return
        others = [score for name, score in one.judge_scores.items() if name != one.given_by]
        self.counts[one.row] += 1
        self.escalated[one.row] += bool(others)
        cheap, final = next(iter(others), one.expected_score), one.expected_score
        if cheap is None or final is None:
            return
        if others:
            self.changes[one.row].append(abs(final - cheap))
        self.groups[one.row, one.group, one.rubric][one.member] = (cheap, final)

    def shares(self) -> dict[int, float]:
        """Return the share of judgments that went to the strong judge, by step."""
        return {step: self.escalated[step] / count for step, count in sorted(self.counts.items())}

    def best_changed(self) -> float | None:
        """Return the share of groups with an escalation whose best response is another one after it."""
        changed = [
            _best(group, 0) != _best(group, 1) for group in self.groups.values() if _is_escalated(group.values())
        ]
        return sum(changed) / len(changed) if changed else None


def _best(group: Mapping[str, tuple[float, float]], side: int) -> str:
    return max(group, key=lambda member: group[member][side])


def _is_escalated(scores: Iterable[tuple[float, float]]) -> bool:
    return any(cheap != final for cheap, final in scores)
