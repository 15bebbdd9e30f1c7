"""Conversations as policies' chat templates write them: some frameworks send nothing but the text."""

import re
from dataclasses import dataclass

from prom_reward.errors import RowError


@dataclass(frozen=True, slots=True)
class _Markup:
    """The turns of a family of chat templates."""

    header: re.Pattern[str]
    """Opens a turn; its group names the role."""
    end: str
    """Closes a turn."""


_MARKUPS = (
    _Markup(re.compile(r"<\|im_start\|>(\w+)\n"), "<|im_end|>"),  # ChatML: Qwen, SmolLM, Yi
    _Markup(re.compile(r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\n\n"), "<|eot_id|>"),  # Llama 3
    _Markup(re.compile(r"<start_of_turn>(\w+)\n"), "<end_of_turn>"),  # Gemma
    _Markup(re.compile(r"<\|(system|user|assistant)\|>\n?"), "<|end|>"),  # Phi
)
_BEGINNINGS = re.compile(r"\A(?:\s|<s>|<bos>|<\|begin_of_text\|>|<\|endoftext\|>)*")
_ENDS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>")
_INSTRUCTION_END = re.compile(r"\[/INST\]")  # Llama 2 and Mistral write an answer after it


def conversation(text: str) -> "str | list[dict[str, str]]":
    """Return the messages of a rendered prompt; the text itself if it is none, such as a plain question."""
    body = text[_ending_at(_BEGINNINGS, text) :]
    markup = next((one for one in _MARKUPS if one.header.match(body)), None)
    if markup is None:
        return text
    headers = list(markup.header.finditer(body))
    ends = [header.start() for header in headers[1:]] + [len(body)]
    turns = [
        {"role": header[1], "content": body[header.end() : end].strip().removesuffix(markup.end).strip()}
        for header, end in zip(headers, ends, strict=True)
    ]
    if turns[-1]["role"] in ("assistant", "model") and not turns[-1]["content"]:  # the opening of the answer
        turns.pop()
    return turns or text


def completion(text: str) -> str:
    """Return a policy's text without the marks that end its turn."""
    stripped = text.rstrip()
    while ending := next((one for one in _ENDS if stripped.endswith(one)), None):
        text = stripped = stripped.removesuffix(ending).rstrip()
    return text


def split(text: str) -> tuple[str, str]:
    """Split a rendered prompt and its completion at the last opening of an assistant's turn.

    Raises:
        RowError: The text has no such opening.
    """
    found = [match.end() for one in _MARKUPS for match in one.header.finditer(text) if _is_answer(match)]
    found += [match.end() for match in _INSTRUCTION_END.finditer(text)]
    if not found:
        raise RowError(
            f"got {text!r:.60} as prompt and response in one text; expected the opening of the answer between them, "
            "such as <|im_start|>assistant"
        )
    return text[: max(found)], text[max(found) :]


def after_prompt(query: str, prompt: str) -> str:
    """Return the completion of a text that begins with its prompt; a tokenizer may have put its BOS before it.

    Raises:
        RowError: The text does not begin with the prompt.
    """
    body, begun = (text[_ending_at(_BEGINNINGS, text) :] for text in (query, prompt))
    if not body.startswith(begun):
        raise RowError(
            f"got the query {query!r:.40}; expected it to begin with its prompt {prompt!r:.40}, which OpenRLHF cuts if "
            "it leaves no room for an answer: raise --data.max_len or leave it out"
        )
    return body[len(begun) :]


def _is_answer(match: "re.Match[str]") -> bool:
    return match[1] in ("assistant", "model")


def _ending_at(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.match(text)
    return found.end() if found else 0
