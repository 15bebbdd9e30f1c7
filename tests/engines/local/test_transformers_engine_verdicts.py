"""How the engine ends a feedback and reads its verdict, with a model whose text is known exactly."""

from math import exp

import pytest
from hypothesis import given, settings, strategies as st

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.judging.parsing import parse_score
from prom_reward.prompts.conversation import ChatTemplateConversation
from prom_reward.types import JudgePrompt, Outcome, ScoreScale
from tests.tiny_models import script_ids, script_judge

FIVE = ("1", "2", "3", "4", "5")
TEN = tuple(str(label) for label in range(1, 11))
CARD = SamplingParams(seed=3)


def answer(script, *, labels=FIVE, sampling=CARD, **options):
    """The engine's generation, and what reads the script model's log-probabilities behind pieces of text."""
    judge = script_judge({"x": script}, **options)
    engine = TransformersEngine(judge, conversation=ChatTemplateConversation)
    prompt_ids = judge.tokenizer("<s>x\n<ans>").input_ids

    def logprobs_behind(*pieces):
        row = judge.model.row([*prompt_ids, *script_ids(judge.tokenizer, pieces)])
        return lambda piece: float(row.log_softmax(-1)[script_ids(judge.tokenizer, piece)[0]])

    (generation,) = engine.generate([JudgePrompt("", "x", labels=labels)], sampling)
    return generation, logprobs_behind


def read(logprobs, labels, lead=""):
    return pytest.approx({label: logprobs(f"{lead}{label}") for label in labels}, abs=1e-5)


def test_the_text_stops_at_the_verdict():
    generation, _ = answer("Good. [RESULT] 4 and more, which nobody reads. [RESULT] 1")
    assert (generation.text, generation.finish_reason) == ("Good. [RESULT] 4", "result")
    assert generation.num_generated_tokens < len("Good. [RESULT] 4 and more")


def test_the_distribution_is_read_at_the_verdicts_own_step():
    generation, behind = answer("Good. [RESULT] 4")
    assert generation.score_logprobs == read(behind("Good. [RESULT] "), FIVE)


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("Good. [RESULT](4)", "Good. [RESULT](4"),
        ("Good. [RESULT] Score: 4", "Good. [RESULT] Score: 4"),
        ("Good.\n[RESULT] 4/5", "Good.\n[RESULT] 4/5"),
        ("Good. [RESULT] 4.", "Good. [RESULT] 4"),
        ("Good. [RESULT]: **4**", "Good. [RESULT]: **4"),
        ("Good. [RESULT]4", "Good. [RESULT]4"),
    ],
)
def test_the_forms_that_judges_write_are_read_where_they_are_written(script, text):
    generation, behind = answer(script)
    assert (generation.text, generation.finish_reason) == (text, "result")
    assert generation.score_logprobs == read(behind(text[: text.index("4")]), FIVE)


def test_no_other_five_is_taken_for_the_verdict():
    generation, behind = answer("[RESULT] 5/5 5 5")
    assert generation.text == "[RESULT] 5/5"
    assert generation.score_logprobs == read(behind("[RESULT] "), FIVE)


def test_a_verdict_of_two_tokens_is_waited_for_and_read_whole():
    generation, behind = answer("Great. [RESULT] 10 of course", labels=TEN)
    assert generation.text == "Great. [RESULT] 10"
    first, second = behind("Great. [RESULT] "), behind("Great. [RESULT] ", "1")
    expected = {label: exp(first(label)) for label in TEN[:-1]}
    expected |= {"1": exp(first("1")) * (1 - exp(second("0"))), "10": exp(first("1") + second("0"))}
    assert {label: exp(value) for label, value in generation.score_logprobs.items()} == pytest.approx(
        expected, abs=1e-5
    )


def test_two_tokens_behind_a_joined_space_are_read_whole():
    generation, _ = answer("Great. [RESULT] 10", labels=TEN, joins_space=True)
    assert generation.text == "Great. [RESULT] 10"
    assert generation.score_logprobs["10"] == pytest.approx(0, abs=1e-5)


def test_a_verdict_that_begins_another_label_ends_where_the_judge_ends_it():
    generation, _ = answer("Poor. [RESULT] 1", labels=TEN)
    assert generation.text == "Poor. [RESULT] 1"
    assert max(generation.score_logprobs, key=generation.score_logprobs.get) == "1"


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("[RESULT] 7 points", "[RESULT] 7"),
        ("[RESULT] 10/10", "[RESULT] 10/10"),
        ("[RESULT] 4.5 stars", "[RESULT] 4.5"),
        ("[RESULT] 4/10.", "[RESULT] 4/10"),
        ("[RESULT] -1", "[RESULT] -1"),
    ],
)
def test_a_verdict_off_the_scale_is_kept_whole_and_never_cut_to_a_label(script, text):
    generation, _ = answer(script)
    assert (generation.text, generation.finish_reason) == (text, "result")
    assert parse_score(generation.text, ScoreScale(1, 5)).outcome is Outcome.OFF_SCALE


def test_a_feedback_that_ends_without_a_result_is_closed_and_read():
    generation, behind = answer("The answer is good.")
    assert generation.finish_reason == "forced"
    assert generation.score_logprobs == read(behind("The answer is good.", " [RESULT]", " "), FIVE)
    best = max(FIVE, key=behind("The answer is good.", " [RESULT]", " "))
    assert generation.text == f"The answer is good. [RESULT] {best}"


def test_a_feedback_that_runs_out_of_tokens_is_closed_and_read():
    generation, behind = answer("yyyyyyyyyyyyyyyy", sampling=SamplingParams(max_new_tokens=5, seed=1))
    assert (generation.finish_reason, generation.num_generated_tokens) == ("forced", 5)
    assert generation.text[:-1] == "yyyyy [RESULT] "
    assert generation.score_logprobs == read(behind("yyyyy", " [RESULT]", " "), FIVE)


@pytest.mark.parametrize("script", ["", "\n\n"])
def test_an_empty_feedback_is_closed_and_read(script):
    generation, _ = answer(script)
    assert generation.finish_reason == "forced"
    assert generation.text[:-1] == " [RESULT] " and generation.text[-1] in FIVE


@pytest.mark.parametrize("script", ["Good. [RESULT]", "Good. [RESULT] \n"])
def test_a_text_that_ends_in_its_marker_is_read_there_without_a_second_one(script):
    generation, behind = answer(script)
    assert generation.text[:-1] == "Good. [RESULT] "
    assert generation.finish_reason == "forced"
    assert generation.score_logprobs == read(behind("Good. [RESULT]", " "), FIVE)


def test_an_earlier_marker_in_prose_is_not_the_verdict():
    generation, behind = answer("I put [RESULT] before 2 numbers. Good. [RESULT] 4")
    assert generation.text == "I put [RESULT] before 2 numbers. Good. [RESULT] 4"
    assert generation.score_logprobs == read(behind("I put [RESULT] before 2 numbers. Good. [RESULT] "), FIVE)


def test_a_marker_in_prose_without_a_later_verdict_is_closed():
    generation, _ = answer("I put [RESULT] before 2 numbers.")
    assert generation.finish_reason == "forced"
    assert generation.text[:-1] == "I put [RESULT] before 2 numbers. [RESULT] "


def test_a_range_is_no_verdict():
    generation, _ = answer("[RESULT] 1-5")
    assert generation.finish_reason == "forced"
    assert generation.text[:-1] == "[RESULT] 1-5 [RESULT] "


@pytest.mark.parametrize("script", ["Both are fine. [RESULT] B", "[RESULT] Response B.", "A is poor. [RESULT] (B)"])
def test_a_winner_is_read_where_it_is_written(script):
    generation, _ = answer(script, labels=("A", "B"))
    assert generation.text == script.rstrip(".)")
    assert generation.score_logprobs["B"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("script", ["Good. [RESULT] 4", "Good. [RESULT] Score: 4"])
def test_a_tokenizer_that_joins_space_and_digit_is_read_at_its_own_tokens(script):
    generation, behind = answer(script, joins_space=True)
    assert generation.text == script
    assert generation.score_logprobs == read(behind(script.removesuffix(" 4")), FIVE, lead=" ")


@pytest.mark.parametrize("script", [["Good. [RESULT]", "(", "4", ")"], "Good. [RESULT](4)", "Good. [RESULT]\n4"])
def test_such_a_tokenizers_bare_digits_are_read_as_what_they_are(script):
    generation, _ = answer(script, joins_space=True)
    pieces = [script] if isinstance(script, str) else script
    before = "".join(pieces).partition("4")[0]
    assert generation.text == f"{before}4"
    assert generation.score_logprobs["4"] == pytest.approx(0, abs=1e-5)
    assert max(generation.score_logprobs, key=generation.score_logprobs.get) == "4"


def test_such_a_tokenizers_forced_closing_stands_before_the_joined_label():
    generation, behind = answer("Good.", joins_space=True)
    assert generation.score_logprobs == read(behind("Good.", " [RESULT]"), FIVE, lead=" ")


def test_a_verdict_fused_with_other_text_is_read_behind_the_marker():
    generation, behind = answer(["Good. [RESULT]", "(4)"], added=["(4)"])
    assert (generation.text, generation.finish_reason) == ("Good. [RESULT](4", "result")
    assert generation.score_logprobs == read(behind("Good. [RESULT]", " "), FIVE)


def test_a_verdict_fused_with_its_marker_has_no_distribution():
    generation, _ = answer(["Good. ", "[RESULT](4)"], added=["[RESULT](4)"])
    assert (generation.text, generation.finish_reason) == ("Good. [RESULT](4", "result")
    assert generation.score_logprobs is None


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingParams(temperature=0, repetition_penalty=1, seed=1),
        SamplingParams(temperature=1.7, top_p=0.4, repetition_penalty=1, seed=2),
        SamplingParams(temperature=0.4, top_p=1, repetition_penalty=1.3, seed=3),
    ],
)
@pytest.mark.parametrize("script", ["Good. [RESULT] 4", "Good."])
def test_the_distribution_is_that_before_temperature_penalty_and_top_p(script, sampling):
    generation, _ = answer(script, sampling=sampling)
    plain, _ = answer(script)
    assert generation.text == plain.text
    assert generation.score_logprobs == pytest.approx(plain.score_logprobs, abs=1e-6)


texts = st.lists(
    st.sampled_from(
        ["[RESULT]", " ", "4", "10", "7", ".", "/", "5", "-", "(", "Score: ", "is", "\n", "ß", "\u200d", "日"]
    )
    | st.text(max_size=4),
    max_size=9,
).map("".join)


@settings(max_examples=60, deadline=None)
@given(texts)
def test_no_text_of_a_judge_is_without_a_result(script):
    generation, _ = answer(script, sampling=SamplingParams(max_new_tokens=60, temperature=0, repetition_penalty=1))
    assert parse_score(generation.text, ScoreScale(1, 5)).outcome is not Outcome.NO_RESULT
    assert generation.finish_reason in ("result", "forced")


@pytest.mark.parametrize("max_new_tokens", [5, 40])
def test_closing_runs_the_closing_tokens_alone_and_reads_behind_them(max_new_tokens):
    generation, behind = answer("yyyyyyyyyyyyyyyy", sampling=SamplingParams(max_new_tokens=max_new_tokens, seed=1))
    written = generation.text.partition(" [RESULT]")[0]
    assert generation.finish_reason == "forced"
    assert 0 < generation.num_computed_tokens - generation.num_prompt_tokens <= len(" [RESULT] ")
    assert generation.score_logprobs == read(behind(written, " [RESULT]", " "), FIVE)


def test_closing_keeps_out_of_the_other_sequences_of_its_batch():
    scripts = {"x": "Never done", "y": "A longer one. [RESULT] 4", "z": "", "w": "Good. [RESULT]"}
    judge = script_judge(scripts)
    engine = TransformersEngine(judge, conversation=ChatTemplateConversation)
    prompts = [JudgePrompt("", name) for name in scripts]
    together = engine.generate(prompts, CARD)
    assert together == [engine.generate([prompt], CARD)[0] for prompt in prompts]
    assert [one.finish_reason for one in together] == ["forced", "result", "forced", "forced"]


@pytest.mark.parametrize(
    ("script", "text", "reason"),
    [
        ("<think>A [RESULT] 2 is too harsh.</think>Good. [RESULT] 5", "Good. [RESULT] 5", "result"),
        ("<think>A [RESULT] 2 is too", " [RESULT] ", "forced"),  # the thoughts are closed before the verdict is read
        ("<think>[RESULT] 2?</think>Good.", "Good. [RESULT] ", "forced"),
    ],
)
def test_a_judge_that_thinks_is_read_after_its_thoughts(script, text, reason):
    generation, _ = answer(script, sampling=SamplingParams(max_new_tokens=70, temperature=0, repetition_penalty=1))
    assert (generation.text[: len(text)], generation.finish_reason) == (text, reason)
    assert parse_score(generation.text, ScoreScale(1, 5)).outcome is Outcome.SCORED
    assert generation.score_logprobs is not None
