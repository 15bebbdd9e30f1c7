"""Conversations as policies' chat templates write them: some frameworks send nothing but the text."""

import logging
import re
from dataclasses import dataclass
from functools import lru_cache

from prom_reward.errors import RowError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Markup:
    """The turns of a family of chat templates."""

    header: re.Pattern[str]
    """Opens a turn; its group names the role."""
    ends: tuple[str, ...]
    """Close a turn; a family without one has a line break at most."""


_MARKUPS = (
    _Markup(re.compile(r"<\|im_start\|>(\w+)(?:\n|<\|im_sep\|>)"), ("<|im_end|>",)),  # ChatML: Qwen, Yi, Phi 4
    _Markup(
        re.compile(r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\n\n"),  # Llama 3
        ("<|eot_id|>", "<|eom_id|>"),
    ),
    _Markup(re.compile(r"<start_of_turn>(\w+)\n"), ("<end_of_turn>",)),  # Gemma
    _Markup(
        re.compile(r"<\|(system|user|assistant|observation)\|>\n?"),  # Phi 3, Zephyr, OLMo, GLM 4
        ("<|end|>", "</s>", "<|endoftext|>"),
    ),
)
_BEGINNINGS = re.compile(
    r"\A(?:\s|<s>|<bos>|<\|(?:begin_of_text|startoftext|endoftext)\|>|<｜begin▁of▁sentence｜>|\[gMASK\]|<sop>)*"
)
_ENDS = (
    *(end for one in _MARKUPS for end in one.ends),
    *("<eos>", "<|end_of_text|>", "<|user|>", "<|observation|>"),  # GLM 4 ends an answer by the next turn's header
)
_MARK = re.compile(r"<[|｜][^<>|｜\s]{1,40}[|｜]>|\[INST\]")
_INSTRUCTION_END = re.compile(r"\[/INST\]")  # Llama 2 and Mistral write an answer after it


def conversation(text: str) -> "str | list[dict[str, str]]":
    """Return the messages of a rendered prompt; the text itself if it is none, such as a plain question."""
    found = messages(text)
    if found is None:
        _check_marks(text)
    return text if found is None else found


def messages(text: str) -> list[dict[str, str]] | None:
    """Return the messages of a rendered prompt; None if its template is not known, or it has none."""
    body = text[_ending_at(_BEGINNINGS, text) :]
    markup = next((one for one in _MARKUPS if one.header.match(body)), None)
    if markup is None:
        return None
    headers = list(markup.header.finditer(body))
    ends = [header.start() for header in headers[1:]] + [len(body)]
    turns = [
        {"role": header[1], "content": _content(body[header.end() : end], markup, is_last=end == len(body))}
        for header, end in zip(headers, ends, strict=True)
    ]
    if turns[-1]["role"] in ("assistant", "model") and not turns[-1]["content"].strip():  # the opening of the answer
        turns.pop()
    for turn in turns:
        _check_marks(turn["content"])
    return turns or None


def _content(written: str, markup: _Markup, *, is_last: bool) -> str:
    """Return a turn's text without what its template writes after it; the text's own spaces stay."""
    stripped = written.rstrip()
    end = next((one for one in markup.ends if stripped.endswith(one)), "")
    if end:
        return stripped.removesuffix(end)
    return written if is_last else written.removesuffix("\n")


def _check_marks(text: str) -> None:
    if found := _MARK.search(text):
        _warn_of_mark(found[0])


@lru_cache(maxsize=64)
def _warn_of_mark(mark: str) -> None:
    """Say, once for each mark in a process, that a judge reads a mark."""
    logger.warning(
        "a prompt holds %s, a mark that its template does not write there, or of a template that is not known: the "
        "judge reads it; send messages",
        mark,
    )


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
