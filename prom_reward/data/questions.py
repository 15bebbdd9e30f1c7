"""The question of a row: its prompt with the row's input, system text and history."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from prom_reward.data.api_texts import check_no_request
from prom_reward.data.cells import (
    DIALOGUE_ENDS,
    cut_answer,
    holds,
    is_empty,
    listed_texts,
    messages_of,
    passages_text,
    read_cell,
    said,
)
from prom_reward.data.columns import Columns
from prom_reward.errors import RowError
from prom_reward.prompts.content import parsed_text
from prom_reward.prompts.messages import read_messages
from prom_reward.prompts.transcripts import PromptValue

_Turns = list[Mapping[str, Any]]


def bare_prompt(columns: Columns) -> PromptValue | None:
    """Return the prompt of a row with its input; None if the row has none.

    A column `input` is the prompt if no other is, and so is a `history` that is one text (SHP's post).

    Raises:
        RowError: The input cannot be joined to the prompt.
    """
    given, extra = columns.get("prompt"), columns.get("input")
    if columns.read.get("prompt", "").startswith("input."):  # OpenAI's preference files
        columns.forget("input")
        extra = None
    is_found = columns.read.get("prompt") == "context" and not columns.is_named("prompt")
    is_about = is_found and passages_text(given) is not None
    if given is None or (is_about and extra is not None):  # a context is the question only if nothing else is
        columns.forget("prompt")
        given, extra = extra, None
    if given is None and isinstance(columns.get("history"), str):
        given = columns.get("history")
        columns.read["prompt"] = columns.read["history"]
    if given is None:
        given = _summarized(columns)
    if given is None:
        return None
    prompt = read_cell(given)
    if isinstance(prompt, str):
        check_no_request(prompt, columns.read.get("prompt") or "input")
    if listed_texts(prompt):  # the turns of a dialogue
        raise RowError(f"got a list of texts as the prompt: {prompt!r:.60}; expected a text, or messages with roles")
    return prompt if extra is None else _with_input(prompt, read_cell(extra))


def _summarized(columns: Columns) -> str | None:
    """Return the post or article whose summaries a row holds, as OpenAI's comparisons keep it beside them."""
    info = columns.values.get("info")
    if not isinstance(info, Mapping) or is_empty(columns.values.get("summaries")):
        return None
    parts = {
        "SUBREDDIT": f"r/{info['subreddit']}" if info.get("subreddit") else None,
        "TITLE": info.get("title"),
        "POST": info.get("post"),
        "ARTICLE": info.get("article"),
    }
    if not parts["POST"] and not parts["ARTICLE"]:
        return None
    columns.read["prompt"] = "info"
    return "\n\n".join([*(f"{name}: {text}" for name, text in parts.items() if text), "TL;DR:"])


def _with_input(prompt: PromptValue, extra: PromptValue) -> PromptValue:
    if holds(prompt, extra) and not _is_chance(prompt, extra):
        return prompt
    if not isinstance(extra, str) or messages_of(prompt) is not None:
        raise RowError("got messages and an 'input' beside them; expected the input inside of the last message")
    return f"{prompt}\n\n{extra}"


def _is_chance(prompt: PromptValue, extra: PromptValue) -> bool:
    """Whether an input of one word may be in a prompt by chance: it ends no line there, by itself or after a colon."""
    if not isinstance(prompt, str) or not isinstance(extra, str) or len(extra.split()) != 1:
        return False
    return re.search(rf"(?:^|:)[ \t]*{re.escape(extra.strip())}[ \t]*$", prompt, re.MULTILINE) is None


def messages_prompt(columns: Columns, answers: Sequence[PromptValue]) -> PromptValue | None:
    """Return the conversation before a row's answers; the last message is left out if it is one of them.

    Raises:
        RowError: The conversation ends in another answer.
    """
    value = columns.get("messages")
    if value is None:
        return None
    messages = read_cell(value)
    read = messages_of(messages, "messages")
    if not read or read[-1].role != "assistant" or not read[-1].text.strip():
        return messages
    if said(messages)[-1] not in [said(answer)[-1] for answer in answers if said(answer)]:
        raise RowError(
            f"got a conversation in {columns.read['messages']!r} that ends in another answer than the row's; expected "
            "the question last"
        )
    return cut_answer(messages)[0]


def agreed_prompt(stated: PromptValue | None, begun: PromptValue) -> PromptValue:
    """Return the prompt of a row whose answers begin with a conversation: the fuller one of the two.

    Args:
        stated: The row's own prompt, if it has one.
        begun: The messages before the answers.

    Raises:
        RowError: The conversation begins with another prompt than the row states.
    """
    if stated is None:
        return begun
    if holds(begun, stated):
        return begun
    if not isinstance(stated, str) and not isinstance(begun, str) and holds(stated, begun):
        return stated
    raise RowError(
        f"the conversation does not begin with the row's prompt {said(stated)[-1]!r:.60}; expected the same prompt"
    )


def framed(columns: Columns, prompt: PromptValue) -> PromptValue:
    """Return a prompt after the row's system text and its earlier turns, and before the passages that it asks about.

    Raises:
        RowError: The system text or the history is not understood.
    """
    prompt = _with_passages(columns, prompt)
    system, past = _system(columns.get("system")), _past(columns)
    if system and said(system) and said(system)[0] in said(prompt):  # the prompt holds it already
        system = []
    if not system and not past:
        return prompt
    if isinstance(prompt, str) and prompt.endswith(DIALOGUE_ENDS) and not past:  # stays a text, as its answers do
        return "\n\n".join([*said(system), prompt.lstrip()])
    return [*system, *past, *_turns(prompt)]


def _with_passages(columns: Columns, prompt: PromptValue) -> PromptValue:
    """Return a prompt with the row's passages after it; what has no plain form, or no place, stays unread."""
    passages = passages_text(columns.get("context"))
    is_asked = columns.read.get("context") == columns.read.get("prompt")
    if passages is None or is_asked or not isinstance(prompt, str) or messages_of(prompt) is not None:
        columns.forget("context")
        return prompt
    return prompt if holds(prompt, passages) else f"{prompt}\n\n{passages}"


def _system(value: Any) -> _Turns:
    """Return the system message: a text, content blocks, or a message of Gemini's or OpenAI's."""
    if isinstance(value, str):
        value = _stored_system(value)
    if isinstance(value, Mapping):
        value = next((value[key] for key in ("content", "parts", "text", "value") if key in value), value)
    if not value or (isinstance(value, str) and not value.strip()):
        return []
    [message] = read_messages([{"role": "system", "content": value}], "system")
    return [{"role": "system", "content": message.text}]


def _stored_system(text: str) -> Any:
    """Return the content blocks or the message that a system text is, stored as text; else the text."""
    parsed = parsed_text(text.strip()) if text.strip().startswith(("[", "{")) else None
    if isinstance(parsed, list):
        are_blocks = all(isinstance(one, Mapping) and {"type", "text"} <= one.keys() for one in parsed)
        return parsed if parsed and are_blocks else text
    if not isinstance(parsed, Mapping) or not parsed.keys() <= {"role", "content", "parts"}:
        return text
    is_message = "parts" in parsed or {"role", "content"} <= parsed.keys()
    return parsed if is_message else text


def _past(columns: Columns) -> _Turns:
    """Read earlier turns: pairs of question and answer, as ms-swift and LLaMA-Factory write them, or messages."""
    history = columns.get("history")
    if isinstance(history, str) and columns.read.get("prompt") == columns.read["history"]:
        columns.forget("history")
        return []
    if not history:
        return []
    turns = read_cell(history) if isinstance(history, str) else history
    if isinstance(turns, Sequence) and not isinstance(turns, str):
        if all(isinstance(one, Mapping) for one in turns):
            return list(turns)
        if all(isinstance(one, list | tuple) and len(one) == 2 for one in turns):
            roles = ("user", "assistant")
            return [{"role": role, "content": text} for pair in turns for role, text in zip(roles, pair, strict=True)]
    raise RowError(f"got {history!r:.60} as the history; expected pairs of question and answer, or messages")


def _turns(prompt: PromptValue) -> _Turns:
    if not isinstance(prompt, str):
        return list(prompt)
    dialogue = messages_of(prompt)
    if dialogue is None:
        return [{"role": "user", "content": prompt}]
    return [{"role": turn.role, "content": turn.text} for turn in dialogue if turn.text or turn.role != "assistant"]
