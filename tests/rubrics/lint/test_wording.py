import pytest

from prom_reward.rubrics.lint.wording import (
    asks_for_rating,
    content,
    falls,
    is_negative,
    says_absence,
    says_fault,
    second_demand,
)


@pytest.mark.parametrize(
    "text",
    ["Avoids jargon.", "The response doesn't guess.", "It must not guess.", "Has no errors", "No jargon is used."],
)
def test_a_text_that_says_what_is_not_done(text):
    assert says_absence(text)
    assert not says_fault(text)


@pytest.mark.parametrize(
    "text",
    ["Fails to cite a source.", "The response includes incorrect doses.", "Wrongly dates it.", "It has an error"],
)
def test_a_text_that_names_a_fault(text):
    assert says_fault(text)
    assert not says_absence(text)


@pytest.mark.parametrize(
    "text", ["Notes the date.", "Explains common errors.", "Lists errors in the code.", "Nothing else"]
)
def test_a_text_that_says_what_is_there(text):
    assert not says_fault(text)
    assert not says_absence(text)


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("It is short and recommends a step.", "and recommends a step."),
        ("Says A; does not say B.", "; does not say B."),
        ("Covers (1) cost, (2) time.", "(1) cost, (2) time."),
        ("Names the capital and the largest city.", None),
    ],
)
def test_a_second_demand_is_found(text, second):
    assert second_demand(text) == second


@pytest.mark.parametrize("text", ["(1) " * 50_000, "rate " * 50_000, "and " * 50_000, "the " * 50_000])
def test_a_text_of_any_length_is_read(text):
    assert second_demand(text) is None
    assert not (asks_for_rating(text) or says_fault(text) or says_absence(text))


def test_texts_are_compared_by_their_content():
    assert content("The response names the finding.") == content("Naming of the findings")
    assert content("Names the finding.") != content("Names the author.")
    assert is_negative("It doesn't name it.") and not is_negative("It never does not name it.")


def test_a_number_is_asked_for():
    assert asks_for_rating("How clear is it on a scale of 1 to 5?")
    assert not asks_for_rating("It names 5 reasons.")


def test_answers_from_the_best_to_the_worst():
    assert falls(["Excellent: all of it", "fair", "poor"])
    assert not falls(["poor", "fair", "excellent"])
    assert not falls(["No, it does not.", "Yes, it does."])
