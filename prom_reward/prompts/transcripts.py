"""A prompt and a completion become an instruction and a response.

The one form in which every conversation is written:

- A string prompt, or a single user message, is the instruction as it stands. A system message goes before a
  single user message, with a blank line between.
- Anything longer is written in the form of Prometheus' MT-Bench data: an opening line, then `System: `,
  `User: `, `Assistant:` and `Tool (name): ` paragraphs, and a last `Assistant: ` for the answer to judge. A
  tool call is the line `[calls name with {"argument": "value"}]` of its assistant's paragraph.
- The response is the completion's last assistant message with its tool calls. The messages before it belong to the
  instruction. If the prompt ends in the beginning of the answer, the response begins with it. A completion that ends
  in a tool's result or a user's turn has no answer yet: its response is empty, of which rewards warn.
- A reasoning model is judged on its answer: thoughts are left out, in earlier turns too, and thoughts that never end
  leave an empty response. A prompt, or the beginning of an answer in it, may have opened the thoughts.
- A prompt of messages that are stored as text is read as messages. A completion that is a text is the answer as it
  stands, also if it looks like messages in JSON; a dialogue that begins with the prompt is the whole dialogue.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from prom_reward.errors import RowError
from prom_reward.prompts.content import Message
from prom_reward.prompts.dialogues import dialogue_messages
from prom_reward.prompts.guard.neutralize import neutralize_step
from prom_reward.prompts.messages import read_messages, stored_messages
from prom_reward.thinking import closes_unopened, names_thoughts, opening_mark, split_thoughts

PromptValue = str | Sequence[Mapping[str, Any]]

DIALOGUE_OPENING = (
    "Here is a previous dialogue between an assistant and an user. "
    "Generate a human preferable response by the assistant."
)
"""The line above every dialogue in Prometheus' MT-Bench benchmark file."""

logger = logging.getLogger(__name__)

_ANSWER_BEGINS = re.compile(r"(?:^|[|｜]>|\[/INST\]|assistant:)[ \t]*\Z", re.I | re.M)
"""Ends a text before an answer: a line break, a template's header, or a dialogue's."""
_NO_NAME = re.compile(r"[^\w .:/@-]")
_MAX_NAME = 128  # twice what APIs allow a function's name
_SPEAKERS = {"user": "User", "assistant": "Assistant", "system": "System", "tool": "Tool"}


def transcript(
    prompt: PromptValue,
    completion: PromptValue,
    *,
    include_reasoning: bool = False,
    opens_thoughts: bool = False,
    guard: bool = True,
) -> tuple[str, str]:
    """Return the instruction and the response of a rollout.

    Args:
        prompt: A string, or messages in any layout of `prom_reward.prompts.messages`.
        completion: A string, or messages.
        include_reasoning: Show the judge the policy's thoughts too.
        opens_thoughts: The policy's chat template opens the thoughts of every turn, which its texts do not show.
        guard: Neutralize a completion's earlier messages and tools' names, which become part of the instruction. The
            response itself is neutralized later, when it is filled in.

    Raises:
        RowError: Prompt or completion is neither a string nor messages, or a message is not understood.
    """
    given = _given(prompt)
    opening = [Message(role="user", text=str(prompt))] if given is None else given
    said = _said(completion, prompt, opening)
    for kind in (kind for message in (*opening, *said) for kind in message.media):
        _warn_of_media(kind)
    if not prompt:  # the completion is the whole conversation
        given, said = said[:-1] or None, said[-1:]
        if given is None and not isinstance(prompt, str):
            raise RowError("got a prompt without messages; expected the question in it, or before the answer")
        opening = given or opening
    said = _after(opening, said)
    given, said = _after_opened_thoughts(prompt, given, said, opens_thoughts)
    answer = said.pop() if said and said[-1].role == "assistant" else Message(role="assistant")
    beginning = ""
    if given is not None and given[-1:] and given[-1].role == "assistant":
        *given, last = given
        if not said:
            beginning = _paragraph(last, include_reasoning)
        elif _paragraph(last, include_reasoning):
            given.append(last)
    opening = opening if given is None else given
    said = [one for one in said if one.role != "assistant" or _paragraph(one, include_reasoning)]  # thoughts alone
    response = beginning + _paragraph(answer, include_reasoning)
    if not said:
        return (str(prompt) if given is None else _instruction(given, include_reasoning)), response
    return _dialogue(opening, said, include_reasoning=include_reasoning, guard=guard), response


def media_of(*values: PromptValue) -> list[str]:
    """Return the kinds of images and the like in messages, each once; a text has none."""
    lists = [read_messages(one, default_role="assistant") for one in values if not isinstance(one, str)]
    return list(dict.fromkeys(kind for messages in lists for message in messages for kind in message.media))


@lru_cache(maxsize=16)
def _warn_of_media(kind: str) -> None:
    """Say, once for each kind in a process, that a judge reads a mark in the place of media."""
    logger.warning("a message holds media (%s) that the judge does not see: it reads [%s] instead", kind, kind)


def _given(prompt: PromptValue) -> list[Message] | None:
    """Return the prompt's messages; None if it is a text."""
    if isinstance(prompt, str):
        return stored_messages(prompt)
    return read_messages(prompt, "prompt")


def _said(completion: PromptValue, prompt: PromptValue, opening: Sequence[Message]) -> list[Message]:
    if not isinstance(completion, str):
        return read_messages(completion, "completion", default_role="assistant")
    is_whole = isinstance(prompt, str) and completion.startswith(prompt)  # an answer may be a dialogue too
    stored = dialogue_messages(completion) if is_whole else None
    # A policy may write turns of others, which would become part of its own instruction: those stay its text.
    if stored is not None and (not prompt or all(one.role == "assistant" for one in _after(opening, stored))):
        return stored
    found = split_thoughts(completion)
    return [Message(role="assistant", text=found.answer, thoughts=found.thoughts, written=completion)]


def _after(given: Sequence[Message], said: list[Message]) -> list[Message]:
    """Return a completion's messages without the prompt's, if it is the whole conversation."""
    is_begun = given and given[-1].role == "assistant" and not (given[-1].text or given[-1].calls)
    opening = given[:-1] if is_begun else given
    is_whole = len(said) > len(opening) and said[: len(opening)] == list(opening)
    return said[len(opening) :] if is_whole else said


def _after_opened_thoughts(
    prompt: PromptValue, given: list[Message] | None, said: list[Message], opens_thoughts: bool
) -> tuple[list[Message] | None, list[Message]]:
    """Return the prompt's messages and the completion's, which takes over thoughts that the prompt has begun."""
    is_begun = given is not None and given[-1:] != [] and given[-1].role == "assistant"
    first = said[0] if said else Message(role="assistant")
    is_closed = closes_unopened(first.written or first.text)
    begun = _begun_thoughts(prompt, given, is_closed) if first.role == "assistant" else ""
    given = given[:-1] if given and is_begun and begun else given
    if any(one.is_apart for one in said):
        return given, said
    if begun:
        said = [_continued(begun, first), *said[1:]]
    elif opens_thoughts and not is_begun:
        said = [_continued("<think>", one) if one.role == "assistant" else one for one in said]
    return given, said


def closes_unopened_thoughts(prompt: PromptValue, completion: PromptValue) -> bool:
    """Whether a completion closes thoughts that neither it nor its prompt opens, but the policy's chat template."""
    first: Any = completion
    if not isinstance(completion, str):
        messages = [completion] if isinstance(completion, Mapping) else completion
        first = messages[0].get("content") if messages else ""
    is_closed = isinstance(first, str) and closes_unopened(first)
    return is_closed and not _begun_thoughts(prompt, _given(prompt), is_closed)


def _begun_thoughts(prompt: PromptValue, given: Sequence[Message] | None, is_closed: bool) -> str:
    """Return the part of the answer that the prompt has written if it ends inside thoughts; else an empty text.

    A text may end in a mark that it only speaks of: the mark counts where templates write it, or if the completion
    closes it.
    """
    if given and given[-1].role == "assistant":
        begun = given[-1].written or given[-1].text
        return begun if opening_mark(begun) or not split_thoughts(begun).is_closed else ""
    mark = opening_mark(prompt) if isinstance(prompt, str) else ""
    before = prompt.rstrip().removesuffix(mark) if isinstance(prompt, str) else ""
    return mark if is_closed or _ANSWER_BEGINS.search(before) else ""


def _continued(begun: str, message: Message) -> Message:
    """Return a message after its beginning, which ends inside thoughts."""
    written = (message.written or message.text).removeprefix(begun)
    mark = opening_mark(begun)
    found = split_thoughts(written, opened=True) if mark else split_thoughts(begun + written)
    before = begun.rstrip().removesuffix(mark) if mark else ""
    begun = before if mark and names_thoughts(written) else begun
    text = f"{before if before.strip() else ''}{found.answer}" if found.is_closed else ""
    return replace(message, text=text, thoughts=found.thoughts, written=begun + written)


def _instruction(messages: Sequence[Message], include_reasoning: bool) -> str:
    roles = [message.role for message in messages]
    if roles == ["user"]:
        return messages[0].text
    if roles == ["system", "user"]:
        return f"{messages[0].text}\n\n{messages[1].text}"
    return _dialogue(messages, include_reasoning=include_reasoning)


def _dialogue(
    given: Sequence[Message], steps: Sequence[Message] = (), *, include_reasoning: bool = False, guard: bool = True
) -> str:
    turns = [_turn(message, _paragraph(message, include_reasoning)) for message in given]
    for message in steps:
        paragraph = _paragraph(message, include_reasoning)
        # The policy's own words, tools' names included, may neither pose as the judge nor as another turn.
        name = _NO_NAME.sub("_", message.name)[:_MAX_NAME]
        turns.append(
            _turn(replace(message, name=name), neutralize_step(paragraph)) if guard else _turn(message, paragraph)
        )
    return "\n".join([DIALOGUE_OPENING, "\n\n".join([*turns, "Assistant: "])])


def _turn(message: Message, paragraph: str) -> str:
    shown = _SPEAKERS[message.role] + (f" ({message.name})" if message.name else "")
    # The benchmark's files have no space after the assistant of earlier turns.
    return f"{shown}:{'' if shown == 'Assistant' else ' '}{paragraph}"


def _paragraph(message: Message, include_reasoning: bool) -> str:
    if include_reasoning and message.written:
        text = message.written
    elif include_reasoning and message.thoughts:
        text = f"{message.thoughts}\n\n{message.text}"
    else:
        text = message.text
    return "\n".join([*([text] if text else []), *message.calls])
