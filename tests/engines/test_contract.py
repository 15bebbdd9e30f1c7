"""What every engine promises. A new engine joins by one entry in ENGINES."""

import os
import pickle  # noqa: TID251  engines must travel between processes as their configuration
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model

from prom_reward.engines.base import Engine, SamplingParams
from prom_reward.engines.local.adapter_engine import AdapterEngine
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.loading import load_model, load_trainable
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.engines.server.openai_engine import OpenAIEngine
from prom_reward.engines.server.source import ServerSource
from prom_reward.engines.vllm_engine import VllmEngine
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import JudgePrompt
from tests import fake_vllm
from tests.fault_server import FaultServer
from tests.served_models import ModelServer, several

GREEDY = SamplingParams(max_new_tokens=12, temperature=0, repetition_penalty=1, seed=1)
SAMPLED = SamplingParams(max_new_tokens=12, temperature=1, seed=7)
TASKS = ("Is water wet?", "Name a town.", "Add two and two, and tell me how.", "Sing.")
FEEDBACK = [JudgePrompt("You judge.", task) for task in TASKS]
SCORE = [JudgePrompt("You judge.", task, "[RESULT] ") for task in TASKS]
LONG = "Tell me more. " * 200


def says_length(prompt):
    return f"{prompt.user} [RESULT] {prompt.labels[len(prompt.user) % len(prompt.labels)]}"


def scripted(folder, context_length=None):
    return ScriptedEngine(says_length, context_length=context_length)


def transformers(folder, context_length=None):
    source = ModelSource(model=str(folder), dtype="float32", device="cpu")
    return TransformersEngine(source, conversation=CONVERSATIONS["tokenizer"], context_length=context_length)


def on_a_policy(folder, context_length=None):
    """The base of a LoRA policy as judge."""
    with torch.random.fork_rng(), torch.inference_mode(False):  # a policy is made to be trained
        policy = get_peft_model(
            load_trainable(ModelSource(model=str(folder)))[0],
            LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False),
        )
    return AdapterEngine(transformers(folder, context_length), policy)


def openai(folder, context_length=None):
    tokenizer = ModelSource(model=str(folder))
    source = ServerSource(url=SERVERS[folder].url)
    return OpenAIEngine(
        source, conversation=CONVERSATIONS["tokenizer"], tokenizer=tokenizer, context_length=context_length
    )


def vllm(folder, context_length=None):
    source = ModelSource(model=str(folder), dtype="float32", device="cpu")
    return VllmEngine(source, conversation=CONVERSATIONS["tokenizer"], context_length=context_length)


ENGINES = {
    "scripted": scripted,
    "transformers": transformers,
    "adapter": on_a_policy,
    "openai": openai,
    "vllm": vllm,
}
SERVERS = {}


@pytest.fixture(scope="module", autouse=True)
def server(tiny_folder):
    """The model of `tiny_folder` behind a server, for the engines that need one."""
    loaded = load_model(ModelSource(model=str(tiny_folder), dtype="float32", device="cpu"))
    SERVERS[tiny_folder] = FaultServer(several(ModelServer(loaded)))
    yield
    SERVERS.pop(tiny_folder).close()


@pytest.fixture(scope="module", autouse=True)
def installed_vllm():
    """vLLM where it is installed, elsewhere its stand-in."""
    with pytest.MonkeyPatch.context() as patch:
        if "PROM_REWARD_REAL_VLLM" not in os.environ:
            fake_vllm.install(patch)
        yield


@pytest.fixture(params=ENGINES)
def make(request, tiny_folder):
    """Makes the engine, with a context length if you like."""
    return lambda **options: ENGINES[request.param](tiny_folder, **options)


def same(answers):
    """What two calls must have in common: not what was computed, which a cache makes less."""
    near = [one.score_logprobs and pytest.approx(one.score_logprobs, abs=1e-4) for one in answers]
    return [replace(one, num_computed_tokens=0, score_logprobs=row) for one, row in zip(answers, near, strict=True)]


def plain(answers):
    return [replace(one, num_computed_tokens=0) for one in answers]


def test_it_is_an_engine(make):
    assert isinstance(make(), Engine)


def test_no_prompts_give_no_answers(make):
    assert make().generate([], SAMPLED) == []


@pytest.mark.parametrize("prompts", [FEEDBACK, SCORE, [SCORE[0], *FEEDBACK, SCORE[1], FEEDBACK[0], SCORE[0]]])
def test_answers_come_in_the_order_and_number_of_the_prompts(make, prompts):
    engine = make()
    together = engine.generate(prompts, GREEDY)
    alone = [engine.generate([prompt], GREEDY)[0] for prompt in prompts]
    assert [one.text for one in together] == [one.text for one in alone]
    for batched, single in zip(together, alone, strict=True):
        assert batched.score_logprobs == pytest.approx(single.score_logprobs, abs=1e-4)


def test_duplicates_are_all_answered_alike(make):
    texts = [one.text for one in make().generate([FEEDBACK[0], SCORE[1]] * 3, GREEDY)]
    assert texts == texts[:2] * 3


def test_the_fingerprint_is_one_line_that_does_not_change(make):
    engine = make()
    before = engine.fingerprint
    engine.generate(SCORE[:1], GREEDY)
    assert isinstance(before, str) and "\n" not in before
    assert engine.fingerprint == make().fingerprint == before


def test_it_travels_as_its_configuration_and_answers_the_same_elsewhere(make):
    engine = make()
    if isinstance(engine, AdapterEngine):
        pytest.skip("it stays in its policy's process; tested in test_adapter_engine.py")
    expected = engine.generate([*SCORE, FEEDBACK[0]], GREEDY)
    traveled = pickle.loads(pickle.dumps(engine))
    assert traveled.fingerprint == engine.fingerprint
    assert plain(traveled.generate([*SCORE, FEEDBACK[0]], GREEDY)) == same(expected)


@pytest.mark.parametrize("labels", [("1", "2", "3", "4", "5"), ("A", "B"), tuple(str(n) for n in range(1, 11))])
def test_score_mode_reads_exactly_the_labels_and_writes_nothing(make, labels):
    prompts = [JudgePrompt("You judge.", task, "[RESULT] ", labels=labels) for task in TASKS]
    for answer in make().generate(prompts, SAMPLED):
        assert tuple(answer.score_logprobs) == labels
        assert all(value <= 0 for value in answer.score_logprobs.values())
        assert answer.text in labels
        assert (answer.finish_reason, answer.num_generated_tokens, answer.error) == ("result", 0, None)


def test_score_mode_does_not_depend_on_sampling(make):
    engine = make()
    assert plain(engine.generate(SCORE, SAMPLED)) == same(engine.generate(SCORE, GREEDY))


def test_feedback_reads_exactly_the_labels(make):
    for answer in make().generate(FEEDBACK, SAMPLED):
        assert set(answer.score_logprobs) == set(FEEDBACK[0].labels)
        assert all(value <= 0 for value in answer.score_logprobs.values())
        assert answer.finish_reason in ("result", "forced")


@pytest.mark.parametrize("prefix", ["", "[RESULT] "])
def test_a_prompt_that_does_not_fit_says_so_and_loses_no_other(make, prefix):
    engine = make(context_length=150)
    prompts = [
        JudgePrompt("", TASKS[0], prefix),
        JudgePrompt("", LONG, prefix),
        JudgePrompt("", TASKS[1], prefix),
    ]
    first, long, last = engine.generate(prompts, GREEDY)
    assert (long.finish_reason, long.text, long.score_logprobs) == ("too_long", "", None)
    assert str(long.num_prompt_tokens) in long.error and "150" in long.error
    assert plain([first, last]) == same(make().generate([prompts[0], prompts[2]], GREEDY))


def test_the_counted_tokens_are_those_of_the_generation(make):
    engine = make()
    prompts = [*FEEDBACK, *SCORE]
    counted = [engine.count_tokens(prompt) for prompt in prompts]
    answers = engine.generate(prompts, GREEDY)
    assert [one.num_prompt_tokens for one in answers] == counted
    at_once = answers[len(FEEDBACK) :]
    assert 0 < sum(one.num_computed_tokens for one in at_once) <= sum(one.num_prompt_tokens for one in at_once)
    assert all(one.num_computed_tokens >= 0 for one in answers)


def test_a_seed_gives_the_same_texts_again(make):
    engine = make()
    assert plain(engine.generate(FEEDBACK, SAMPLED)) == same(engine.generate(FEEDBACK, SAMPLED))


def test_the_global_random_state_is_left_alone(make):
    before = torch.get_rng_state()
    engine = make()
    engine.generate([FEEDBACK[0], SCORE[0]], SAMPLED)
    engine.generate(FEEDBACK[:1], SamplingParams(max_new_tokens=4, seed=None))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("around", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_it_works_alike_within_any_gradient_mode(make, around):
    expected = make().generate([FEEDBACK[0], SCORE[0]], GREEDY)
    with around():
        mode = (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
        assert plain(make().generate([FEEDBACK[0], SCORE[0]], GREEDY)) == same(expected)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == mode


def test_a_server_gives_the_distributions_of_the_same_weights_in_this_process(tiny_folder):
    prompts = [
        JudgePrompt("You judge.", task, "[RESULT] ", labels=labels)
        for task in TASKS
        for labels in (("1", "2", "3", "4", "5"), tuple(str(n) for n in range(1, 11)))
    ]
    near = transformers(tiny_folder).generate([*prompts, *FEEDBACK], GREEDY)
    far = openai(tiny_folder).generate([*prompts, *FEEDBACK], GREEDY)
    for one, other in zip(near, far, strict=True):
        assert other.score_logprobs == pytest.approx(one.score_logprobs, abs=1e-4)
        assert (other.text, other.finish_reason) == (one.text, one.finish_reason)
        assert not other.is_partial
