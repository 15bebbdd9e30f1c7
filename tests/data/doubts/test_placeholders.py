import pytest

from prom_reward.data.doubts.placeholders import is_placeholder, stands_for_none, warn_of_no_answer
from prom_reward.data.formats import RowFormat
from prom_reward.rubrics.rubric import parse_rubrics

HELPFUL = parse_rubrics("helpfulness")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n",
        "N/A",
        "n.a.",
        "No response.",
        "-",
        "...",
        "None",
        "null",
        "[deleted]",
        "| | |",
        "…",
        "<removed>",
        "**TBD**",
    ],
)
def test_what_stands_for_a_missing_answer(answer):
    assert is_placeholder(answer)


@pytest.mark.parametrize(
    "answer", ["5", "=>", "+", "No", "None of the above", "No answer was right.", "👍", "∀", "Não", "\ud800", "否"]
)
def test_a_short_answer_is_an_answer(answer):
    assert not is_placeholder(answer)


def test_a_long_answer_of_marks_takes_no_time():
    assert is_placeholder("." * 1_000_000)
    assert not is_placeholder("." * 1_000_000 + "x")


@pytest.mark.parametrize("reference", ["N/A", "none", "No answer.", "-", "?", "...", "[deleted]"])
def test_what_stands_for_a_missing_reference(reference):
    assert stands_for_none(reference)


@pytest.mark.parametrize("reference", ["[]", "{}", "()", "''", "|", "undefined", "7", "None of them"])
def test_marks_and_a_programs_output_may_be_a_reference(reference):
    assert not stands_for_none(reference)


@pytest.mark.parametrize(("response", "is_told"), [("NULL", True), ("nan", True), ("", False), ("No.", False)])
def test_a_response_that_may_stand_for_none_is_told_once(response, is_told, caplog):
    warn_of_no_answer.cache_clear()
    for _ in range(2):
        RowFormat(columns={}).example({"prompt": "Q", "response": response}).requests(HELPFUL)
    told = f"a response is {response!r}, which may stand for none: it is judged as it stands"
    assert caplog.messages == [told] * is_told
