"""Marks of chat templates inside texts, which a judge reads as they stand."""

import re

from prom_reward.data.cells import messages_of
from prom_reward.data.formats import Example
from prom_reward.prompts.transcripts import PromptValue

_HEADERS = (
    r"<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|<\|(?:system|user|assistant)\|>|<\|start\|>|<extra_id_[01]>"
)
_ENDS = r"<\|(?:im_end|eot_id|eom_id|end|end_of_text|endoftext)\|>|<end_of_turn>|</s>|<eos>|<extra_id_1>"
_MARK = re.compile(
    rf"(?:^|>)[ \t]*({_HEADERS})\s?\w|({_ENDS})\s*\Z|\A\s*(<s>|<bos>|<\|begin_of_text\|>|\[INST\](?=[\s\S]*\[/INST\]))",
    re.MULTILINE,
)
_ABOUT_MARKS = re.compile(r"\btokens?\b|\bchat ?(?:ml|templates?)\b|\bhtml\b", re.IGNORECASE)


def template_mark(example: Example) -> str:
    """Return a mark that a chat template left in a row's texts: of a turn, or at an end of a text; else nothing.

    A question about such marks may have them in its answer.
    """
    prompt = _texts(example.prompt)
    is_about = any(map(_ABOUT_MARKS.search, prompt))
    answers = [] if is_about else [response for _, response in example.texts()]
    return next(filter(None, map(_mark, (*prompt, *answers))), "")


def _texts(value: PromptValue) -> list[str]:
    messages = messages_of(value)
    return [str(value)] if messages is None else [message.text for message in messages]


def _mark(text: str) -> str:
    is_html = "<s>" in text and "</s>" in text and "[INST]" not in text  # which strikes words out
    found = _MARK.search(text)
    mark = next(filter(None, found.groups()), "") if found else ""
    return "" if is_html and mark in ("<s>", "</s>") else mark
