from functools import partial
from itertools import count
from math import exp, log

import pytest

from prom_reward.engines.base import Generation, SamplingParams
from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.types import JudgePrompt

SAMPLING = SamplingParams()
FEEDBACK = JudgePrompt("", "Judge this.")
SCORE = JudgePrompt("", "Judge this.", "[RESULT] ")


def answers(engine, *prompts):
    return engine.generate(list(prompts), SAMPLING)


def test_answers_are_given_one_after_another_and_from_the_start_again():
    engine = ScriptedEngine(["One. [RESULT] 1", "Two. [RESULT] 2"])
    assert [one.text[:3] for one in answers(engine, FEEDBACK, FEEDBACK, FEEDBACK)] == ["One", "Two", "One"]
    assert [one.text[:3] for one in answers(engine, FEEDBACK)] == ["Two"]


def test_a_function_answers_by_the_prompt():
    engine = ScriptedEngine(lambda prompt: f"{prompt.user} [RESULT] 3")
    assert answers(engine, FEEDBACK)[0].text == "Judge this. [RESULT] 3"


def test_the_written_label_gets_the_confidence_and_the_others_share_the_rest():
    (answer,) = answers(ScriptedEngine(["Good. [RESULT] 4"], confidence=0.8), FEEDBACK)
    probs = {label: exp(value) for label, value in answer.score_logprobs.items()}
    assert probs == pytest.approx({"1": 0.05, "2": 0.05, "3": 0.05, "4": 0.8, "5": 0.05})


def test_full_confidence_leaves_the_others_a_finite_log_probability():
    (answer,) = answers(ScriptedEngine(["[RESULT] 4"], confidence=1), FEEDBACK)
    assert answer.score_logprobs["4"] == 0
    assert answer.score_logprobs["1"] == log(1e-12)


@pytest.mark.parametrize(("script", "text"), [("4", "4"), ("Good. [RESULT] 4", "4"), ("[RESULT](4)", "(4)")])
def test_in_score_mode_the_verdict_alone_is_the_text(script, text):
    (answer,) = answers(ScriptedEngine([script]), SCORE)
    assert (answer.text, answer.finish_reason, answer.num_generated_tokens) == (text, "result", 0)
    assert answer.score_logprobs["4"] == pytest.approx(log(0.9))


def test_a_verdict_off_the_scale_has_no_distribution():
    (answer,) = answers(ScriptedEngine(["Great. [RESULT] 7"]), FEEDBACK)
    assert answer.finish_reason == "result"
    assert answer.score_logprobs is None


def test_a_text_without_result_stops_without_a_distribution():
    (answer,) = answers(ScriptedEngine(["I would rather not say."]), FEEDBACK)
    assert (answer.finish_reason, answer.score_logprobs, answer.error) == ("stop", None, None)


def test_a_generation_is_given_out_as_it_is():
    ready = Generation(text="x", finish_reason="length")
    assert answers(ScriptedEngine([ready]), FEEDBACK) == [ready]


def test_an_exception_in_the_script_fails_its_prompt_alone():
    first, second = answers(ScriptedEngine([ValueError("the server is gone"), "[RESULT] 2"]), FEEDBACK, FEEDBACK)
    assert (first.finish_reason, first.error, first.text) == ("error", "the server is gone", "")
    assert second.finish_reason == "result"


def test_an_exception_that_the_function_raises_fails_its_prompt_alone():
    numbers = count()

    def script(prompt):
        if next(numbers) == 0:
            raise RuntimeError("boom")
        return "[RESULT] 5"

    first, second = answers(ScriptedEngine(script), FEEDBACK, FEEDBACK)
    assert (first.finish_reason, first.error) == ("error", "boom")
    assert second.text == "[RESULT] 5"


def test_a_prompt_over_the_context_is_too_long_and_takes_no_answer_from_the_script():
    engine = ScriptedEngine(["[RESULT] 1"], context_length=3)
    assert engine.context_length == 3
    long, short = answers(engine, JudgePrompt("", "one two three four"), FEEDBACK)
    assert long.finish_reason == "too_long"
    assert long.error == "the prompt has 4 words, the context takes 3"
    assert short.text == "[RESULT] 1"


def test_words_of_system_task_and_prefix_are_counted():
    assert ScriptedEngine([""]).count_tokens(JudgePrompt("a b", "c d e", "[RESULT] ")) == 6


def test_every_prompt_is_kept_in_order():
    engine = ScriptedEngine(["[RESULT] 1"])
    answers(engine, FEEDBACK, SCORE)
    answers(engine, FEEDBACK)
    assert engine.prompts == [FEEDBACK, SCORE, FEEDBACK]


def test_letters_are_labels_too():
    (answer,) = answers(ScriptedEngine(["Better. [RESULT] B"]), JudgePrompt("", "Compare.", labels=("A", "B")))
    assert exp(answer.score_logprobs["B"]) == pytest.approx(0.9)


def test_a_function_is_known_by_its_name():
    assert ScriptedEngine(test_letters_are_labels_too).fingerprint == "scripted:test_letters_are_labels_too:0.9:"
    assert ScriptedEngine(lambda prompt: "4", name="four").fingerprint == "scripted:four:0.9:"
    assert ScriptedEngine(partial(answers)).fingerprint == "scripted:partial:0.9:"


def test_two_scripts_are_never_taken_for_one_another():
    failing, given = [RuntimeError("no")], [Generation(text="[RESULT] 4", finish_reason="result")]
    scripts = (["4"], ["5"], ["4", "5"], failing, given)
    engines = [ScriptedEngine(script) for script in scripts]
    engines += [ScriptedEngine(["4"], confidence=0.5), ScriptedEngine(["4"], context_length=9)]
    assert len({engine.fingerprint for engine in engines}) == len({engine.identity for engine in engines}) == 7
    assert ScriptedEngine(["4"]).fingerprint == ScriptedEngine(iter(["4"])).fingerprint
