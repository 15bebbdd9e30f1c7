"""Reads what a data set or a user gives as a rubric: one with levels, or a checklist."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from prom_reward.errors import RubricError
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.checklists.forms import looks_like_checklist, parse_checklist
from prom_reward.rubrics.formats import check_weights, file_value, is_rubric_file
from prom_reward.rubrics.padding import held_keys
from prom_reward.rubrics.rubric import Rubric, parse_rubrics

AnyRubric = Rubric | Checklist
"""Either kind of rubric."""
RubricLike = str | Path | Mapping[str, Any] | Sequence[Any] | AnyRubric
"""The types of all forms that `read_rubrics` reads."""


def read_rubrics(value: Any) -> tuple[AnyRubric, ...]:
    """Read one rubric or checklist, or several.

    Args:
        value: A checklist in any form of `parse_checklist`, a rubric in any form of `Rubric.parse`, a mapping
            `{"rubric": any of these, "weight": w, "name": n}`, a YAML or JSON file with any of these, or a list.

    Raises:
        RubricError: It is none of these, or is broken.
        ConfigError: A file does not exist or is no YAML.
    """
    return _read(value, allows_code=False)


def _read(value: Any, *, allows_code: bool) -> tuple[AnyRubric, ...]:
    """Read rubrics; `allows_code` holds inside of a user's own file."""
    if is_rubric_file(value):
        return _read_file(value)
    if isinstance(value, Rubric | Checklist):
        return (value,)
    if looks_like_checklist(value):
        return (parse_checklist(value, allows_code=allows_code),)
    if isinstance(value, Mapping) and (inner := _weighted(value, allows_code=allows_code)):
        return (inner,)
    if isinstance(value, list | tuple) and value:
        check_weights(value)
        return tuple(one for item in value for one in _read(item, allows_code=allows_code))
    return parse_rubrics(value)


def _read_file(path: Any) -> tuple[AnyRubric, ...]:
    value = file_value(path)
    try:
        read = _read(value, allows_code=True)
        for check in (check for one in read if isinstance(one, Checklist) for check in one.imported_checks):
            check.load()
    except RubricError as error:
        raise RubricError(f"{path}: {error}") from error
    return read


def only_levels(rubrics: Sequence[AnyRubric], user: str) -> tuple[Rubric, ...]:
    """Return rubrics with levels as they are.

    Raises:
        RubricError: One is a checklist, which the user, a command, does not take.
    """
    leveled = [one for one in rubrics if isinstance(one, Rubric)]
    if len(leveled) < len(rubrics):
        raise RubricError(f"got a checklist; {user} takes rubrics with levels: 'criteria' and 'score1_description'...")
    return tuple(leveled)


def with_levels(rubric: AnyRubric) -> Rubric:
    """Return a rubric with levels as it is.

    Raises:
        RubricError: It is a checklist.
    """
    if isinstance(rubric, Checklist):
        raise RubricError(f"got the checklist {rubric.name!r:.40}; expected a rubric with levels")
    return rubric


def rubric_digest(rubric: AnyRubric) -> str:
    """Return a digest of everything that a rubric's judgments depend on; its name and weight in a reward do not count.

    It stands beside the name in logs, so that a text is never shown for another rubric of that name.
    """
    text = re.sub(r" at 0x[0-9A-Fa-f]+", "", replace(rubric, name="", weight=1.0).text)  # a check that is a function
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def rubric_from_dict(values: Mapping[str, Any]) -> AnyRubric:
    """Read what `to_dict` of a rubric or checklist wrote."""
    return Rubric.parse(values) if "descriptions" in values else parse_checklist(values)


def _weighted(value: Mapping[str, Any], *, allows_code: bool) -> Checklist | None:
    """Return the checklist of `{"rubric": ..., "weight": w}`; None if the mapping holds none."""
    inner = value.get("rubric")
    if not isinstance(inner, Checklist | Mapping | str) or held_keys(value) - {"rubric", "weight", "name"}:
        return None
    read = _read(inner, allows_code=allows_code)
    if len(read) != 1 or not isinstance(read[0], Checklist):
        return None
    own = {name: value[name] for name in ("weight", "name") if value.get(name) is not None}
    return replace(read[0], **own)
