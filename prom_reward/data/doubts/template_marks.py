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
    rf"(?:^|>)[ \t]*({_HEADERS})\s?\w|({_ENDS})\s*\Z|\A\s*(<s>|<bos>|<\|begin_of_text\|>|\[INST\])", re.MULTILINE
)


def template_mark(example: Example) -> str:
    """Return a mark that a chat template left in a row's texts: of a turn, or at an end of a text; else nothing."""
    return next(filter(None, map(_mark, (example.prompt, *example.responses))), "")


def _mark(value: PromptValue) -> str:
    messages = messages_of(value)
    texts = [str(value)] if messages is None else [message.text for message in messages]
    found = next(filter(None, map(_MARK.search, texts)), None)
    return next(filter(None, found.groups())) if found else ""
