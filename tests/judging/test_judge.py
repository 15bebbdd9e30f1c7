import re

import pytest
from hypothesis import given, strategies as st

from prom_reward.engines.base import Generation, SamplingParams
from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.errors import ConfigError
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.types import ComparisonRequest, GradingRequest, Outcome, Rubric, ScoreScale
from tests.strategies import attack_text, grading_requests

BROKEN = Generation(text="Cut [RESULT] 3", finish_reason="forced")


def judge_of(script, **settings):
    context_length = settings.pop("context_length", None)
    return PrometheusJudge(ScriptedEngine(script, context_length=context_length), **settings)


def test_feedback_mode_reads_what_the_judge_wrote(request_of):
    judge = judge_of(["Feedback: Wrong city. [RESULT] 2"])
    (judgment,) = judge.grade([request_of("Lyon.")])
    assert (judgment.outcome, judgment.score, judgment.feedback) == (Outcome.SCORED, 2, "Wrong city.")
    assert judgment.expected_score == pytest.approx(0.9 * 2 + 0.025 * 13)
    assert (judge.engine.prompts[0].response_prefix, judge.engine.prompts[0].labels) == ("", tuple("12345"))
    assert "###Response to evaluate:\nLyon.\n" in judge.engine.prompts[0].user


def test_score_mode_puts_the_marker_in_the_judges_mouth(request_of):
    judge = judge_of(["[RESULT] 2"], mode="score", num_samples=3)
    (judgment,) = judge.grade([request_of("Lyon.")])
    assert (judgment.score, judgment.sampled_scores, judgment.feedback) == (2, (2,), "")
    assert [prompt.response_prefix for prompt in judge.engine.prompts] == ["[RESULT] "]
    assert judgment.num_generated_tokens == 0


def test_three_samples_a_request_are_the_papers_protocol(request_of):
    answers = [f"Text {number}. [RESULT] {score}" for number, score in enumerate([5, 4, 5, 1, 1, 2])]
    first, second = judge_of(answers, num_samples=3).grade([request_of("Paris."), request_of("Lyon.")])
    assert (first.sampled_scores, second.sampled_scores) == ((5, 4, 5), (1, 1, 2))
    assert (first.mean_score, second.mean_score) == (pytest.approx(14 / 3), pytest.approx(4 / 3))
    assert (first.score, second.score, first.feedback) == (5, 1, "Text 0.")


@pytest.mark.parametrize(
    ("failure", "outcome", "error"),
    [
        (BROKEN, Outcome.FORCED, None),
        ("I cannot say.", Outcome.NO_RESULT, None),
        ("Great [RESULT] 7", Outcome.OFF_SCALE, None),
        ("Great [RESULT] 10/10", Outcome.OFF_SCALE, None),
        (Generation(text="", finish_reason="too_long", error="9 of 8"), Outcome.TOO_LONG, "9 of 8"),
        (ValueError("the server is gone"), Outcome.ENGINE_FAILED, "the server is gone"),
    ],
)
@pytest.mark.parametrize("mode", ["feedback", "score"])
def test_one_failure_costs_one_judgment_and_no_other(request_of, failure, outcome, error, mode):
    def script(prompt):
        if "BAD" not in prompt.user:
            return f"[RESULT] {re.search('answer ([1-5])', prompt.user)[1]}"
        if isinstance(failure, Exception):
            raise failure
        return failure

    responses = ["answer 1", "BAD", "answer 3", "answer 4"]
    judgments = judge_of(script, mode=mode).grade([request_of(response) for response in responses])
    assert [judgment.score for judgment in judgments] == [1, 3 if outcome is Outcome.FORCED else None, 3, 4]
    assert (judgments[1].outcome, judgments[1].error) == (outcome, error)
    assert all(judgments[at].outcome is Outcome.SCORED for at in (0, 2, 3))


def test_a_prompt_over_the_context_is_too_long_and_the_others_are_graded(request_of):
    judge = judge_of(["[RESULT] 4"], context_length=400)
    judgments = judge.grade([request_of("Paris."), request_of("word " * 400), request_of("")])
    assert [judgment.outcome.value for judgment in judgments] == ["scored", "too_long", "scored"]
    assert re.fullmatch(r"the prompt has \d+ words, the context takes 400", judgments[1].error)


@pytest.mark.parametrize("mode", ["feedback", "score"])
def test_an_empty_response_is_graded(request_of, mode):
    judge = judge_of(["Nothing was said. [RESULT] 1"], mode=mode)
    (judgment,) = judge.grade([request_of("")])
    assert (judgment.outcome, judgment.score) == (Outcome.SCORED, 1)
    assert "###Response to evaluate:\n\n\n###Reference Answer" in judge.engine.prompts[0].user


def test_no_requests_cost_no_engine_call():
    judge = PrometheusJudge(engine=None)
    assert (judge.grade([]), judge.compare([])) == ([], [])


def test_the_rubrics_scale_gives_the_labels(request_of):
    rubric = Rubric(name="r", criteria="Good?", descriptions=dict.fromkeys(range(4), "x"), scale=ScoreScale(0, 3))
    judge = judge_of(["[RESULT] 0", "[RESULT] 4"])
    first, second = judge.grade([request_of("x", rubric=rubric)] * 2)
    assert (first.score, list(first.score_probs), second.outcome) == (0, [0, 1, 2, 3], Outcome.OFF_SCALE)


@given(attack_text, st.sampled_from(["prometheus-v1", "prometheus-v2"]), st.sampled_from(["feedback", "score"]))
def test_candidate_text_cannot_change_what_is_parsed(response, style, mode):
    rubric = Rubric.parse("helpfulness")
    harmless, attack = (GradingRequest(instruction="Do.", response=text, rubric=rubric) for text in ("x", response))
    for guard in (True, False):
        judge = judge_of(["It obeys the text. [RESULT] 2"], prompt_style=style, mode=mode, guard=guard)
        first, second = judge.grade([harmless, attack])
        assert (second.outcome, second.score, second.feedback) == (first.outcome, 2, first.feedback)
        assert second.score_probs == first.score_probs


@given(st.lists(grading_requests(response=attack_text), max_size=4))
def test_any_requests_come_back_with_length_and_order(requests):
    judge = judge_of(lambda prompt: f"Fine. [RESULT] {prompt.labels[-1]}")
    judgments = judge.grade(requests)
    assert [judgment.score for judgment in judgments] == [request.rubric.scale.high for request in requests]


def test_an_engine_that_loses_prompts_is_an_error_and_not_a_wrong_order(request_of):
    class Lossy(ScriptedEngine):
        def generate(self, prompts, sampling):
            return super().generate(prompts, sampling)[1:]

    with pytest.raises(RuntimeError, match=r"^the engine answered 1 of 2 prompts; this is a bug in it$"):
        PrometheusJudge(Lossy(["[RESULT] 4"])).grade([request_of("a"), request_of("b")])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"prompt_style": "prometheus-v3"},
            "got prompt_style='prometheus-v3'; expected prometheus-v1 or prometheus-v2 or decision",
        ),
        ({"mode": "fast"}, "got mode='fast'; expected feedback or score"),
        ({"num_samples": 0}, "got num_samples=0; expected at least 1"),
        ({"truncate_response": "end"}, "got truncate_response='end'; expected None or middle"),
    ],
)
def test_a_wrong_setting_is_refused(settings, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        judge_of(["x"], **settings)


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt_style": "prometheus-v1"},
        {"mode": "score"},
        {"num_samples": 3},
        {"guard": False},
        {"truncate_response": "middle"},
        {"sampling": SamplingParams(seed=1)},
    ],
)
def test_the_fingerprint_holds_every_setting(changed):
    assert judge_of(["x"]).fingerprint == judge_of(["x"]).fingerprint
    assert judge_of(["x"], **changed).fingerprint != judge_of(["x"]).fingerprint


def test_sampling_is_no_part_of_the_fingerprint_in_score_mode():
    seeded = judge_of(["x"], mode="score", sampling=SamplingParams(seed=1))
    assert seeded.fingerprint == judge_of(["x"], mode="score").fingerprint


LONG = " ".join(f"word{number}" for number in range(600))
WORDS = SamplingParams(max_new_tokens=20)  # the scripted engine counts words


def cut_judge(context_length, **settings):
    settings = {"truncate_response": "middle", "sampling": WORDS, **settings}
    return judge_of(["[RESULT] 4"], context_length=context_length, **settings)


def section(prompt, start, end):
    return prompt.user.partition(start)[2].partition(end)[0]


@pytest.mark.parametrize("mode", ["feedback", "score"])
def test_a_response_that_does_not_fit_is_cut_in_the_middle_with_a_mark(request_of, mode):
    judge = cut_judge(400, mode=mode)
    request = request_of(LONG, reference_answer="The whole reference.")
    (judgment,) = judge.grade([request])
    prompt = judge.engine.prompts[0]
    shown = section(prompt, "###Response to evaluate:\n", "\n\n###Reference Answer")
    match = re.fullmatch(r"(word0 word1 .*)\n\[\.\.\. (\d+) characters cut \.\.\.\]\n(.* word599)", shown, re.DOTALL)
    assert judgment.score == 4
    assert len(match[1]) + int(match[2]) + len(match[3]) == len(LONG)
    assert section(prompt, "(Score 5):\n", "\n\n###Score Rubrics:") == "The whole reference."
    assert section(prompt, "###Score Rubrics:\n", "\n\n###Feedback: ") == request.rubric.text


@pytest.mark.parametrize(("mode", "reserve"), [("feedback", 36), ("score", 16)])
def test_the_cut_is_the_longest_that_leaves_room_for_the_feedback(request_of, mode, reserve):
    judge = cut_judge(400, mode=mode)
    judge.grade([request_of(LONG)])
    assert judge.engine.count_tokens(judge.engine.prompts[0]) == 400 - reserve


def test_a_response_that_fits_is_not_touched(request_of):
    judge = cut_judge(400)
    judge.grade([request_of("Paris.")])
    assert judge.engine.prompts == [judge.grading_prompt(request_of("Paris."))]


def test_without_room_for_the_mark_nothing_is_cut_and_the_outcome_is_too_long(request_of):
    judge = cut_judge(400)
    request = request_of("Paris.", reference_answer="word " * 400)
    (judgment,) = judge.grade([request])
    assert judgment.outcome is Outcome.TOO_LONG
    assert judge.engine.prompts == [judge.grading_prompt(request)]


def test_nothing_is_cut_unless_asked_for(request_of):
    judge = cut_judge(400, truncate_response=None)
    assert judge.grade([request_of(LONG)])[0].outcome is Outcome.TOO_LONG
    assert "characters cut" not in judge.engine.prompts[0].user


def test_without_a_known_context_nothing_is_cut(request_of):
    judge = cut_judge(None)
    assert judge.grade([request_of(LONG)])[0].is_scored
    assert LONG in judge.engine.prompts[0].user


def pair(first="Paris.", second="Lyon.", **changes):
    values = {"instruction": "Capital of France?", "rubric": Rubric.parse("helpfulness"), **changes}
    return ComparisonRequest(response_a=first, response_b=second, **values)


def better_is_paris(prompt):
    shown_first = section(prompt, "###Response A:\n", "\n")
    return f"One is right. [RESULT] {'A' if shown_first == 'Paris.' else 'B'}"


@pytest.mark.parametrize("mode", ["feedback", "score"])
def test_v2_ranks_in_one_prompt_and_follows_a_swap(mode):
    judge = judge_of(better_is_paris, mode=mode)
    there, back = judge.compare([pair(), pair().swapped()])
    assert (there.winner, there.prob_a, back.winner, back.prob_a) == (
        "A",
        pytest.approx(0.9),
        "B",
        pytest.approx(0.1),
    )
    assert there.feedback == ("One is right." if mode == "feedback" else "")
    assert [prompt.labels for prompt in judge.engine.prompts] == [("A", "B")] * 2


def test_a_failed_comparison_costs_no_other():
    answers = ["[RESULT] A", "[RESULT] A or B", ValueError("gone"), "[RESULT] B"]
    comparisons = judge_of(answers).compare([pair()] * 4)
    assert [comparison.outcome.value for comparison in comparisons] == [
        "scored",
        "no_result",
        "engine_failed",
        "scored",
    ]
    assert [comparison.winner for comparison in comparisons] == ["A", None, None, "B"]
    assert comparisons[2].error == "gone"


def test_v1_compares_two_gradings():
    scores = {"Paris.": 5, "Lyon.": 2, "Nice.": 2}
    asked = lambda prompt: section(prompt, "###Response to evaluate:\n", "\n\n###")  # noqa: E731
    judge = judge_of(lambda prompt: f"Fine. [RESULT] {scores[asked(prompt)]}", prompt_style="prometheus-v1")
    first, swapped, tie, failed = judge.compare([pair(), pair().swapped(), pair("Nice."), pair("Rome.")])
    assert [one.winner for one in (first, swapped, tie)] == ["A", "B", "tie"]
    assert first.prob_a == pytest.approx(1 - swapped.prob_a)
    assert (tie.prob_a, first.feedback) == (pytest.approx(0.5), "A: Fine.\nB: Fine.")
    assert (failed.outcome, failed.winner, failed.error) == (Outcome.ENGINE_FAILED, None, "'Rome.'")
    assert len(judge.engine.prompts) == 4  # of eight sides


@given(attack_text, attack_text)
def test_candidate_text_cannot_change_the_parsed_winner(first, second):
    for guard in (True, False):
        (comparison,) = judge_of(["It obeys. [RESULT] B"], guard=guard).compare([pair(first, second)])
        assert (comparison.winner, comparison.feedback) == ("B", "It obeys.")
