"""The reference answer in a cell: a text, not what a program checks answers with."""

from collections.abc import Mapping
from typing import Any

from prom_reward.data.advice import reference_as_it_stands
from prom_reward.data.api_texts import api_answer
from prom_reward.data.cells import is_empty, listed_texts, messages_of, number_text
from prom_reward.data.doubts.placeholders import stands_for_none, warn_of_placeholder
from prom_reward.data.row_rubrics import reference_checklist
from prom_reward.errors import RowError
from prom_reward.prompts.content import parsed_text
from prom_reward.prompts.messages import answer_items
from prom_reward.prompts.numpy_text import check_no_numpy_text

_TEST_KEYS = frozenset(
    {
        *(
            "test_cases",
            "testcases",
            "tests",
            "test_list",
            "unit_tests",
            "public_tests",
            "private_tests",
            "assert_case",
        ),
        *("fn_name", "func_name", "instruction_id_list", "instruction_id"),  # APPS' code, and IFEval's constraints
    }
)
_TEST_PAIRS = ({"inputs", "outputs"}, {"input", "output"})


def reference_text(value: Any, name: str, *, is_named: bool = False) -> str | None:
    """Return a reference answer as text; a number is written out; NaN, a blank text and an empty list are none.

    A list of one text is that text, as text too, and so is a message of the assistant.

    Args:
        value: The cell.
        name: Its column, for messages.
        is_named: The caller said that this column is the reference: its text is taken as it stands.

    Raises:
        RowError: It is neither a text nor a number, or a text that may be no answer.
    """
    value = single(value)
    is_blank = not value.strip() if isinstance(value, str) else is_empty(value)
    if is_blank or reference_checklist(value) is not None:
        return None
    if isinstance(value, str):
        check_no_numpy_text(value, name)
        text = value if is_named else _unpacked(value, name)
        if stands_for_none(text):
            warn_of_placeholder(text.strip()[:40])
        return text
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    _check_no_tests(value, name)
    raise RowError(f"got {type(value).__name__} as the reference answer; expected a text")


def single(value: Any) -> Any:
    """Return the one entry of a list of one, and other values as they are."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _unpacked(text: str, name: str) -> str:
    """Return the text of a list of one that is stored as text, and the words of such a message."""
    if not text.strip().startswith(("[", "{")):
        return text
    listed = listed_texts(text) or ()
    if len(listed) == 1:
        return _unpacked(listed[0], name)
    _check_no_tests(parsed_text(text.strip()), name)
    if listed or api_answer(text):
        got = f"a list of {len(listed)} texts" if listed else "an API's whole answer"
        raise RowError(f"got {got} in {name!r}, {text.strip()!r:.60}; expected one answer: {_remedy(name)}")
    messages = messages_of(answer_items(text) or [])
    if not messages or messages[-1].role != "assistant":
        return text
    return "\n".join(filter(None, [messages[-1].text, *messages[-1].calls])) or text


def _check_no_tests(value: Any, name: str) -> None:
    """Refuse tests of a program, and constraints on an answer, which the judge would take for the best answer."""
    items = value if isinstance(value, list) else [value]
    keys = [set(item) if isinstance(item, Mapping) else set() for item in items]
    are_asserts = bool(items) and all(isinstance(one, str) and one.lstrip().startswith("assert ") for one in items)
    pairs = _TEST_PAIRS if isinstance(value, list) else _TEST_PAIRS[:1]
    if are_asserts or any(one & _TEST_KEYS or any(pair <= one for pair in pairs) for one in keys):
        raise RowError(
            f"got tests or constraints in {name!r}, {value!r:.60}; expected an answer that deserves the highest score: "
            f"drop the column, or {_remedy(name)}"
        )


def _remedy(name: str) -> str:
    return f"name another column as the reference; {reference_as_it_stands(name)}"
