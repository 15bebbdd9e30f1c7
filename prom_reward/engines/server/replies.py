"""Reads the JSON answers of OpenAI-compatible servers: text, how it ended, log-probabilities, counts."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, inf, isnan, log
from typing import Any, Literal

from prom_reward.engines.server.transport.refusals import server_words, stopped_by_server

_TEXT_BLOCKS = ("text", "output_text")
_BLOCKS = (*_TEXT_BLOCKS, "thinking", "reasoning", "redacted_thinking")  # thoughts are not the answer
_THOUGHT_KEYS = ("reasoning_content", "reasoning")  # of servers with a reasoning parser
_CUT = ("length", "max_tokens", "max_length", "max_output_tokens", "model_length")
_SPACE_MARKS = ("\u2581", "\u0120")  # how SentencePiece and GPT-2 write the space before a token in its name
_ID = re.compile(r"token_id:([0-9]{1,12})")


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One token that the server wrote."""

    text: str
    """The token as the server names it: its text, or `token_id:N`."""
    logprobs: Mapping[str, float]
    """Log-probabilities in nats of tokens that could have stood there, by name; its own among them."""

    def by_id(self) -> dict[int, float]:
        """Return the log-probabilities by token id, of the tokens that are named by it."""
        return {int(found[1]): value for name, value in self.logprobs.items() if (found := _ID.fullmatch(name))}

    @property
    def token_id(self) -> int | None:
        """The token's id, if it is named by it."""
        found = _ID.fullmatch(self.text)
        return int(found[1]) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A server's answer to one prompt."""

    text: str
    """The judge's text."""
    ended: Literal["stop", "length"]
    """Whether it ended by itself or ran out of tokens."""
    rows: tuple[TokenRow, ...]
    """Its tokens; empty if the server gave no log-probabilities."""
    num_prompt_tokens: int
    """The server's count; 0 if it gave none."""
    num_cached_tokens: int
    """Those that it did not have to compute."""
    num_generated_tokens: int
    """The server's count; 0 if it gave none."""


def parse_answer(content: bytes, *, is_completion: bool) -> tuple[dict[str, Any], str | None]:
    """Return the JSON object of an answer, and the reason why it cannot be used, if there is one."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return {}, f"the answer is no JSON (it begins {server_words(content)[:80]!a})"
    if not isinstance(answer, dict):
        return {}, f"the answer is a JSON {type(answer).__name__}, not an object"
    return answer, reply_problem(answer) if is_completion else None


def reply_problem(answer: Mapping[str, Any]) -> str | None:
    """Return the reason why no choice of a completion can be read; None if one can."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        return "the answer has no choices"
    problems = [_problem(answer, choice) for choice in choices]
    return None if None in problems else problems[0]


def _problem(answer: Mapping[str, Any], choice: object) -> str | None:
    """Return the reason why a choice cannot be read; None if it can."""
    if not isinstance(choice, dict):
        return "the answer has no choices"
    if unanswered := _refusal(choice) or stopped_by_server(choice):
        return unanswered
    if _text(choice) is None:
        return f"the answer's first choice has no text (got {json.dumps(choice, default=str):.120})"
    try:
        reply = _reply(answer, choice)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        return "the answer's log-probabilities or counts have an unknown shape"
    if any(isnan(value) or value > 1e-6 for row in reply.rows for value in row.logprobs.values()):
        return "the answer's log-probabilities are no log-probabilities"
    return None


def read_reply(answer: Mapping[str, Any]) -> Reply:
    """Return the first readable choice of an answer that has no `reply_problem`."""
    choices = answer["choices"]
    readable = choices if len(choices) == 1 else [one for one in choices if _problem(answer, one) is None]
    return _reply(answer, readable[0])


def read_replies(answer: Mapping[str, Any], count: int) -> list[Reply | None]:
    """Return the replies to several prompts, in their order, each with the counts of all; None for an unreadable one.

    All are None if the choices do not say to which prompt each belongs.
    """
    choices = answer["choices"]
    by_place = {one["index"]: one for one in choices if isinstance(one, dict) and isinstance(one.get("index"), int)}
    if len(choices) != count or set(by_place) != set(range(count)):
        return [None] * count
    ordered = [by_place[place] for place in range(count)]
    return [_reply(answer, one) if _problem(answer, one) is None else None for one in ordered]


def _reply(answer: Mapping[str, Any], choice: Mapping[str, Any]) -> Reply:
    usage = answer.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    return Reply(
        text=_text(choice) or "",
        ended="length" if _is_cut(choice) else "stop",
        rows=_rows(choice),
        num_prompt_tokens=_count(answer, "prompt_tokens"),
        num_cached_tokens=int(details.get("cached_tokens") or 0),
        num_generated_tokens=_count(answer, "completion_tokens"),
    )


def token_at(text: str, rows: Sequence[TokenRow], char: int) -> int | None:
    """Return the index of the row whose token writes a character; None if rows and text do not match."""
    at = 0
    for index, row in enumerate(rows):
        token = row.text if text.startswith(row.text, at) else row.text.lstrip()
        if not text.startswith(token, at):
            return None
        at += len(token)
        if at > char:
            return index
    return None


def label_logprobs_by_text(row: TokenRow, labels: Sequence[str]) -> dict[str, float] | None:
    """Return the labels' log-probabilities at a token, minus infinity for one that the server did not name.

    Spellings of a label (`4`, ` 4`) are added up. None if no label is named, if the label that was written has none, or
    if one label may be the beginning of another ("1" of "10") and the tokens do not tell them apart.
    """
    spelled: dict[str, list[float]] = {label: [] for label in labels}
    for name, value in row.logprobs.items():
        if name.strip() in spelled:
            spelled[name.strip()].append(value)
    if spelled.get(row.text.strip()) == []:
        return None
    found = {label: _sum_of_probs(values) for label, values in spelled.items()}
    is_ambiguous = any(one != other and other.startswith(one) for one in labels for other in labels)
    if max(found.values()) == -inf or (is_ambiguous and min(found.values()) == -inf):
        return None
    return {label: min(value, 0.0) for label, value in found.items()}


def _sum_of_probs(logprobs: Sequence[float]) -> float:
    """Return the logarithm of probabilities' sum; servers write -9999 for next to nothing."""
    top = max(logprobs, default=-inf)
    return top if top == -inf else top + log(fsum(exp(value - top) for value in logprobs))


def _text(choice: Mapping[str, Any]) -> str | None:
    """Return a choice's text, empty if the server kept only thoughts; None if it is not understood."""
    message = choice.get("message")
    if not isinstance(message, Mapping):
        text = choice.get("text")
        return text if isinstance(text, str) else None
    content = message.get("content")
    if isinstance(content, list):
        if not all(isinstance(block, Mapping) and block.get("type") in _BLOCKS for block in content):
            return None
        return "".join(str(block.get("text") or "") for block in content if block["type"] in _TEXT_BLOCKS)
    is_thinking = any(message.get(key) for key in _THOUGHT_KEYS) or _is_cut(choice)
    if content is None and is_thinking:
        return ""
    return content if isinstance(content, str) else None


def _is_cut(choice: Mapping[str, Any]) -> bool:
    """Whether the answer ran out of tokens, in the word of any service."""
    return str(choice.get("finish_reason")).lower() in _CUT


def _refusal(choice: Mapping[str, Any]) -> str:
    """Return that the model refused, in its words; empty if it did not."""
    message = choice.get("message")
    refusal = message.get("refusal") if isinstance(message, Mapping) and not message.get("content") else None
    return f"the model refused: {ascii(refusal)[1:200]}" if isinstance(refusal, str) and refusal else ""


def _count(answer: Mapping[str, Any], name: str) -> int:
    usage = answer.get("usage") or {}
    return int(usage.get(name) or 0)


def _rows(choice: Mapping[str, Any]) -> tuple[TokenRow, ...]:
    """Return the tokens of a text completion (parallel lists) or of a chat completion (a list of objects)."""
    logprobs = choice.get("logprobs")
    if not logprobs:
        return ()
    if "content" in logprobs:
        return tuple(_chat_row(token) for token in logprobs["content"] or ())
    tokens, own, tops = logprobs["tokens"], logprobs["token_logprobs"], logprobs.get("top_logprobs")
    tops = [None] * len(tokens) if tops is None else tops
    return tuple(
        TokenRow(_name(token), _numbers({**(top or {}), token: value}))
        for token, value, top in zip(tokens, own, tops, strict=True)
    )


def _chat_row(token: Mapping[str, Any]) -> TokenRow:
    tops = {one["token"]: one["logprob"] for one in token.get("top_logprobs") or ()}
    return TokenRow(_name(token["token"]), _numbers({**tops, token["token"]: token["logprob"]}))


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {_name(name): float(value) for name, value in values.items() if value is not None}


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"got {name!r} as a token; expected a text")
    return f" {name[1:]}" if name.startswith(_SPACE_MARKS) else name
