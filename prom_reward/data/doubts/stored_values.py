"""Refuses cells that would be judged as texts: lists that numpy printed, and whole answers of APIs."""

from prom_reward.data.advice import reference_as_it_stands
from prom_reward.data.api_texts import api_answer
from prom_reward.data.columns import Columns, value_at
from prom_reward.errors import RowError
from prom_reward.prompts.numpy_text import check_no_numpy_text

_ANSWERS = ("response", "responses", "chosen", "rejected", "pair")


def check_no_stored_values(columns: Columns) -> None:
    """Refuse a row if a column that was read holds a list as numpy prints it, or an answer is an API's in text form.

    An answer or a reference that the caller named is taken as it stands.

    Raises:
        RowError: It is so.
    """
    for read_as, name in columns.read.items():
        role, value = read_as.partition(":")[0], value_at(columns.values, name)
        is_answer = role in _ANSWERS
        if columns.is_named(role) and (is_answer or role == "reference_answer"):
            continue
        if isinstance(value, str):
            check_no_numpy_text(value, name, _otherwise(role, name))
        if is_answer:
            _check_no_api_answer(value, name, role)


def _otherwise(role: str, name: str) -> str:
    """Return how a cell is taken as it stands, for a message's end; empty for roles that always are read."""
    if role == "reference_answer":
        return f"; {reference_as_it_stands(name)}"
    return f"; --column {role}={name} takes it as it stands" if role in _ANSWERS[:-1] else ""


def _check_no_api_answer(value: object, name: str, role: str) -> None:
    """Refuse an API's whole answer as text: it may be what the question asks for, or hold the words to judge."""
    texts = value if isinstance(value, list | tuple) else [value]
    for text in texts:
        if isinstance(text, str) and (path := api_answer(text)) is not None:
            step = path if path.startswith("[") else f".{path}"
            is_reached = path and texts is not value and role != "pair"
            raise RowError(
                f"got an API's whole answer in {name!r}, {text.strip()!r:.60}; expected its words: "
                f"{f'name them with --column {role}={name}{step}' if is_reached else 'write them alone'}"
                f"{_otherwise(role, name)}"
            )
