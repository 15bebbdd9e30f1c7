"""The rubric that a cell of a row holds: its text, a checklist, or the name that a judgment log has of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from prom_reward.data.advice import rubric_for_file, rubric_text
from prom_reward.errors import RubricError
from prom_reward.rubrics.formats import is_rendered, json_value, without_files
from prom_reward.rubrics.reading import AnyRubric, read_rubrics, rubric_digest
from prom_reward.rubrics.rubric import builtin_names, builtin_rubric


def parsed_rubrics(value: Any, column: str) -> tuple[AnyRubric, ...]:
    """Return the rubrics of a cell; a data set may not choose which files are read here, nor which code runs.

    Raises:
        RubricError: They cannot be read; the message names the column.
    """
    try:
        with without_files(rubric_for_file()):
            return read_rubrics(value)
    except RubricError as error:
        raise RubricError(f"column {column!r}: {error}") from error


def may_be_name(value: str) -> bool:
    """Whether a text is no rubric by itself: it is a built-in one's name, or that of one that is not here."""
    if value.strip() in builtin_names():
        return True
    try:
        with without_files("the rubric itself"):
            return not read_rubrics(value)
    except RubricError:
        return not (is_rendered(value) or value.lstrip().startswith("{"))


def named_in_log(name: str, digest: str, known: Sequence[AnyRubric]) -> AnyRubric:
    """Return the rubric of a row that has its name and its digest, but not its text.

    Raises:
        RubricError: No known rubric has the digest.
    """
    texts = [*known, *([builtin_rubric(name.strip())] if name.strip() in builtin_names() else [])]
    found = next((one for one in texts if rubric_digest(one) == digest), None)
    if found is None:
        raise RubricError(
            f"got the rubric's name {name!r:.60} and the digest {digest:.20} of a text that is not here; "
            f"{rubric_text()}"
        )
    return found


def reference_checklist(value: Any) -> Any:
    """Return the checklist that DR Tulu keeps as JSON beside its question; None if the value is an answer."""
    written = json_value(value) if isinstance(value, str) else value
    is_checklist = isinstance(written, Mapping) and not {"rubrics", "rubric", "Answer Critical"}.isdisjoint(written)
    return written if is_checklist else None
