import re

import pytest

from prom_reward.prompts.prometheus import SECTION_NAMES, TASK_TEXTS, TaskTexts

V1, V2 = TASK_TEXTS["prometheus-v1"], TASK_TEXTS["prometheus-v2"]
TEXTS = {
    "v1": V1.absolute,
    "v1 without reference": V1.absolute_without_reference,
    "v2": V2.absolute,
    "v2 without reference": V2.absolute_without_reference,
    "relative": V2.relative,
    "relative without reference": V2.relative_without_reference,
}


def _placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_text_ends_in_the_space_that_counts(text):
    assert text.endswith("\n\n###Feedback: ")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_section_is_one_that_the_guard_knows(text):
    headers = re.findall(r"^###([A-Za-z ]+?)(?: \(Score \{high\}\))?:", text, re.MULTILINE)
    assert len(headers) == text.count("###")
    assert set(headers) <= set(SECTION_NAMES)


def test_every_name_that_the_guard_knows_is_a_section_of_some_text():
    assert all(any(f"###{name}" in text for text in TEXTS.values()) for name in SECTION_NAMES)


def test_the_texts_have_a_place_for_every_part_of_a_request():
    graded = {"low", "high", "instruction", "response", "rubric"}
    compared = {"instruction", "response_a", "response_b", "rubric"}
    for texts in (V1, V2):
        assert _placeholders(texts.absolute) == graded | {"reference_answer"}
        assert _placeholders(texts.absolute_without_reference) == graded
    assert _placeholders(V2.relative) == compared | {"reference_answer"}
    assert _placeholders(V2.relative_without_reference) == compared


def test_v1_differs_from_v2_in_its_third_line_and_system_message_alone():
    lines, others = V1.absolute.split("\n"), V2.absolute.split("\n")
    differing = [(line, other) for line, other in zip(lines, others, strict=True) if line != other]
    assert differing == [
        (
            '3. The output format should look as follows: "Feedback: (write a feedback for criteria) [RESULT] '
            '(an integer number between {low} and {high})"',
            '3. The output format should look as follows: "(write a feedback for criteria) [RESULT] '
            '(an integer number between {low} and {high})"',
        )
    ]
    assert V1.absolute_system == "You are a fair evaluator language model."


def test_v1_knows_no_pairwise_ranking():
    assert (V1.relative, V1.relative_without_reference, V1.relative_system) == (None, None, "")


@pytest.mark.parametrize("texts", [V1, V2], ids=["v1", "v2"])
def test_the_text_without_reference_differs_in_the_reference_alone(texts: TaskTexts):
    section = "###Reference Answer (Score {high}):\n{reference_answer}\n\n"
    mention = "a reference answer that gets a score of {high}, and a score rubric"
    without = texts.absolute.replace(section, "").replace(mention, "and a score rubric")
    assert without == texts.absolute_without_reference


def test_the_relative_text_without_reference_differs_in_the_reference_alone():
    without = V2.relative.replace("###Reference Answer:\n{reference_answer}\n\n", "")
    assert without.replace("a reference answer, and", "and") == V2.relative_without_reference
