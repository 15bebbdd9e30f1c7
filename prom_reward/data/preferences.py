"""Rows that name the better one of two answers: which columns hold the answers, and how each verdict is written."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from prom_reward.data.cells import is_missing
from prom_reward.data.columns import Columns
from prom_reward.errors import InputError, RowError

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
    ("messages_a", "messages_b"),  # Search Arena
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
        verdicts = [name for name in VERDICTS if not is_missing(values.get(name))]
        if not verdicts:
            raise RowError(
                f"got {names[0]} and {names[1]} and no column that says which is better; expected one of "
                f"{', '.join(VERDICTS)}, or name both with --column chosen=... --column rejected=..."
            )
        columns.take(*names, verdicts[0])
        return (first, second) if _is_first_better(values, verdicts, names) else (second, first)
    return None


class CountedVerdicts:
    """Finds files whose numbered verdicts count the answers from another number than the columns' names do."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, tuple[str, str]], set[float]] = {}

    def note(self, values: Mapping[str, Any]) -> None:
        """Take in a row."""
        sides = next((pair for pair in SIDES if not any(is_missing(values.get(name)) for name in pair)), None)
        verdict = next((name for name in VERDICTS if not is_missing(values.get(name))), None)
        if sides and verdict and sides[0][-1].isdigit() and verdict not in _SIGNED:
            number = _number(values[verdict])
            if number is not None:
                self._seen.setdefault((verdict, sides), set()).add(number)

    def check(self, where: str) -> None:
        """Refuse a file with verdicts that name neither answer, in which one of the answers is never preferred.

        Raises:
            InputError: Half of its verdicts would be left out, and the others turned round.
        """
        for (verdict, sides), numbers in self._seen.items():
            low, high = (int(name[-1]) for name in sides)
            named = {sides[number >= (low + high) / 2] for number in numbers if low <= number <= high}
            if len(named) == 1 and not all(low <= number <= high for number in numbers):
                shown = ", ".join(f"{number:g}" for number in sorted(numbers)[:5])
                raise InputError(
                    f"{where}: got {verdict} = {shown}, which may count the answers from another number than "
                    f"{sides[0]} and {sides[1]}; expected {low} and {high}: rename these columns, or drop the ties"
                )


def _is_first_better(values: Mapping[str, Any], verdicts: Sequence[str], names: tuple[str, str]) -> bool:
    verdict, *others = verdicts
    value = values[verdict]
    lead = _lead(values, verdict, names)
    if against := next((other for other in others if _lead(values, other, names) * lead < 0), None):
        raise RowError(
            f"got {verdict}={value!r:.40} and {against}={values[against]!r:.40}, which name different answers; "
            "expected one verdict"
        )
    if lead:
        return lead > 0
    numbered = f"{names[0]} or {names[1]}" if names[1][-1].isdigit() else "A or B"
    raise RowError(f"got {verdict}={value!r:.40}, which names neither answer; expected {numbered} (a tie is no pair)")


def _lead(values: Mapping[str, Any], verdict: str, names: tuple[str, str]) -> float:
    """Return a number over 0 if a verdict prefers the first answer, under 0 for the second, 0 if it cannot be told."""
    number = _number(values[verdict])
    return _lead_of_text(values, values[verdict], names) if number is None else _lead_of_number(number, verdict, names)


def _lead_of_number(number: float, verdict: str, names: tuple[str, str]) -> float:
    """As `_lead`, of a number.

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
    """As `_lead`, of a text: a column's name, a model's name of `model_a` or `model_b`, `A`, or `A>B`."""
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
