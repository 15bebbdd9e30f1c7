"""The reference answer in a cell: a text, not what a program checks answers with."""

import logging
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from prom_reward.data.advice import reference_as_it_stands
from prom_reward.data.api_texts import api_answer
from prom_reward.data.cells import is_blank, listed_texts, number_text
from prom_reward.data.doubts.placeholders import stands_for_none, warn_of_placeholder
from prom_reward.data.row_rubrics import reference_checklist
from prom_reward.errors import RowError
from prom_reward.prompts.content import parsed_text
from prom_reward.prompts.messages import answer_items
from prom_reward.prompts.numpy_text import check_no_numpy_text
from prom_reward.thinking import split_thoughts

logger = logging.getLogger(__name__)

_TEST_KEYS = frozenset(
    {
        *("test_cases", "testcases", "test_list", "unit_tests", "public_tests", "private_tests", "assert_case"),
        *("fn_name", "func_name", "instruction_id_list", "instruction_id"),  # APPS' code, and IFEval's constraints
    }
)
_MAYBE_TESTS = ("tests", "functional")
_CASES = (("inputs", "outputs"), ("stdin", "stdout"), ("stdin", "expected_output"))
"""Keys of tests, whose values are lists of one length."""
_ASSERT = re.compile(r"\s*assert .*[(=<>]")
_CHECK = re.compile(r"^def check\(candidate\b", re.MULTILINE)
"""HumanEval's tests."""
_PROGRAM_DATA = re.compile(r"[\d\s.,-]*|.*\n", re.DOTALL)
"""Keys of a program's input and output, other than the words of an example."""


def reference_text(value: Any, name: str, *, is_named: bool = False, include_reasoning: bool = False) -> str | None:
    """Return a reference answer as text; a number is written out; NaN, a blank text and an empty list are none.

    A list of one text is that text. A list or a message that is stored as text stays as it stands: the question may
    ask for it.

    Args:
        value: The cell.
        name: Its column, for messages.
        is_named: The caller said that this column is the reference: its text is taken as it stands, but for
            thoughts.
        include_reasoning: Keep thoughts, which are left out of references as of responses.

    Raises:
        RowError: It is neither a text nor a number, or a text that may be no answer.
    """
    cell, value = value, single(value)
    if is_blank(value) or reference_checklist(value) is not None:
        return None
    if isinstance(value, str):
        text = value if include_reasoning else answer_alone(value, name)
        if not is_named:
            _check_text(text, name)
        if stands_for_none(text):
            warn_of_placeholder(text.strip()[:40])
        return text
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    _check_no_tests(cell, name)
    raise RowError(f"got {type(value).__name__} as the reference answer; expected a text")


def answer_alone(text: str, name: str) -> str:
    """Return the answer after a reasoning model's thoughts; a text without thoughts as it is.

    Args:
        text: An answer of a row that was not written for it, such as a reference.
        name: Its column, for messages.

    Raises:
        RowError: It is thoughts alone.
    """
    answer = split_thoughts(text).answer
    if not answer.strip():
        raise RowError(f"got thoughts without an answer in {name!r}, {text!r:.60}; expected an answer after them")
    return answer


def single(value: Any) -> Any:
    """Return the one entry of a list of one, and other values as they are."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _check_text(text: str, name: str) -> None:
    """Refuse a text that is no answer, and tell one that may be a list or a message in text form."""
    check_no_numpy_text(text, name, f"; {reference_as_it_stands(name)}")
    _check_no_tests(text, name)
    stripped = text.strip()
    if not stripped.startswith(("[", "{")):
        return
    _check_no_tests(parsed_text(stripped), name)
    if api_answer(text) is not None:
        raise RowError(f"got an API's whole answer in {name!r}, {stripped!r:.60}; expected one answer: {_remedy(name)}")
    if listed_texts(text) or answer_items(text):
        _warn_of_text_form(name)


@cache
def _warn_of_text_form(name: str) -> None:
    """Say, once for each column in a process, that a reference is a list or a message in text form."""
    logger.warning(
        "a reference answer in %r is a list or a message as text, which the judge reads as it stands; if the answer is "
        "the words in it, write the words alone",
        name,
    )


def _check_no_tests(value: Any, name: str) -> None:
    """Refuse tests of a program, and constraints on an answer, which the judge would take for the best answer."""
    if _are_tests(value):
        raise RowError(
            f"got tests or constraints in {name!r}, {value!r:.60}; expected an answer that deserves the highest score: "
            f"drop the column, or {_remedy(name)}"
        )


def _are_tests(value: Any) -> bool:
    if isinstance(value, str):
        lines = [line for line in value.splitlines() if line.strip()]
        are_asserts = bool(lines) and all(map(_ASSERT.match, lines))
        return are_asserts or _CHECK.search(value) is not None
    if isinstance(value, list | tuple):
        return bool(value) and all(_are_tests(one) or _is_case(one) for one in value)
    if not isinstance(value, Mapping):
        return False
    cases = any(_are_cases(value.get(given), value.get(wanted)) for given, wanted in _CASES)
    return cases or not _TEST_KEYS.isdisjoint(value) or any(_are_tests(value.get(key)) for key in _MAYBE_TESTS)


def _are_cases(given: Any, wanted: Any) -> bool:
    """Whether two values are the inputs and the outputs of tests; a function's parameters are mappings."""
    are_lists = isinstance(given, list) and isinstance(wanted, list) and 0 < len(given) == len(wanted)
    return are_lists and not any(isinstance(one, Mapping) for one in (*given, *wanted))


def _is_case(value: Any) -> bool:
    """Whether an entry of a list is a test; an example in words may have an `input` and an `output` too."""
    if not isinstance(value, Mapping):
        return False
    if {"stdin", "stdout"} <= value.keys() or {"input", "output", "testtype"} <= value.keys():
        return True
    texts = (value.get("input"), value.get("output"))
    return all(isinstance(text, str) and _PROGRAM_DATA.fullmatch(text) for text in texts)


def _remedy(name: str) -> str:
    return f"name another column as the reference; {reference_as_it_stands(name)}"
