"""Rows that name the better one of two answers: which columns hold the answers, and how each verdict is written."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from prom_reward.data.cells import is_missing
from prom_reward.data.columns import COLUMN_NAMES, Columns, shown_names, value_at
from prom_reward.errors import InputError, RowError

logger = logging.getLogger(__name__)

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
    ("answer_0", "answer_1"),  # WebGPT
    ("answer_1", "answer_2"),
    ("completion_a", "completion_b"),
    ("human_ref_A", "human_ref_B"),  # SHP
    ("conversation_a", "conversation_b"),  # Arena
    ("messages_a", "messages_b"),  # Search Arena
    ("summaries[0]", "summaries[1]"),  # OpenAI's summaries
)
"""The columns of the two answers; the first pair that a row has wins."""

_SIGNED = ("overall_preference", "preference_strength")  # HelpSteer2 and 3: negative for the first answer
_STRONGEST = 3  # of theirs
_ENOUGH = 8  # rows of which some should prefer the first answer
_POINTS = {"winner_model_a": "winner_model_b", "score_0": "score_1"}  # the arena's and WebGPT's: the higher one wins
_OFTEN_LABELS = ("label", "labels", "judgment", "choice", "score_0")  # they never stand in for a verdict that is null
_ONLY_BESIDE = {"score_0": ("answer_0", "answer_1")}  # elsewhere a score may be of anything
_MEANINGS = ("better_response_id", "safer_response_id")  # verdicts that do not mean the same
_LAST = re.compile(r"(\w)(\]?)$")
_FIRST = re.compile(r"(?:model|response|answer|output|assistant)?[ _]?a|a\s*(?:>+|≻)\s*b", re.IGNORECASE)
_SECOND = re.compile(
    r"(?:model|response|answer|output|assistant)?[ _]?b|b\s*(?:>+|≻)\s*a|a\s*(?:<+|≺)\s*b", re.IGNORECASE
)
_TIE = re.compile(r"tie\b.*|both[ _]?(?:bad|good)?|neither|draw|equal|same|a\s*=\s*b", re.IGNORECASE)


def voted_sides(columns: Columns) -> tuple[Any, Any] | None:
    """Return the better and the other answer of a row; None if it does not have two answers.

    Raises:
        RowError: No column says which is better, several say different things, or it prefers neither.
    """
    values, names = columns.values, _sides(columns.values)
    if names is None:
        if columns.is_named("winner"):
            raise RowError(
                f"got {shown_names(values)}; expected two answers for the winner, as {' and '.join(SIDES[2])}"
            )
        return None
    columns.get("winner")  # RowError if a column is named that the row does not have
    columns.forget("winner")
    verdicts = _verdicts(columns, names)
    _check_one_verdict(values, verdicts, names)
    lead = _lead(values, verdicts[0], names)
    if not lead:
        raise RowError(_undecided(values, verdicts[0], names, is_tie=lead == 0))
    columns.take("pair", *names)
    columns.take("winner", *_written_in(verdicts[0]))
    first, second = (value_at(values, name) for name in names)
    return (first, second) if lead > 0 else (second, first)


def check_no_verdict(columns: Columns) -> None:
    """Refuse one side of a pair beside two answers: it may say which of these is better, as `preferred: B`.

    Raises:
        RowError: It is so.
    """
    names = _sides(columns.values)
    found = [columns.read[role] for role in ("chosen", "rejected") if columns.get(role) is not None]
    if names and len(found) == 1:
        raise RowError(
            f"got {names[0]}, {names[1]} and {_shown(columns.values, found[0])}, which may say which is better; if it "
            f"does, name it with --column winner={found[0]}; else name both answers with --column chosen=... --column "
            "rejected=..."
        )


def better_answers(columns: Columns) -> Iterator[tuple[str, str]]:
    """Yield each verdict of a row on two answers in columns of their own, and the better one's; ties are none."""
    names = _sides(columns.values)
    for verdict in _verdicts(columns, names) if names else ():
        if names and (lead := _lead(columns.values, verdict, names)):
            yield verdict, names[lead < 0]


class NumberedVerdicts:
    """Finds files whose verdicts are numbers that mean something else than they are read as.

    Args:
        named: Columns by role that the caller named.
    """

    def __init__(self, named: Mapping[str, str] | None = None) -> None:
        self._named = named
        self._seen: dict[tuple[str, tuple[str, str]], Counter[float]] = {}

    def note(self, values: Mapping[str, Any]) -> None:
        """Take in a row."""
        names = _sides(values)
        verdict = next(iter(_verdicts(Columns(values, self._named), names)), None) if names else None
        if names and verdict and (_numbers(names) or verdict in _SIGNED) and verdict not in _POINTS:
            number = number_in(value_at(values, verdict))
            if number is not None:
                self._seen.setdefault((verdict, names), Counter())[number] += 1

    def check(self, where: str) -> None:
        """Refuse a file whose verdicts do not number its answers; warn of signed ones without a negative number.

        Raises:
            InputError: Some of its verdicts would be left out, and others perhaps turned round.
        """
        if problem := self.problem(where):
            raise InputError(problem)
        for (verdict, sides), numbers in self._seen.items():
            if verdict in _SIGNED and min(numbers) >= 0 and max(numbers) > 0 and numbers.total() >= _ENOUGH:
                logger.warning(
                    "%s: got %s = %s, never under 0: the column is read as signed, so that %s is never better",
                    *(where, verdict, _shown_numbers(numbers), sides[0]),
                )

    def problem(self, where: str) -> str:
        """Return the reason to refuse a file; empty if there is none."""
        problems = (
            (_problem_of_signed if verdict in _SIGNED else _problem_of_counted)(
                numbers, sides, f"{where}: got {verdict} = {_shown_numbers(numbers)}"
            )
            for (verdict, sides), numbers in self._seen.items()
        )
        return next(filter(None, problems), "")


def _shown_numbers(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:g}" for number in sorted(numbers)[:7])


def _problem_of_signed(numbers: Iterable[float], sides: tuple[str, str], shown: str) -> str:
    if max(map(abs, numbers)) <= _STRONGEST:
        return ""
    return (
        f"{shown}; expected {-_STRONGEST} to {_STRONGEST}, under 0 if {sides[0]} is better: shift the numbers, or "
        "write A or B into a column 'winner'"
    )


def _problem_of_counted(numbers: Iterable[float], sides: tuple[str, str], shown: str) -> str:
    low, high = _numbers(sides) or (0, 1)
    named = {sides[number >= (low + high) / 2] for number in numbers if low <= number <= high}
    others = {number for number in numbers if not low <= number <= high}
    are_ties = low == 1 and others == {0.0} and len(named) == 2  # as PandaLM's
    if not others or are_ties:
        return ""
    return (
        f"{shown}, which may be a scale, or count the answers from another number than {sides[0]} and {sides[1]}; "
        f"expected {low} and {high}: rename these columns, drop the ties, or write A or B into a column 'winner'"
    )


def _sides(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the columns of a row's two answers; None if it has no two."""
    return next((pair for pair in SIDES if not any(is_missing(value_at(values, name)) for name in pair)), None)


def _verdicts(columns: Columns, names: tuple[str, str]) -> list[str]:
    """Return the columns that say which answer is better."""
    found = columns.having("winner")
    if columns.is_named("winner"):
        return found
    if set(found) <= {*_OFTEN_LABELS} and _null_verdict(columns.values):
        return []
    return [one for one in found if _ONLY_BESIDE.get(one, names) == names]


def _null_verdict(values: Mapping[str, Any]) -> str | None:
    """Return the column of a verdict that is null, and that is nothing else by its name."""
    names = (name for name in COLUMN_NAMES["winner"] if name not in _OFTEN_LABELS)
    return next((name for name in names if name in values and is_missing(values[name])), None)


def _check_one_verdict(values: Mapping[str, Any], verdicts: Sequence[str], names: tuple[str, str]) -> None:
    """Refuse rows with more than two answers, without a verdict, or with verdicts that differ.

    Raises:
        RowError: It is so.
    """
    third = _LAST.sub(lambda last: chr(ord(last[1]) + 1) + last[2], names[1])
    named = "--column chosen=... --column rejected=..."
    if not is_missing(value_at(values, third)):
        raise RowError(f"got {names[0]}, {names[1]} and {third}; expected two answers: name both with {named}")
    if not verdicts:
        null = _null_verdict(values)
        problem = f"no verdict: {null!r} is null" if null else "no column that says which is better"
        raise RowError(
            f"got {names[0]} and {names[1]} and {problem}; {'leave the row out, or ' if null else ''}name it with "
            f"--column winner=..., or both answers with {named}"
        )
    lead = _lead(values, verdicts[0], names) or 0
    against = next((other for other in verdicts[1:] if (_lead(values, other, names) or 0) * lead < 0), None)
    both = (verdicts[0], against) if against else _MEANINGS if {*_MEANINGS} <= {*verdicts} else None
    if both:
        raise RowError(
            f"got {_shown(values, both[0])} and {_shown(values, both[1])}, verdicts that may name different answers; "
            f"choose one: --column winner={both[0]} or --column winner={both[1]}"
        )


def _undecided(values: Mapping[str, Any], verdict: str, names: tuple[str, str], *, is_tie: bool) -> str:
    """Say why a verdict names no better answer."""
    shown = " and ".join(_shown(values, name) for name in _written_in(verdict))
    if is_tie:
        return f"got {shown}: a tie, which is no pair"
    numbered = f"{names[0]} or {names[1]}" if _numbers(names) else "A or B"
    return f"got {shown}, which names neither answer; expected {numbered}"


def _shown(values: Mapping[str, Any], name: str) -> str:
    return f"{name}={value_at(values, name)!r:.40}"


def _written_in(verdict: str) -> list[str]:
    """Return all columns of a verdict."""
    return [verdict, *([_POINTS[verdict]] if verdict in _POINTS else [])]


def _numbers(names: tuple[str, str]) -> tuple[int, int] | None:
    """Return the numbers of two answers, as of `response_0` and `response_1`; None if they have letters."""
    found = [match[1] for name in names if (match := _LAST.search(name))]
    return (int(found[0]), int(found[1])) if all(one.isdigit() for one in found) else None


def _lead(values: Mapping[str, Any], verdict: str, names: tuple[str, str]) -> float | None:
    """Return how a verdict decides.

    Returns:
        Over 0 if it prefers the first answer, under 0 for the second, 0 for a tie, None if it cannot be told.
    """
    value = value_at(values, verdict)
    if verdict in _POINTS:
        first, second = (
            number_in(float(one) if isinstance(one, bool) else one)
            for one in (value, value_at(values, _POINTS[verdict]))
        )
        return None if first is None or second is None else first - second
    number = number_in(value)
    return _lead_of_text(values, value, names) if number is None else _lead_of_number(number, verdict, names)


def _lead_of_number(number: float, verdict: str, names: tuple[str, str]) -> float | None:
    """As `_lead`, of a number.

    Numbers are the answers' own (`response_0`, `output_1`): 1.9 is nearer to 2, as AlpacaEval writes it. Answers with
    letters have no numbers, except that SHP's `labels` is 1 for A and 0 for B.
    """
    if verdict in _SIGNED:
        return -number
    if names == ("human_ref_A", "human_ref_B"):
        return 2 * number - 1 if number in (0, 1) else None
    numbers = _numbers(names)
    if numbers is None or not numbers[0] <= number <= numbers[1]:
        return None
    return sum(numbers) / 2 - number


def _lead_of_text(values: Mapping[str, Any], value: Any, names: tuple[str, str]) -> float | None:
    """As `_lead`, of a text: a column's name, a model's name of `model_a` or `model_b`, `A`, or `A>B`."""
    text = str(value).strip().strip("[]").strip() if isinstance(value, str) else ""
    models = tuple(values.get(name) for name in ("model_a", "model_b"))
    for pair in (names, models):
        if text and pair[0] != pair[1] and text in pair:
            return 1 if text == pair[0] else -1
    return 1 if _FIRST.fullmatch(text) else -1 if _SECOND.fullmatch(text) else 0 if _TIE.fullmatch(text) else None


def number_in(value: Any) -> float | None:
    """Return a finite number, perhaps written as a text; None if a value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None  # "nan" and "inf", as tables write them
