"""Rows with people's verdicts on a checklist's criteria: met or not, perhaps by several annotators."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prom_reward.data.cells import is_missing
from prom_reward.data.columns import Columns, shown_names, value_at
from prom_reward.data.formats import Example
from prom_reward.errors import RowError, near_miss, number_of
from prom_reward.files import RepeatedKeyError, unique_keys
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.checklists.criterion import Criterion
from prom_reward.rubrics.checklists.forms import written_criteria
from prom_reward.types import GradingRequest

LABEL_COLUMNS = ("binary_labels", "labels", "criteria_met", "met")
"""The first that has a value wins; a criterion may also hold its label itself, under one of the last two."""
_ITEM_KEYS = LABEL_COLUMNS[2:]
_VERDICTS = {
    "true": True,
    "yes": True,
    "met": True,
    "1": True,
    "false": False,
    "no": False,
    "not met": False,
    "0": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledChecklist:
    """A response with people's verdicts on criteria."""

    request: GradingRequest
    """The response, by a checklist of the labeled criteria alone: a flat one, without prerequisites and gates."""
    labels: Mapping[str, tuple[bool, ...]]
    """For each criterion's name what its annotators said, at least one each."""
    cluster: str
    """The question or document that it belongs to."""
    group: str = ""
    """The part of the data that it is reported under."""

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The labeled criteria."""
        assert isinstance(self.request.rubric, Checklist)
        return self.request.rubric.leaves()


def has_verdicts(columns: Columns, column: str | None) -> bool:
    """Whether a row has a column of verdicts."""
    return verdict_column(columns.values, column) is not None


def text_as_criterion(columns: Columns) -> None:
    """Make a rubric that is one sentence the only criterion of a checklist, as in HealthBench's meta-evaluation."""
    text = columns.get("rubric")
    if (
        isinstance(text, str)
        and "\n" not in text.strip()
        and len(text.split()) > 1
        and not text.lstrip().startswith(("[", "{"))
    ):
        columns.values = {**columns.values, columns.read["rubric"]: [text]}


def labeled_checklist(
    example: Example, request: GradingRequest, checklist: Checklist, *, column: str | None, cluster: str, group: str
) -> LabeledChecklist:
    """Return a row's verdicts; criteria that code decides, and those without a verdict, are left out.

    Args:
        example: The row.
        request: The row's request by the checklist.
        checklist: The checklist.
        column: The column of the verdicts; None takes the known ones. It has a verdict for each criterion, in order or
            by name, and for a single criterion one verdict, or one an annotator. A verdict is true or false, 1 or 0,
            yes or no, met or not met, or a list of these by several annotators.
        cluster: The question that the row belongs to.
        group: The part of the data that it belongs to.

    Raises:
        RowError: There are no verdicts, they are for other criteria, or one is none.
    """
    labels = _labels(example.columns, checklist.leaves(), column)
    kept = [one for one in checklist.asked() if labels.get(one.name)]
    if not kept:
        raise RowError("got verdicts on no criterion that a judge decides; expected some that are not null")
    return LabeledChecklist(
        request=replace(request, rubric=Checklist(name=checklist.name, criteria=tuple(kept))),
        labels={leaf.name: labels[leaf.name] for leaf in kept},
        cluster=cluster or request.instruction,
        group=group,
    )


def _labels(columns: Columns, leaves: Sequence[Criterion], column: str | None) -> dict[str, tuple[bool, ...]]:
    name = verdict_column(columns.values, column)
    given = columns.values[name] if name is not None else None if column else _inside(columns, leaves)
    if given is None:
        raise RowError(
            f"no verdicts on the criteria; got the columns {shown_names(columns.values)}, expected one of "
            f"{', '.join((column,) if column else LABEL_COLUMNS)}"
        )
    given = _written(given)
    found = _by_name(given, leaves) if isinstance(given, Mapping) else _in_order(given, leaves)
    return {name: _verdicts(value, name) for name, value in found.items()}


def _written(value: Any) -> Any:
    """Return what a text holds as JSON, as a CSV file's cells do, and any other value as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value, object_pairs_hook=unique_keys)
    except RepeatedKeyError as error:
        raise RowError(f"got verdicts with {error}") from None
    except (ValueError, RecursionError):
        return value


def verdict_column(values: Mapping[str, Any], column: str | None) -> str | None:
    """Return the column of a row's verdicts: the named one, else the first known one that has a value."""
    columns = (column,) if column else LABEL_COLUMNS
    return next((name for name in columns if not is_missing(values.get(name))), None)


def _inside(columns: Columns, leaves: Sequence[Criterion]) -> list[Any] | None:
    """Return the verdicts that stand in the criteria themselves, None if there are none."""
    items = written_criteria(value_at(columns.values, columns.read.get("rubric", "")))
    if len(items) != len(leaves):
        return None
    verdicts = [
        next((item[key] for key in _ITEM_KEYS if item.get(key) is not None), None)
        for item in items
        if isinstance(item, Mapping)
    ]
    return verdicts if len(verdicts) == len(leaves) and any(one is not None for one in verdicts) else None


def _by_name(given: Mapping[Any, Any], leaves: Sequence[Criterion]) -> dict[str, Any]:
    names = {_spaced(leaf.text): leaf.name for leaf in leaves} | {leaf.name: leaf.name for leaf in leaves}
    verdicts: dict[str, Any] = {}
    for key, value in given.items():
        if is_missing(value):
            continue  # Arrow pads structs
        name = names.get(str(key)) or names.get(_spaced(str(key)))
        if name is None:
            raise RowError(f"got a verdict on {key!r:.60}, which is no criterion.{near_miss(str(key), names)}")
        if name in verdicts:
            raise RowError(f"got two verdicts on {name!r:.60}; expected one, or a list of several annotators'")
        verdicts[name] = value
    return verdicts


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _in_order(given: Any, leaves: Sequence[Criterion]) -> dict[str, Any]:
    if len(leaves) == 1:
        is_wrapped = isinstance(given, list | tuple) and len(given) == 1
        return {leaves[0].name: given[0] if is_wrapped else given}
    if not isinstance(given, list | tuple) or len(given) != len(leaves):
        shown = number_of(len(given), "verdict") if isinstance(given, list | tuple) else repr(given)[:40]
        raise RowError(f"got {shown} for {len(leaves)} criteria; expected one for each, null if there is none")
    return {leaf.name: value for leaf, value in zip(leaves, given, strict=True)}


def _verdicts(value: Any, name: str) -> tuple[bool, ...]:
    listed = value if isinstance(value, list | tuple) else [value]
    verdicts = [_VERDICTS.get(str(one).strip().lower().removesuffix(".0")) for one in listed if not is_missing(one)]
    if None in verdicts:
        raise RowError(f"got {value!r:.60} as the verdict on {name!r:.60}; expected true or false, or a list of these")
    return tuple(one for one in verdicts if one is not None)
