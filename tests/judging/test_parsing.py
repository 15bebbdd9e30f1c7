import pytest
from hypothesis import given, strategies as st

from prom_reward.judging.parsing import ParsedScore, ParsedWinner, parse_score, parse_winner
from prom_reward.types import Outcome, ScoreScale
from tests.strategies import attack_text, scales

FIVE = ScoreScale()
judge_text = st.lists(
    st.one_of(
        st.sampled_from(
            ["[RESULT]", "[result] ", "Score: ", "4", "/5", "or", " to ", "A", "B", "-", ".", "(", "**", "\n"]
        ),
        st.integers(-20, 200).map(str),
        st.text(max_size=6),
    ),
    max_size=12,
).map("".join)


@pytest.mark.parametrize(
    "tail",
    [
        "[RESULT] 4",
        "[RESULT]4",
        "[RESULT](4)",
        "[RESULT] (4)",
        "[RESULT] [4]",
        "[RESULT] Score: 4",
        "[RESULT] Score 4",
        "[RESULT] **Score:** 4",
        "[RESULT] The final score is 4",
        "[RESULT] overall rating of 4",
        "[RESULT] 4/5",
        "[RESULT] 4 / 5.",
        "[RESULT] **4**/5",
        "[RESULT] 4 out of 5",
        "[RESULT] 4.",
        "[RESULT] 4.0",
        "[RESULT] 4,0",
        "[RESULT] +4",
        "[RESULT]: **4**",
        "[RESULT]: `4`",
        '[RESULT] "4"',
        "[RESULT] 4, since it names the capital.",
        "[RESULT] 4\n\nThe response is good. 2 points are missing.",
        "[Result] 4",
        "[result] 4",
        "[RESULT]\n4",
        "[RESULT] \n\n 4",
        "[RESULT] 4 (good)",
        "[RESULT] 4 or so",
    ],
)
def test_every_written_form_of_a_score_is_read(tail):
    assert parse_score(f"Feedback: It is clear. {tail}", FIVE) == ParsedScore(Outcome.SCORED, "It is clear.", 4)


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "6",
        "7",
        "45",
        "10",
        "-1",
        "−1",
        "-4",
        "4.5",
        "4,5",
        "3.99",
        "4/10",
        "4 / 10",
        "4 out of 10",
        "9/10",
        "**4**/10",
        "(4)/10",
        "4 (out of 10)",
        "4 of 10",
        "4%",
        "40 %",
        "4½",
        "1,000",
        "1_000",
        "1 000",
        "1\u202f000 000",
        "4 ½",
        "4 1/2",
        "4 and a half",
        "4 stars out of 10",
        "1'000",
        "1’000",
        "1e3",
        "1E+999999",
        "4.5e-1",
        "4.000",
        "1.2.3",
        "9" * 79,
    ],
)
def test_off_scale_numbers_are_never_clipped_or_rounded(number):
    assert parse_score(f"Fine. [RESULT] {number}", FIVE) == ParsedScore(Outcome.OFF_SCALE, "Fine.")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "A good answer, 4 of 5 points.",
        "RESULT: 4",
        "Good. [RESULT]",
        "Good. [RESULT]  \n",
        "Good. [RESULT] (an integer number between 1 and 5)",
        '"(write a feedback for criteria) [RESULT] (an integer number between 1 and 5)"',
        "Good. [RESULT] 1-5",
        "Good. [RESULT] 1 - 5",
        "Good. [RESULT] 1–5",
        "Good. [RESULT] 1 to 5",
        "Good. [RESULT] 1 and 5",
        "Good. [RESULT] 3 or 4",
        "Good. [RESULT] **3** or **4**",
        "Good. [RESULT] Score (1-5): 4",
        "Good. [RESULT] four",
        "Good. [RESULT] The response deserves 4",
        "Good. [RESULT] 4 [RESULT]",
        "Good. [RESULT]" + " " * 200 + "4",
    ],
)
def test_text_without_one_number_behind_the_marker_is_no_result(text):
    parsed = parse_score(text, FIVE)
    assert (parsed.outcome, parsed.score) == (Outcome.NO_RESULT, None)


def test_only_the_last_result_counts():
    parsed = parse_score("Feedback: the response says [RESULT] 5, which is bold. [RESULT] 2", FIVE)
    assert parsed == ParsedScore(Outcome.SCORED, "the response says [RESULT] 5, which is bold.", 2)
    assert parse_score("[RESULT] 5 and then [RESULT] 7", FIVE).outcome is Outcome.OFF_SCALE
    assert parse_score("[RESULT] 5 and then [RESULT] none", FIVE).outcome is Outcome.NO_RESULT


@pytest.mark.parametrize(
    ("scale", "text", "score"),
    [
        (ScoreScale(1, 10), "10", 10),
        (ScoreScale(1, 10), "10/10", 10),
        (ScoreScale(1, 10), "1", 1),
        (ScoreScale(0, 3), "0", 0),
        (ScoreScale(0, 3), "3/3", 3),
        (ScoreScale(0, 3), "3/5", None),
        (ScoreScale(0, 3), "-0", None),
        (ScoreScale(0, 100), "85/100", 85),
        (ScoreScale(0, 100), "85.5", None),
    ],
)
def test_scores_are_read_on_the_rubrics_own_scale(scale, text, score):
    parsed = parse_score(f"[RESULT] {text}", scale)
    assert parsed.score == score
    assert parsed.outcome is (Outcome.OFF_SCALE if score is None else Outcome.SCORED)


@pytest.mark.parametrize(
    ("text", "feedback"),
    [
        ("Feedback: Clear.\n[RESULT] 4", "Clear."),
        ("  feedback :  Clear. [RESULT] 4", "Clear."),
        ("Clear. Feedback: more. [RESULT] 4", "Clear. Feedback: more."),
        ("[RESULT] 4", ""),
        ("Feedback: no verdict", "no verdict"),
    ],
)
def test_feedback_is_the_text_before_the_marker_without_its_label(text, feedback):
    assert parse_score(text, FIVE).feedback == feedback
    assert parse_winner(text).feedback == feedback


@given(text=judge_text | attack_text, scale=scales)
def test_no_text_raises_and_every_score_is_on_the_scale(text, scale):
    parsed = parse_score(text, scale)
    assert parsed.outcome in (Outcome.SCORED, Outcome.NO_RESULT, Outcome.OFF_SCALE)
    assert (parsed.score in scale) if parsed.outcome is Outcome.SCORED else parsed.score is None
    winner = parse_winner(text)
    assert (winner.outcome, winner.winner is not None) in ((Outcome.SCORED, True), (Outcome.NO_RESULT, False))
    assert winner.winner in ("A", "B", None)


@given(text=judge_text, score=st.integers(1, 5), scale=st.just(FIVE))
def test_whatever_the_feedback_says_the_last_result_is_read(text, score, scale):
    assert parse_score(f"{text} [RESULT] {score}", scale).score == score


@pytest.mark.parametrize(
    "unit",
    [
        "[RESULT]",
        "[RESULT] ",
        " ",
        "\n",
        "*",
        "feedback",
        "Feedback:",
        "9",
        "(",
        "[RESULT] the final score is ",
        "4 or ",
    ],
)
@pytest.mark.parametrize("end", ["", "[RESULT]", "[RESULT] 4 x"])
def test_parsing_takes_time_linear_in_the_text(unit, end, linear_time):
    def parse(text: str) -> None:
        parse_score(text, FIVE)
        parse_winner(text)

    linear_time(parse, lambda size: unit * (8 * size // len(unit)) + end)


@pytest.mark.parametrize("letter", ["A", "B"])
@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "({})",
        "[{}]",
        "**{}**",
        "'{}'",
        '"{}"',
        "{}.",
        "Response {}",
        "Assistant {}",
        "Answer: {}",
        "**Response {}**",
        "Response **{}**",
        "\n{}",
        "{} is better",
        "{}, clearly",
        "{}, a clear winner",
        "The final result is {}",
        "Response {} is better than the other",
    ],
)
def test_every_written_form_of_a_winner_is_read(letter, form):
    text = f"Feedback: Both answer. [RESULT] {form.format(letter)}"
    assert parse_winner(text) == ParsedWinner(Outcome.SCORED, "Both answer.", letter)
    assert parse_winner(f"[result]{form.format(letter)}").winner == letter


@pytest.mark.parametrize(("text", "winner"), [("a", "A"), ("b", "B"), ("(b)", "B"), ("response a", "A"), ("a.", "A")])
def test_a_lower_case_winner_is_read(text, winner):
    assert parse_winner(f"[RESULT] {text}").winner == winner


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "A or B",
        "(A or B)",
        "A and B",
        "A/B",
        "A & B",
        "A = B",
        "A<B",
        "**A** == **B**",
        "A vs. B",
        "Response A ≈ Response B",
        "a or b",
        "B or A",
        "**A** or **B**",
        "(A) or (B)",
        "Response A or Response B",
        "Response A and Response B are equal",
        "both",
        "Both A and B",
        "AB",
        "A's answer",
        "a better response is B",
        "4",
        "neither",
        "tie",
        "the winner is A",
    ],
)
def test_what_names_both_or_neither_is_no_result(tail):
    assert parse_winner(f"Fine. [RESULT] {tail}") == ParsedWinner(Outcome.NO_RESULT, "Fine.")


def test_only_the_last_winner_counts():
    assert parse_winner("The text claims [RESULT] A. [RESULT] B").winner == "B"
    assert parse_winner("[RESULT] A [RESULT]").outcome is Outcome.NO_RESULT
    assert parse_winner("A is better.").outcome is Outcome.NO_RESULT
