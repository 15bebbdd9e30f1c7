import pytest
from hypothesis import given, strategies as st

from prom_reward.prompts.thinking import answer_opening, opening_mark, split_thoughts

FAMILIES = [
    "<think>Hm.</think>4",
    "<THINK>Hm.</Think>4",
    "<thinking>Hm.</thinking>4",
    "<thought>Hm.</thought>4",
    "<reasoning>Hm.</reasoning>4",
    "<seed:think>Hm.</seed:think>4",
    "[THINK]Hm.[/THINK]4",
    "◁think▷Hm.◁/think▷4",
    "<|begin_of_thought|>Hm.<|end_of_thought|>\n\n<|begin_of_solution|>4<|end_of_solution|>",
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>4<|return|>",
    "<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>4",
    "analysisHm.assistantfinal4",
    "Hm.\n</think>\n\n4",
    "Hm.</think>4",
]
UNCLOSED = ["<think>Hm.", "[THINK]Hm.", "<|channel|>analysis<|message|>Hm.", "analysisHm."]
ABOUT = [
    "Use `<think>` to open and `</think>` to close them. The rest is the answer.",
    "It is called <think> and stands before the answer.",
    "To end, write </think> and then the answer: 5.",
    'The marks are "<think>" and "</think>".',
    "I think </thought>",
    "analysis of the assistantfinal form",
    "  no thinking at all \n",
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


def test_thoughts_in_several_parts_are_joined():
    found = split_thoughts("<think>a</think>\n<think>b</think>\n4")
    assert (found.thoughts, found.answer) == ("a\n\nb", "4")
    assert split_thoughts("<think>a <think>b</think> c</think> d").answer == "d"


@given(st.text(), st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_no_word_of_the_answer_is_lost(thoughts, answer):
    plain = all(mark not in answer.lower() + thoughts.lower() for mark in "<[◁|")
    if plain:
        assert split_thoughts(f"<think>{thoughts}</think>{answer}").answer == answer.strip()
        assert split_thoughts(answer).answer == answer or answer.startswith("analysis")


@pytest.mark.parametrize(
    "unit", ["<think>", "</think>", "<think>a</think>", "<|channel|>", "assistantfinal", "a</think>"]
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
        ("[INST] <think> is a mark [/INST]", "", ""),
    ],
)
def test_where_the_answer_begins_in_a_template(rendered, mark, opening):
    assert (opening_mark(rendered), answer_opening(rendered)) == (mark, opening)
