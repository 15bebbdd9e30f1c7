"""What the server engine makes of a server of scripted texts that takes texts alone, as many hosted ones do."""

import asyncio
import threading
from math import exp, inf

import pytest

from prom_reward.engines.base import SamplingParams
from prom_reward.errors import ConfigError
from prom_reward.types import JudgePrompt
from tests.served_models import graded, level, text_server

SAMPLING = SamplingParams(max_new_tokens=20, temperature=0)
PROMPTS = [JudgePrompt("", f"Task {number}.") for number in range(12)]
SCORE = [JudgePrompt("", f"Task {number}.", "[RESULT] ") for number in range(12)]


def rendered(prompt):
    return f"[INST] {prompt.user} [/INST]"


def test_feedback_is_read_with_its_distribution(serve):
    _, engine = serve()
    for prompt, answer in zip(PROMPTS, engine.generate(PROMPTS, SAMPLING), strict=True):
        score = str(level(rendered(prompt)))
        assert (answer.text, answer.finish_reason) == (f" Fair. [RESULT] {score}", "result")
        assert exp(answer.score_logprobs[score]) == pytest.approx(0.8)
        assert sum(map(exp, answer.score_logprobs.values())) == pytest.approx(1)
        assert (answer.num_prompt_tokens, answer.num_generated_tokens, answer.is_partial) == (7, 3, False)


def test_score_mode_continues_the_started_answer(serve):
    server, engine = serve()
    for prompt, answer in zip(SCORE, engine.generate(SCORE, SAMPLING), strict=True):
        assert answer.text == str(level(rendered(prompt)))
        assert (answer.finish_reason, answer.num_generated_tokens) == ("result", 0)
        assert exp(answer.score_logprobs[answer.text]) == pytest.approx(0.8)
    assert all(post.body["prompt"].endswith("[/INST] [RESULT]") for post in server.posts[-12:])


def test_a_label_that_the_server_does_not_name_makes_the_distribution_partial(serve):
    _, engine = serve(text_server(num_logprobs=3))
    for answer in engine.generate([SCORE[0], PROMPTS[0]], SAMPLING):
        assert answer.is_partial
        assert sorted(answer.score_logprobs.values())[:2] == [-inf, -inf]
        assert max(map(exp, answer.score_logprobs.values())) == pytest.approx(0.8)


def test_a_server_without_log_probabilities_gives_the_integer(serve):
    _, engine = serve(text_server(num_logprobs=0))
    at_once, written = engine.generate([SCORE[0], PROMPTS[0]], SAMPLING)
    assert at_once.text == str(level(rendered(SCORE[0])))
    assert written.text.endswith(str(level(rendered(PROMPTS[0]))))
    assert at_once.score_logprobs is written.score_logprobs is None


def test_a_feedback_without_verdict_is_closed_by_a_second_request(serve):
    def rambling(prompt):
        return graded(prompt) if prompt.endswith("[RESULT]") else " It is, all in all, a text"

    server, engine = serve(text_server(rambling))
    [answer] = engine.generate(PROMPTS[:1], SAMPLING)
    closed = f"{rendered(PROMPTS[0])} It is, all in all, a text [RESULT]"
    assert server.posts[-1].body["prompt"] == closed
    assert answer.finish_reason == "forced"
    assert answer.text == f" It is, all in all, a text [RESULT] {level(closed.removesuffix('[RESULT]').rstrip())}"
    assert answer.num_generated_tokens == 7


def test_a_marker_without_verdict_is_closed_behind_it(serve):
    script = {True: " 3", False: " Good. [RESULT]"}
    server, engine = serve(text_server(lambda prompt: script[prompt.endswith("[RESULT]")]))
    [answer] = engine.generate(PROMPTS[:1], SAMPLING)
    assert server.posts[-1].body["prompt"] == f"{rendered(PROMPTS[0])} Good. [RESULT]"
    assert (answer.text, answer.finish_reason) == (" Good. [RESULT] 3", "forced")


def test_only_the_first_verdict_counts_where_the_judge_writes_on(serve):
    _, engine = serve(text_server(lambda prompt: " Good. [RESULT] 4\n\nTask: more. [RESULT] 1"))
    [answer] = engine.generate(PROMPTS[:1], SAMPLING)
    assert answer.text == " Good. [RESULT] 4"
    assert exp(answer.score_logprobs["4"]) == pytest.approx(0.8)


@pytest.mark.parametrize(("script", "text"), [(" Hm. [RESULT] 7", " Hm. [RESULT] 7"), (" [RESULT] 7", " [RESULT] 7")])
def test_a_verdict_off_the_scale_has_no_distribution(serve, script, text):
    _, engine = serve(text_server(lambda prompt: script))
    [answer] = engine.generate(PROMPTS[:1], SAMPLING)
    assert (answer.text, answer.finish_reason, answer.score_logprobs) == (text, "result", None)


def test_score_mode_without_verdict_is_no_result(serve):
    _, engine = serve(text_server(lambda prompt: " I cannot say"))
    [answer] = engine.generate(SCORE[:1], SAMPLING)
    assert (answer.finish_reason, answer.score_logprobs) == ("stop", None)


def test_an_empty_feedback_is_closed_too(serve):
    _, engine = serve(text_server(lambda prompt: " 2" if prompt.endswith("[RESULT]") else ""))
    [answer] = engine.generate(PROMPTS[:1], SAMPLING)
    assert (answer.text.strip(), answer.finish_reason) == ("[RESULT] 2", "forced")


def test_special_tokens_in_a_text_prompt_are_disarmed(serve):
    server, engine = serve()
    engine.generate([JudgePrompt("", "A </s><|im_end|> B [INST] C")], SAMPLING)
    assert server.posts[-1].body["prompt"] == "[INST] A < /s>< |im_end|> B [ INST] C [/INST]"


def test_the_sampling_goes_to_the_server_and_a_seed_of_each_prompts_own(serve):
    server, engine = serve()
    sampling = SamplingParams(max_new_tokens=9, temperature=0.7, top_p=0.8, seed=5)
    engine.generate([*PROMPTS[:2], PROMPTS[0]], sampling)
    sent = server.posts[-3:]
    assert len({post.body["seed"] for post in sent}) == 3
    assert all(
        (post.body["max_tokens"], post.body["temperature"], post.body["top_p"]) == (9, 0.7, 0.8) for post in sent
    )
    engine.generate([*PROMPTS[:2], PROMPTS[0]], sampling)
    assert {post.body["seed"] for post in server.posts[-3:]} == {post.body["seed"] for post in sent}


def test_what_begins_alike_is_sent_one_after_another_and_a_duplicate_once(serve):
    server, engine = serve(max_in_flight=1)
    engine.count_tokens(PROMPTS[0])
    before = len(server.posts)
    answers = engine.generate([SCORE[3], SCORE[1], SCORE[3], SCORE[10], SCORE[1]], SAMPLING)
    sent = [post.body["prompt"] for post in server.posts[before:]]
    assert sent == sorted(sent) and len(sent) == 3
    assert answers[0].text == answers[2].text and answers[1].text == answers[4].text
    assert [answer.num_computed_tokens > 0 for answer in answers] == [True, True, False, True, False]


def test_chat_completions_serve_feedback(serve):
    server, engine = serve(text_server(has_chat=True), conversation="tokenizer")
    prompt = JudgePrompt("You judge.", "Task.")
    [answer] = engine.generate([prompt], SAMPLING)
    score = str(level("You judge.\nTask."))
    assert answer.text == f" Fair. [RESULT] {score}"
    assert exp(answer.score_logprobs[score]) == pytest.approx(0.8)
    assert server.posts[-1].body["messages"] == [
        {"role": "system", "content": "You judge."},
        {"role": "user", "content": "Task."},
    ]


def test_chat_without_started_answers_cannot_score_at_once_and_leaves_feedback_open(serve):
    _, engine = serve(text_server(lambda prompt: " No verdict", has_chat=True), conversation="tokenizer")
    with pytest.raises(
        ConfigError, match="does not continue a started answer, which score mode needs; use mode='feedback'"
    ):
        engine.generate(SCORE[:1], SAMPLING)
    [answer] = engine.generate(PROMPTS[:1], SAMPLING)
    assert (answer.text, answer.finish_reason, answer.score_logprobs) == (" No verdict", "stop", None)


def test_chat_with_started_answers_scores_at_once_and_closes(serve):
    script = {True: " 4", False: " No verdict"}
    answer = text_server(lambda prompt: script[prompt.endswith("[RESULT]")], has_chat=True, prefill=True)
    server, engine = serve(answer, conversation="mistral", api="chat")
    prompts = [JudgePrompt("You judge.", "Task.", prefix) for prefix in ("[RESULT] ", "")]
    at_once, closed = engine.generate(prompts, SAMPLING)
    assert (at_once.text, at_once.finish_reason) == ("4", "result")
    assert (closed.text, closed.finish_reason) == (" No verdict [RESULT] 4", "forced")
    assert server.posts[-1].body["messages"][0] == {"role": "user", "content": "You judge.\nTask."}
    assert server.posts[-1].body["continue_final_message"] is True


def test_calls_of_one_event_loop_are_answered_side_by_side_without_a_thread_each(serve):
    server, engine = serve()
    expected = engine.generate(PROMPTS, SAMPLING)
    server.delay_s = 0.05
    threads = threading.active_count()
    num_threads = []

    async def grade_all():
        calls = [asyncio.create_task(engine.agenerate([prompt], SAMPLING)) for prompt in PROMPTS]
        await asyncio.sleep(0.02)
        num_threads.append(threading.active_count())
        return [answer for answers in await asyncio.gather(*calls) for answer in answers]

    assert asyncio.run(grade_all()) == expected
    assert server.most_in_flight > 1
    assert num_threads == [threads]


def test_an_awaited_call_connects_at_its_first_use_and_can_be_canceled(serve):
    server, engine = serve()
    assert asyncio.run(engine.agenerate([], SAMPLING)) == []
    [answer] = asyncio.run(engine.agenerate(PROMPTS[:1], SAMPLING))
    assert answer.finish_reason == "result"
    server.fault = lambda number, body: "forever"

    async def give_up():
        async with asyncio.timeout(0.1):
            await engine.agenerate(PROMPTS[:1], SAMPLING)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    server.fault = lambda number, body: None
    assert engine.generate(PROMPTS[1:2], SAMPLING)[0].finish_reason == "result"
