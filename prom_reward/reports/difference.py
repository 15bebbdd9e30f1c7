"""Two sources that judged the same responses: what changed, and how well they agree."""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prom_reward.errors import InputError, number_of
from prom_reward.evaluation.agreement import pearson, spearman
from prom_reward.explorer.judged import Judged
from prom_reward.explorer.links import condition, explorer_link
from prom_reward.reports.report_data import ReportData


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """The agreement of two sources on one rubric."""

    rubric: str
    """The rubric's name in the first source."""
    other_rubric: str
    """Its name in the second source."""
    count: int
    """Responses that both scored."""
    pearson: float | None
    """Of the expected scores."""
    spearman: float | None
    """The same by ranks."""
    same_share: float | None
    """The share of equal integers; None if the judgments have none, as a checklist's."""
    change: float
    """The mean of the second score minus the first."""

    @property
    def heading(self) -> str:
        """The rubric's name, or both if the second source was judged by another rubric."""
        return self.rubric if self.other_rubric == self.rubric else f"{self.rubric}, then {self.other_rubric}"

    @property
    def link(self) -> str:
        """Leads to its judgments, the largest change first."""
        where = f"{condition('rubric', self.rubric)} and gap"
        return explorer_link(view="judgments", where=where, sort="gap", down="1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The agreement of two sources."""

    judgments: list[Judged]
    """Those of the first source, with the second one's scores and feedback."""
    name: str
    """The second source."""
    rows: Sequence[DifferenceRow]
    """By rubric."""
    num_matched: int
    """Judgments of the first source that the second one has, too."""
    num_unmatched: int
    """The others of the first source."""
    other_texts: Sequence[str] = ()
    """The names under which the two have rubrics with different texts."""

    def __str__(self) -> str:
        without = f", {self.num_unmatched:,} without a second one" if self.num_unmatched else ""
        return f"{number_of(self.num_matched, 'judgment')} beside those of {self.name}{without}"

    @property
    def counts(self) -> dict[str, int]:
        """What it covers, as JSON values."""
        return {"matched": self.num_matched, "unmatched": self.num_unmatched}

    def to_dict(self) -> dict[str, dict[str, str | float | None]]:
        """Return the figures by rubric as JSON values."""
        return {
            row.rubric: {
                "other_rubric": row.other_rubric,
                "n": row.count,
                "pearson": row.pearson,
                "spearman": row.spearman,
                "same_integer": row.same_share,
                "change": row.change,
            }
            for row in self.rows
        }


def has_same_responses(data: ReportData, other: ReportData) -> bool:
    """Whether the two judged the same responses: most of the first source's, of the prompts that both have."""
    prompts = {one.prompt for one in other.judgments}
    responses = {(one.prompt, one.response, one.length) for one in other.judgments}
    are_judged = [
        (one.prompt, one.response, one.length) in responses for one in data.judgments if one.prompt in prompts
    ]
    return sum(are_judged) > len(are_judged) / 2


def compare_with(data: ReportData, other: ReportData) -> Difference:
    """Return the first source's judgments with the second one's scores on the same prompt, response and rubric.

    The reference is compared, too, unless nothing has the same. If the second source has one rubric, which the first
    one lacks, the rubric is not compared.

    Raises:
        InputError: They have nothing in common.
    """
    keys: list[Callable[[Judged], Hashable]] = [
        lambda one: (one.prompt, one.response, one.length, one.rubric, one.reference),
        lambda one: (one.prompt, one.response, one.length, one.rubric),
    ]
    if len(other.rubrics) == 1 and not other.rubrics.keys() & data.rubrics.keys():
        keys.append(lambda one: (one.prompt, one.response, one.length, one.reference))
        keys.append(lambda one: (one.prompt, one.response, one.length))
    for key in keys:
        matched = _matched(data.judgments, other.judgments, key)
        pairs = [(one, found) for one, found in zip(data.judgments, matched, strict=True) if found is not None]
        if pairs:
            return Difference(
                judgments=[_joined(one, found) for one, found in zip(data.judgments, matched, strict=True)],
                name=other.title,
                rows=_rows(pairs),
                num_matched=len(pairs),
                num_unmatched=len(data.judgments) - len(pairs),
                other_texts=other_texts(data, other),
            )
    raise InputError(
        f"{data.title} and {other.title} have no prompt and response under the same rubric in common; expected two "
        "sources that judged the same responses, as a log and its `prom-reward rejudge`"
    )


def other_texts(data: ReportData, other: ReportData) -> list[str]:
    """Return the names under which the two sources have rubrics with different texts."""
    known = {name: found - {""} for name, found in data.digests.items()}
    return sorted(name for name, found in known.items() if found and (other.digests.get(name, found) - {""}) - found)


def _matched(
    judgments: Sequence[Judged], others: Sequence[Judged], key: Callable[[Judged], Hashable]
) -> list[Judged | None]:
    """Return the counterpart of each judgment: equal ones in order, the last of them again if they run out."""
    waiting: dict[Hashable, deque[Judged]] = defaultdict(deque)
    for other in others:
        waiting[key(other)].append(other)
    counterparts: list[Judged | None] = []
    for one in judgments:
        same = waiting.get(key(one))
        counterparts.append(None if same is None else same.popleft() if len(same) > 1 else same[0])
    return counterparts


def _joined(one: Judged, other: Judged | None) -> Judged:
    if other is None:
        return one
    feedback = other.feedback if other.expected_score is not None else f"({other.outcome}) {other.feedback}"
    return replace(one, other_score=other.expected_score, other_feedback=feedback)


def _rows(pairs: Sequence[tuple[Judged, Judged]]) -> list[DifferenceRow]:
    scored: dict[str, list[tuple[Judged, Judged]]] = defaultdict(list)
    for one, other in pairs:
        if one.expected_score is not None and other.expected_score is not None:
            scored[one.rubric].append((one, other))
    rows = []
    for rubric, rubric_pairs in scored.items():
        first, second = (np.array([pair[at].expected_score for pair in rubric_pairs], dtype=float) for at in (0, 1))
        integers = [(one.score, other.score) for one, other in rubric_pairs if one.score is not None]
        rows.append(
            DifferenceRow(
                rubric=rubric,
                other_rubric=rubric_pairs[0][1].rubric,
                count=len(rubric_pairs),
                pearson=pearson(first, second),
                spearman=spearman(first, second),
                same_share=sum(one == other for one, other in integers) / len(integers) if integers else None,
                change=float((second - first).mean()),
            )
        )
    return sorted(rows, key=lambda row: (-row.count, row.rubric))
