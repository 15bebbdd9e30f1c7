"""Rows that name the better one of two answers: which columns hold the answers, and how each verdict is written."""

import re
from collections.abc import Mapping
from typing import Any

from prom_reward.data.cells import is_missing
from prom_reward.data.columns import Columns
from prom_reward.errors import RowError

SIDES = (
    ("orig_response_A", "orig_response_B"),  # Preference-Collection
    ("response_A", "response_B"),
    ("response_a", "response_b"),
    ("output_1", "output_2"),  # LLMBar, AlpacaEval
    ("output_a", "output_b"),
    ("response_1", "response_2"),
    ("response1", "response2"),  # HelpSteer3, PandaLM
    ("response_0", "response_1"),  # PKU-SafeRLHF
    ("answer_a", "answer_b"),
    ("answer_1", "answer_2"),
    ("completion_a", "completion_b"),
    ("human_ref_A", "human_ref_B"),  # SHP
    ("conversation_a", "conversation_b"),  # Arena
)
"""The columns of the two answers; the first pair that a row has wins."""
VERDICTS = (
    *("orig_preference", "preference", "winner", "label", "labels", "overall_preference", "preference_strength"),
    *("judgment", "better_response_id"),
)
"""The columns that name the better answer."""

_SIGNED = ("overall_preference", "preference_strength")  # HelpSteer2 and 3: negative for the first answer
_FIRST = re.compile(r"(?:model|response|answer|output|assistant)?[ _]?a|a\s*(?:>+|≻)\s*b", re.IGNORECASE)
_SECOND = re.compile(
    r"(?:model|response|answer|output|assistant)?[ _]?b|b\s*(?:>+|≻)\s*a|a\s*(?:<+|≺)\s*b", re.IGNORECASE
)


def voted_sides(columns: Columns) -> tuple[Any, Any] | None:
    """Return the better and the other answer of a row; None if it does not have two answers.

    Raises:
        RowError: No column says which is better, or it prefers neither.
    """
    values = columns.values
    for names in SIDES:
        first, second = (values.get(name) for name in names)
        if is_missing(first) or is_missing(second):
            continue
        verdict = next((name for name in VERDICTS if not is_missing(values.get(name))), None)
        if verdict is None:
            raise RowError(
                f"got {names[0]} and {names[1]} and no column that says which is better; expected one of "
                f"{', '.join(VERDICTS)}, or name both with --column chosen=... --column rejected=..."
            )
        columns.take(*names, verdict)
        return (first, second) if _is_first_better(values, verdict, names) else (second, first)
    return None


def _is_first_better(values: Mapping[str, Any], verdict: str, names: tuple[str, str]) -> bool:
    value = values[verdict]
    number = _number(value)
    lead = _lead_of_text(values, value, names) if number is None else _lead_of_number(number, verdict, names)
    if lead:
        return lead > 0
    numbered = f"{names[0]} or {names[1]}" if names[1][-1].isdigit() else "A or B"
    raise RowError(f"got {verdict}={value!r:.40}, which names neither answer; expected {numbered} (a tie is no pair)")


def _lead_of_number(number: float, verdict: str, names: tuple[str, str]) -> float:
    """Return a number over 0 if the first answer is better, under 0 for the second, 0 if it cannot be told.

    Numbers are the answers' own (`response_0`, `output_1`): 1.9 is nearer to 2, as AlpacaEval writes it. Answers with
    letters have no numbers, except that SHP's `labels` is 1 for A and 0 for B.
    """
    if verdict in _SIGNED:
        return -number
    if names == ("human_ref_A", "human_ref_B"):
        return 2 * number - 1 if number in (0, 1) else 0
    if not names[0][-1].isdigit() or not int(names[0][-1]) <= number <= int(names[1][-1]):
        return 0
    return int(names[0][-1]) + 0.5 - number


def _lead_of_text(values: Mapping[str, Any], value: Any, names: tuple[str, str]) -> float:
    """As `_lead_of_number`, of a text: a column's name, a model's name of `model_a` or `model_b`, `A`, or `A>B`."""
    text = str(value).strip().strip("[]").strip() if isinstance(value, str) else ""
    models = tuple(values.get(name) for name in ("model_a", "model_b"))
    for pair in (names, models):
        if text and pair[0] != pair[1] and text in pair:
            return 1 if text == pair[0] else -1
    return 1 if _FIRST.fullmatch(text) else -1 if _SECOND.fullmatch(text) else 0


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
