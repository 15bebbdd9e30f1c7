"""The one reader of rows: a row in any layout becomes an Example, and an Example becomes grading requests."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from prom_reward.data.cells import DIALOGUE_ENDS, cut_answer, is_whole, messages_of, read_answer, read_cell, said
from prom_reward.data.columns import COLUMN_NAMES, Columns, check_roles, shown_names, spelling
from prom_reward.data.doubts.doubtful_answers import (
    AMBIGUOUS,
    check_no_key,
    check_no_steps,
    check_only_answer,
)
from prom_reward.data.doubts.gold_answers import check_no_gold_list, check_not_gold
from prom_reward.data.doubts.null_columns import check_no_null_answer, check_not_null
from prom_reward.data.doubts.other_answers import check_no_other_answer, unread_answer
from prom_reward.data.doubts.placeholders import stands_for_none, warn_of_no_answer
from prom_reward.data.doubts.stored_values import check_no_stored_values
from prom_reward.data.pairs.sides import repeats, split_pair, two_sides, warn_of_repeated_prompt
from prom_reward.data.questions import agreed_prompt, bare_prompt, framed, messages_prompt
from prom_reward.data.whole_prompts import whole_prompts
from prom_reward.errors import RowError, RubricError
from prom_reward.prompts.transcripts import PromptValue, media_of, transcript
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.types import GradingRequest

Kind = Literal["pair", "response", "responses"]
KINDS: Mapping[Kind, str] = {
    "pair": "preference pairs",
    "response": "one response per row",
    "responses": "several responses per row (best of n)",
}
"""The kinds of rows, in words."""

_NEEDED: Mapping[Kind, str] = {
    "response": f"one of {', '.join(COLUMN_NAMES['response'])}, or messages with the answer last",
    "responses": "several in responses",
    "pair": "chosen and rejected",
}


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

    @property
    def media(self) -> list[str]:
        """The kinds of images and the like in its messages, which no judge sees."""
        return media_of(self.prompt, *self.responses) if self.is_conversational else []

    def requests(self, default_rubrics: tuple[AnyRubric, ...]) -> list[list[GradingRequest]]:
        """Return for each response one request per rubric.

        Raises:
            RowError: A message is not understood.
            RubricError: The row's rubric cannot be read, or there is none.
        """
        rubrics = self.columns.rubrics(default_rubrics)
        texts = self.texts()
        for response in (response for _, response in texts if response.strip() and stands_for_none(response)):
            warn_of_no_answer(response.strip()[:40])
        return [
            [
                GradingRequest(
                    instruction=instruction, response=response, rubric=rubric, reference_answer=self.reference_answer
                )
                for rubric in rubrics
            ]
            for instruction, response in texts
        ]

    def texts(self) -> list[tuple[str, str]]:
        """Return for each response the instruction and the response as a judge reads them; errors as in `requests`."""
        return [transcript(self.prompt, self._shown(response)) for response in self.responses]

    def _shown(self, response: PromptValue) -> PromptValue:
        """Return a response for the judge: the space after "Assistant:" or "A:" belongs to the training text alone."""
        is_dialogue = isinstance(self.prompt, str) and self.prompt.endswith(DIALOGUE_ENDS)
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
    kinds: tuple[Kind, ...] = ("response", "responses", "pair")
    """The kinds that the caller can use, for the message on rows without an answer."""

    def __post_init__(self) -> None:
        check_roles(self.columns)

    def example(self, values: Mapping[str, Any]) -> Example:
        """Return the content of a row.

        Raises:
            RowError: The row is of no known kind, or lacks a part of its kind.
        """
        columns = Columns(values, self.columns)
        try:
            kind, prompt, responses = self._parts(columns)
            reference = columns.reference()
        finally:  # such a cell is the reason of other errors
            check_no_stored_values(columns)
        own_id = columns.get("id")
        return Example(
            kind=kind,
            prompt=prompt,
            responses=tuple(responses),
            columns=columns,
            reference_answer=reference or self.reference_answer,
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
        whole = whole_prompts(columns)
        if whole is not None:
            return whole
        sides = two_sides(columns)
        if sides is not None:
            prompt, *responses = split_pair(_prompt(columns, sides), *sides)
            return "pair", framed(columns, _needed(prompt, columns)), responses
        kind, answers = self._answers(columns)
        if answers:
            asked, answers = _parted(_prompt(columns, answers), answers)
            is_pipelines = columns.read.get("response") == "generated_text"
            if all(repeats(answer, asked, of_one_word=is_pipelines) for answer in answers):
                warn_of_repeated_prompt()
            return kind, framed(columns, _needed(asked, columns)), answers
        if columns.get("messages") is not None and (conversation := _conversation(columns)):
            if not columns.is_named("messages"):
                check_no_null_answer(columns, f"{columns.read['messages']}[-1].content")
            prompt, answer = conversation
            return "response", framed(columns, _needed(prompt, columns)), [answer]
        if columns.get("prompt") is not None or columns.get("messages") is not None:
            needed = ", or ".join(_NEEDED[kind] for kind in self.kinds)
            raise RowError(
                f"no response; got the columns {shown_names(columns.values)}, expected {needed}; "
                f"{unread_answer(columns)}"
            )
        raise RowError(
            f"unknown format: got {shown_names(columns.values)}; expected chosen and rejected, prompt and completion, "
            f"or prompt and completions; name others with --column ROLE=NAME, for example {_naming(columns.values)}"
        )

    def _answers(self, columns: Columns) -> tuple[Kind, list[PromptValue]]:
        """Return the kind of a row that is no pair, and its answers; no answer if only a conversation can hold one."""
        response, several = columns.get("response"), columns.get("responses")
        check_not_null(columns, "response", response)
        check_not_null(columns, "responses", several)
        if response is not None and several is not None and not {"response", "responses"} & self.columns.keys():
            own, other = columns.read["response"], columns.read["responses"]
            if own in AMBIGUOUS:
                raise RowError(
                    f"got {own!r} and {other!r}; name the answers to judge with --column response={own} or --column "
                    f"responses={other}"
                )
        if response is not None and "responses" not in self.columns:
            columns.forget("responses")
            answer = read_answer(response)
            if "response" not in self.columns and columns.read["response"] in AMBIGUOUS:
                check_no_null_answer(columns, columns.read["response"])
                check_no_key(columns, answer)
                check_not_gold(columns, answer)
                check_only_answer(columns, answer)
                check_no_other_answer(columns, answer)
            return "response", [answer]
        columns.forget("response")
        if several is not None and "responses" not in self.columns:
            check_no_steps(columns, several)
            if columns.read["responses"] == "answers":
                check_no_null_answer(columns, "answers", "responses")
            check_no_gold_list(columns, several)
        return "responses", [] if several is None else _several(several)


def _naming(values: Mapping[str, Any]) -> str:
    """Return options that name columns, of a row of known names in another spelling, of one text, or of mappings."""
    spelled = [
        f"--column {role}={shlex.quote(str(name))}"
        for role in ("prompt", "response", "responses", "chosen", "rejected", "messages")
        for name in values
        if spelling(name) in COLUMN_NAMES[role] and name not in COLUMN_NAMES[role]
    ]
    if spelled:
        return " ".join(spelled)
    texts = [str(name) for name, value in values.items() if isinstance(value, str)]
    nested = [f"{name}.{key}" for name, value in values.items() if isinstance(value, Mapping) for key in value]
    if len(texts) == 1 and not nested:
        return f"--column messages={shlex.quote(texts[0])} for a whole dialogue"
    path = f" (a path as {nested[0]} reaches into a mapping)" if nested else ""
    return f"--column prompt=MY_QUESTION --column response=MY_ANSWER{path}"


def _prompt(columns: Columns, answers: Sequence[PromptValue]) -> PromptValue | None:
    prompt = bare_prompt(columns)
    return messages_prompt(columns, answers) if prompt is None else prompt


def _parted(prompt: PromptValue | None, answers: Sequence[PromptValue]) -> tuple[PromptValue | None, list[PromptValue]]:
    """Take the prompt out of answers that are whole conversations."""
    if not any(is_whole(answer, prompt) for answer in answers):
        return prompt, list(answers)
    parts = [_cut(answer) for answer in answers]
    if any(said(begun) != said(parts[0][0]) for begun, _ in parts):
        raise RowError("the prompts of the responses differ; expected conversations that differ in their answers alone")
    return agreed_prompt(prompt, parts[0][0]), [answer for _, answer in parts]


def _cut(conversation: PromptValue) -> tuple[PromptValue, PromptValue]:
    """As `cut_answer`; of several messages of the assistant at the end all are the answer's, and the last is judged."""
    begun, answer = cut_answer(conversation)
    while not isinstance(begun, str) and [one.role for one in messages_of(begun[-1:]) or ()] == ["assistant"]:
        begun, answer = begun[:-1], [*begun[-1:], *(() if isinstance(answer, str) else answer)]
    return begun, answer


def _conversation(columns: Columns) -> tuple[PromptValue, PromptValue] | None:
    """Return the prompt and the response of a row that is one conversation; None if it ends in a question."""
    conversation = read_cell(columns.get("messages"))
    read = messages_of(conversation)
    if read is None:
        raise RowError(f"got a text in {columns.read['messages']!r}; expected messages with the answer last")
    if read and read[-1].role == "user":
        return None
    begun, answer = _cut(conversation)
    try:
        return agreed_prompt(bare_prompt(columns), begun), answer
    except RowError:  # a context or the like; it is named as unread
        columns.forget("prompt")
        columns.forget("input")
        return begun, answer


def _needed(prompt: PromptValue | None, columns: Columns) -> PromptValue:
    if prompt is None or not said(prompt):
        names = ", ".join(COLUMN_NAMES["prompt"])
        problem = "no instruction" if prompt is None else "the instruction is empty"
        raise RowError(f"{problem}; got the columns {shown_names(columns.values)}, expected one of {names}")
    return prompt


def _several(value: Any) -> list[PromptValue]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise RowError(f"got {value!r:.60} as the responses; expected a list of at least one")
    return [_numbered(place, item) for place, item in enumerate(value, 1)]


def _numbered(place: int, item: Any) -> PromptValue:
    try:
        return read_answer(item)
    except RowError as error:
        raise RowError(f"answer {place}: {error}") from error
