"""Marks of chat templates inside texts, which a judge reads as they stand."""

import re

from prom_reward.data.cells import messages_of
from prom_reward.data.formats import Example
from prom_reward.prompts.guard.markers import BARRED, TURN
from prom_reward.prompts.transcripts import PromptValue

_TOKEN = rf"<(?=[^\s<>]+>)(?:{BARRED}|{TURN})>|\[\|(?:system|user|assistant|endofturn)\|\]"  # the last are EXAONE's
_HEADERS = (
    rf"{_TOKEN}|<extra_id_[01]>|<seed:bos>|<role>(?=HUMAN|ASSISTANT|SYSTEM)|<(?:用户|AI)>|<reserved_10[67]>|\]~b\]"
    r"|\[(?:SYSTEM_PROMPT|AVAILABLE_TOOLS)\]"
)
_ENDS = rf"{_TOKEN}|</s>|<eos>|<extra_id_1>|<seed:eos>|<EOS_TOKEN>|\[e~\["
_BEGINNINGS = rf"{_TOKEN}|<s>|<bos>|<BOS_TOKEN>|\[gMASK\]|<sop>|<<SYS>>|\[INST\](?=[\s\S]*\[/INST\])"
_MARK = re.compile(
    rf"(?:^|>)[ \t]*({_HEADERS})\s?\w|({_ENDS})\s*\Z|\A\s*({_BEGINNINGS})",
    re.MULTILINE,
)
_OPEN_ENDS = {
    "ASSISTANT:": ("USER:",),  # Vicuna's
    "### Response:": ("### Instruction:", "### Input:"),  # Alpaca's
    "### Assistant:": ("### Human:",),  # Guanaco's
}
"""The words with which templates end a prompt, each with those before the question."""
_ANSWER_LINE = re.compile(r"\s*(assistant|model)[ \t]*\n\s*\S")  # what is left if tokens are skipped
_ABOUT_MARKS = re.compile(r"\btokens?\b|\bchat ?(?:ml|templates?)\b|\bhtml\b", re.IGNORECASE)


def template_mark(example: Example) -> str:
    """Return a mark that a chat template left in a row's texts: of a turn, or at an end of a text; else nothing.

    A question about such marks may have them in its answer.
    """
    prompt = _texts(example.prompt)
    is_about = any(map(_ABOUT_MARKS.search, prompt))
    answers = [] if is_about else [response for _, response in example.texts()]
    if found := next(filter(None, map(_mark, (*prompt, *answers))), "") or _open_end(prompt[-1] if prompt else ""):
        return found
    opened = (_ANSWER_LINE.match(answer) for answer in answers)
    return next((f"a first line {one[1]!r}" for one in opened if one), "")


def _texts(value: PromptValue) -> list[str]:
    messages = messages_of(value)
    return [str(value)] if messages is None else [message.text for message in messages]


def _open_end(text: str) -> str:
    """Return the words of a template's end, if a prompt was written by one."""
    ends = (end for end in _OPEN_ENDS if text.rstrip().endswith(end))
    return next((end for end in ends if any(words in text for words in _OPEN_ENDS[end])), "")


def _mark(text: str) -> str:
    is_html = "<s>" in text and "</s>" in text and "[INST]" not in text  # which strikes words out
    found = _MARK.search(text)
    mark = next(filter(None, found.groups()), "") if found else ""
    return "" if is_html and mark in ("<s>", "</s>") else mark
