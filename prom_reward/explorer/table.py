"""Judgments as columns, as the explorer reads them: numbers, categories by code, and texts by number.

A text that stands several times, as a response under several rubrics, is packed once.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prom_reward.explorer.details import criteria_of, details_of, rounded
from prom_reward.explorer.judged import Judged
from prom_reward.pages.text import visible, writable

_CHUNK = 1_000_000  # characters of texts that a page unpacks at a time


def _gap(one: Judged) -> float | None:
    change = one.shift if one.change is None else one.change
    return None if change is None else abs(change)


NUMBERS: Mapping[str, Callable[[Judged], float | None]] = {
    "score": lambda one: one.expected_score,
    "integer": lambda one: one.score,
    "entropy": lambda one: one.entropy,
    "reward": lambda one: one.reward,
    "margin": lambda one: one.margin,
    "length": lambda one: one.length,
    "other": lambda one: one.other_score,
    "change": lambda one: one.change,
    "shift": lambda one: one.shift,
    "gap": _gap,
    "label": lambda one: one.label,
    "error": lambda one: one.error,
    "miss": lambda one: None if one.error is None else abs(one.error),
    "rise": lambda one: one.rise,
    "disagreement": lambda one: one.disagreement,
    "group_score": lambda one: None if one.standing is None else one.standing.score,
    "standard_error": lambda one: None if one.standing is None else one.standing.standard_error,
    "read": lambda one: one.tokens.get("read"),
    "computed": lambda one: one.tokens.get("computed"),
    "written": lambda one: one.tokens.get("written"),
    "cut": lambda one: 1 if one.is_cut else None,
}
"""The numbers of a judgment by the name that a filter gives them."""
CATEGORIES: Mapping[str, Callable[[Judged], str]] = {
    "response_name": lambda one: one.member,
    "rubric": lambda one: one.rubric,
    "outcome": lambda one: one.outcome,
    "flag": lambda one: ", ".join(one.flags),
    "pair": lambda one: one.agreement or "",
    "part": lambda one: one.part,
    "judge": lambda one: one.judge,
    "source": lambda one: one.source,
    "given_by": lambda one: one.given_by,
}
"""The categories of a judgment."""
TEXTS: Mapping[str, Callable[[Judged], str]] = {
    "prompt": lambda one: one.prompt,
    "response": lambda one: one.response,
    "feedback": lambda one: one.feedback,
    "reference": lambda one: one.reference,
    "other_feedback": lambda one: one.other_feedback,
    "details": details_of,
    "criteria": criteria_of,
}
"""The texts of a judgment."""


@dataclass(slots=True)
class _Numbering:
    """Numbers equal values alike, from 0 on."""

    numbers: dict[Any, int] = field(default_factory=dict)

    def __call__(self, value: Any) -> int:
        return self.numbers.setdefault(value, len(self.numbers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The columns of judgments."""

    columns: dict[str, Any]
    """Everything but the texts, as JSON values."""
    chunks: list[list[str]]
    """The texts, in the order of their numbers; prompts come first."""


def table_of(judgments: Sequence[Judged], *, is_training: bool) -> Table:
    """Return judgments as columns; those of a group must follow each other."""
    texts = _Numbering()
    ids = {name: [texts(read(one)) for one in judgments] for name, read in TEXTS.items()}
    groups = _Numbering()
    codes = [groups(one.group) for one in judgments]
    sizes, seen = _sizes(judgments)
    numbers = {name: [rounded(read(one)) for one in judgments] for name, read in NUMBERS.items()}
    numbers |= {
        "step" if is_training else "row": [(one.row or None) if is_training else one.row + 1 for one in judgments],
        "group": [code + 1 for code in codes],
        "advantage": [rounded(value) for value in advantages(judgments)],
        "size": [sizes[one.group] for one in judgments],
        "seen": [seen[one.prompt] for one in judgments],
    }
    labels = sorted({int(label) for one in judgments for label in one.probs or ()})
    return Table(
        columns={
            "size": len(judgments),
            "labels": labels,
            "probs": [_per_mille(one, labels) for one in judgments],
            "numbers": {name: values for name, values in numbers.items() if any(value is not None for value in values)},
            "categories": {name: _category(map(read, judgments)) for name, read in CATEGORIES.items()},
            "texts": ids,
        },
        chunks=list(_chunks(map(writable, texts.numbers))),
    )


def advantages(judgments: Iterable[Judged]) -> list[float | None]:
    """Return each response's reward minus the mean of its group; None without a reward or another response."""
    judgments = list(judgments)
    rewards: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for one in judgments:
        if one.reward is not None:
            rewards[one.group, one.source][one.member] = one.reward
    means = {group: float(np.mean(list(found.values()))) for group, found in rewards.items() if len(found) > 1}
    known = [means.get((one.group, one.source)) for one in judgments]
    return [
        None if one.reward is None or mean is None else one.reward - mean
        for one, mean in zip(judgments, known, strict=True)
    ]


def _sizes(judgments: Iterable[Judged]) -> tuple[dict[str, int], Counter[str]]:
    """Return the number of responses by group, and the number of groups by prompt."""
    members: dict[str, set[str]] = defaultdict(set)
    prompts = {}
    for one in judgments:
        members[one.group].add(one.member)
        prompts[one.group] = one.prompt
    return {group: len(found) for group, found in members.items()}, Counter(prompts.values())


def _per_mille(one: Judged, labels: Sequence[int]) -> list[int] | None:
    return None if one.probs is None else [round(1000 * one.probs.get(str(label), 0.0)) for label in labels]


def _category(values: Iterable[str]) -> dict[str, Any]:
    numbering = _Numbering()
    codes = [numbering(value) for value in values]
    return {"names": [visible(name) for name in numbering.numbers], "codes": codes}


def _chunks(texts: Iterable[str]) -> Iterable[list[str]]:
    chunk: list[str] = []
    size = 0
    for text in texts:
        chunk.append(text)
        size += len(text)
        if size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
    yield chunk
