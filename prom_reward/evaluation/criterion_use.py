"""What judgments tell of a rubric: criteria that are always or never met, that repeat another, that follow length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from prom_reward.answers import Judgment
from prom_reward.data.judged_rows import JudgedResponse
from prom_reward.evaluation.agreement import Floats, pearson, spearman
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.checklists.criterion import MET
from prom_reward.rubrics.lint.finding import Finding
from prom_reward.rubrics.reading import AnyRubric

MIN_ROWS = 10
"""Nothing is said of a criterion that fewer rows tell of."""
MAX_CORRELATION = 0.95
MAX_LENGTH_CORRELATION = 0.7
_NUM_SHOWN = 3
_FLAT = 0.05


@dataclass(frozen=True, slots=True)
class _Use:
    """One criterion, or a rubric with levels, over all responses."""

    rubric: str
    number: str
    """The criterion's; empty for a rubric with levels."""
    shown: str
    values: Floats
    """How far it is met, in [0, 1] (N); NaN if nobody could tell."""
    is_checked: bool = False
    """Whether code decides, which may count words."""

    def finding(self, rule: str, message: str, rows: Sequence[str] = ()) -> Finding:
        return Finding(
            rule=rule,
            rubric=self.rubric,
            message=f"{self.shown} {message}",
            criteria=(self.number,) if self.number else (),
            rows=tuple(rows),
        )


def lint_use(rubrics: Sequence[AnyRubric], judged: Sequence[JudgedResponse]) -> list[Finding]:
    """Return what judgments tell of the criteria of checklists, and of rubrics with levels as a whole.

    Args:
        rubrics: The rubrics and checklists, with different names.
        judged: Responses with judgments by them.
    """
    if len(judged) < MIN_ROWS:
        message = f"got {len(judged)} judged rows; expected at least {MIN_ROWS} to tell of their use"
        return [Finding(rule="few_rows", rubric=one.name, message=message) for one in rubrics]
    places = [one.place for one in judged]
    lengths = np.array([float(len(one.response.split())) for one in judged])
    uses = [use for one in rubrics for use in _uses(one, [row.judgments.get(one.name) for row in judged])]
    found = [finding for use in uses for finding in _alone(use, lengths, places)]
    return found + [finding for one, other in _candidates(uses) for finding in _together(one, other, places)]


def _uses(rubric: AnyRubric, judgments: Sequence[Judgment | None]) -> Iterator[_Use]:
    if isinstance(rubric, Checklist):
        parts = [{part.name: part for part in one.parts if part.source != "nobody"} if one else {} for one in judgments]
        for number, leaf in ((number, one) for number, one in rubric.numbered() if not one.children):
            values = [told[leaf.name].value if leaf.name in told else None for told in parts]
            yield _Use(rubric.name, number, f"{leaf.name!r:.60}", _floats(values), is_checked=leaf.check is not None)
    else:
        scores = [one.expected_score if one else None for one in judgments]
        units = [None if score is None else rubric.scale.to_unit(score) for score in scores]
        yield _Use(rubric.name, "", "the score", _floats(units))


def _alone(use: _Use, lengths: Floats, places: Sequence[str]) -> Iterator[Finding]:
    told = np.flatnonzero(~np.isnan(use.values))
    if 2 * len(told) < len(places):
        untold = [places[at] for at in np.flatnonzero(np.isnan(use.values))]
        yield use.finding("untold", f"could not be told in {len(untold)} of {len(places)} rows", untold)
    if len(told) < MIN_ROWS:
        return
    values = use.values[told]
    low, high = float(values.min()), float(values.max())
    rows = [places[at] for at in told]
    if not use.number:
        if high - low < _FLAT:
            yield use.finding("flat", f"hardly differs over {len(told)} rows ({low:.2f} to {high:.2f} of 1)", rows)
    elif low >= MET:
        yield use.finding(
            "always_met", f"is met in all {len(told)} rows (least {low:.2f}): it tells nothing apart", rows
        )
    elif high < MET:
        yield use.finding(
            "never_met", f"is met in none of {len(told)} rows (most {high:.2f}): it tells nothing apart", rows
        )
    follows = None if use.is_checked else spearman(values, lengths[told])
    if follows is not None and abs(follows) >= MAX_LENGTH_CORRELATION:
        ends = sorted(told, key=lambda at: lengths[at])
        shown = [places[at] for at in (*ends[:_NUM_SHOWN], *ends[-_NUM_SHOWN:])]
        yield use.finding("follows_length", f"follows the number of words (Spearman {follows:+.2f})", shown)


def _candidates(uses: Sequence[_Use]) -> list[tuple[_Use, _Use]]:
    """Return the pairs that may go together: by one product of all that every row tells of, and pairs with gaps."""
    values = np.array([use.values for use in uses])
    has_gaps = np.isnan(values).any(axis=1)
    centered = np.nan_to_num(values - values.mean(axis=1, keepdims=True))
    sizes = np.linalg.norm(centered, axis=1)
    unit = centered / np.where(sizes > 0, sizes, 1.0)[:, None]
    high = np.abs(unit @ unit.T) > MAX_CORRELATION - 1e-6
    may = high | has_gaps[:, None] | has_gaps[None, :]
    return [(uses[one], uses[other]) for one, other in combinations(range(len(uses)), 2) if may[one, other]]


def _together(one: _Use, other: _Use, places: Sequence[str]) -> Iterator[Finding]:
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
    found = one.finding("correlated", message, apart)
    yield replace(found, criteria=tuple(number for number in (one.number, other.number) if number))


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=float)
