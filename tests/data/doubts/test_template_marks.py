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
        ("<｜User｜>Why?<｜Assistant｜>", "<｜User｜>"),  # DeepSeek
        ("<｜begin▁of▁sentence｜>Why?", "<｜begin▁of▁sentence｜>"),
        ("So.<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        ("<BOS_TOKEN><|START_OF_TURN_TOKEN|><|USER_TOKEN|>Why?", "<BOS_TOKEN>"),  # Command R
        ("<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Why?", "<|START_OF_TURN_TOKEN|>"),
        ("Why?<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", "<|CHATBOT_TOKEN|>"),
        ("<|header_start|>user<|header_end|>\n\nWhy?<|eot|>", "<|header_start|>"),  # Llama 4
        ("So.<|eot|>", "<|eot|>"),
        ("Why?\n<|turn>model\n", "<|turn>"),  # Gemma 4
        ("So.<turn|>", "<turn|>"),
        ("<|im_start|>user<|im_sep|>Why?", "<|im_start|>"),  # Phi-4
        ("<|im_user|>user<|im_middle|>Why?<|im_end|>", "<|im_user|>"),  # Kimi
        ("<|start_of_role|>user<|end_of_role|>Why?", "<|start_of_role|>"),  # Granite
        ("[gMASK]<sop><|user|>\nWhy?", "[gMASK]"),  # GLM
        ("Why?\n<|observation|>\nSo", "<|observation|>"),
        ("[|user|]Why?\n[|assistant|]", "[|user|]"),  # EXAONE
        ("So.[|endofturn|]", "[|endofturn|]"),
        ("<|start|>user<|message|>Why?<|end|>", "<|start|>"),  # harmony
        ("[SYSTEM_PROMPT]Be kind.[/SYSTEM_PROMPT]Why?", "[SYSTEM_PROMPT]"),  # Mistral
        ("<<SYS>>\nBe kind.\n<</SYS>>\nWhy?", "<<SYS>>"),
        ("<|prompter|>Why?<|endoftext|>", "<|prompter|>"),  # OpenAssistant
        ("<|user_start|>Why?<|user_end|>", "<|user_start|>"),  # Apertus
        ("<role>HUMAN</role>Why?", "<role>"),  # Ling
        ("<seed:bos>user\nWhy?<seed:eos>", "<seed:bos>"),
        ("The state <|x|> is ket-like.", ""),
        ("f <| g x\n<|> h", ""),
        ("a\n<|b c|> d", ""),
        ("let xs = [|abc|]", ""),
        ("<role>admin</role>", ""),
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


@pytest.mark.parametrize(
    ("prompt", "mark"),
    [
        ("A chat between a curious user and an assistant. USER: Why? ASSISTANT:", "ASSISTANT:"),
        ("Below is an instruction.\n\n### Instruction:\nWhy?\n\n### Response:\n", "### Response:"),
        ("### Human: Why?\n### Assistant:", "### Assistant:"),
        ("Write an email that ends in\n### Response:", ""),
        ("ASSISTANT:", ""),
        ("USER: is a word, and so is ASSISTANT: here.", ""),
    ],
)
def test_prompts_that_a_template_ended_are_found(prompt, mark):
    assert template_mark(read(prompt)) == mark
    assert template_mark(read("Why?", prompt)) == ""


@pytest.mark.parametrize(
    ("response", "mark"),
    [
        ("assistant\nSo.", "a first line 'assistant'"),
        ("\nassistant\n\nSo.", "a first line 'assistant'"),
        ("model\nSo.", "a first line 'model'"),
        ("assistant", ""),
        ("Assistant professor\nis a title.", ""),
        ("The model\nis good.", ""),
    ],
)
def test_an_answer_with_the_header_of_its_turn_is_found(response, mark):
    assert template_mark(read("Why?", response)) == mark
    assert template_mark(read(response)) == ""


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
