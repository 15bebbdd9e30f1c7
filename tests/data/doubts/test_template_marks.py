import pytest

from prom_reward.data.doubts.template_marks import template_mark
from prom_reward.data.formats import RowFormat
from prom_reward.data.recognition import Recognition

CHATML = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"


def read(prompt, response="So."):
    return RowFormat(columns={}).example({"prompt": prompt, "response": response})


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        (CHATML, "<|im_start|>"),
        ("So.<|im_end|>", "<|im_end|>"),
        ("So.<|eot_id|>\n", "<|eot_id|>"),
        ("<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhy?", "<|begin_of_text|>"),
        ("Why?\n<extra_id_1>Assistant\n", "<extra_id_1>"),
        ("<s>[INST] Why? [/INST]", "<s>"),
        ("[INST] Why? [/INST]", "[INST]"),
        ("So.\n[INST] Why?", ""),  # a model may go on like this
        ("So.</s>", "</s>"),
        ("<|user|>\nWhy?", "<|user|>"),
        ("<start_of_turn>user\nWhy?", "<start_of_turn>"),
        ("The mark <|im_end|> ends a turn.", ""),
        ("Write <|im_start|>user before it.", ""),
        ("It is <s>false</s> right.", ""),
        ("Use [INST] and </s> here.", ""),
        ("<s>$10</s>\n$8", ""),  # HTML
        ("It was <s>old</s>", ""),
        ("[INST] is a mark.", ""),
        ("So.", ""),
    ],
)
def test_marks_of_chat_templates_are_found(text, mark):
    assert template_mark(read(text)) == mark
    assert template_mark(read("Why?", text)) == mark
    assert template_mark(read([{"role": "user", "content": text}])) == mark


def test_marks_that_are_asked_for_or_cut_off_are_none():
    assert template_mark(read("Which token ends a text?", "</s>")) == ""
    assert template_mark(read("How does ChatML end a turn?", "<|im_end|>")) == ""
    harmony = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>So.<|return|>"
    assert template_mark(read("Why?", harmony)) == ""


def test_a_warning_counts_them(caplog):
    recognition = Recognition("rows.jsonl")
    for place, response in (("line 1", "So."), ("line 2", "So.<|im_end|>"), ("line 3", "No.<|im_end|>")):
        recognition.note(read("Why?", response), place)
    recognition.check(strict=True)
    assert caplog.messages == [
        "rows.jsonl: 2 rows with marks of a chat template, which the judge reads as they stand, the first in line 2: "
        "got <|im_end|>; write messages, or cut the marks off"
    ]
