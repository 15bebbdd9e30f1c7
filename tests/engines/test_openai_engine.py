"""The server engine against a server of scripted texts that takes texts alone, as many hosted ones do."""

import asyncio
import logging
import os
import pickle  # noqa: TID251  engines must travel between processes as their configuration
import threading
import time
from math import exp, inf

import pytest

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.openai_engine import OpenAIEngine, server_abilities
from prom_reward.engines.server_source import ServerSource
from prom_reward.errors import ConfigError, MissingPackageError, ServerGoneError
from prom_reward.types import JudgePrompt
from tests.fault_server import FaultServer
from tests.served_models import graded, level, text_server

SAMPLING = SamplingParams(max_new_tokens=20, temperature=0)
PROMPTS = [JudgePrompt("", f"Task {number}.") for number in range(12)]
SCORE = [JudgePrompt("", f"Task {number}.", "[RESULT] ") for number in range(12)]


@pytest.fixture
def serve():
    """Makes servers and engines, and closes them."""
    opened = []

    def make(answer=None, *, conversation="mistral", tokenizer=None, **source):
        server = FaultServer(answer or text_server())
        engine = OpenAIEngine(
            ServerSource(url=server.url, **{"request_timeout_s": 5, **source}),
            conversation=conversation,
            tokenizer=tokenizer,
        )
        opened.extend((engine, server))
        return server, engine

    yield make
    for one in opened:
        one.close()


def thread_names():
    return {thread.name for thread in threading.enumerate()}


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


def test_no_more_requests_are_under_way_than_allowed_and_connections_are_reused(serve):
    server, engine = serve(max_in_flight=3)
    server.delay_s = 0.02
    engine.generate(SCORE, SAMPLING)
    assert server.most_in_flight == 3
    assert server.num_connections <= 3 + 1  # and that of the probe


def test_requests_keep_to_their_rate(serve):
    _, engine = serve(requests_per_minute=1200)
    engine.count_tokens(PROMPTS[0])
    start = time.monotonic()
    engine.generate(SCORE[:9], SAMPLING)
    assert time.monotonic() - start >= 8 * 60 / 1200


def test_it_works_within_a_running_event_loop(serve):
    _, engine = serve()

    async def within():
        return engine.generate(SCORE[:2], SAMPLING)

    assert asyncio.run(within()) == engine.generate(SCORE[:2], SAMPLING)


def test_closing_leaves_no_thread_and_no_connection_and_the_next_use_starts_anew(serve):
    server, engine = serve()
    first = engine.generate(SCORE[:2], SAMPLING)
    assert "prom-reward-server" in thread_names()
    engine.close()
    engine.close()
    assert "prom-reward-server" not in thread_names()
    deadline = time.monotonic() + 5
    while server.num_open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.num_open == 0
    assert engine.generate(SCORE[:2], SAMPLING) == first


def test_an_engine_that_nobody_holds_ends_its_thread(serve):
    server, _ = serve()
    engine = OpenAIEngine(ServerSource(url=server.url), conversation="mistral")
    engine.generate(SCORE[:1], SAMPLING)
    assert "prom-reward-server" in thread_names()
    del engine
    assert "prom-reward-server" not in thread_names()


def test_a_forked_process_has_connections_of_its_own(serve):
    server, engine = serve()
    expected = engine.generate(SCORE[:2], SAMPLING)
    num_before = server.num_connections
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        is_same = engine.generate(SCORE[:2], SAMPLING) == expected
        os.write(writer, b"1" if is_same else b"0")
        os._exit(0)
    assert os.read(reader, 1) == b"1"
    os.waitpid(child, 0)
    assert server.num_connections > num_before
    assert engine.generate(SCORE[:2], SAMPLING) == expected


def test_it_pickles_without_thread_or_connection(serve):
    _, engine = serve()
    expected = engine.generate(SCORE[:2], SAMPLING)
    other = pickle.loads(pickle.dumps(engine))
    assert other.identity == engine.identity
    assert other.generate(SCORE[:2], SAMPLING) == expected
    other.close()


def test_the_fingerprint_names_the_served_model_and_asks_only_where_none_is_given(serve):
    server, engine = serve(model="judge")
    assert engine.fingerprint == engine.identity == f"openai:{server.url}|judge|auto||mistral|"
    assert server.requests == []
    other_server, other = serve()
    assert other.fingerprint == f"openai:{other_server.url}||auto||mistral||judge"


def test_a_model_that_is_not_served_is_said_with_those_that_are(serve):
    _, engine = serve(model="jugde")
    with pytest.raises(
        ConfigError, match=r"the server has no model 'jugde'; expected one of judge. Did you mean 'judge'\?$"
    ):
        engine.generate(SCORE[:1], SAMPLING)


def test_several_models_need_a_name(serve):
    server, engine = serve()
    server.models.append({"id": "other"})
    with pytest.raises(
        ConfigError, match=r"got no server.model; it serves judge, other, so give the name of the judge's$"
    ):
        engine.generate(SCORE[:1], SAMPLING)


def test_a_server_of_nothing_that_judges_is_said(serve):
    _, engine = serve(lambda path, body: 404)
    with pytest.raises(ConfigError, match="answers neither completions nor chat completions for the model 'judge'"):
        engine.generate(SCORE[:1], SAMPLING)


def test_a_redirect_is_not_followed(serve):
    target = FaultServer(text_server())
    server, engine = serve(outage_deadline_s=1)
    server.redirect_to = target.url.removesuffix("/v1")
    with pytest.raises(
        ConfigError, match=r"refuses every request \(HTTP 307, a redirect\); give the url that it redirects to"
    ):
        engine.generate(SCORE[:1], SAMPLING)
    assert target.requests == []
    target.close()


def test_a_prompt_that_the_server_calls_too_long_is_too_long(serve):
    server, engine = serve()
    server.fault = lambda number, body: "400" if "Task 1." in body["prompt"] else None
    server.error_text = "This model's maximum context length is 8 tokens"
    first, second = engine.generate(SCORE[:2], SAMPLING)
    assert first.finish_reason == "result"
    assert (second.finish_reason, second.text, second.score_logprobs) == ("too_long", "", None)
    assert second.error == f"the prompt has too many tokens, the server says: HTTP 400 - {server.error_text}"


def test_text_completions_without_a_tokenizer_need_a_conversation_that_can_be_written_here(serve):
    _server, engine = serve(conversation="tokenizer", api="completions")
    with pytest.raises(ConfigError, match="text completions need the judge's tokenizer, which writes its conversation"):
        engine.generate(PROMPTS[:1], SAMPLING)
    _, other = serve(conversation="tokenizer")
    with pytest.raises(ConfigError, match=r"the server has no chat completions for 'judge'; give tokenizer= for text"):
        other.generate(PROMPTS[:1], SAMPLING)


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


def test_an_unloadable_tokenizer_is_said_and_prompts_go_as_text(serve, caplog, tmp_path):
    from prom_reward.engines.loading import ModelSource

    server, engine = serve(tokenizer=ModelSource(model=str(tmp_path / "none")))
    with caplog.at_level(logging.WARNING):
        engine.generate(SCORE[:1], SAMPLING)
    assert "prompts are sent as text, without the judge's tokenizer (the weights of" in caplog.text
    assert isinstance(server.posts[-1].body["prompt"], str)


def test_a_tokenizer_that_is_not_the_servers_is_said_and_not_used(serve, caplog, smollm2_folder):
    from prom_reward.engines.loading import ModelSource

    server, engine = serve(tokenizer=ModelSource(model=str(smollm2_folder)))
    with caplog.at_level(logging.WARNING):
        engine.generate(SCORE[:1], SAMPLING)
    assert "is not that of the model judge" in caplog.text
    assert isinstance(server.posts[-1].body["prompt"], str)


def test_what_a_server_can_do_is_told(serve):
    server, _ = serve()
    found = server_abilities(ServerSource(url=server.url))
    assert (found.model, found.context_length, found.chat) == ("judge", None, None)
    assert (found.completions.top_logprobs, found.completions.takes_token_ids) == (5, False)
    assert (found.completions.takes_penalty, found.completions.continues_answer) == (False, True)
    assert "prom-reward-server" not in thread_names()


def test_a_missing_package_is_one_line_with_the_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"run: pip install 'prom-reward\[openai\]'$"):
        OpenAIEngine(ServerSource(url="http://127.0.0.1:1"))


def test_a_server_that_never_answers_is_one_clear_error():
    engine = OpenAIEngine(
        ServerSource(url="http://127.0.0.1:9", outage_deadline_s=0.3, max_retries=0), conversation="mistral"
    )
    with pytest.raises(
        ServerGoneError,
        match=r"^the judge's server http://127.0.0.1:9/v1 gave no answer for 0 s \(ConnectError: .*\); start it",
    ):
        engine.generate(SCORE[:1], SAMPLING)
    assert "prom-reward-server" not in thread_names()
