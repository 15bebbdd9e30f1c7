"""Criteria of a rubric that are always or never met, that repeat another, that follow length, from its judgments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prom_reward.answers import Judgment
from prom_reward.data.labels.judged_rows import JudgedResponse
from prom_reward.errors import number_of
from prom_reward.evaluation.agreement import Floats, pearson, spearman
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.checklists.criterion import MET
from prom_reward.rubrics.lint.finding import RubricFinding
from prom_reward.rubrics.reading import AnyRubric

MIN_ROWS = 10
"""Nothing is said of a criterion that fewer rows tell of."""
MAX_CORRELATION = 0.95
MAX_LENGTH_CORRELATION = 0.7
_NUM_SHOWN = 3
_FLAT = 0.05
_RESTING = 1e-5
"""A standard deviation that is too small to go together with anything."""


@dataclass(frozen=True, slots=True)
class _Use:
    """One criterion, or a rubric with levels, over all responses."""

    rubric: str
    number: str
    """The criterion's; empty for a rubric with levels."""
    shown: str
    values: Floats
    """How far it is met, in [0, 1] (N); NaN if nobody could tell."""
    is_asked: NDArray[np.bool_]
    """Whether somebody was to tell (N): no if another rubric judged the row, or a closed gate decided before."""
    is_checked: bool = False
    """Whether code decides, which may count words."""

    def finding(self, rule: str, message: str, rows: Sequence[str] = ()) -> RubricFinding:
        return RubricFinding(
            rule=rule,
            rubric=self.rubric,
            message=f"{self.shown} {message}",
            criteria=(self.number,) if self.number else (),
            rows=tuple(rows),
        )


def lint_use(rubrics: Sequence[AnyRubric], judged: Sequence[JudgedResponse]) -> list[RubricFinding]:
    """Return what judgments tell of the criteria of checklists, and of rubrics with levels as a whole.

    Args:
        rubrics: The rubrics and checklists, with different names.
        judged: Responses with judgments by them.
    """
    counts = {one.name: sum(one.name in row.judgments for row in judged) for one in rubrics}
    findings = [_few(name, count) for name, count in counts.items() if count < MIN_ROWS]
    places = [one.place for one in judged]
    lengths = np.array([float(len(one.response.split())) for one in judged])
    known = [one for one in rubrics if counts[one.name] >= MIN_ROWS]
    uses = [use for one in known for use in _uses(one, [row.judgments.get(one.name) for row in judged])]
    findings += [finding for use in uses for finding in _alone(use, lengths, places)]
    return findings + [finding for one, other in _candidates(uses) for finding in _together(one, other, places)]


def _few(rubric: str, count: int) -> RubricFinding:
    message = f"got {number_of(count, 'judged row')}; expected at least {MIN_ROWS} to tell of their use"
    return RubricFinding(rule="few_rows", rubric=rubric, message=message)


def _uses(rubric: AnyRubric, judgments: Sequence[Judgment | None]) -> Iterator[_Use]:
    if isinstance(rubric, Checklist):
        parts = [{part.name: part for part in one.parts if part.source != "nobody"} if one else {} for one in judgments]
        for number, leaf in ((number, one) for number, one in rubric.numbered() if not one.children):
            values = [told[leaf.name].value if leaf.name in told else None for told in parts]
            asked = np.array([leaf.name in told for told in parts])
            is_checked = leaf.check is not None
            yield _Use(rubric.name, number, f"{leaf.name!r:.60}", _floats(values), asked, is_checked)
    else:
        scores = [one.expected_score if one else None for one in judgments]
        units = [None if score is None else rubric.scale.to_unit(score) for score in scores]
        yield _Use(rubric.name, "", "the score", _floats(units), np.array([one is not None for one in judgments]))


def _alone(use: _Use, lengths: Floats, places: Sequence[str]) -> Iterator[RubricFinding]:
    decided = np.flatnonzero(~np.isnan(use.values))
    untold = [places[at] for at in np.flatnonzero(use.is_asked & np.isnan(use.values))]
    if len(untold) > len(decided):
        yield use.finding(
            "untold", f"could not be told in {len(untold)} of {number_of(use.is_asked.sum(), 'row')}", untold
        )
    if len(decided) < MIN_ROWS:
        return
    values = use.values[decided]
    low, high = float(values.min()), float(values.max())
    rows = [places[at] for at in decided]
    if not use.number:
        if high - low < _FLAT:
            yield use.finding("flat", f"hardly differs over {len(decided)} rows ({low:.2f} to {high:.2f} of 1)", rows)
    elif low >= MET:
        yield use.finding(
            "always_met", f"is met in all {len(decided)} rows (least {low:.2f}): it tells nothing apart", rows
        )
    elif high < MET:
        yield use.finding(
            "never_met", f"is met in none of {len(decided)} rows (most {high:.2f}): it tells nothing apart", rows
        )
    follows = None if use.is_checked else spearman(values, lengths[decided])
    if follows is not None and abs(follows) >= MAX_LENGTH_CORRELATION:
        ends = sorted(decided, key=lambda at: lengths[at])
        shown = [places[at] for at in (*ends[:_NUM_SHOWN], *ends[-_NUM_SHOWN:])]
        yield use.finding("follows_length", f"follows the number of words (Spearman {follows:+.2f})", shown)


def _candidates(uses: Sequence[_Use]) -> Iterator[tuple[_Use, _Use]]:
    """Yield the pairs that may go together, from the sums over the rows that tell of both (U, U)."""
    if not uses:
        return
    values = np.array([use.values for use in uses]) - 0.5  # about 0, for the precision of the sums
    is_told, values = (~np.isnan(values)).astype(float), np.nan_to_num(values)
    count, own, square = is_told @ is_told.T, values @ is_told.T, values**2 @ is_told.T
    spread = count * square - own**2
    shared = count * (values @ values.T) - own * own.T
    varies = spread > _RESTING**2 * count**2
    size = np.where(varies & varies.T, spread * spread.T, np.inf)
    may = (count >= MIN_ROWS) & (shared**2 > (MAX_CORRELATION - 1e-6) ** 2 * size)
    yield from ((uses[one], uses[other]) for one, other in np.argwhere(np.triu(may, k=1)))


def _together(one: _Use, other: _Use, places: Sequence[str]) -> Iterator[RubricFinding]:
    both = np.flatnonzero(~np.isnan(one.values) & ~np.isnan(other.values))
    if len(both) < MIN_ROWS:
        return
    first, second = one.values[both], other.values[both]
    correlation = pearson(first, second)
    if correlation is None or abs(correlation) <= MAX_CORRELATION:
        return
    gaps = np.abs(first - second if correlation > 0 else first + second - 1)
    apart = [places[both[at]] for at in np.argsort(-gaps, kind="stable")[:_NUM_SHOWN]]
    name = other.shown if other.number else f"the score by {other.rubric!r:.60}"
    message = (
        f"and {name} go together (Pearson {correlation:+.2f}, furthest apart in these rows): one thing counts twice"
    )
    finding = one.finding("correlated", message, apart)
    yield replace(finding, criteria=tuple(number for number in (one.number, other.number) if number))


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=float)
