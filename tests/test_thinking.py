import pytest
from hypothesis import given, strategies as st

from prom_reward.thinking import (
    answer_opening,
    answer_start,
    opening_mark,
    opens_thinking,
    split_thoughts,
    thoughts_closing,
)

FAMILIES = [
    "<think>Hm.</think>4",
    "<THINK>Hm.</Think>4",
    "<thinking>Hm.</thinking>4",
    "<thought>Hm.</thought>4",
    "<reasoning>Hm.</reasoning>4",
    "<seed:think>Hm.</seed:think>4",
    "[THINK]Hm.[/THINK]4",
    "◁think▷Hm.◁/think▷4",
    "<longcat_think>Hm.</longcat_think>4",
    "<|inner_prefix|>Hm.<|inner_suffix|>4",
    "\ufeff<think>Hm.</think>4",
    "[unused16]Hm.[unused17]4",
    "<|im_start|>think\nHm.<|im_start|>answer\n4",
    "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>4<|END_RESPONSE|>",
    "<|begin_of_thought|>Hm.<|end_of_thought|>\n\n<|begin_of_solution|>4<|end_of_solution|>",
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>4<|return|>",
    "<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>4",
    "analysisHm.assistantfinal4",
    "Hm.\n</think>\n\n4",
    "Hm.</think>4",
    "<|channel|>analysis<|message|>Hm.<|end|>4",
    " analysisHm.assistantfinal4",
    "<CoT>Hm.</CoT>4",
    "<inner_monologue>Hm.</inner_monologue>4",
    "<|begin_of_think|>Hm.<|end_of_think|>4",
    "<|assistant|>\n<think>Hm.</think>4",
    "<|start_header_id|>assistant<|end_header_id|>\n\n<think>Hm.</think>4",
    "\u200b<think>Hm.</think>4",
    "Here is my thought process:\nHm.\n\nHere is my response:\n4",
    "Here are my reasoning steps:\nHm.\n[BEGIN FINAL RESPONSE]\n4\n[END FINAL RESPONSE]",
    '<details type="reasoning" done="true" duration="2">\nHm.\n</details>\n4',
    "<|think|>Hm.<|end|><|begin|>assistant<|content|>4",
    "<|begin|>assistant<|think|>Hm.<|end|><|begin|>assistant<|content|>4",
    "<|think:start|>Hm.<|think:end|>4",
]
UNCLOSED = [
    "<think>Hm.",
    "[THINK]Hm.",
    "<|channel|>analysis<|message|>Hm.",
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant",
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>fin",
    "analysisHm.",
    "<|think|>Hm.",
    "<|think:start|>Hm.",
]
ABOUT = [
    "Use `<think>` to open and `</think>` to close them. The rest is the answer.",
    "It is called <think> and stands before the answer.",
    "To end, write </think> and then the answer: 5.",
    'The marks are "<think>" and "</think>".',
    "I think </thought>",
    "analysis of the assistantfinal form",
    "<|channel|> is a mark of harmony.",
    "analysisResult = compute()",
    "Write it so:\n```\nthoughts\n</think>\nanswer\n```",
    "Write it so:\n<think>\nthoughts\n</think>\nanswer",
    "  no thinking at all \n",
    "Here is my thought process: first add, then halve.",
    "Sure.\nHere is my response:\nYes.",
    "<details><summary>Why?</summary>So.</details>\nYes.",
    "It is written <|content|>, with bars.",
    "Stop at <|end|> or <|think|>.",
    "An answer of Phi.<|end|>",
    "",
]


@pytest.mark.parametrize("text", FAMILIES)
def test_the_marks_of_all_families_are_known(text):
    found = split_thoughts(text)
    assert (found.thoughts, found.answer, found.is_closed) == ("Hm.", "4", True)


@pytest.mark.parametrize("text", UNCLOSED)
def test_thoughts_that_never_end_leave_no_answer(text):
    found = split_thoughts(text)
    assert (found.thoughts, found.answer, found.is_closed) == ("Hm.", "", False)


@pytest.mark.parametrize("text", ABOUT)
def test_an_answer_about_the_marks_is_left_as_it_is(text):
    found = split_thoughts(text)
    assert (found.thoughts, found.answer, found.is_closed) == ("", text, True)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Hm. </think> 4", "4"),
        ("Hm.", ""),
        ("<think>Hm.</think>4", "4"),  # the template opened them, and the model once more
    ],
)
def test_a_template_that_opens_thoughts_begins_the_text_in_them(text, answer):
    assert split_thoughts(text, opened=True).answer == answer


def test_marks_in_an_answer_after_thoughts_belong_to_the_answer():
    answer = "Write it so:\n<think>\nthoughts\n</think>\nanswer"
    assert split_thoughts(f"<think>İİ They ask.</think>{answer}").answer == answer
    assert split_thoughts("<think>a</think>To end, write:\n</think>").answer == "To end, write:\n</think>"
    assert split_thoughts("a\n</think>\nTo end, write:\n</think>", opened=True).answer == "To end, write:\n</think>"


def test_a_call_in_harmony_is_no_answer():
    call = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>"
    found = split_thoughts(f"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant{call}")
    assert (found.thoughts, found.answer, found.is_closed) == ("Hm.\n\n{}", "", False)


@pytest.mark.parametrize("text", [*FAMILIES, *UNCLOSED, *ABOUT])
def test_closing_open_thoughts_leads_to_an_answer(text):
    closed = text + thoughts_closing(text)
    assert (closed == text) == split_thoughts(text).is_closed
    assert split_thoughts(closed + "5").answer.endswith("5")
    if not split_thoughts(text).is_closed:
        assert split_thoughts(closed + "5").answer == "5"


def test_thoughts_that_a_template_opened_are_closed_with_its_mark():
    rendered = "<|im_start|>assistant\n[THINK]"
    assert opens_thinking(rendered)
    assert thoughts_closing("Hm.", rendered) == "\n[/THINK]\n\n"
    assert thoughts_closing("Hm.[/THINK]4", rendered) == ""


@pytest.mark.parametrize("text", ["<|content|>4", "<|begin|>assistant<|content|>4", "\n<|content|>4"])
def test_the_header_of_an_answer_without_thoughts_is_no_part_of_it(text):
    found = split_thoughts(text)
    assert (found.thoughts, found.answer, found.is_closed) == ("", "4", True)
    assert text[answer_start(text) :] == "4"
    assert answer_opening("<|begin|>assistant", text) == ""


def test_a_solar_model_that_thinks_by_itself_is_led_to_its_content():
    assert answer_opening("<|begin|>assistant", "<|think|>Hm.") == ""
    assert thoughts_closing("<|think|>Hm.", "<|begin|>assistant") == "<|end|><|begin|>assistant<|content|>"


def test_thoughts_in_several_parts_are_joined():
    found = split_thoughts("<think>a</think>\n<think>b</think>\n4")
    assert (found.thoughts, found.answer) == ("a\n\nb", "4")
    assert split_thoughts("<think>a <think>b</think> c</think> d").answer == "d"


@pytest.mark.parametrize("mark", ["<th\u0131nk>", "<thought\u017f>", "</th\u0131nk>"])
def test_letters_that_only_look_like_a_mark_are_none(mark):
    assert split_thoughts(f"{mark}a 4").answer == f"{mark}a 4"
    assert not split_thoughts(f"<think>a{mark} 4").is_closed
    assert answer_opening(mark) == opening_mark(mark) == ""


def test_thoughts_of_bare_harmony_that_never_end_have_no_answer():
    text = "analysisWe need to weigh it: maybe [RESULT] 5 but no"
    assert not split_thoughts(text).is_closed
    assert answer_start(text) is None
    assert text[answer_start(text + "assistantfinal4") or 0 :] == ""
    assert answer_start("analysisResult = 3") == 0


@given(st.text(), st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_no_word_of_the_answer_is_lost(thoughts, answer):
    plain = all(mark not in answer.lower() + thoughts.lower() for mark in "<[◁|")
    if plain:
        assert split_thoughts(f"<think>{thoughts}</think>{answer}").answer == answer.strip()
        assert split_thoughts(answer).answer == answer or answer.startswith("analysis")


@pytest.mark.parametrize(
    "unit",
    [
        "<think>",
        "</think>",
        "<think>a</think>",
        "<|channel|>",
        "assistantfinal",
        "a</think>",
        '<details type="reasoning" ',
    ],
)
def test_time_grows_no_faster_than_the_text(unit, linear_time):
    linear_time(split_thoughts, lambda size: unit * size)


@pytest.mark.parametrize(
    ("rendered", "mark", "opening"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>", "\n</think>\n\n"),
        ("<|im_start|>assistant\n[THINK]", "[THINK]", "\n[/THINK]\n\n"),
        ("<|start|>assistant", "", "<|channel|>final<|message|>"),
        ("<|im_start|>assistant\n", "", ""),
        ("<|begin|>assistant", "", "<|content|>"),
        ("<|begin|>assistant<|think|><|end|><|begin|>assistant", "", "<|content|>"),
        ("<|im:content|><|think:start|>", "<|think:start|>", "\n<|think:end|>\n\n"),
        ("<|im:content|><|think:start|><|think:end|>", "", ""),
        ("[INST] <think> is a mark [/INST]", "", ""),
    ],
)
def test_where_the_answer_begins_in_a_template(rendered, mark, opening):
    assert (opening_mark(rendered), answer_opening(rendered)) == (mark, opening)
