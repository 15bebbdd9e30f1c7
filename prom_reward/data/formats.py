"""Recognises what a row is: a preference pair, a response, or several responses to one prompt.

It does not know files, judges or labels. Preference pairs are read as TRL writes them: standard or conversational,
with a prompt column or with the prompt as the beginning that both sides share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prom_reward.data.grading import FLAT_RUBRIC, INSTRUCTION_COLUMNS, REFERENCE_COLUMNS, RESPONSE_COLUMNS, row_requests
from prom_reward.errors import ConfigError, RowError, near_miss
from prom_reward.prompts.published import components
from prom_reward.prompts.transcripts import PromptValue
from prom_reward.types import GradingRequest, Rubric

Kind = Literal["pair", "response", "responses"]
KINDS: Mapping[Kind, str] = {
    "pair": "preference pairs",
    "response": "one response a row",
    "responses": "several responses a row (best of n)",
}
"""What rows can be, in words."""

COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {
    "prompt": (*INSTRUCTION_COLUMNS, "question", "query"),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
    "response": RESPONSE_COLUMNS,
    "responses": ("completions", "responses", "generations"),
    "reference_answer": REFERENCE_COLUMNS,
    "rubric": ("rubric",),
    "id": ("id", "prompt_id", "row_id"),
}
"""The columns that each role is looked for in, the first that has a value wins."""

_ANSWER_KEYS = ("response", "completion", "text", "content")
_DIALOGUE_END = "\n\nAssistant:"  # how Anthropic's HH-RLHF ends the prompt inside of `chosen` and `rejected`


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What a row holds, whatever its columns are called."""

    kind: Kind
    """What the row is."""
    prompt: PromptValue
    """A string or messages."""
    responses: tuple[PromptValue, ...]
    """Chosen and rejected; one response; or several."""
    others: Mapping[str, Any]
    """Columns that may hold a rubric and a reference."""
    reference_answer: str | None = None
    """The row's reference answer, or the one for rows without."""
    id: str | None = None
    """The row's own name; None where it has none."""

    @property
    def is_conversational(self) -> bool:
        """Whether any of its texts is a list of messages."""
        return any(not isinstance(text, str) for text in (self.prompt, *self.responses))

    def requests(self, default_rubrics: tuple[Rubric, ...]) -> list[list[GradingRequest]]:
        """Return for each response one request per rubric.

        Raises:
            RowError, RubricError: As `prom_reward.data.grading.row_requests`.
        """
        shared = {**self.others, "instruction": self.prompt, "reference_answer": self.reference_answer}
        return [row_requests({**shared, "response": self._shown(one)}, default_rubrics) for one in self.responses]

    def _shown(self, response: PromptValue) -> PromptValue:
        """Return a response for the judge: the space after "Assistant:" belongs to the training text alone."""
        is_dialogue = isinstance(self.prompt, str) and self.prompt.endswith(_DIALOGUE_END)
        return response.lstrip(" ") if is_dialogue and isinstance(response, str) else response


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFormat:
    """How rows are read: which column plays which role where its name says nothing."""

    columns: Mapping[str, str]
    """Column by role; the roles are those of COLUMN_NAMES."""
    reference_answer: str | None = None
    """For rows without one."""

    def __post_init__(self) -> None:
        for role in self.columns:
            if role not in COLUMN_NAMES:
                known = ", ".join(COLUMN_NAMES)
                raise ConfigError(
                    f"unknown column role {role!r}; expected one of {known}.{near_miss(role, COLUMN_NAMES)}"
                )

    def example(self, values: Mapping[str, Any]) -> Example:
        """Return what a row holds.

        Raises:
            RowError: The row is of no known kind, or lacks a part of its kind.
        """
        kind = self.kind(values)
        whole = self._whole_prompt(values) if kind == "response" else None
        values = whole or values
        match kind:
            case "pair":
                prompt, *responses = self._pair(values)
            case "responses":
                prompt, responses = self._prompt(values), _several(self._given(values, "responses"))
            case _:
                prompt, responses = self._prompt(values), [self._given(values, "response")]
        own_id = self._given(values, "id")
        return Example(
            kind=kind,
            prompt=prompt,
            responses=tuple(responses),
            others=self._others(values),
            reference_answer=self._given(values, "reference_answer") or self.reference_answer,
            id=None if own_id is None else str(own_id),
        )

    def describe(self, values: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return the columns that each role of a row is read from; a role without a column is left out."""
        found = {role: self._column(values, role) for role in COLUMN_NAMES}
        flat = [name for name in values if FLAT_RUBRIC.fullmatch(name) and values[name] is not None]
        columns = {"rubric": flat} if flat else {}
        return columns | {role: [name] for role, name in found.items() if name is not None}

    def kind(self, values: Mapping[str, Any]) -> Kind:
        """Return what a row is.

        Raises:
            RowError: It is nothing known; the message says what was seen and which columns would do.
        """
        if self._has(values, "chosen") or self._has(values, "rejected"):
            return "pair"
        if self._given(values, "response") is not None:
            return "response"
        if self._has(values, "responses"):
            return "responses"
        if self._has(values, "response") or self._whole_prompt(values):
            return "response"
        seen = ", ".join(sorted(map(str, values))) or "none"
        raise RowError(
            f"unknown format: got the columns {seen}; expected chosen and rejected, or prompt and completion, or "
            "prompt and completions; name others with --column ROLE=NAME, for example --column chosen=better"
        )

    def _pair(self, values: Mapping[str, Any]) -> tuple[PromptValue, PromptValue, PromptValue]:
        chosen, rejected = self._side(values, "chosen"), self._side(values, "rejected")
        prompt = self._given(values, "prompt")
        if isinstance(chosen, str) and isinstance(rejected, str):
            return (prompt, chosen, rejected) if prompt is not None else _split_texts(chosen, rejected)
        if isinstance(chosen, str) or isinstance(rejected, str):
            raise RowError("got a string and messages as the two sides; expected both of one kind")
        if prompt is not None and not any(_asks(message) for message in (*chosen, *rejected)):
            return prompt, chosen, rejected
        return _split_messages(chosen, rejected)

    def _side(self, values: Mapping[str, Any], role: str) -> PromptValue:
        side = self._given(values, role)
        if side is None:
            other = "rejected" if role == "chosen" else "chosen"
            raise RowError(f"a pair without {role!r}; expected a response beside {other!r}")
        return _messages(side)

    def _prompt(self, values: Mapping[str, Any]) -> PromptValue:
        prompt = self._given(values, "prompt")
        if prompt is None:
            seen, names = ", ".join(sorted(map(str, values))), ", ".join(COLUMN_NAMES["prompt"])
            raise RowError(f"no prompt; got the columns {seen}, expected one of {names}")
        return _messages(prompt)

    def _whole_prompt(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the parts of a published Prometheus prompt, where a row is one and has no response."""
        prompt = self._given(values, "prompt")
        if self._given(values, "response") is not None or not isinstance(prompt, str):
            return None
        found = components(prompt)
        return {"id": self._given(values, "id"), **found} if found else None

    def _others(self, values: Mapping[str, Any]) -> dict[str, Any]:
        taken = (*INSTRUCTION_COLUMNS, *RESPONSE_COLUMNS, *REFERENCE_COLUMNS)
        others = {name: value for name, value in values.items() if name not in taken}
        return {**others, "rubric": self._given(values, "rubric")}

    def _names(self, role: str) -> tuple[str, ...]:
        return (self.columns[role],) if role in self.columns else COLUMN_NAMES[role]

    def _has(self, values: Mapping[str, Any], role: str) -> bool:
        return any(name in values for name in self._names(role))

    def _given(self, values: Mapping[str, Any], role: str) -> Any:
        name = self._column(values, role)
        return None if name is None else values[name]

    def _column(self, values: Mapping[str, Any], role: str) -> str | None:
        return next((name for name in self._names(role) if values.get(name) is not None), None)


def _several(value: Any) -> list[PromptValue]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise RowError(f"got {value!r:.60} as the responses; expected a list of at least one")
    return [_answer(item) for item in value]


def _answer(item: Any) -> PromptValue:
    """Return one of several responses: a string, messages, or UltraFeedback's mapping with a `response`."""
    if isinstance(item, Mapping) and "role" not in item:
        text = next((item[key] for key in _ANSWER_KEYS if isinstance(item.get(key), str)), None)
        if text is None:
            raise RowError(f"got a response with the keys {sorted(item)}; expected one of {', '.join(_ANSWER_KEYS)}")
        return str(text)
    return _messages([item] if isinstance(item, Mapping) else item)


def _messages(value: Any) -> PromptValue:
    """Return a string, or messages without the keys that Arrow pads with None."""
    if isinstance(value, str):
        return value
    if not isinstance(value, Sequence) or not all(isinstance(message, Mapping) for message in value):
        raise RowError(f"got {type(value).__name__} as a text; expected a string or a list of messages")
    return [{key: item for key, item in message.items() if item is not None} for message in value]


def _asks(message: Mapping[str, Any]) -> bool:
    return message.get("role") not in ("assistant", "tool")


def _split_messages(
    chosen: Sequence[Mapping[str, Any]], rejected: Sequence[Mapping[str, Any]]
) -> tuple[PromptValue, PromptValue, PromptValue]:
    """Return the messages that both sides begin with, and what each goes on with: at least its last message."""
    shared = 0
    for one, other in zip(chosen[:-1], rejected[:-1], strict=False):
        if one != other:
            break
        shared += 1
    if not shared:
        raise RowError(
            "no prompt: chosen and rejected begin differently; expected a prompt column or a shared beginning"
        )
    return chosen[:shared], chosen[shared:], rejected[shared:]


def _split_texts(chosen: str, rejected: str) -> tuple[str, str, str]:
    """Return the text that both sides begin with, up to a turn's or a word's end, and what each goes on with."""
    differing = (at for at, (one, other) in enumerate(zip(chosen, rejected, strict=False)) if one != other)
    shared = chosen[: next(differing, min(len(chosen), len(rejected)))]
    turn = shared.rfind(_DIALOGUE_END)
    if turn >= 0:
        end = turn + len(_DIALOGUE_END)
    elif chosen == rejected:
        raise RowError("no prompt: both sides are the same text, so none of it can be told to be the prompt")
    else:
        end = max((at + 1 for at, char in enumerate(shared) if char.isspace()), default=0)
    if not shared[:end].strip():
        raise RowError(
            "no prompt: chosen and rejected begin differently; expected a prompt column or a shared beginning"
        )
    return shared[:end], chosen[end:], rejected[end:]
