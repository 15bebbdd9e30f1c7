"""Lints a rubric file, the rubrics of rows, and a rubric's use on judged responses."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prom_reward.data.columns import Columns
from prom_reward.data.formats import RowFormat
from prom_reward.data.grading import row_requests
from prom_reward.data.labels.judged_rows import JudgedResponse
from prom_reward.data.rows import BrokenRow, Row
from prom_reward.errors import InputError, RubricError
from prom_reward.evaluation.checklists.criterion_use import lint_use
from prom_reward.evaluation.scores import grade_all
from prom_reward.judging.base import Judge
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.formats import file_value, is_rubric_file
from prom_reward.rubrics.lint.finding import RubricFinding
from prom_reward.rubrics.lint.lint import lint_rubrics
from prom_reward.rubrics.lint.unread_keys import lint_keys
from prom_reward.rubrics.reading import AnyRubric, read_rubrics
from prom_reward.types import GradingRequest, Judgment


@dataclass(frozen=True, slots=True, kw_only=True)
class RubricLint:
    """The errors and probable errors of rubrics."""

    findings: tuple[RubricFinding, ...]
    """The findings."""
    rubrics: tuple[AnyRubric, ...]
    """The rubrics and checklists that could be read, each once."""
    num_rows: int = 0
    """Rows that had a rubric of their own, or that tell of the rubrics' use."""

    @property
    def num_errors(self) -> int:
        """Findings that keep a rubric from being used."""
        return sum(one.level == "error" for one in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return findings and counts as JSON values."""
        return {
            "rubrics": len(self.rubrics),
            "criteria": sum(len(one.leaves()) for one in self.rubrics if isinstance(one, Checklist)),
            "rows": self.num_rows,
            "errors": self.num_errors,
            "warnings": len(self.findings) - self.num_errors,
            "findings": [one.to_dict() for one in self.findings],
        }


def lint_file(rubric: str | Path) -> RubricLint:
    """Lint a rubric file, or anything else that `--rubric` takes; one that cannot be read is an error finding.

    Raises:
        ConfigError: The file does not exist or is no YAML.
    """
    try:
        rubrics = read_rubrics(rubric)
    except RubricError as error:
        finding = RubricFinding(
            rule="unreadable", rubric=str(rubric), message=str(error).removeprefix(f"{rubric}: "), level="error"
        )
        return RubricLint(findings=(finding,), rubrics=())
    findings = lint_rubrics(rubrics)
    if is_rubric_file(rubric) and len(rubrics) == 1 and isinstance(rubrics[0], Checklist):
        findings = [*lint_keys(file_value(rubric), rubrics[0]), *findings]
    return RubricLint(findings=tuple(findings), rubrics=rubrics)


def lint_rows(rows: Iterable[Row | BrokenRow], row_format: RowFormat) -> RubricLint:
    """Lint the rubrics of rows; those that several rows share are linted once, and all their rows are named."""
    places: dict[tuple[AnyRubric, ...], list[str]] = {}
    broken: dict[str, list[str]] = {}
    for row in rows:
        try:
            own = _own_rubrics(row, row_format)
        except InputError as error:
            broken.setdefault(str(error), []).append(row.place)
        else:
            places.setdefault(own, []).append(row.place)
    findings = [
        RubricFinding(rule="unreadable", rubric="row", message=message, rows=tuple(at), level="error")
        for message, at in broken.items()
    ]
    findings += [replace(one, rows=tuple(at)) for own, at in places.items() for one in lint_rubrics(own)]
    count = sum(map(len, (*places.values(), *broken.values())))
    if not count:
        raise InputError("got no rows; expected rows with a rubric each")
    return RubricLint(findings=tuple(findings), rubrics=tuple(one for own in places for one in own), num_rows=count)


def check_names(rubrics: Sequence[AnyRubric]) -> None:
    """Check that judgments can be told apart by their rubrics' names.

    Raises:
        InputError: Two rubrics have one name.
    """
    names = [one.name for one in rubrics]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"got two rubrics of the name {twice!r:.60}; give each its own, or lint them one by one")


def with_use(linted: RubricLint, judged: Sequence[JudgedResponse]) -> RubricLint:
    """Add what judged responses tell of the rubrics."""
    found = (*linted.findings, *lint_use(linted.rubrics, judged))
    return replace(linted, findings=found, num_rows=len(judged))


def matching(judged: Sequence[JudgedResponse], rubrics: Sequence[AnyRubric]) -> list[JudgedResponse]:
    """Return responses with the judgments by these rubrics alone: checklists are known by their criteria.

    Raises:
        InputError: There is none.
    """
    found = [replace(one, judgments=own) for one in judged if (own := _by(one.judgments, rubrics))]
    if not found:
        names = sorted({name for one in judged for name in one.judgments})
        expected = ", ".join(one.name for one in rubrics)
        raise InputError(f"got judgments by {', '.join(names)!r:.80}; expected some by {expected!r:.80}")
    return found


def judge_rows(
    judge: Judge,
    responses: Sequence[tuple[str, GradingRequest]],
    rubrics: Sequence[AnyRubric],
    *,
    on_batch: Callable[[int], None] = lambda _: None,
) -> list[JudgedResponse]:
    """Judge responses by rubrics; those of the responses' own requests are not used.

    Args:
        judge: The judge.
        responses: What `responses_of` returned.
        rubrics: The rubrics and checklists.
        on_batch: Called after each call of the judge with the number of its gradings.
    """
    asked = [replace(request, rubric=rubric) for _, request in responses for rubric in rubrics]
    judgments = iter(grade_all(judge, asked, on_batch=on_batch))
    return [
        JudgedResponse(
            place=place,
            instruction=request.instruction,
            response=request.response,
            judgments={rubric.name: next(judgments) for rubric in rubrics},
        )
        for place, request in responses
    ]


def responses_of(
    rows: Iterable[Row | BrokenRow], rubrics: tuple[AnyRubric, ...], row_format: RowFormat
) -> tuple[list[tuple[str, GradingRequest]], list[BrokenRow]]:
    """Return the responses of rows with their places, and the rows that cannot be read."""
    found, broken = [], []
    for row in rows:
        if isinstance(row, BrokenRow):
            broken.append(row)
            continue
        try:
            found.append((row.place, row_requests(row.values, rubrics, row_format)[0]))
        except InputError as error:
            broken.append(BrokenRow(row.place, str(error)))
    return found, broken


def _own_rubrics(row: Row | BrokenRow, row_format: RowFormat) -> tuple[AnyRubric, ...]:
    if isinstance(row, BrokenRow):
        raise InputError(row.problem)
    if found := Columns(row.values, row_format.columns).own_rubrics():
        return found
    raise RubricError("no rubric; give the row a 'rubric' column, or name its column: --column rubric=NAME")


def _by(judgments: Mapping[str, Judgment], rubrics: Sequence[AnyRubric]) -> dict[str, Judgment]:
    return {rubric.name: one for rubric in rubrics for name, one in judgments.items() if _is_by(rubric, name, one)}


def _is_by(rubric: AnyRubric, name: str, judgment: Judgment) -> bool:
    if not isinstance(rubric, Checklist):
        return rubric.name == name and not judgment.parts
    texts = {leaf.name: leaf.text for leaf in rubric.leaves()}  # a log of an older release has no texts
    return list(texts) == [part.name for part in judgment.parts] and all(
        part.text in ("", texts[part.name]) for part in judgment.parts
    )
