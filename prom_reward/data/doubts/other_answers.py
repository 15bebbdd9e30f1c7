"""Refuses an answer beside one that no role reads: then the first may be the reference."""

import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from prom_reward.data.cells import said, texts_of
from prom_reward.data.columns import COLUMN_NAMES, Columns, spelling
from prom_reward.data.doubts.doubtful_answers import REFERENCE_LIKE
from prom_reward.errors import RowError
from prom_reward.prompts.transcripts import PromptValue

_ANSWER = r"answer|response|output|completion|reply|generation|prediction|pred|resp|solution|rollout|attempt|submission"
_ONE = re.compile(
    rf"(?:\w+_)?(?:{_ANSWER})(?:_(?:text|str|string|content))?|(?:{_ANSWER})s_(?:text|str)|candidate|generated|predicted"
    r"|sampled?|result|hypothesis|llm|assistant|chatbot|bot|text|code"
)
_MAY_BE_NUMBER = re.compile(r"(?:answer|response|output|prediction|pred|solution)$", re.I)  # an attempt's may count it
_SEVERAL = re.compile(
    rf"(?:(?:model|llm|generated|sampled|predicted|policy|gpt\w*)_)(?:{_ANSWER}|sample)s|rollouts|samples|attempts|preds"
    r"|predictions|submissions"
)
_VERSION = (
    r"v?\d[a-z0-9.]*|[a-z](?![a-z])|chat|hf|it|instruct|turbo|mini|nano|pro|flash|opus|sonnet|haiku|preview|latest"
)
_MODEL = re.compile(
    r"(?:[\w.-]+/)?(?:chat_?gpt|gpt|o[134]|claude|(?:code_?)?llama|mistral|mixtral|qwen|gemini|gemma|phi|deep_?seek|vicuna"
    rf"|alpaca|falcon|palm|bard|grok|command_r|olmo|smol_?lm)\d*(?:[_.]?(?:{_VERSION}))*"
)
"""Names of models, as `spelling` returns them: the column of such a name holds what the model said."""
_OFTEN_WHOLE = ("text", "code")
"""Names that may also hold the question and its answer as one text, as Alpaca's, or a part of the answer."""


def check_no_other_answer(columns: Columns, answer: PromptValue) -> None:
    """Refuse an answer beside another, under a name such as `model_answer`, of a model, or of a known one's spelling.

    Raises:
        RowError: It is so.
    """
    name, own = columns.read["response"], said(answer)
    for other, value in columns.values.items():
        texts = list(_texts(other, value)) if other != name else []
        if texts and own not in map(said, texts) and not _is_repeated(columns, other, texts, answer):
            role = "responses" if isinstance(value, list | tuple) else "response"
            raise RowError(
                f"got {name!r} and {other!r}, of which one may be the reference; name the answer to judge with "
                f"--column response={shlex.quote(name)} or --column {role}={shlex.quote(other)}"
            )


def _texts(name: str, value: Any) -> Iterator[str]:
    """Yield the answers in a column whose name says that it holds one, or several."""
    is_list = isinstance(value, list | tuple)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and _MAY_BE_NUMBER.search(name)
    if ((isinstance(value, str) or is_number) and _is_answer(name)) or (is_list and _are_answers(name)):
        yield from (text for text in texts_of(value) if text.strip())


@lru_cache(maxsize=4096)
def _is_answer(name: str) -> bool:
    """Whether a column that no role reads is named like an answer or a model, and not like a reference."""
    written = spelling(name)
    if name not in COLUMN_NAMES["response"] and written in COLUMN_NAMES["response"]:
        return True
    is_known = any(written in map(spelling, names) for names in COLUMN_NAMES.values())
    is_answer = _ONE.fullmatch(written) or _MODEL.fullmatch(written)
    return not is_known and not REFERENCE_LIKE.fullmatch(written) and bool(is_answer)


@lru_cache(maxsize=4096)
def _are_answers(name: str) -> bool:
    written = spelling(name)
    return not REFERENCE_LIKE.fullmatch(written) and bool(_SEVERAL.fullmatch(written))


def _is_repeated(columns: Columns, name: str, texts: list[str], answer: PromptValue) -> bool:
    """Whether a text is the whole question with or without its answer, or a part of the answer."""
    if spelling(name) not in _OFTEN_WHOLE:
        return False
    text, own = (" ".join(" ".join(said(one)).split()) for one in (texts[0], answer))
    asked = [" ".join(one.split()) for role in ("prompt", "input") for one in _first_texts(columns, role)]
    return text in own or any(one in text for one in asked if one)


def _first_texts(columns: Columns, role: str) -> list[str]:
    names = columns.having(role)[:1]
    return [value for value in (columns.values.get(name) for name in names) if isinstance(value, str)]
