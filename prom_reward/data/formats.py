"""The one reader of rows: a row in any layout becomes an Example, and an Example becomes grading requests."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from prom_reward.data.columns import COLUMN_NAMES, Columns, check_roles, shown_names
from prom_reward.data.pairs import DIALOGUE_END, split_pair, two_sides
from prom_reward.errors import RowError, RubricError
from prom_reward.prompts.messages import read_messages, stored_messages
from prom_reward.prompts.published import components
from prom_reward.prompts.transcripts import PromptValue, transcript
from prom_reward.types import GradingRequest, Rubric

Kind = Literal["pair", "response", "responses"]
KINDS: Mapping[Kind, str] = {
    "pair": "preference pairs",
    "response": "one response per row",
    "responses": "several responses per row (best of n)",
}
"""The kinds of rows, in words."""

_ANSWER_KEYS = ("response", "completion", "answer", "text", "content", "generation", "value")
_WHOLE_SIDES = ("chosen_instruction", "rejected_instruction")  # of the published HHH file


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """The content of a row, whatever its columns are called."""

    kind: Kind
    """The kind of the row."""
    prompt: PromptValue
    """A string or messages, with the row's system text, history and input."""
    responses: tuple[PromptValue, ...]
    """Chosen and rejected; one response; or several."""
    columns: Columns
    """The row's columns: its rubric, and which ones were read."""
    reference_answer: str | None = None
    """The row's reference answer, or the one for rows without."""
    id: str | None = None
    """The row's own name, if it has one."""

    @property
    def is_conversational(self) -> bool:
        """Whether any of its texts is a list of messages."""
        return any(not isinstance(text, str) for text in (self.prompt, *self.responses))

    def requests(self, default_rubrics: tuple[Rubric, ...]) -> list[list[GradingRequest]]:
        """Return for each response one request per rubric.

        Raises:
            RowError: A message is not understood.
            RubricError: The row's rubric cannot be read, or there is none.
        """
        rubrics = self.columns.rubrics(default_rubrics)
        texts = [transcript(self.prompt, self._shown(response)) for response in self.responses]
        return [
            [
                GradingRequest(
                    instruction=instruction, response=response, rubric=rubric, reference_answer=self.reference_answer
                )
                for rubric in rubrics
            ]
            for instruction, response in texts
        ]

    def sources(self) -> dict[str, str]:
        """Return which column each part was read from, by role."""
        return dict(self.columns.read)

    def _shown(self, response: PromptValue) -> PromptValue:
        """Return a response for the judge: the space after "Assistant:" belongs to the training text alone."""
        is_dialogue = isinstance(self.prompt, str) and self.prompt.endswith(DIALOGUE_END)
        return response.lstrip(" ") if is_dialogue and isinstance(response, str) else response


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFormat:
    """Reads rows; says which column plays a role that its name does not tell.

    Raises:
        ConfigError: A role is unknown.
    """

    columns: Mapping[str, str]
    """A column, or a path such as `messages[-1].content`, by role; the roles are those of COLUMN_NAMES."""
    reference_answer: str | None = None
    """For rows without one."""

    def __post_init__(self) -> None:
        check_roles(self.columns)

    def example(self, values: Mapping[str, Any]) -> Example:
        """Return the content of a row.

        Raises:
            RowError: The row is of no known kind, or lacks a part of its kind.
        """
        columns = Columns(values, self.columns)
        kind, prompt, responses = self._parts(columns)
        own_id = columns.get("id")
        return Example(
            kind=kind,
            prompt=prompt,
            responses=tuple(responses),
            columns=columns,
            reference_answer=columns.reference() or self.reference_answer,
            id=None if own_id is None else str(own_id),
        )

    def describe(self, values: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return the columns that each role of a row is read from; a role without a column is left out.

        Raises:
            RowError: As `example`.
        """
        columns = self.example(values).columns
        with suppress(RubricError):  # a default may stand in for one; a broken one is that row's problem
            columns.rubrics(())
        return columns.by_role()

    def kind(self, values: Mapping[str, Any]) -> Kind:
        """Return the kind of a row; errors as in `example`."""
        return self.example(values).kind

    def _parts(self, columns: Columns) -> tuple[Kind, PromptValue, Sequence[PromptValue]]:
        whole = _whole_prompts(columns)
        if whole is not None:
            return whole
        sides = two_sides(columns)
        if sides is not None:
            shared, *responses = split_pair(_prompt(columns) or _asked(columns), *map(_text, sides))
            return "pair", shared, responses
        response = columns.get("response")
        several = columns.get("responses") if response is None else None
        if several is not None:
            return "responses", _needed(_prompt(columns), columns), _several(several)
        if response is not None:
            return "response", _needed(_prompt(columns), columns), [_text(response)]
        if columns.get("messages") is not None:
            return "response", *_conversation(columns)
        if columns.get("prompt") is not None:
            names = ", ".join(COLUMN_NAMES["response"])
            raise RowError(f"no response; got the columns {shown_names(columns.values)}, expected one of {names}")
        raise RowError(
            f"unknown format: got {shown_names(columns.values)}; expected chosen and rejected, prompt and completion, "
            "or prompt and completions; name others with --column ROLE=NAME, for example --column chosen=better"
        )


def _prompt(columns: Columns) -> PromptValue | None:
    """Return the prompt of a row with its system text, its history and its input."""
    given = columns.get("prompt")
    system, history = columns.get("system"), columns.get("history")
    extra = columns.get("input")
    if given is None:  # a column `input` is the question if no other is
        given, extra = extra, None
    if given is None and isinstance(history, str):  # SHP: the post
        given, history = history, None
    if given is None:
        return None
    if isinstance(given, str):
        prompt = f"{given}\n\n{extra}" if isinstance(extra, str) and extra.strip() else given
        if not system and not history:
            return prompt
        turns: list[Mapping[str, Any]] = [{"role": "user", "content": prompt}]
    else:
        if extra:
            raise RowError("got an 'input' column beside a prompt of messages; expected it inside of them")
        turns = list(_text(given))
    past = [turn for pair in _history(history) for turn in pair]
    if isinstance(system, str) and system.strip() and not (turns and turns[0].get("role") == "system"):
        past = [{"role": "system", "content": system}, *past]
    return [*past, *turns]


def _history(history: Any) -> list[list[Mapping[str, Any]]]:
    """Read earlier turns as ms-swift and LLaMA-Factory write them, pairs of question and answer, or as messages."""
    if not history:
        return []
    if isinstance(history, Sequence) and not isinstance(history, str):
        if all(isinstance(one, Mapping) for one in history):
            return [list(history)]
        if all(isinstance(one, Sequence) and not isinstance(one, str) and len(one) == 2 for one in history):
            return [[{"role": "user", "content": q}, {"role": "assistant", "content": a}] for q, a in history]
    raise RowError(f"got {history!r:.60} as the history; expected pairs of question and answer, or messages")


def _asked(columns: Columns) -> PromptValue | None:
    """Return the messages before the last one of a row's conversation; ms-swift keeps a pair's prompt there."""
    messages = columns.get("messages") if columns.read.get("chosen") is None else None
    return list(messages[:-1]) if isinstance(messages, Sequence) and not isinstance(messages, str) else None


def _conversation(columns: Columns) -> tuple[PromptValue, list[PromptValue]]:
    """Return the prompt and the response of a row that is one conversation: its last answer is judged."""
    messages = _text(columns.get("messages"))
    read = stored_messages(messages) if isinstance(messages, str) else read_messages(messages)
    if isinstance(messages, str) or not read or read[-1].role != "assistant" or len(messages) < 2:
        raise RowError(
            f"got a conversation in {columns.read['messages']!r} that does not end in an answer to a prompt; expected "
            "messages with the answer last"
        )
    system = columns.get("system")
    given = list(messages[:-1])
    if isinstance(system, str) and system.strip() and read[0].role != "system":
        given = [{"role": "system", "content": system}, *given]
    return given, [messages[-1:]]


def _whole_prompts(columns: Columns) -> tuple[Kind, PromptValue, Sequence[PromptValue]] | None:
    """Take apart published Prometheus prompts: one in the prompt's column without a response, or one for each side."""
    sides = [columns.values.get(name) for name in _WHOLE_SIDES]
    if all(isinstance(side, str) for side in sides) and columns.get("chosen") is None:
        found = [components(str(side)) for side in sides]
        if all(found):
            return _of_components(columns, "pair", [one for one in found if one is not None], _WHOLE_SIDES)
    prompt = columns.values.get("orig_instruction") or columns.get("prompt")
    if columns.get("response") is not None and "[RESULT]" not in str(columns.get("response")):
        return None
    found_one = components(prompt) if isinstance(prompt, str) else None
    return _of_components(columns, "response", [found_one], ()) if found_one else None


def _of_components(
    columns: Columns, kind: Kind, found: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> tuple[Kind, PromptValue, Sequence[PromptValue]]:
    columns.take(*names)
    columns.values = {**columns.values, "rubric": found[0]["rubric"], **_reference_of(found[0])}
    return kind, found[0]["instruction"], [one["response"] for one in found]


def _reference_of(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"reference_answer": found["reference_answer"]} if found.get("reference_answer") else {}


def _needed(prompt: PromptValue | None, columns: Columns) -> PromptValue:
    if prompt is None or not prompt:
        names = ", ".join(COLUMN_NAMES["prompt"])
        raise RowError(f"no instruction; got the columns {shown_names(columns.values)}, expected one of {names}")
    return prompt


def _several(value: Any) -> list[PromptValue]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise RowError(f"got {value!r:.60} as the responses; expected a list of at least one")
    return [_answer(item) for item in value]


def _answer(item: Any) -> PromptValue:
    """Return one of several responses: a string, messages, or a mapping with the answer (UltraFeedback, Nectar)."""
    if isinstance(item, Mapping) and not {"role", "from"} & item.keys():
        text = next((item[key] for key in _ANSWER_KEYS if isinstance(item.get(key), str)), None)
        if text is None:
            raise RowError(f"got a response with the keys {sorted(item)}; expected one of {', '.join(_ANSWER_KEYS)}")
        return str(text)
    answer: PromptValue = _text(item)
    return answer


def _text(value: Any) -> Any:
    """Return a string, or messages without the keys that Arrow pads with None."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, Sequence) or not all(isinstance(message, Mapping) for message in value):
        raise RowError(f"got {type(value).__name__} as a text; expected a string or a list of messages")
    return [{key: item for key, item in message.items() if item is not None} for message in value]
