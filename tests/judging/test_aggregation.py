from dataclasses import replace
from math import inf, log, nan

import pytest

from prom_reward.engines.base import Generation
from prom_reward.judging.aggregation import aggregate_scores, aggregate_winners, compare_judgments, tempered
from prom_reward.types import Comparison, JudgePrompt, Judgment, Outcome

PROMPT = JudgePrompt("", "task")
SCORE_PROMPT = JudgePrompt("", "task", "[RESULT] ")
RANKING = JudgePrompt("", "task", labels=("A", "B"))
NOT_NUMBERS = "the engine's log-probabilities are not numbers; load the judge with another dtype"


def spread(**probs):
    return {label.removeprefix("p"): log(prob) for label, prob in probs.items()}


def even(label, prob=0.6):
    return {str(other): log(prob if other == label else (1 - prob) / 4) for other in range(1, 6)}


def written(text, *, finish="result", logprobs=None, **counts):
    return Generation(text=text, finish_reason=finish, score_logprobs=logprobs, **counts)


@pytest.fixture
def scored(request_of):
    return lambda *generations, prompt=PROMPT: aggregate_scores(request_of("Lyon."), prompt, [generations])


def test_one_sample_gives_its_own_score_and_distribution(scored):
    judgment = scored(written("Feedback: Wrong. [RESULT] 2", logprobs=even(2)))
    assert (judgment.outcome, judgment.score, judgment.sampled_scores) == (Outcome.SCORED, 2, (2,))
    assert judgment.feedback == "Wrong."
    assert judgment.score_probs == pytest.approx({1: 0.1, 2: 0.6, 3: 0.1, 4: 0.1, 5: 0.1})
    assert judgment.expected_score == pytest.approx(0.1 + 1.2 + 0.3 + 0.4 + 0.5)
    assert judgment.entropy == pytest.approx(-(0.6 * log(0.6) + 0.4 * log(0.1)))
    assert judgment.error is None


def test_the_integer_is_the_written_one_even_where_another_is_likelier(scored):
    judgment = scored(written("[RESULT] 2", logprobs=even(5, 0.9)))
    assert (judgment.score, judgment.expected_score) == (2, pytest.approx(0.025 * 10 + 0.9 * 5))


def test_without_log_probabilities_the_distribution_is_certain(scored):
    judgment = scored(written("[RESULT] 4"))
    assert judgment.score_probs == {1: 0.0, 2: 0.0, 3: 0.0, 4: 1.0, 5: 0.0}
    assert (judgment.expected_score, judgment.entropy) == (4.0, 0.0)


def test_three_samples_give_the_papers_mean(scored):
    judgment = scored(written("[RESULT] 5"), written("[RESULT] 4"), written("[RESULT] 4"))
    assert judgment.sampled_scores == (5, 4, 4)
    assert judgment.mean_score == pytest.approx(13 / 3)
    assert (judgment.score, judgment.expected_score) == (4, pytest.approx(13 / 3))


def test_unscored_samples_are_left_out_where_another_is_scored(scored):
    judgment = scored(
        written("Rambles.", finish="stop"),
        written("First. [RESULT] 3", logprobs=even(3)),
        written("[RESULT] 9"),
        written("Second. [RESULT] 1"),
    )
    assert (judgment.outcome, judgment.sampled_scores, judgment.feedback) == (Outcome.SCORED, (3, 1), "First.")
    assert judgment.score_probs == pytest.approx({1: 0.55, 2: 0.05, 3: 0.3, 4: 0.05, 5: 0.05})


def test_each_wording_has_to_be_answered(request_of):
    def graded(*samples):
        return aggregate_scores(request_of("Lyon."), PROMPT, samples)

    low, high, failed = written("[RESULT] 1"), written("[RESULT] 5"), replace(written("", finish="error"), error="down")
    assert graded([low], [high]).expected_score == pytest.approx(3)
    assert graded([low, failed], [high, high]).expected_score == pytest.approx(3)  # each wording counts once
    for samples in ([[low], [failed]], [[failed], [low]]):
        judgment = graded(*samples)
        assert (judgment.outcome, judgment.expected_score, judgment.error) == (Outcome.ENGINE_FAILED, None, "down")
    assert graded([written("Rambles.", finish="stop")], [high]).outcome is Outcome.NO_RESULT


def test_one_forced_sample_makes_the_judgment_forced(scored):
    judgment = scored(written("[RESULT] 3"), written("Cut off [RESULT] 4", finish="forced"))
    assert (judgment.outcome, judgment.sampled_scores) == (Outcome.FORCED, (3, 4))


@pytest.mark.parametrize(
    ("generation", "outcome"),
    [
        (written("Says nothing.", finish="stop"), Outcome.NO_RESULT),
        (written("Says nothing.", finish="length"), Outcome.NO_RESULT),
        (written("Says nothing. [RESULT]", finish="forced"), Outcome.NO_RESULT),
        (written("Says nothing. [RESULT] 6", finish="forced"), Outcome.OFF_SCALE),
        (written("Says nothing. [RESULT] 4.5"), Outcome.OFF_SCALE),
        (written("", finish="too_long"), Outcome.TOO_LONG),
        (written("half a text [RESULT] 5", finish="error"), Outcome.ENGINE_FAILED),
    ],
)
def test_what_is_unscored_says_why_and_has_no_number(scored, generation, outcome):
    judgment = scored(generation)
    assert (judgment.outcome, judgment.is_scored) == (outcome, False)
    assert (judgment.score, judgment.expected_score, judgment.score_probs, judgment.entropy) == (None,) * 4
    assert (judgment.sampled_scores, judgment.mean_score) == ((), None)


def test_the_engines_error_is_kept(scored):
    failed = Generation(text="", finish_reason="error", error="out of memory")
    assert scored(failed).error == "out of memory"
    assert scored(written("[RESULT] 2"), failed).error == "out of memory"


@pytest.mark.parametrize(
    "logprobs", [spread(p1=0.5, p2=0.5) | {"3": nan}, spread(p1=0.5) | {"3": inf}, dict.fromkeys("12345", -inf)]
)
def test_log_probabilities_that_are_no_numbers_are_a_failed_engine_and_no_score(scored, logprobs):
    judgment = scored(written("1", logprobs=logprobs), prompt=SCORE_PROMPT)
    assert (judgment.outcome, judgment.score, judgment.error) == (Outcome.ENGINE_FAILED, None, NOT_NUMBERS)
    comparison = aggregate_winners(RANKING, [written("[RESULT] A", logprobs={"A": nan, "B": nan})])
    assert (comparison.outcome, comparison.winner, comparison.error) == (Outcome.ENGINE_FAILED, None, NOT_NUMBERS)


def test_in_score_mode_the_prefix_is_part_of_what_is_parsed(scored):
    assert scored(written("4"), prompt=SCORE_PROMPT).score == 4
    assert scored(written("4")).outcome is Outcome.NO_RESULT


def test_token_counts_are_summed_over_samples(scored):
    counts = {"num_prompt_tokens": 30, "num_computed_tokens": 20, "num_generated_tokens": 7}
    judgment = scored(written("[RESULT] 3", **counts), written("nothing", finish="stop", **counts))
    assert (judgment.num_prompt_tokens, judgment.num_computed_tokens, judgment.num_generated_tokens) == (30, 40, 14)


def test_token_counts_of_an_engine_that_tells_none_are_unknown_and_not_zero(scored):
    judgment = scored(written("[RESULT] 3"))
    assert (judgment.num_prompt_tokens, judgment.num_computed_tokens, judgment.num_generated_tokens) == (None,) * 3
    comparison = aggregate_winners(RANKING, [written("[RESULT] A")])
    assert (comparison.num_prompt_tokens, comparison.num_computed_tokens, comparison.num_generated_tokens) == (
        None,
    ) * 3
    counts = {"num_prompt_tokens": 30, "num_computed_tokens": 20}
    assert scored(written("[RESULT] 3", **counts)).num_generated_tokens == 0


def test_a_winner_comes_with_its_probability():
    logprobs = {"A": log(0.2), "B": log(0.6)}
    comparison = aggregate_winners(RANKING, [written("B is right. [RESULT] B", logprobs=logprobs)])
    assert (comparison.outcome, comparison.winner, comparison.feedback) == (Outcome.SCORED, "B", "B is right.")
    assert comparison.prob_a == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("letters", "winner", "prob"), [("ABA", "A", 2 / 3), ("BBA", "B", 1 / 3), ("AB", "tie", 0.5), ("B", "B", 0.0)]
)
def test_the_majority_of_samples_wins_and_an_even_split_is_a_tie(letters, winner, prob):
    comparison = aggregate_winners(RANKING, [written(f"[RESULT] {letter}") for letter in letters])
    assert (comparison.winner, comparison.prob_a) == (winner, pytest.approx(prob))


def test_of_several_failures_the_engines_is_told(scored):
    silent, failed = written("Says nothing.", finish="stop"), replace(written("", finish="error"), error="down")
    for samples in ([silent, failed], [failed, silent]):
        winner = aggregate_winners(RANKING, samples)
        sides = [scored(one) for one in samples]
        for answer in (scored(*samples), winner, compare_judgments(*sides)):
            assert (answer.outcome, answer.error) == (Outcome.ENGINE_FAILED, "down")


def test_a_forced_winner_is_marked_and_an_unscored_sample_left_out():
    samples = [written("no verdict", finish="stop"), written("[RESULT] A", finish="forced")]
    comparison = aggregate_winners(RANKING, samples)
    assert (comparison.outcome, comparison.winner) == (Outcome.FORCED, "A")


@pytest.mark.parametrize(
    ("finish", "outcome"),
    [("too_long", Outcome.TOO_LONG), ("error", Outcome.ENGINE_FAILED), ("stop", Outcome.NO_RESULT)],
)
def test_a_comparison_without_winner_says_why(finish, outcome):
    comparison = aggregate_winners(RANKING, [Generation(text="", finish_reason=finish, error="why")])
    assert comparison == Comparison(outcome=outcome, error="why")


def judged(score, *, prob=1.0, outcome=Outcome.SCORED, feedback=""):
    probs = {label: prob if label == score else (1 - prob) / 4 for label in range(1, 6)}
    expected = sum(label * value for label, value in probs.items())
    return Judgment(outcome=outcome, feedback=feedback, score=score, score_probs=probs, expected_score=expected)


def test_two_gradings_compare_by_their_expected_scores():
    comparison = compare_judgments(judged(4, feedback="Good."), judged(2, feedback="Poor."))
    assert (comparison.outcome, comparison.winner, comparison.prob_a) == (Outcome.SCORED, "A", 1.0)
    assert comparison.feedback == "A: Good.\nB: Poor."
    closer = compare_judgments(judged(4, prob=0.8), judged(4, prob=0.9))
    assert (closer.winner, closer.feedback) == ("B", "")


@pytest.mark.parametrize("swap", [False, True])
def test_the_probability_is_never_on_the_other_side_than_the_winner(swap):
    spread = Judgment(outcome=Outcome.SCORED, score_probs={1: 0.4, 5: 0.6}, expected_score=3.4)
    middle = Judgment(outcome=Outcome.SCORED, score_probs={3: 0.45, 4: 0.55}, expected_score=3.55)
    comparison = compare_judgments(middle, spread) if swap else compare_judgments(spread, middle)
    assert (comparison.winner, comparison.prob_a) == ("A" if swap else "B", 0.5)


def test_equal_expected_scores_are_a_tie():
    comparison = compare_judgments(judged(3), judged(3, outcome=Outcome.FORCED))
    assert (comparison.outcome, comparison.winner, comparison.prob_a) == (Outcome.FORCED, "tie", 0.5)


@pytest.mark.parametrize("swap", [False, True])
def test_two_gradings_with_one_unscored_have_no_winner(swap):
    unscored = Judgment(outcome=Outcome.TOO_LONG, error="too long", num_prompt_tokens=9)
    scored = replace(judged(5), num_prompt_tokens=4, num_generated_tokens=1)
    comparison = compare_judgments(*((unscored, scored) if swap else (scored, unscored)))
    assert comparison == Comparison(outcome=Outcome.TOO_LONG, error="too long", num_prompt_tokens=13)


def test_judges_that_give_a_score_alone_are_compared_by_it():
    low, high = Judgment(outcome=Outcome.SCORED, score=2), Judgment(outcome=Outcome.SCORED, expected_score=3.5)
    found = [compare_judgments(low, high), compare_judgments(high, low), compare_judgments(high, high)]
    assert [(one.winner, one.prob_a) for one in found] == [("B", 0.0), ("A", 1.0), ("tie", 0.5)]


def test_a_temperature_takes_each_probability_to_its_power_and_keeps_the_integer(scored):
    before = scored(written("[RESULT] 5", logprobs=spread(p1=0.01, p2=0.04, p3=0.09, p4=0.36, p5=0.5)))
    flat = tempered(before, 2.0)
    roots = [0.1, 0.2, 0.3, 0.6, 0.5**0.5]
    assert list(flat.score_probs.values()) == pytest.approx([one / sum(roots) for one in roots])
    assert flat.expected_score == pytest.approx(sum(at * prob for at, prob in flat.score_probs.items()))
    assert (flat.score, flat.expected_score < before.expected_score, flat.entropy > before.entropy) == (5, True, True)
    assert tempered(flat, 0.5).expected_score == pytest.approx(before.expected_score)


def test_a_temperature_leaves_what_has_no_distribution():
    unscored = Judgment(outcome=Outcome.NO_RESULT)
    assert tempered(unscored, 2.0) is unscored


def test_a_tiny_temperature_keeps_the_likeliest_score(scored):
    sharp = tempered(scored(written("[RESULT] 2", logprobs=even(2))), 1e-3)
    assert sharp.score_probs[2] == pytest.approx(1.0)


@pytest.mark.parametrize(("finish", "outcome"), [("error", Outcome.ENGINE_FAILED), ("too_long", Outcome.TOO_LONG)])
def test_no_winner_is_read_from_a_generation_that_failed(finish, outcome):
    found = aggregate_winners(RANKING, [written("half a text [RESULT] A", finish=finish)])
    assert (found.outcome, found.winner, found.prob_a) == (outcome, None, None)
