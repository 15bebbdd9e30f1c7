import re

import pytest
from hypothesis import example, given, strategies as st

from prom_reward.engines.tokens.verdict import ends_in_marker, find_verdict, first_verdict, marker_end
from prom_reward.judging.parsing import parse_score, parse_winner
from prom_reward.types import Outcome, ScoreScale
from tests.strategies import plain_text

FIVE = ("1", "2", "3", "4", "5")
TEN = tuple(str(label) for label in range(1, 11))
AB = ("A", "B")


@pytest.mark.parametrize(
    "tail",
    [
        " 4",
        "(4)",
        " (4)",
        " Score: 4",
        " 4/5",
        " 4 out of 5",
        " 4.",
        ": **4**",
        "\n4\n",
        " The final score is 4",
        ' "4"',
        " 4 4 4",
        " 4, 2 errors",
        " 4: 2 errors",
        " 4\n5 is best",
        " 4 stars out of 5",
        " 4 stands",
    ],
)
def test_the_forms_that_judges_write_are_verdicts(tail):
    text = f"Good. [RESULT]{tail}"
    verdict = find_verdict(text, FIVE)
    assert verdict.text == "4"
    assert text[verdict.start] == "4"


@pytest.mark.parametrize(
    ("tail", "end"),
    [(" 4 and more", " 4"), (" 4/5 stars", " 4/5"), (" 4.5!", " 4.5"), (" 4. Good", " 4"), ("(4)", "(4")],
)
def test_a_verdict_ends_behind_all_that_belongs_to_it(tail, end):
    text = f"[RESULT]{tail}"
    assert text[: find_verdict(text, FIVE).end] == f"[RESULT]{end}"


@pytest.mark.parametrize(
    "tail",
    [
        "",
        " ",
        ".",
        ".5",
        "/",
        "/1",
        " /",
        " out",
        " out of ",
        " -",
        " a",
        " and",
        " to ",
        ")",
        "**",
        "_",
        "’",
        "e",
        "E+",
        ",",
        ": ",
        " star",
        " stars out",
        " thr",
        " and a",
        " |",
    ],
)
def test_a_number_that_may_still_become_another_verdict_is_not_complete(tail):
    assert not find_verdict(f"[RESULT] 1{tail}", FIVE).is_complete


@pytest.mark.parametrize("tail", [". ", "!", "/5!", " and more", " is", " sta is", ", b", "\n\nNext", "/5" + 24 * "\n"])
def test_a_number_that_is_followed_by_something_else_is_complete(tail):
    assert find_verdict(f"[RESULT] 1{tail}", FIVE).is_complete


@pytest.mark.parametrize(("text", "verdict"), [("[RESULT] 7", "7"), ("[RESULT] 10", "10"), ("[RESULT] -1", "-1")])
def test_a_number_off_the_scale_is_a_verdict_and_is_never_cut_to_a_label(text, verdict):
    assert find_verdict(text, FIVE).text == verdict


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "Good, 4 of 5.",
        "[RESULT]",
        "[RESULT] none",
        "[RESULT] about item 2 later",
        "[RESULT] 1-5",
        "[RESULT] 1 to 5",
        "[RESULT] 1 or 2",
        "[RESULT] 4 | 5",
        "[RESULT] 4 & 5",
        "[RESULT] 4 vs. 5",
        "[RESULT] 4 5",
        "[RESULT] 4, 5",
        "[RESULT] 4; 5 \nBoth fit.",
        "[RESULT] 3 < 5",
        "[RESULT] 2 through 4",
        "RESULT 4",
        "[RESULT] 4 [RESULT]",
    ],
)
def test_what_says_no_score_is_no_verdict(text):
    assert find_verdict(text, FIVE) is None


def test_only_the_last_marker_counts():
    text = "[RESULT] 2 was my first thought. [RESULT] 4"
    verdict = find_verdict(text, FIVE)
    assert (verdict.text, verdict.start, verdict.end) == ("4", len(text) - 1, len(text))


def test_letters_that_grow_in_upper_case_do_not_move_the_verdict():
    text = "Außerdem heißt die Straße groß. [RESULT] 4"
    assert find_verdict(text, FIVE).start == len(text) - 1


def test_the_marker_counts_in_any_case():
    assert find_verdict("fine [Result] 3", FIVE).text == "3"


@pytest.mark.parametrize(("text", "verdict"), [("[RESULT] 1", "1"), ("[RESULT] 10", "10")])
def test_a_label_that_begins_another_is_told_apart(text, verdict):
    assert find_verdict(text, TEN).text == verdict
    assert not find_verdict(text, TEN).is_complete
    assert find_verdict(f"{text}; b", TEN).is_complete


@pytest.mark.parametrize("tail", [" A", "(A)", " Response A", ": **A**", " The result is A"])
def test_winners_are_found_in_the_forms_that_judges_write(tail):
    assert find_verdict(f"[RESULT]{tail}", AB).text == "A"


@pytest.mark.parametrize(
    "tail", [" Answer", " a tie", " A or B", " A and B", " A = B", " A < B", " A's", " neither", " Both"]
)
def test_what_names_no_winner_is_no_verdict(tail):
    assert find_verdict(f"[RESULT]{tail}", AB) is None


def test_a_letter_is_complete_only_when_its_word_has_ended():
    assert not find_verdict("[RESULT] A", AB).is_complete
    assert find_verdict("[RESULT] A. ", AB).is_complete


@pytest.mark.parametrize(
    ("text", "at"),
    [("Good [RESULT]", True), ("[RESULT] \n", True), ("[RESULT].", False), ("RESULT]", False), ("", False)],
)
def test_a_text_ends_in_its_marker_where_only_white_space_follows(text, at):
    assert ends_in_marker(text) is at


def test_the_end_of_the_last_marker_is_found():
    assert marker_end("a [RESULT] b [result] c") == 21
    assert marker_end("no marker") is None


pieces = st.sampled_from(
    [
        "[RESULT]",
        " ",
        "4",
        "10",
        "7",
        ".",
        "/",
        "5",
        "-",
        "(",
        ")",
        "**",
        "Score",
        ": ",
        "the final ",
        "A",
        "B",
        "or",
        "\n",
    ]
)
texts = st.tuples(plain_text, st.lists(pieces | plain_text, max_size=8)).map(lambda parts: parts[0] + "".join(parts[1]))


@given(texts)
def test_every_verdict_is_one_that_the_parser_reads(text):
    verdict = find_verdict(text, FIVE)
    if verdict is not None:
        parsed = parse_score(text[: verdict.end], ScoreScale(1, 5))
        assert parsed.outcome is not Outcome.NO_RESULT
        assert parsed.score is None or parsed.score == int(verdict.text)


@given(texts)
def test_every_winner_is_one_that_the_parser_reads(text):
    verdict = find_verdict(text, AB)
    if verdict is not None:
        assert parse_winner(text[: verdict.end]).winner == verdict.text


PIECES = [
    "1",
    "4",
    "10",
    " ",
    "/",
    "(",
    ")",
    "out of",
    " of ",
    "-",
    " to ",
    "and",
    ".",
    ",",
    "%",
    "**",
    "½",
    "\n",
    "is",
    "'",
    "|",
    ": ",
    " stars ",
    " and a half",
    " 000",
    "4",
]


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_stopping_at_a_complete_verdict_reads_what_the_whole_text_says(tail):
    whole = f"Fine. [RESULT]{tail}"
    for end in range(len(whole) + 1):
        verdict = find_verdict(whole[:end], FIVE)
        if verdict is not None and verdict.is_complete:
            assert parse_score(whole[: verdict.end], ScoreScale()) == parse_score(whole, ScoreScale())
            return


NAMED_PIECES = [
    "A",
    "B",
    " ",
    "Response ",
    "Assistant ",
    " and ",
    " or ",
    " = ",
    " vs. ",
    "(",
    ")",
    "**",
    ".",
    ":",
    "is",
]


@given(st.lists(st.sampled_from(NAMED_PIECES), max_size=7).map("".join))
@example(") and Response **B**")
def test_stopping_at_a_complete_winner_reads_what_the_whole_text_says(tail):
    whole = f"Fine. [RESULT] A{tail}"
    for end in range(len(whole) + 1):
        verdict = find_verdict(whole[:end], AB)
        if verdict is not None and verdict.is_complete:
            assert parse_winner(whole[: verdict.end]) == parse_winner(whole)
            return


@given(st.lists(st.sampled_from(["[RESULT]", "[result] ", "A", *PIECES]), max_size=14).map("".join))
def test_the_first_verdict_is_the_first_that_a_growing_text_shows_at_a_marker(text):
    ends = [found.start() for found in re.finditer(r"\[RESULT\]", text, re.IGNORECASE)][1:]
    for labels in (FIVE, ("A", "B")):
        verdicts = (find_verdict(text[:end], labels) for end in (*ends, len(text)))
        assert first_verdict(text, labels) == next((one for one in verdicts if one is not None), None)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Good. [RESULT] 4", "4"),
        ("Good. [RESULT] 4\n\nNext. [RESULT] 1", "4"),
        ("[RESULT] is what I write. [RESULT] 2", "2"),
        ("Good. [RESULT] or not", None),
        ("Good.", None),
    ],
)
def test_the_first_verdict_is_where_decoding_would_have_stopped(text, verdict):
    found = first_verdict(text, ("1", "2", "3", "4", "5"))
    assert (found.text if found else None) == verdict


THOUGHT = "<think>A [RESULT] 2 is too harsh for it.</think>Good. [RESULT] 5"


def test_a_marker_inside_of_thoughts_is_no_verdict():
    labels = ("1", "2", "3", "4", "5")
    assert find_verdict(THOUGHT, labels).text == "5"
    assert first_verdict(THOUGHT, labels).text == "5"
    assert find_verdict("<think>A [RESULT] 2 is too", labels) is None
    assert find_verdict("A [RESULT] 2 is too harsh", labels, opened=True) is None
    assert find_verdict("A [RESULT] 2 is too harsh.</think>Good. [RESULT] 5", labels, opened=True).text == "5"
    assert ends_in_marker("<think>[RESULT] ") is False
    assert marker_end("<think>[RESULT]</think>") is None


@pytest.mark.parametrize("text", ["4~5", "4 ～ 5", "4〜5", "4 → 5"])
def test_a_range_is_no_verdict(text):
    assert find_verdict(f"Good. [RESULT] {text}", ("1", "2", "3", "4", "5")) is None
