"""The rollouts of a batch, and which of them are one group."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prom_reward.data.references import answer_alone
from prom_reward.errors import RowError, number_of
from prom_reward.prompts.transcripts import PromptValue
from prom_reward.rewards.batch import check_column
from prom_reward.types import GradingRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A rollout of a batch."""

    group: str
    """The same for all rollouts to one prompt with one rubric and one reference."""
    requests: Sequence[GradingRequest]
    """One for each rubric."""
    baseline: str | None = None
    """The answer that the topology "anchor" compares it with; None for the reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberReader:
    """Makes a trainer's rows members of groups."""

    group_column: str | None = None
    """The column with an id of the group; None goes by the prompt alone."""
    baseline_column: str | None = None
    """The column with a baseline answer, if there is one."""
    include_reasoning: bool = False
    """Whether the judge sees the thoughts in a baseline."""

    def members(
        self, prompts: Sequence[PromptValue], requests: Sequence[Sequence[GradingRequest]], columns: Mapping[str, Any]
    ) -> list[Member]:
        """Return the members of a batch.

        Args:
            prompts: N prompts.
            requests: The requests of each row, one for each rubric.
            columns: The data set's columns, N values each.

        Raises:
            RowError: A named column is missing, is not as long as the batch, or has a baseline that is no text.
        """
        ids = _column(columns, self.group_column, len(prompts))
        baselines = _column(columns, self.baseline_column, len(prompts))
        baselines = [self._baseline(one) for one in baselines]
        return [
            Member(group=_key(prompt, one, row, baseline), requests=row, baseline=baseline)
            for prompt, one, row, baseline in zip(prompts, ids, requests, baselines, strict=True)
        ]

    def _baseline(self, value: Any) -> str | None:
        """Return a baseline as its comparisons show it; a response to a prompt has its thoughts left out, too."""
        if not isinstance(value, str | None):
            raise RowError(f"column {self.baseline_column!r}: got {value!r:.60}; expected a text or None")
        if self.include_reasoning or not (value or "").strip():
            return value
        return answer_alone(str(value), str(self.baseline_column))


def grouped(members: Sequence[Member], num_generations: int | None) -> list[list[int]]:
    """Return the places of each group's members.

    TRL repeats a prompt `num_generations` times in a row. If the members are in that order, each run is a group of its
    own, also if the next run has the same prompt; else all members of one key are a group.

    Args:
        members: The members of all ranks, in order.
        num_generations: The size of a group; None if it is not known.
    """
    size = num_generations or 0
    runs = [members[at : at + size] for at in range(0, len(members), size)] if size else []
    has_runs = bool(runs) and all(len(run) == size and len({one.group for one in run}) == 1 for run in runs)
    found: dict[tuple[str, int], list[int]] = {}
    for at, member in enumerate(members):
        found.setdefault((member.group, at // size if has_runs else 0), []).append(at)
    return list(found.values())


def _column(columns: Mapping[str, Any], name: str | None, length: int) -> Sequence[Any]:
    if name is None:
        return [None] * length
    if columns.get(name) is None:
        raise RowError(f"column {name!r}: no such column; expected one with {number_of(length, 'value')}")
    check_column(name, columns[name], length)
    values: Sequence[Any] = columns[name]
    return values


def _key(prompt: PromptValue, group: object, requests: Sequence[GradingRequest], baseline: str | None) -> str:
    asked = [(request.rubric.to_dict(), request.reference_answer) for request in requests]
    return json.dumps([prompt, group, asked, baseline], sort_keys=True, default=str)
