"""Refuses an answer beside one that no role reads: then the first may be the reference."""

import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from prom_reward.data.cells import holds, said, texts_of
from prom_reward.data.columns import COLUMN_NAMES, Columns, spelling
from prom_reward.data.doubts.doubtful_answers import AMBIGUOUS, REFERENCE_LIKE
from prom_reward.errors import RowError
from prom_reward.prompts.transcripts import PromptValue

_FAMILY = (
    r"(?:chat_?gpt|gpt|o[134]|claude|(?:code_?)?llama|mistral|mixtral|qwen|gemini|gemma|phi|deep_?seek|vicuna|alpaca"
    r"|falcon|palm|bard|grok|command_r|olmo|smol_?lm|davinci|zephyr|glm|kimi|yi(?=_?\d))(?:v?\d[a-z0-9.]*)?"
)
_VERSION = (
    r"(?:v?\d[a-z0-9.]*|[a-z]\d*|chat|hf|it|instruct|turbo|mini|nano|pro|flash|opus|sonnet|haiku|preview|latest|distill"
    r"|beta)"
)
_MODEL = rf"(?:[\w.-]+/)?(?:meta_|text_)?{_FAMILY}(?:_(?:{_VERSION}|{_FAMILY}))*"
"""Names of models, as `spelling` returns them: the column of such a name holds what the model said."""
_SAID = r"(?:answer|response|output|completion|reply|generation|prediction|pred|resp|solution|rollout|continuation)"
_ANSWER = rf"(?:{_SAID}|hyp(?:othesis)?)"
_TEXT = r"(?:_(?:text|str|string|content))?"
_NUMBER = r"(?:_\d{1,2})?"
_MAKER = rf"(?:model|llm|ai|generated|sampled|predicted|policy|{_MODEL})"
_METHOD = (
    r"(?:ours|baseline|sft|dpo|ppo|grpo|rlhf|lora|ft|(?:fine_?)?tuned|finetune|(?:un)?trained|student|teacher|greedy|ai"
    r"|run_?\d{1,2})"
)
_SOURCE = rf"(?:{_METHOD}|base|beam|agent|robot)"
"""Ways and systems that an answer came from, in names such as `output_sft`; the last ones alone are other things."""

_MODEL_NAME = re.compile(_MODEL)
_OF_MODEL = re.compile(
    rf"(?:pred|hyp|rollout|generated|gen|decoded|out){_TEXT}{_NUMBER}|{_ANSWER}_{_MODEL}"
    rf"|(?:\w+_)?{_MAKER}_(?:{_ANSWER}|gen){_TEXT}{_NUMBER}|(?:{_MAKER}|raw|text)_out|{_MAKER}_text"
)
_ONE = re.compile(
    rf"(?:(?:\w+_)?{_SAID}|{_ANSWER}){_TEXT}|{_ANSWER}s_(?:text|str)|sampled|{_ANSWER}_{_SOURCE}|{_ANSWER}_?\d"
    rf"|(?:{_SOURCE}|final)_out|candidate_(?:text|str)"
)
_SEVERAL_OF_MODEL = re.compile(
    rf"{_MAKER}_(?:{_ANSWER}|sample|text)s|rollouts|preds|predictions|(?:filtered_)?resps|gens|outs|hyps|decoded"
)
_SEVERAL = re.compile(r"samples|attempts|submissions|replies|hypotheses|continuations|\w+_(?:outputs|replies)")
_OFTEN_OUTCOMES = re.compile(
    rf"(?:\w+_)?(?:attempt|submission){_TEXT}|candidate|predicted|sample|result|llm|assistant|chatbot|bot"
    rf"|(?:out|gen|decoded){_NUMBER}"
)
"""Names that as often hold a number, an outcome, or who has answered: three words or more under them are an answer."""
_NAMES_OF_METHODS = re.compile(_METHOD)
"""Names that as often are a person's or a thing's as a method's: only what ends as a sentence is an answer."""
_SENTENCE = re.compile(r"\S+(?:\s+\S+){2,}[.!?]['\")*]*")
_OTHER_WORDS = frozenset(
    {
        *("judge", "tool", "error", "max", "min", "num", "n", "has", "is", "type", "time", "user", "prev", "previous"),
        *("original", "orig", "initial", "score", "safety", "language", "lang", "sentiment", "class", "category"),
        *("label", "topic", "intent", "verification", "input", "test", "expected", "public", "private", "hidden"),
        *("sample", "example", "comment"),
    }
)
"""Words before the last one of names whose column holds something else than an answer to the row's question."""
_MAY_BE_SHORT = re.compile(r"answer|response|output|pred|solution|resp|hyp|(?:^|_)out(?:_|$)|_(?:text|str)$")
"""Names under which a number is an answer; an attempt's may count it, and a model's may rate it."""
_LABEL = re.compile(r"[\d.,:%/T+ -]+|true|false|none|null|nan", re.I)
_MAY_HOLD_THOUGHTS = re.compile(r"(?:raw|full)_.*")
_LONGEST_NAME = 60  # of a column, or of a model


def check_no_other_answer(columns: Columns, answer: PromptValue) -> None:
    """Refuse an answer beside another, under a name such as `model_answer`, of a model, or of a known one's spelling.

    Raises:
        RowError: It is so.
    """
    name = columns.read["response"]
    for other, value in columns.values.items():
        if _says_other(columns, other, answer):
            role = "responses" if isinstance(value, list | tuple) else "response"
            raise RowError(
                f"got {name!r} and {other!r}, of which one may be the reference; name the answer to judge with "
                f"--column response={shlex.quote(name)} or --column {role}={shlex.quote(other)}"
            )


def other_answers(columns: Columns, answer: PromptValue) -> list[str]:
    """Return columns beside an answer that surely hold what a model said, in other words, and that no role reads."""
    if columns.is_named("response") or columns.is_named("messages"):
        return []
    return [name for name in columns.values if is_of_model(name) and _says_other(columns, name, answer)]


def unread_answer(columns: Columns) -> str:
    """Return how to name the column that may hold a missing answer; else that responses must be generated first."""
    for name, value in columns.values.items():
        if not columns.is_taken(name) and any(_texts(name, value)):
            role = "responses" if isinstance(value, list | tuple) else "response"
            return f"{name!r} may hold it: name it with --column {role}={shlex.quote(name)}"
    return "a policy's responses to prompts are to be generated first"


@lru_cache(maxsize=4096)
def is_of_model(name: str) -> bool:
    """Whether a column that no role reads is surely named like a model's answer, or like several."""
    written = spelling(name)
    if _is_spelled(name):
        return True
    names = (_OF_MODEL, _SEVERAL_OF_MODEL, _MODEL_NAME)
    return not _is_no_answer(written) and any(one.fullmatch(written) for one in names)


def _says_other(columns: Columns, name: str, answer: PromptValue) -> bool:
    texts = [] if columns.is_taken(name) else list(_texts(name, columns.values[name]))
    if not texts or said(answer) in map(said, texts):
        return False
    return not (_MAY_HOLD_THOUGHTS.fullmatch(spelling(name)) and holds(texts[0], answer))


def _texts(name: str, value: Any) -> Iterator[str]:
    """Yield the answers in a column whose name says that it holds one, or several."""
    is_list = isinstance(value, list | tuple)
    is_one = isinstance(value, str | int | float) and not isinstance(value, bool)
    if (is_one and _is_answer(name)) or (is_list and _are_answers(name)):
        yield from (text for text in texts_of(value) if text.strip() and (is_list or _is_words(name, text)))


def _is_words(name: str, text: str) -> bool:
    written = spelling(name)
    if _NAMES_OF_METHODS.fullmatch(written):
        return bool(_SENTENCE.fullmatch(text.strip()))
    is_label = bool(_LABEL.fullmatch(text.strip()))
    if _OFTEN_OUTCOMES.fullmatch(written):
        return len(text.split()) > 2 and not is_label and not _is_model(text)
    return bool(_MAY_BE_SHORT.search(written)) or not is_label


def _is_model(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and bool(_MODEL_NAME.fullmatch(spelling(text)))


@lru_cache(maxsize=4096)
def _is_answer(name: str) -> bool:
    """Whether a column that no role reads is named like an answer or a model, and not like a reference."""
    written = spelling(name)
    return is_of_model(name) or (
        not _is_no_answer(written)
        and any(one.fullmatch(written) for one in (_ONE, _OFTEN_OUTCOMES, _NAMES_OF_METHODS, _OF_MODEL))
    )


@lru_cache(maxsize=4096)
def _are_answers(name: str) -> bool:
    written = spelling(name)
    names = (_SEVERAL, _SEVERAL_OF_MODEL)
    return not _is_no_answer(written) and any(one.fullmatch(written) for one in names)


def _is_spelled(name: str) -> bool:
    """Whether a name is that of an answer's column, written in another way: `Response`."""
    known = COLUMN_NAMES["response"]
    return name not in known and spelling(name) in known and spelling(name) not in AMBIGUOUS


def _is_no_answer(written: str) -> bool:
    """Whether a role reads a name, or it is a reference's, or a word before its last says that it is something else."""
    is_known = any(written in map(spelling, names) for names in COLUMN_NAMES.values())
    is_other = len(written) > _LONGEST_NAME or not _OTHER_WORDS.isdisjoint(written.split("_")[:-1])
    return is_known or is_other or bool(REFERENCE_LIKE.fullmatch(written))
