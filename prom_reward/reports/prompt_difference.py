"""Two steps or two runs that answered the same prompts with other responses: side by side, and how scores moved."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prom_reward.errors import InputError, number_of
from prom_reward.evaluation.agreement import Estimate, estimate
from prom_reward.explorer.judged import Judged
from prom_reward.explorer.links import condition, explorer_link

FIRST, SECOND = "A", "B"
"""The names of the two sides in a group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptDifferenceRow:
    """The change of one rubric's scores."""

    rubric: str
    """The rubric's name."""
    num_prompts: int
    """Prompts that both sides have scores of."""
    first: float
    """The mean over prompts of the first side's mean score."""
    second: float
    """The same of the second side."""
    change: Estimate
    """The second minus the first, with a 95 % bootstrap interval over prompts."""
    share_up: float
    """The share of prompts whose mean score rose."""

    @property
    def link(self) -> str:
        """Leads to its judgments, the largest change first."""
        where = f"{condition('rubric', self.rubric)} and gap"
        return explorer_link(view="judgments", where=where, sort="gap", down="1")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptDifference:
    """Two sides on the same prompts."""

    judgments: list[Judged]
    """Groups of both sides' responses to a prompt."""
    names: tuple[str, str]
    """The sides."""
    rows: Sequence[PromptDifferenceRow]
    """By rubric."""
    num_prompts: int
    """Prompts that both sides answered."""
    num_alone: int
    """Prompts that one side alone answered."""
    other_texts: Sequence[str] = ()
    """The names under which the two have rubrics with different texts."""

    def __str__(self) -> str:
        judgments, prompts = number_of(len(self.judgments), "judgment"), number_of(self.num_prompts, "prompt")
        told = f"{judgments} of {prompts}, {self.names[0]} beside {self.names[1]}"
        if not self.num_alone:
            return told
        return f"{told}; left out: {number_of(self.num_alone, 'prompt')} that one side alone answered"

    @property
    def counts(self) -> dict[str, int]:
        """What it covers, as JSON values."""
        return {"judgments": len(self.judgments), "prompts": self.num_prompts, "prompts_alone": self.num_alone}


def compare_prompts(first: Sequence[Judged], second: Sequence[Judged], *, names: tuple[str, str]) -> PromptDifference:
    """Return both sides' responses to the same prompts, of several groups of a prompt the latest one.

    Raises:
        InputError: They have no prompt in common.
    """
    sides = [_latest(side) for side in (first, second)]
    common = [prompt for prompt in sides[0] if prompt in sides[1]]
    if not common:
        raise InputError(f"{names[0]} and {names[1]} have no prompt in common; expected answers to the same prompts")
    judgments: list[Judged] = []
    shifts: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for prompt in common:
        found = _moved(sides[0][prompt], sides[1][prompt])
        for rubric, pair in found.items():
            shifts[rubric].append(pair)
        for name, side in zip((FIRST, SECOND), sides, strict=True):
            judgments += [_named(one, name, prompt, found.get(one.rubric)) for one in side[prompt]]
    return PromptDifference(
        judgments=judgments,
        names=names,
        rows=[_row(rubric, pairs) for rubric, pairs in shifts.items()],
        num_prompts=len(common),
        num_alone=len(sides[0].keys() ^ sides[1].keys()),
    )


def _latest(judgments: Iterable[Judged]) -> dict[str, list[Judged]]:
    """Return the judgments of each prompt's latest group."""
    groups: dict[str, dict[str, list[Judged]]] = defaultdict(lambda: defaultdict(list))
    for one in judgments:
        groups[one.prompt][one.group].append(one)
    return {prompt: max(found.values(), key=lambda group: group[0].row) for prompt, found in groups.items()}


def _moved(first: Iterable[Judged], second: Iterable[Judged]) -> dict[str, tuple[float, float]]:
    """Return both sides' mean scores by rubric, of the rubrics that both scored."""
    means = [_means(side) for side in (first, second)]
    return {rubric: (mean, means[1][rubric]) for rubric, mean in means[0].items() if rubric in means[1]}


def _means(judgments: Iterable[Judged]) -> dict[str, float]:
    scores: dict[str, list[float]] = defaultdict(list)
    for one in judgments:
        if one.expected_score is not None:
            scores[one.rubric].append(one.expected_score)
    return {rubric: float(np.mean(found)) for rubric, found in scores.items()}


def _named(one: Judged, side: str, prompt: str, pair: tuple[float, float] | None) -> Judged:
    number = f"#{one.member}" if one.member[:1].isdecimal() else one.member
    shift = None if pair is None else pair[1] - pair[0]
    return replace(one, group=prompt, member=f"{side} {number}", source=side, shift=shift)


def _row(rubric: str, pairs: Sequence[tuple[float, float]]) -> PromptDifferenceRow:
    means = np.array(pairs)
    changes = means[:, 1] - means[:, 0]
    return PromptDifferenceRow(
        rubric=rubric,
        num_prompts=len(pairs),
        first=float(means[:, 0].mean()),
        second=float(means[:, 1].mean()),
        change=estimate(lambda at: float(changes[at].mean()), [str(at) for at in range(len(pairs))]),
        share_up=float((changes > 0).mean()),
    )
