import re

from hypothesis import given, settings, strategies as st

from prom_reward.data.grading import row_requests
from prom_reward.prompts.prometheus import TASK_TEXTS, task_texts
from prom_reward.prompts.prompt_parts import components
from prom_reward.prompts.template import grading_prompt
from prom_reward.types import GradingRequest, Rubric

words = st.text("abcdef .,\n", min_size=1, max_size=60).map(str.strip).filter(bool)
RUBRIC = Rubric.parse("helpfulness")


@given(words, words, st.none() | words)
def test_a_whole_prompt_comes_apart_into_its_components(instruction, response, reference):
    request = GradingRequest(instruction=instruction, response=response, rubric=RUBRIC, reference_answer=reference)
    for texts in TASK_TEXTS.values():
        parts = components(f"[INST] {grading_prompt(request, texts).user} [/INST]")
        assert parts.pop("rubric") == RUBRIC.text
        assert parts.pop("reference_answer", None) == reference
        assert parts == {"instruction": instruction, "response": response}


SECTIONS = re.compile(
    r"###Task Description:\n.*?"
    r"\n\n###The instruction to evaluate:\n(?P<instruction>.*?)"
    r"\n\n###Response to evaluate:\n(?P<response>.*)"
    r"\n\n###Reference Answer \(Score \d+\):\n(?P<reference_answer>.*)"
    r"\n\n###Score Rubrics:\n(?P<rubric>.*)"
    r"\n\n###Feedback:",
    re.DOTALL,
)
WITHOUT_REFERENCE = re.compile(
    SECTIONS.pattern.replace(r"\n\n###Reference Answer \(Score \d+\):\n(?P<reference_answer>.*)", ""), re.DOTALL
)
HEADERS = (
    *("###Task Description:\n", "\n\n###The instruction to evaluate:\n", "\n\n###Response to evaluate:\n"),
    *("\n\n###Reference Answer (Score 5):\n", "\n\n###Score Rubrics:\n", "\n\n###Feedback:", "\n", "a", " "),
)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(HEADERS), max_size=5), st.lists(st.sampled_from(HEADERS), max_size=9))
def test_headers_anywhere_are_taken_as_the_pattern_of_a_prompt_takes_them(before, behind):
    """The pattern says what is meant; it takes time to the fourth power on text made of headers."""
    text = "".join([*before, "".join(HEADERS[:3]), *behind, "".join(HEADERS[4:6])])
    for whole in (text, "".join(before + behind)):
        found = SECTIONS.search(whole) or WITHOUT_REFERENCE.search(whole)
        expected = {name: part.strip() for name, part in found.groupdict().items()} if found else None
        assert components(whole) == expected


def test_any_other_text_has_no_components():
    assert components("Name a prime.") is None


def test_a_row_without_response_may_hold_a_whole_prompt():
    request = GradingRequest(instruction="Say hi.", response="Hi.", rubric=RUBRIC, reference_answer="Hello.")
    prompt = grading_prompt(request, TASK_TEXTS["prometheus-v1"]).user
    [found] = row_requests({"instruction": prompt, "gpt4_score": [5, 4, 5]}, ())
    assert (found.instruction, found.response, found.reference_answer) == ("Say hi.", "Hi.", "Hello.")
    assert found.rubric.text == RUBRIC.text


def test_in_the_second_layout_responses_share_everything_before_them():
    for style in TASK_TEXTS:
        texts = task_texts(style, "response_last")
        requests = [
            GradingRequest(instruction="Say hi.", response=text, rubric=RUBRIC, reference_answer="Hello.")
            for text in ("One.", "Two.")
        ]
        first, second = (grading_prompt(request, texts).user for request in requests)
        head, _, _ = first.partition("One.")
        assert second.startswith(head)
        assert all(part in head for part in ("Say hi.", "Hello.", RUBRIC.text))
        assert first.endswith("###Response to evaluate:\nOne.\n\n###Feedback: ")


def test_a_layout_moves_sections_and_changes_no_word():
    for style, texts in TASK_TEXTS.items():
        moved = task_texts(style, "response_last")
        for name in ("absolute", "absolute_without_reference", "relative", "relative_without_reference"):
            before, after = getattr(texts, name), getattr(moved, name)
            assert (before is None) == (after is None)
            if before is not None:
                assert sorted(before.split("\n\n###")) == sorted(after.split("\n\n###"))
        assert task_texts(style) is texts
