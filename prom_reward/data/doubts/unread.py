"""The columns of a row that nobody read although their meaning is known."""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache

from prom_reward.data.cells import is_empty, stands_in, texts_of
from prom_reward.data.columns import COLUMN_NAMES, Columns, spelling, value_at
from prom_reward.data.doubts.doubtful_answers import AMBIGUOUS, CHOICES, REFERENCE_LIKE
from prom_reward.data.references import single
from prom_reward.rubrics.formats import json_value

QUESTION_PARTS = (
    *(*CHOICES, "constraints", "user_instructions", "persona", "starter_code"),
    *("evidence", "fact", "facts", "hint", "hints", "knowledge", "background", "quotes_0", "quotes_1"),
    *("initial_reason_steps", "previous_steps", "response_prefix", "prefill"),
    *("table", "schema", "paragraphs", "few_shot_examples", "demonstrations", "files", "attachments"),
    "full_conversation",  # the arena's, with the turns before the one that was voted on
    *(f"{name}{end}" for name in ("image", "video", "audio") for end in ("", "s", "_url", "_urls", "_path", "_paths")),
)
"""Parts of a question that no layout reads: without them the judge sees another question."""
_SEVERAL_REFERENCES = (
    *("references", "reference_answers", "golden_answers", "gold_answers", "correct_answers", "ground_truths"),
    "gold",  # often the index of a choice
)

_ULTRAFEEDBACK = {"completions", "correct_answers", "incorrect_answers"}
"""In every row of it; the answers are ["None"] in all but those of TruthfulQA."""

_NESTED = frozenset(
    {
        *("reference", "reference_answer", "reference_response", "reference_solution", "ground_truth", "gold_answer"),
        *("golden_answer", "correct_answer", "expected_answer", "ideal_answer", "best_answer"),
    }
)
"""Names of references that mean one in a mapping too, where `target` or `solution` may be anything."""
_NESTED_ANSWERS = ("answer", "solution")
_NOTES = ("extra_info", "info", "metadata", "meta", "reward_model", "reward_spec")
"""Mappings in which trainers keep references; these names mean one there if the row has no other."""
_CLASSES = re.compile(
    r"true|false|yes|no|(?:un)?desirable|good|bad|positive|negative|neutral|(?:un)?safe|(?:in)?correct|chosen|rejected"
    r"|-?(?:\d|10)(?:\.0+)?|(?-i:[a-z]+(?:[_-]\w+)?)",
    re.I,
)
"""Labels of other kinds: how good a response is, a number on a scale, a language, or any other class in a word."""
_LABELS = ("label", "gold_label", "y_true")
_SPELLED = (
    *("reference", "reference_answer", "reference_response", "reference_output", "reference_solution", "ground_truth"),
    *("expected_answer", "expected_output", "correct_answer", "golden_answer", "ideal_answer", "ideal_response"),
    *("rubric", "rubrics", "score_rubric", "checklist"),
)
"""Names of which a slip of the pen is told; one letter makes another word of shorter ones."""
_UNWARNED_ROLES = ("id", "chosen", "rejected", "winner")
_QUESTION_ROLES = ("prompt", "system", "input", "context", "history", "tools")
_ANSWERS = ("response", "responses")


def unread_columns(columns: Columns) -> list[str]:
    """Return the columns of a row that nobody read although their meaning is known, unless they repeat what was read.

    A name counts however it is written: `Reference Answer` and `referenceAnswer` are known as `reference_answer`.
    """
    taken = {_column(name) for name in columns.read.values()}
    if any(name.startswith("orig_") for name in taken):  # the others are the whole prompt and the judge's answer
        taken |= {"instruction", "input", "output"}
    if columns.values.keys() >= _ULTRAFEEDBACK:
        taken |= _ULTRAFEEDBACK
    seen = _Seen(columns, taken)
    places = [(_place(name, value), name) for name, value in columns.values.items() if name not in taken]
    unread = [name for place, name in sorted(places) if place >= 0 and _says_more(columns, name, seen)]
    nested = [*_nested_references(columns, taken, seen), *_nested_tools(columns)]
    return [*unread, *_label(columns, taken), *nested, *_own_systems(columns)]


def _label(columns: Columns, taken: set[str]) -> Iterator[str]:
    """Yield a `label` in words or digits beside a response, as slime and OpenRLHF name the reference."""
    if {"chosen", "winner", "reference_answer"}.isdisjoint(columns.by_role()):
        yield from (name for name in _LABELS if name not in taken and _may_be_reference(columns.values.get(name)))


def _may_be_reference(label: object) -> bool:
    """Whether a label is a text or a whole number, perhaps in a list, that is no class and no score."""
    value = single(label)
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return bool(text) and not _CLASSES.fullmatch(text)


def _nested_tools(columns: Columns) -> Iterator[str]:
    """Yield the tools beside OpenAI's messages."""
    if columns.read.get("prompt") == "input.messages" and not is_empty(value_at(columns.values, "input.tools")):
        yield "input.tools"


def _nested_references(columns: Columns, taken: set[str], seen: "_Seen") -> Iterator[str]:
    """Yield the paths of references in mappings, as in verl's `extra_info`, unless they repeat what was read."""
    for name, value in columns.values.items():
        mapping = None if name in taken else json_value(value) if isinstance(value, str) else value
        if isinstance(mapping, Mapping):
            found = [(key, str(text).strip()) for key, text in mapping.items() if _is_said(text)]
            is_alone = "reference_answer" not in columns.read and _NESTED.isdisjoint(spelling(key) for key, _ in found)
            known = (*_NESTED, *(_NESTED_ANSWERS if name in _NOTES and is_alone else ()))
            yield from (
                f"{name}.{key}"
                for key, text in found
                if text and spelling(key) in known and not stands_in(text, seen.references)
            )


def _is_said(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


class _Seen:
    """The texts that were read from a row, gathered when they are asked for.

    Args:
        columns: The row.
        taken: The columns that were read.
    """

    def __init__(self, columns: Columns, taken: set[str]) -> None:
        self._columns, self._taken = columns, taken
        self._read = [(role.partition(":")[0], _column(name)) for role, name in columns.read.items()]

    @cached_property
    def references(self) -> str:
        """The references and rubrics."""
        return _joined(self._columns, {name for role, name in self._read if role in ("reference_answer", "rubric")})

    @cached_property
    def _all(self) -> str:
        return _joined(self._columns, self._taken)

    @cached_property
    def _question(self) -> str:
        others = {name for role, name in self._read if role not in _ANSWERS}
        return _joined(self._columns, self._taken - (self._answer_columns - others))

    @cached_property
    def _answers(self) -> set[str]:
        return {text.strip() for text in texts_of([self._columns.values.get(name) for name in self._answer_columns])}

    @property
    def _answer_columns(self) -> set[str]:
        return {name for role, name in self._read if role in _ANSWERS}

    def has(self, text: str, name: str) -> bool:
        """Whether a column's text repeats what was read.

        A reference that equals the response says that it is right; an `answer` may be a copy of it, but if it is only a
        part of it, it is the truth that the response should have.
        """
        written = spelling(name)
        if _is_reference(written):
            return stands_in(text, self.references)
        if written in AMBIGUOUS:
            return text in self._answers or stands_in(text, self._question)
        return stands_in(text, self._question if written in _OF_QUESTIONS else self._all)


def _column(path: str) -> str:
    """Return the column that a path begins with."""
    return path.partition(".")[0].partition("[")[0]


def _joined(columns: Columns, names: set[str]) -> str:
    return "\n".join(texts_of([columns.values.get(name) for name in names]))


_WARNED = [name for role in COLUMN_NAMES if role not in _UNWARNED_ROLES for name in COLUMN_NAMES[role]]
_KNOWN: dict[str, int] = {
    spelling(name): place
    for place, name in reversed(list(enumerate([*_WARNED, *QUESTION_PARTS, *_SEVERAL_REFERENCES])))
}


_REFERENCES = {spelling(name) for name in (*COLUMN_NAMES["reference_answer"], *_SEVERAL_REFERENCES)}
_OF_QUESTIONS = {spelling(name) for role in _QUESTION_ROLES for name in COLUMN_NAMES[role]} | {*QUESTION_PARTS}


def _place(name: str, value: object) -> int:
    """Return the place of a column among those of known meaning; -1 if its meaning is not known."""
    written = spelling(name)
    is_meant = isinstance(value, str | list | tuple | dict) and (_is_reference(written) or _is_slip(written))
    return _KNOWN.get(written, len(_KNOWN) if is_meant else -1)


def _is_reference(written: str) -> bool:
    return written in _REFERENCES or bool(REFERENCE_LIKE.fullmatch(written))


@lru_cache(maxsize=4096)
def _is_slip(written: str) -> bool:
    """Whether a name has one letter more, less or another than one that is known, or two letters changed about."""
    return any(_is_one_letter_off(written, name) for name in _SPELLED if written[:1] == name[:1])


def _is_one_letter_off(word: str, other: str) -> bool:
    shorter, longer = sorted((word, other), key=len)
    if word == other or len(longer) - len(shorter) > 1:
        return False
    at = next((at for at, letter in enumerate(shorter) if letter != longer[at]), len(shorter))
    if len(shorter) < len(longer):
        return shorter[at:] == longer[at + 1 :]
    is_swapped = shorter[at : at + 2] == longer[at : at + 2][::-1] and shorter[at + 2 :] == longer[at + 2 :]
    return is_swapped or shorter[at + 1 :] == longer[at + 1 :]


def _says_more(columns: Columns, name: str, seen: _Seen) -> bool:
    value = columns.values[name]
    if is_empty(value):
        return False
    texts = list(texts_of(value))
    is_medium = not texts and spelling(name) in QUESTION_PARTS
    return is_medium or not all(seen.has(text.strip(), name) for text in texts)


def _own_systems(columns: Columns) -> list[str]:
    """Return UltraFeedback's system texts, which are another for each response."""
    path = f"{columns.read.get('responses', '')}[0].custom_system_prompt"
    return [path] if value_at(columns.values, path) else []
