"""Chooses the judgments whose texts a report shows."""

import heapq
import random

from prom_reward.reports.judgments import Judged


class Selection:
    """Keeps a bounded number of judgments: half of them those most in need of a look, half drawn evenly."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._draw = random.Random(0)  # noqa: S311  # nothing here is a secret
        self._first: list[Judged] = []
        self._notable: list[tuple[float, int, Judged]] = []
        self._count = 0

    def offer(self, one: Judged) -> None:
        """Keep a judgment if it is drawn or needs a look."""
        self._count += 1
        entry = (_notability(one), -self._count, one)
        if len(self._notable) < self._size // 2:
            heapq.heappush(self._notable, entry)
        else:
            one = heapq.heappushpop(self._notable, entry)[2]
            if len(self._first) < self._size - self._size // 2:
                self._first.append(one)
            elif (at := self._draw.randrange(self._count)) < len(self._first):
                self._first[at] = one

    def kept(self) -> list[Judged]:
        """Return the kept judgments, in order."""
        side = {"chosen": 0, "rejected": 1}
        everything = [*self._first, *(one for *_, one in self._notable)]
        return sorted(everything, key=lambda one: (one.row, side.get(one.side, 2), one.side, one.prompt, one.response))


def _notability(one: Judged) -> float:
    """Return how much a judgment needs a look: unscored first, then contrary pairs, then entropy."""
    if one.expected_score is None and one.margin is None:
        return 100.0
    contrary = max(0.0, -(one.margin or 0.0)) if one.agreement == "disagrees" else 0.0
    return 10 * contrary + (one.entropy or 0.0)
