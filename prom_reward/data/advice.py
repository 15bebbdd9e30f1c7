"""The advice in errors about rows: options and arguments, or the fields of the request that the row came in."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from prom_reward.rubrics.formats import without_files

_IS_OF_REQUEST = ContextVar("is_of_request", default=False)


@contextmanager
def of_request() -> Iterator[None]:
    """Advise clients of a server, which have no options and may name no files of its machine."""
    token = _IS_OF_REQUEST.set(True)
    try:
        with without_files(rubric_for_file()):
            yield
    finally:
        _IS_OF_REQUEST.reset(token)


def column_as_rubric(name: str) -> str:
    """Return how a column becomes the rubric's."""
    if _IS_OF_REQUEST.get():
        return "send it as 'rubric'"
    return f"name it with --column rubric={name}, or with rubric_column= in a reward, or rename it"


def reference_as_it_stands(name: str) -> str:
    """Return how a column's text becomes the reference although it looks like something else."""
    if _IS_OF_REQUEST.get():
        return "send it in words if it is an answer"
    return f"--column reference_answer={name}, or reference_column= in a reward, takes it as it stands"


def rubric_for_file() -> str:
    """Return what to give in place of a rubric's file."""
    if _IS_OF_REQUEST.get():
        return "the rubric itself in a request"
    return "the rubric itself, or the file for all rows as --rubric or rubric="


def rubric_text() -> str:
    """Return how to give a rubric's text."""
    return "send the text as 'rubric'" if _IS_OF_REQUEST.get() else "give the text with --rubric or rubric="


def any_rubric() -> str:
    """Return how to give a rubric if there is none."""
    forms = "a built-in name such as 'helpfulness', or a rubric of your own"
    if _IS_OF_REQUEST.get():
        return f"send 'rubric' in each row ({forms}), or ask for a server with one"
    return f"pass rubric= ({forms}), or rubric_column="
