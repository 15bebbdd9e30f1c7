"""Which prompts go in one request, and that no answer depends on it."""

import pytest

from prom_reward import Checklist, Criterion, GradingRequest, Outcome, PrometheusJudge
from prom_reward.engines.base import SamplingParams
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.server import batches as chosen
from prom_reward.engines.server.batches import batches
from prom_reward.engines.server.openai_engine import server_abilities
from prom_reward.engines.server.source import ServerSource
from prom_reward.types import JudgePrompt
from tests.fault_server import FAULTS
from tests.served_models import ModelServer, level, several, text_server
from tests.tiny_models import tiny_judge

GREEDY = SamplingParams(temperature=0)
SHARED = "The response is a text of some words. " * 3
PROMPTS = [JudgePrompt("", f"{SHARED}Criterion {number}.", "[RESULT] ") for number in range(6)]
EXPECTED = [str(level(f"[INST] {prompt.user} [/INST]")) for prompt in PROMPTS]
BAD = PROMPTS[3].user
CRITERIA = tuple(Criterion(name=f"c{number}", text=f"It has word number {number}.") for number in range(5))


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.005)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.05)


def yes_or_no(prompt):
    return " 1" if "number 1" in prompt or "number 4" in prompt else " 0"


def is_together(body):
    prompt = body.get("prompt")
    return isinstance(prompt, list) and not isinstance(prompt[0], int)


def opened(serve, answer=None, **settings):
    """A server and an engine that knows what it can do, with no post counted yet."""
    server, engine = serve(answer or several(text_server()), **settings)
    engine.count_tokens(PROMPTS[0])
    server.requests.clear()
    return server, engine


def users(found):
    return [[prompt.user for prompt, _ in batch] for batch in found]


def test_verdicts_that_begin_alike_go_together_in_their_order(monkeypatch):
    jobs = [(prompt, 0) for prompt in PROMPTS]
    assert users(batches(jobs, 64)) == [[prompt.user for prompt in PROMPTS]]
    assert [len(batch) for batch in batches(jobs, 4)] == [4, 2]
    assert [len(batch) for batch in batches(jobs, 1)] == [1] * 6
    other = (JudgePrompt("", "Another text, whose beginning nobody shares. C.", "[RESULT] "), 0)
    assert [len(batch) for batch in batches([*jobs[:2], other, *jobs[2:]], 64)] == [2, 1, 4]
    monkeypatch.setattr(chosen, "_MOST_CHARS", 2 * len(BAD))
    assert [len(batch) for batch in batches(jobs, 64)] == [2, 2, 2]


def test_other_labels_and_feedbacks_go_apart():
    scale = [(JudgePrompt("", prompt.user, "[RESULT] ", labels=("0", "1")), 0) for prompt in PROMPTS[:2]]
    written = [(JudgePrompt("", prompt.user), seed) for seed, prompt in enumerate(PROMPTS[:2])]
    jobs = [(PROMPTS[0], 0), scale[0], written[0], (PROMPTS[1], 0), scale[1], written[1]]
    assert [len(batch) for batch in batches(jobs, 64)] == [2, 2, 1, 1]


def test_the_criteria_of_a_response_are_one_request_with_the_answers_of_single_ones(serve):
    request = GradingRequest(instruction="Hi", response="Some words.", rubric=Checklist(criteria=CRITERIA))
    found = {}
    for name, answer in {"together": several(text_server(yes_or_no)), "alone": text_server(yes_or_no)}.items():
        server, engine = opened(serve, answer)
        [found[name]] = PrometheusJudge(engine, mode="score").grade([request])
        assert len(server.posts) == (1 if name == "together" else len(CRITERIA))
    assert [part.value for part in found["alone"].parts] == [0, 1, 0, 0, 1]
    assert found["together"].parts == found["alone"].parts
    assert found["together"].expected_score == found["alone"].expected_score
    assert found["together"].num_prompt_tokens == pytest.approx(found["alone"].num_prompt_tokens, rel=0.1)


@pytest.mark.parametrize("labels", [("0", "1"), tuple(str(label) for label in range(1, 11))], ids=["two", "ten"])
def test_token_ids_go_together_with_the_answers_of_single_ones(serve, tiny_folder, labels):
    loaded = tiny_judge("llama")
    prompts = [JudgePrompt("", prompt.user, "[RESULT] ", labels=labels) for prompt in PROMPTS]
    settings = {"conversation": "tokenizer", "tokenizer": ModelSource(model=str(tiny_folder))}
    found = []
    for prefix_limit in (32, 1):
        server, engine = opened(serve, several(ModelServer(loaded)), max_in_flight=prefix_limit, **settings)
        found.append(engine.generate(prompts, GREEDY))
        assert sum(map(is_together, (post.body for post in server.posts))) == (1 if prefix_limit > 1 else 0)
    for together, alone in zip(*found, strict=True):
        assert together.score_logprobs == pytest.approx(alone.score_logprobs, abs=1e-5)
        assert (together.text, together.num_prompt_tokens) == (alone.text, alone.num_prompt_tokens)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("forever", "drip")])
def test_a_fault_in_one_prompt_harms_no_other(serve, fault):
    server, engine = opened(serve, max_retries=1)
    server.fault = lambda number, body: fault if BAD in str(body["prompt"]) else None
    answers = engine.generate(PROMPTS, GREEDY)
    assert [one.text for one in answers] == [*EXPECTED[:3], "", *EXPECTED[4:]]
    assert answers[3].error
    assert [is_together(post.body) for post in server.posts].count(True) <= 2  # the second after a probe


@pytest.mark.parametrize("fault", ["429", "429-retry-after"])
def test_several_prompts_that_came_too_early_are_sent_again_as_they_were(serve, fault):
    server, engine = opened(serve)
    server.fault = lambda number, body: fault if is_together(body) and len(server.posts) < 3 else None
    assert [one.text for one in engine.generate(PROMPTS, GREEDY)] == EXPECTED
    assert [len(post.body["prompt"]) for post in server.posts] == [len(PROMPTS)] * 3


def test_a_hanging_request_for_several_is_given_up_in_time(serve):
    server, engine = opened(serve, request_timeout_s=0.3, max_retries=0)
    server.fault = lambda number, body: "forever" if is_together(body) else None
    assert [one.text for one in engine.generate(PROMPTS, GREEDY)] == EXPECTED
    server, engine = opened(serve, request_timeout_s=20, batch_deadline_s=30)
    engine.generate(PROMPTS, GREEDY)
    assert not any(is_together(post.body) for post in server.posts)


def test_a_member_whose_answer_is_bad_is_asked_alone(serve):
    def broken(path, body):
        made = several(text_server())(path, body)
        if is_together(body) and len(body["prompt"]) == len(PROMPTS):
            made["choices"][3]["text"] = None
            made["choices"] = made["choices"][::-1]
        return made

    server, engine = opened(serve, broken)
    assert [one.text for one in engine.generate(PROMPTS, GREEDY)] == EXPECTED
    assert len(server.posts) == 2
    assert BAD in server.posts[1].body["prompt"]


@pytest.mark.parametrize("places", [[0, 1, 2, 3, 4], [0, 0, 1, 2, 3, 4], [None] * 6, [[], 1, 2, 3, 4, 5]])
def test_answers_without_clear_places_are_not_used(serve, places):
    def misplaced(path, body):
        made = several(text_server(lambda prompt: " 5" if is_together(body) else f" {level(prompt)}"))(path, body)
        if is_together(body) and len(body["prompt"]) == len(PROMPTS):
            made["choices"] = [
                {**choice, "index": place} for choice, place in zip(made["choices"], places, strict=False)
            ]
        return made

    _, engine = opened(serve, misplaced)
    answers = engine.generate(PROMPTS, GREEDY)
    assert [one.text for one in answers] == [str(level(f"[INST] {prompt.user} [/INST] [RESULT]")) for prompt in PROMPTS]


def first_alone(made):
    return {**made, "choices": made["choices"][:1]}


def as_first(made):
    return {**made, "choices": [{**choice, "text": "?"} for choice in made["choices"]]}


@pytest.mark.parametrize("spoil", [lambda made: 400, lambda made: 500, first_alone, as_first, lambda made: [made]])
def test_a_server_that_takes_one_prompt_is_found_out_by_one_request(serve, spoil):
    def answer(path, body):
        made = several(text_server())(path, body)
        return spoil(made) if is_together(body) else made

    server, engine = serve(answer)
    assert [one.text for one in engine.generate(PROMPTS, GREEDY)] == EXPECTED
    assert sum(is_together(post.body) for post in server.posts) == 1
    assert not server_abilities(ServerSource(url=server.url)).completions.takes_several


def test_a_server_that_refuses_so_many_prompts_is_not_asked_again(serve):
    def few(path, body):
        return 413 if is_together(body) and len(body["prompt"]) > 2 else several(text_server())(path, body)

    server, engine = opened(serve, few)
    for _ in range(2):
        assert [one.text for one in engine.generate(PROMPTS, GREEDY)] == EXPECTED
    assert [is_together(post.body) for post in server.posts].count(True) == 1


def test_a_failed_prompt_of_a_checklist_fails_no_other_criterion(serve):
    server, engine = opened(serve, several(text_server(yes_or_no)), max_retries=0)
    server.fault = lambda number, body: "500" if CRITERIA[1].text in str(body["prompt"]) else None
    request = GradingRequest(instruction="Hi", response="Some words.", rubric=Checklist(criteria=CRITERIA))
    [judgment] = PrometheusJudge(engine, mode="score").grade([request])
    assert [part.value is None for part in judgment.parts] == [False, True, False, False, False]
    assert (judgment.outcome, judgment.expected_score) == (Outcome.ENGINE_FAILED, None)
