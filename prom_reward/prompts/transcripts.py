"""A trainer's prompt and completion become an instruction and a response.

It does not know rubrics or judges. The one form in which every conversation is written:

- A string prompt, or a single user message, is the instruction as it stands. A system message goes before a
  single user message, with a blank line between.
- Anything longer is written in the form of Prometheus' MT-Bench data: an opening line, then `System: `,
  `User: `, `Assistant:` and `Tool (name): ` paragraphs, and a last `Assistant: ` for the answer to judge. A
  tool call is the line `[calls name with {"argument": "value"}]` of its assistant's paragraph.
- The response is the completion's last assistant message. What a completion holds before it, tool calls and
  their results, belongs to the instruction. A completion that ends in anything but an assistant's text has an
  empty response.
- A reasoning policy is judged on its answer: `reasoning_content` and inline `<think>` are left out, in earlier
  assistant turns too, and thinking that never closes leaves an empty response.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from prom_reward.errors import RowError
from prom_reward.prompts.guard.neutralize import neutralize_step

Message = Mapping[str, Any]
PromptValue = str | Sequence[Message]

DIALOGUE_OPENING = (
    "Here is a previous dialogue between an assistant and an user. "
    "Generate a human preferable response by the assistant."
)
"""The line above every dialogue in Prometheus' MT-Bench benchmark file."""

_THINKING = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_THINKING_OPEN = re.compile(r"<think(?:ing)?>.*\Z", re.DOTALL | re.IGNORECASE)
_THINKING_END = re.compile(r"\A.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_NO_NAME = re.compile(r"[^\w .:/@-]")
_MAX_NAME = 128  # twice what APIs allow a function's name
_SPEAKERS = {"user": "User", "assistant": "Assistant", "developer": "System", "system": "System"}


def transcript(
    prompt: PromptValue, completion: PromptValue, *, include_reasoning: bool = False, guard: bool = True
) -> tuple[str, str]:
    """Return the instruction and the response of a rollout.

    Args:
        prompt: A string, or messages.
        completion: A string, or messages.
        include_reasoning: Show the judge what the policy thought, too.
        guard: Neutralize what a completion's earlier messages and their tools' names bring into the instruction. The
            response itself is left as it is: it is neutralized where it is filled in.

    Raises:
        RowError: Prompt or completion is neither a string nor a list of messages.
    """
    before = [] if isinstance(prompt, str) else _mappings(prompt, "prompt")
    if isinstance(completion, str):
        response = completion if include_reasoning else strip_thinking(completion)
        return (prompt if isinstance(prompt, str) else _instruction(before, include_reasoning)), response
    said = _mappings(completion, "completion")
    is_answered = bool(said) and (said[-1].get("role") or "assistant") == "assistant" and not said[-1].get("tool_calls")
    response = _answer(said[-1], include_reasoning) if is_answered else ""
    steps = said[:-1] if is_answered else said
    if not steps:
        return (prompt if isinstance(prompt, str) else _instruction(before, include_reasoning)), response
    opening: list[Message] = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else before
    return _dialogue(opening, steps, include_reasoning=include_reasoning, guard=guard), response


def strip_thinking(text: str) -> str:
    """Return the answer behind inline `<think>`; thinking that never closes leaves nothing.

    A lone `</think>` closes thinking that the chat template had opened. Text without any is returned as it is.
    """
    last = _THINKING_END.match(text)
    end = last.end() if last else 0  # behind it nothing closes: searching there costs quadratic time
    closed = _THINKING.sub("", text[:end]) + text[end:]
    answer = _THINKING_END.sub("", _THINKING_OPEN.sub("", closed))
    return text if answer == text else answer.strip()


def _mappings(value: Any, name: str, expected: str = "messages") -> list[Message]:
    if isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(item, Mapping) for item in value):
        return list(value)
    raise RowError(f"got a {name} of type {type(value).__name__}; expected a string or a list of {expected}")


def _instruction(messages: Sequence[Message], include_reasoning: bool) -> str:
    roles = [str(message.get("role")) for message in messages]
    if roles == ["user"]:
        return _content(messages[0])
    if roles in (["system", "user"], ["developer", "user"]):
        return f"{_content(messages[0])}\n\n{_content(messages[1])}"
    return _dialogue(messages, include_reasoning=include_reasoning)


def _dialogue(
    given: Sequence[Message], steps: Sequence[Message] = (), *, include_reasoning: bool = False, guard: bool = True
) -> str:
    turns = [_turn(_speaker(message), _paragraph(message, include_reasoning)) for message in given]
    for message in steps:
        speaker, paragraph = _speaker(message), _paragraph(message, include_reasoning)
        # What the policy wrote, tools' names included, may neither pose as the judge nor as another turn.
        turns.append(_turn(_guarded(speaker), neutralize_step(paragraph)) if guard else _turn(speaker, paragraph))
    return "\n".join([DIALOGUE_OPENING, "\n\n".join([*turns, "Assistant: "])])


def _turn(speaker: tuple[str, str], paragraph: str) -> str:
    role, name = speaker
    shown = f"{role} ({name})" if name else role
    # The benchmark's files have no space behind the assistant of earlier turns.
    return f"{shown}:{'' if shown == 'Assistant' else ' '}{paragraph}"


def _speaker(message: Message) -> tuple[str, str]:
    """Return a message's role as it is written, and the name of its tool, where it has one."""
    role = message.get("role")
    if not isinstance(role, str):
        raise RowError(f"got a message with the role {role!r:.40}; expected system, user, assistant or tool")
    if role == "tool":
        return "Tool", str(message.get("name") or "")
    return _SPEAKERS.get(role, role.capitalize()), ""


def _guarded(speaker: tuple[str, str]) -> tuple[str, str]:
    role, name = (_NO_NAME.sub("_", part)[:_MAX_NAME] for part in speaker)
    return role, name


def _paragraph(message: Message, include_reasoning: bool) -> str:
    calls = [_call(call) for call in _mappings(message.get("tool_calls") or (), "tool_calls", "tool calls")]
    content = _answer(message, include_reasoning) if message.get("role") == "assistant" else _content(message)
    return "\n".join([*([content] if content else []), *calls])


def _call(call: Mapping[str, Any]) -> str:
    function = call.get("function") or call
    if not isinstance(function, Mapping):
        raise RowError(f"got a tool call's function of type {type(function).__name__}; expected a mapping with a name")
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        if isinstance(arguments or {}, Mapping):
            # Arrow pads argument structs with None: an absent argument is not an argument.
            arguments = {key: value for key, value in (arguments or {}).items() if value is not None}
        arguments = json.dumps(arguments, ensure_ascii=False, default=str)
    return f"[calls {function.get('name')} with {arguments}]"


def _answer(message: Message, include_reasoning: bool) -> str:
    content = _content(message)
    if not include_reasoning:
        return strip_thinking(content)
    reasoning = message.get("reasoning_content") or ""
    return f"{reasoning}\n\n{content}" if reasoning else content


def _content(message: Message) -> str:
    """Return a message's text; of content blocks the texts, with `[image]` and the like for the others."""
    content = message.get("content")
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(map(_block, _mappings(content, "message content", "content blocks")))


def _block(block: Mapping[str, Any]) -> str:
    text, kind = block.get("text"), block.get("type") or "text"
    return f"[{kind}]" if text is None and kind != "text" else str(text or "")
