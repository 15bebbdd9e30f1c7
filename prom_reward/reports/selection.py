"""Chooses the groups whose texts a report shows: whole ones, drawn evenly."""

import heapq
from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from math import inf

from prom_reward.explorer.judged import Judged
from prom_reward.reports.judgments import prompt_of

MAX_SHOWN = 100_000
"""Judgments with texts that a browser opens without a wait."""
_SIDES = {"chosen": 0, "rejected": 1}


class Selection:
    """Keeps whole groups with about `size` judgments in all, at least one group.

    The groups with the smallest digests stay. So it needs no second pass, and the responses of a group may come in any
    order, as from several ranks' logs.

    Args:
        size: None keeps all.
        by_prompt: Keep or leave out all groups of a training's prompt together, so that its steps can be compared.
    """

    def __init__(self, size: int | None, *, by_prompt: bool = False) -> None:
        self._size = inf if size is None else size
        self._by_prompt = by_prompt
        self._count = 0
        self._draws: dict[str, dict[str, list[Judged]]] = {}  # the groups that stay or go together
        self._largest: list[tuple[int, str]] = []  # negative digests of the draws, the largest digest first
        self._limit = 1 << 64

    def offer(self, one: Judged) -> None:
        """Keep a judgment if its group is kept."""
        drawn = (prompt_of(one.group) if self._by_prompt else "") or one.group
        if drawn not in self._draws:
            digest = int.from_bytes(blake2b(drawn.encode(), digest_size=8).digest())
            if digest >= self._limit:
                return
            self._draws[drawn] = {}
            heapq.heappush(self._largest, (-digest, drawn))
        self._draws[drawn].setdefault(one.group, []).append(one)
        self._count += 1
        while self._count > self._size and len(self._draws) > 1:
            digest, drawn = heapq.heappop(self._largest)
            self._limit = -digest
            self._count -= sum(map(len, self._draws.pop(drawn).values()))

    def kept(self) -> list[Judged]:
        """Return the kept judgments: groups in order of their rows, responses and rubrics in order within."""
        groups = [group for groups in self._draws.values() for group in groups.values()]
        groups.sort(key=lambda group: group[0].row)
        return [one for group in groups for one in sorted(_named(group), key=_place)]


def whole_groups(judgments: Iterable[Judged], size: int | None) -> list[Judged]:
    """Return about `size` judgments in whole groups, drawn evenly; None returns all, ordered alike."""
    selection = Selection(size)
    for one in judgments:
        selection.offer(one)
    return selection.kept()


def _named(group: list[Judged]) -> list[Judged]:
    """Return a group in which a response has a name of its own.

    Older logs tell no rows, and each request to a server, each call without a trainer and a step that is done again
    after a stop count theirs anew: then the responses are counted in the order of the log, which has a response's
    rubrics one after another.
    """
    names = [(one.member, one.rubric) for one in group]
    if all(member for member, _ in names) and len(set(names)) == len(names):
        return group
    named: list[Judged] = []
    rubrics: set[str] = set()
    number, before = 0, None
    for one in group:
        response = (one.member, one.response)
        if response != before or one.rubric in rubrics:
            number, before, rubrics = number + 1, response, set()
        rubrics.add(one.rubric)
        named.append(replace(one, member=str(number)))
    return named


def _place(one: Judged) -> tuple[int, list[int], str]:
    numbers = [int(part) for part in one.member.split(".") if part.isdecimal()]
    return (_SIDES.get(one.side, 2), [len(numbers), *numbers], one.rubric)
