import pytest

from prom_reward.errors import RowError
from prom_reward.prompts import rendered
from prom_reward.prompts.transcripts import transcript

CHATML = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
LLAMA3 = (
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
GEMMA = "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n"
PHI = "<|user|>\nHi<|end|>\n<|assistant|>\n"
PHI4 = "<|im_start|>user<|im_sep|>Hi<|im_end|><|im_start|>assistant<|im_sep|>"
ZEPHYR = "<|user|>\nHi</s>\n<|assistant|>\n"
OLMO = "<|endoftext|><|user|>\nHi\n<|assistant|>\n"
GLM = "[gMASK]<sop><|user|>\nHi<|assistant|>\n"
LFM = "<|startoftext|><|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
DISTILLED = f"<｜begin▁of▁sentence｜>{PHI}"
MISTRAL = "<s>[INST] Hi [/INST]"


@pytest.mark.parametrize("prompt", [LLAMA3, GEMMA, PHI, PHI4, ZEPHYR, OLMO, GLM, LFM, DISTILLED])
def test_a_rendered_prompt_becomes_its_messages(prompt, caplog):
    rendered._warn_of_mark.cache_clear()
    assert rendered.conversation(prompt) == [{"role": "user", "content": "Hi"}]
    code = prompt.replace("Hi", "    return a\n\n    # why? ")
    assert rendered.conversation(code) == [{"role": "user", "content": "    return a\n\n    # why? "}]
    assert not caplog.messages


def test_turns_of_tools_lose_their_marks():
    call = '<|python_tag|>{"name": "add"}'
    header = "<|start_header_id|>{}<|end_header_id|>\n\n".format
    text = LLAMA3 + f"{call}<|eom_id|>{header('ipython')}4<|eot_id|>{header('assistant')}"
    assert [(turn["role"], turn["content"]) for turn in rendered.conversation(text)[1:]] == [
        ("assistant", call),
        ("ipython", "4"),
    ]
    assert rendered.conversation(f"{GLM}add<|observation|>\n4<|assistant|>\n")[1:] == [
        {"role": "assistant", "content": "add"},
        {"role": "observation", "content": "4"},
    ]


@pytest.mark.parametrize(
    ("prompt", "mark"),
    [
        ("<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜>", "<｜begin▁of▁sentence｜>"),
        ("<|start_of_role|>user<|end_of_role|>Hi<|end_of_text|>", "<|start_of_role|>"),
        (MISTRAL, "[INST]"),
        ("<|user|>\nHi<|eot|>\n<|assistant|>\n", "<|eot|>"),
    ],
)
def test_marks_of_another_template_are_told_once(prompt, mark, caplog):
    rendered._warn_of_mark.cache_clear()
    for _ in range(2):
        rendered.conversation(prompt)
    assert [f"a prompt holds {mark}, a mark" in message for message in caplog.messages] == [True]


def test_a_mark_of_a_known_template_in_a_message_is_told_as_such(caplog):
    rendered._warn_of_mark.cache_clear()
    asked = rendered.conversation(CHATML.replace("Hi", "What is <|endoftext|>?"))[1]
    assert asked["content"] == "What is <|endoftext|>?"
    assert "a prompt holds <|endoftext|>, a mark that its template does not write there" in caplog.text


def test_an_opening_of_thoughts_is_the_beginning_of_the_answer():
    asked, begun = rendered.conversation(f"{CHATML}<think>\n")[1:]
    assert (asked["content"], begun) == ("Hi", {"role": "assistant", "content": "<think>\n"})
    assert transcript([asked, begun], "I wonder ... ran out") == ("Hi", "")


def test_system_messages_and_earlier_answers_are_turns():
    longer = CHATML + "Hello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n"
    roles = [(turn["role"], turn["content"]) for turn in rendered.conversation(longer)]
    assert roles == [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")]


@pytest.mark.parametrize("text", ["What is <|im_start|>user\n?", "Hi", ""])
def test_another_prompt_stays_as_it_is(text):
    assert rendered.conversation(text) == text


@pytest.mark.parametrize("prompt", [CHATML, LLAMA3, GEMMA, PHI, MISTRAL])
def test_prompt_and_completion_in_one_text_are_split(prompt):
    assert rendered.split(f"{prompt}Fine.<|im_end|>") == (prompt, "Fine.<|im_end|>")
    assert rendered.after_prompt(f"{prompt}Fine.", prompt) == "Fine."
    assert rendered.after_prompt(f"<s>{prompt}Fine.", prompt) == "Fine."


@pytest.mark.parametrize(
    "text", ["Fine.<|im_end|>\n", "Fine.</s>", "Fine.<|eot_id|><|end_of_text|>", "Fine.<|eom_id|>", "Fine.\n<|user|>"]
)
def test_marks_that_end_a_turn_are_no_part_of_it(text):
    assert rendered.completion(text) == "Fine."


def test_a_completion_without_marks_keeps_every_character():
    assert rendered.completion(" Fine.\n") == " Fine.\n"


def test_what_cannot_be_split_is_refused():
    with pytest.raises(RowError, match="opening of the answer"):
        rendered.split("Hi Fine.")
    with pytest.raises(RowError, match="begin with its prompt"):
        rendered.after_prompt("Hi Fine.", "Ho")
