"""Findings in judgments, each with a link to the rows that show it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from prom_reward.errors import number_of
from prom_reward.explorer.judged import Judged
from prom_reward.explorer.links import condition, explorer_link
from prom_reward.pages.text import shortened
from prom_reward.reports.overview.rubric_rows import RubricRow
from prom_reward.reports.overview.shifts import Shift, rubric_shifts
from prom_reward.reports.overview.training_figures import share_without_spread
from prom_reward.reports.report_data import ReportData

_MIN_COUNT = 20  # judgments of a rubric, before its figures are called odd
_CONSTANT = 0.98  # the share of one integer
_FOLLOWS_LENGTH = 0.5  # Spearman
_FLAT_SHARE = 0.25  # groups without spread


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFinding:
    """One thing to look at."""

    title: str
    """Its name, in a few words."""
    detail: str
    """Its size, and what it may mean."""
    link: str
    """Leads to its rows."""
    mood: str = "warn"
    """"warn" or "fail"."""


def findings(data: ReportData, rubrics: Sequence[RubricRow]) -> list[ReportFinding]:
    """Return what stands out in the shown judgments and in the training's figures."""
    return [
        *_unscored(data),
        *_flagged(data.judgments),
        *(one for row in rubrics if row.count >= _MIN_COUNT for one in _odd(row)),
        *map(_shifted, rubric_shifts(rubrics, data.step_scores)),
        *_repeated(data),
        *_contrary(data),
        *_flat(data),
    ]


def _unscored(data: ReportData) -> Iterator[ReportFinding]:
    missing = {name: count for name, count in data.outcomes.items() if name not in ("scored", "forced")}
    if missing and data.num_scored:
        counts = ", ".join(f"{count:,} {name}" for name, count in missing.items())
        link = explorer_link(view="judgments", where='outcome != "scored" and outcome != "forced"')
        yield ReportFinding(title="Judgments without a score", detail=f"{counts}.", link=link, mood="fail")


def _flagged(judgments: Sequence[Judged]) -> Iterator[ReportFinding]:
    flagged = [one for one in judgments if one.flags]
    if flagged:
        kinds = Counter(flag for one in flagged for flag in one.flags)
        named = ", ".join(f"{name} {count:,}" for name, count in kinds.most_common())
        scores = [one.expected_score for one in flagged if one.expected_score is not None]
        mean = f"; their mean score is {np.mean(scores):.2f}" if scores else ""
        detail = f"On text that may address the judge: {number_of(len(flagged), 'judgment')} ({named}){mean}."
        link = explorer_link(view="judgments", where="flag", sort="score", down="1")
        yield ReportFinding(title="Flagged responses", detail=detail, link=link, mood="fail")


def _odd(row: RubricRow) -> Iterator[ReportFinding]:
    name = shortened(row.name, 40)
    if row.usual and row.usual[1] >= _CONSTANT:
        detail = f"{row.usual[1]:.1%} of {number_of(row.count, 'judgment')}: it tells no response from another."
        yield ReportFinding(title=f"{name} always gives {row.usual[0]}", detail=detail, link=row.link)
    elif row.length_correlation is not None and abs(row.length_correlation) >= _FOLLOWS_LENGTH:
        way = "longer" if row.length_correlation > 0 else "shorter"
        detail = f"Spearman {row.length_correlation:.2f} with the characters: {way} responses score higher."
        link = explorer_link(view="judgments", where=condition("rubric", row.name), sort="length", down="1")
        yield ReportFinding(title=f"{name} follows length", detail=detail, link=link)


def _shifted(shift: Shift) -> ReportFinding:
    own, beside = shift.own, shift.beside
    name = shortened(own.name, 40)
    detail = f"Mean {own.before:.2f} before, {own.after:.2f} after, at once"
    if beside is not None:
        detail += f" against {shortened(beside.name, 40)} ({beside.before:.2f} and {beside.after:.2f})"
    link = explorer_link(view="judgments", where=f"{condition('rubric', own.name)} and step >= {shift.step - 1}")
    return ReportFinding(
        title=f"{name} shifts at step {shift.step}",
        detail=f"{detail}: did the judge, the data or the policy change?",
        link=link,
    )


def _repeated(data: ReportData) -> Iterator[ReportFinding]:
    """Find prompts that stand in a group of a multiple of the usual size, or in far more groups than others."""
    members: dict[str, set[str]] = defaultdict(set)
    prompts: dict[str, str] = {}
    for one in data.judgments:
        members[one.group].add(one.member)
        prompts[one.group] = one.prompt
    sizes = Counter(len(found) for found in members.values())
    usual = sizes.most_common(1)[0][0] if sizes else 0
    large = sum(count for size, count in sizes.items() if size >= 2 * usual and size > 1)
    if large and large < len(members) / 4:
        link = explorer_link(view="groups", where=f"size >= {2 * usual}")
        detail = f"At least {2 * usual} responses: {large:,} of {len(members):,} groups; the others have {usual}."
        yield ReportFinding(
            title="A prompt twice in a batch" if data.is_training else "A repeated prompt", detail=detail, link=link
        )
    counts = Counter(prompts.values())
    middle = float(np.median(list(counts.values()))) if counts else 0.0
    often = {prompt: count for prompt, count in counts.items() if count > 2 * middle}
    if often and len(often) < len(counts) / 4:
        least, many = min(often.values()), number_of(len(often), "prompt")
        detail = f"In {number_of(least, 'group')} or more: {many}; the middle one in {middle:.0f}."
        yield ReportFinding(
            title="Repeated prompts", detail=detail, link=explorer_link(view="groups", where=f"seen >= {least}")
        )


def _contrary(data: ReportData) -> Iterator[ReportFinding]:
    count = data.agreement["disagrees"]
    if count:
        pairs = sum(data.agreement.values())
        link = explorer_link(view="judgments", where='pair == "disagrees"', sort="margin")
        detail = f"{count:,} of {number_of(pairs, 'pair')}; the most certain ones come first."
        yield ReportFinding(title="Pairs whose order the judge turns round", detail=detail, link=link)


def _flat(data: ReportData) -> Iterator[ReportFinding]:
    shares = share_without_spread(data.group_rewards)
    mean = float(np.mean(list(shares.values()))) if shares else 0.0
    if mean >= _FLAT_SHARE:
        link = explorer_link(view="judgments", where="advantage == 0")
        yield ReportFinding(
            title="Groups without spread", detail=f"{mean:.0%} of groups teach the policy nothing.", link=link
        )
