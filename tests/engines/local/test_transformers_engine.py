import pickle  # noqa: TID251  engines must travel between processes as their configuration
from itertools import pairwise

import pytest
import torch
from transformers import BloomConfig

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.loading import LoadedModel
from prom_reward.engines.model.source import ModelSource
from prom_reward.errors import WorkError
from prom_reward.prompts.conversation import CONVERSATIONS, ChatTemplateConversation
from prom_reward.types import JudgePrompt
from tests.tiny_models import ARCHITECTURES, script_judge, tiny_judge

GREEDY = SamplingParams(max_new_tokens=16, temperature=0, repetition_penalty=1, top_p=1)
SAMPLED = SamplingParams(max_new_tokens=8, seed=5)
CARD = SamplingParams(seed=1)
TASKS = ("Is water wet?", "Name a town.", "Add two and two, and tell me at length how you did it.")
LABELS = ("1", "2", "3", "4", "5")


def engine_of(judge, **options):
    return TransformersEngine(judge, conversation=ChatTemplateConversation, **options)


def plain_logprobs(judge, task):
    """The labels' log-probabilities by tokenizer and model alone, in a tokenizer that splits " 4"."""
    messages = [{"role": "system", "content": "You judge."}, {"role": "user", "content": task}]
    text = judge.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) + "[RESULT] "
    ids = judge.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    row = judge.model(ids).logits[0, -1].log_softmax(-1)
    return {label: float(row[judge.tokenizer.convert_tokens_to_ids(label)]) for label in LABELS}


def greedy_text(judge, task, max_new_tokens):
    messages = [{"role": "system", "content": "You judge."}, {"role": "user", "content": task}]
    text = judge.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    inputs = judge.tokenizer(text, add_special_tokens=False, return_tensors="pt")
    output = judge.model.generate(
        **inputs, do_sample=False, max_new_tokens=max_new_tokens, pad_token_id=judge.tokenizer.eos_token_id
    )
    return judge.tokenizer.decode(output[0, inputs.input_ids.shape[1] :], skip_special_tokens=True)


def test_the_key_of_the_machine_names_the_device_that_computes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    on_cpu = {"device": "cpu", "threads": torch.get_num_threads(), "decode_batch_size": None}
    on_cpu["attn_implementation"] = "sdpa"
    for source in (ModelSource(model="x", device="cpu"), tiny_judge()):
        found = engine_of(source).machine
        assert found.pop("instructions")
        assert found == on_cpu
    on_gpu = engine_of(
        ModelSource(model="x", device="cuda:1"), decode_batch_size=8, attn_implementation="flex_attention"
    ).machine
    assert on_gpu == {"device": "GPU 1", "decode_batch_size": 8, "attn_implementation": "flex_attention"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_score_mode_equals_plain_logits(architecture):
    judge = tiny_judge(architecture)
    answers = engine_of(judge).generate([JudgePrompt("You judge.", task, "[RESULT] ") for task in TASKS], GREEDY)
    for task, answer in zip(TASKS, answers, strict=True):
        assert answer.score_logprobs == pytest.approx(plain_logprobs(judge, task), abs=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_feedback_is_written_in_batches_and_closed(architecture):
    judge = tiny_judge(architecture)
    answers = engine_of(judge).generate([JudgePrompt("You judge.", task) for task in TASKS], GREEDY)
    for task, answer in zip(TASKS, answers, strict=True):
        feedback, _, label = answer.text.rpartition(" [RESULT] ")
        assert feedback == greedy_text(judge, task, GREEDY.max_new_tokens).rstrip()
        assert answer.finish_reason == "forced" and label in LABELS


def test_score_mode_of_a_real_judge_equals_plain_logits(smollm2):
    answers = engine_of(smollm2).generate([JudgePrompt("You judge.", task, "[RESULT] ") for task in TASKS], GREEDY)
    for task, answer in zip(TASKS, answers, strict=True):
        assert answer.score_logprobs == pytest.approx(plain_logprobs(smollm2, task), abs=1e-4)


@pytest.mark.slow
def test_greedy_feedback_of_a_real_judge_equals_transformers(smollm2):
    tasks = [*TASKS, "List three fruits. " * 8]
    sampling = SamplingParams(max_new_tokens=12, temperature=0, repetition_penalty=1)
    answers = engine_of(smollm2).generate([JudgePrompt("You judge.", task) for task in tasks], sampling)
    for task, answer in zip(tasks, answers, strict=True):
        assert answer.text.rpartition(" [RESULT] ")[0] == greedy_text(smollm2, task, 12).rstrip()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("architecture", ["llama", "mistral"])
def test_a_gpu_writes_and_reads_what_a_cpu_does(architecture):
    prompts = [JudgePrompt("You judge.", task, prefix) for task in TASKS for prefix in ("", "[RESULT] ")]
    judge = tiny_judge(architecture)
    expected = engine_of(judge).generate(prompts, GREEDY)
    on_gpu = LoadedModel(judge.model.to("cuda"), judge.tokenizer, "float32")
    for answer, other in zip(engine_of(on_gpu).generate(prompts, GREEDY), expected, strict=True):
        assert answer.text == other.text
        assert answer.score_logprobs == pytest.approx(other.score_logprobs, abs=1e-2)
    assert len(engine_of(on_gpu).generate(prompts, SAMPLED)) == len(prompts)


def test_an_engine_travels_without_its_weights(tiny_folder):
    source = ModelSource(model=str(tiny_folder), dtype="float32", device="cpu")
    engine = TransformersEngine(source, conversation=CONVERSATIONS["tokenizer"])
    engine.generate([JudgePrompt("", "x", "[RESULT] ")], GREEDY)
    assert len(pickle.dumps(engine)) < 1000


def test_an_engine_around_a_loaded_model_refuses_to_travel():
    with pytest.raises(WorkError, match="an engine around a loaded model cannot be pickled; make it from a Model"):
        pickle.dumps(engine_of(tiny_judge()))


def test_nothing_is_loaded_for_a_fingerprint():
    source = ModelSource(model="/no/such/model", dtype="float32", device="cpu")
    engine = TransformersEngine(source, conversation=CONVERSATIONS["llama-2"])
    assert engine.fingerprint.startswith("transformers:/no/such/model|")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "b"},
        {"revision": "main"},
        {"gguf_file": "x.gguf"},
        {"adapter": "lora"},
        {"tokenizer": "other"},
        {"dtype": "bfloat16"},
        {"quantization": "int8"},
    ],
)
def test_what_changes_answers_changes_the_fingerprint(change):
    def fingerprint(conversation="llama-2", context_length=None, **fields):
        source = ModelSource(**{"model": "a", "dtype": "float32", **fields})
        conversation = CONVERSATIONS[conversation]
        return TransformersEngine(source, conversation=conversation, context_length=context_length).fingerprint

    assert fingerprint() == fingerprint()
    others = [fingerprint(**change), fingerprint("mistral"), fingerprint("tokenizer-merged"), fingerprint("tokenizer")]
    assert len({fingerprint(), fingerprint(context_length=100), *others}) == 6


def test_a_loaded_models_fingerprint_names_it_and_its_dtype():
    judge = tiny_judge()
    judge.model.config.name_or_path = "my-judge"
    assert engine_of(judge).fingerprint == "transformers:my-judge|ChatTemplateConversation||float32"


def test_the_model_is_left_as_it_was():
    judge = tiny_judge()
    judge.model.train()
    judge.model.lm_head.requires_grad_(True)
    before = {name: (value.clone(), value.requires_grad) for name, value in judge.model.named_parameters()}
    engine_of(judge).generate([JudgePrompt("", "x", "[RESULT] "), JudgePrompt("", "y")], SAMPLED)
    assert all(module.training for module in judge.model.modules())
    for name, value in judge.model.named_parameters():
        assert torch.equal(value, before[name][0]) and value.requires_grad == before[name][1]
        assert value.grad is None


def test_weights_that_are_loaded_on_first_use_can_be_used_outside_too(tiny_folder):
    source = ModelSource(model=str(tiny_folder), dtype="float32", device="cpu")
    engine = TransformersEngine(source, conversation=ChatTemplateConversation)
    engine.generate([JudgePrompt("", "x", "[RESULT] ")], GREEDY)
    assert not any(value.is_inference() for value in engine.loaded.model.parameters())


def test_identical_prompts_of_score_mode_are_computed_once():
    prompt = JudgePrompt("", "x", "[RESULT] ")
    first, second, other = engine_of(tiny_judge()).generate(
        [prompt, prompt, JudgePrompt("", "x", "[RESULT] ", labels=("A", "B"))], GREEDY
    )
    assert first.num_computed_tokens == first.num_prompt_tokens == second.num_prompt_tokens
    assert second.num_computed_tokens == 0 and second.score_logprobs == first.score_logprobs
    assert other.num_computed_tokens == 0 and set(other.score_logprobs) == {"A", "B"}  # other labels, the same context


def test_a_group_shares_its_beginning_and_is_answered_like_one_by_one():
    engine = engine_of(tiny_judge())
    task = "The answer is good. " * 4
    group = [JudgePrompt(task, f"{task}{response}", "[RESULT] ") for response in ("It is poor.", "Fine.", "A 3")]
    together = engine.generate(group, GREEDY)
    alone = [engine.generate([prompt], GREEDY)[0] for prompt in group]
    for one, other in zip(together, alone, strict=True):
        assert one.score_logprobs == pytest.approx(other.score_logprobs, abs=1e-4)
    computed, prompted = (
        sum(one.num_computed_tokens for one in together),
        sum(one.num_prompt_tokens for one in together),
    )
    assert computed < 0.5 * prompted


def test_samples_of_one_prompt_differ_and_a_seed_repeats_them():
    engine = engine_of(tiny_judge())
    prompts = [JudgePrompt("", "x")] * 4
    texts = [one.text for one in engine.generate(prompts, SAMPLED)]
    assert len(set(texts)) == 4
    assert [one.text for one in engine.generate(prompts, SAMPLED)] == texts
    assert [one.text for one in engine.generate(prompts, SamplingParams(max_new_tokens=8, seed=6))] != texts


def test_without_a_seed_every_call_draws_anew():
    engine, sampling = engine_of(tiny_judge()), SamplingParams(max_new_tokens=8)
    prompts = [JudgePrompt("", "x")]
    assert engine.generate(prompts, sampling)[0].text != engine.generate(prompts, sampling)[0].text


@pytest.mark.parametrize("size", [1, 2, None])
def test_a_prompts_text_does_not_depend_on_its_neighbors_or_the_batch_size(size):
    prompts = [JudgePrompt("", task) for task in TASKS]
    expected = [one.text for one in engine_of(tiny_judge()).generate(prompts, SAMPLED)]
    backwards = engine_of(tiny_judge(), decode_batch_size=size).generate(prompts[::-1], SAMPLED)
    assert [one.text for one in backwards] == expected[::-1]


def test_the_context_is_the_given_one_or_else_the_models():
    judge = tiny_judge()
    assert engine_of(judge).context_length == 512
    assert engine_of(judge, context_length=100).context_length == 100


def test_a_model_without_a_stated_context_takes_any_length():
    judge = script_judge({"x": "Good. [RESULT] 4"})
    judge.model.config = BloomConfig(vocab_size=len(judge.tokenizer), n_layer=1)
    engine = engine_of(judge)
    assert engine.context_length is None
    assert [one.text for one in engine.generate([JudgePrompt("", "x")], SAMPLED)] == ["Good. [RESULT] 4"]


@pytest.mark.parametrize("prefix", ["", "[RESULT] "])
def test_a_prompt_is_too_long_exactly_where_its_verdict_has_no_room(prefix):
    prompt = JudgePrompt("", "x", prefix)
    judge = tiny_judge()
    reasons = []
    for context_length in range(1, 30):
        (answer,) = engine_of(judge, context_length=context_length).generate([prompt], GREEDY)
        reasons.append(answer.finish_reason)
    fits = reasons.index("result" if prefix else "forced") + 1
    assert reasons[: fits - 1] == ["too_long"] * (fits - 1) and "too_long" not in reasons[fits - 1 :]
    num_tokens = engine_of(judge).count_tokens(prompt)
    # Feedback: one token of it, then " [", "RESULT", "]", the space and the label. Score mode: the label alone.
    assert fits == num_tokens + (1 if prefix else 6)


def test_feedback_leaves_room_for_its_closing_in_the_context():
    judge = script_judge({"x": "y" * 400})
    lengths = []
    for context_length in (40, 41, 80):
        (answer,) = engine_of(judge, context_length=context_length).generate([JudgePrompt("", "x")], CARD)
        lengths.append((answer.num_prompt_tokens + answer.num_generated_tokens + 5, answer.finish_reason))
    assert lengths == [(40, "forced"), (41, "forced"), (80, "forced")]


def test_batches_hold_prompts_of_like_length():
    judge = script_judge({"a" * length: "Good. [RESULT] 4" for length in (1, 40, 2, 41)})
    prompts = [JudgePrompt("", "a" * length) for length in (1, 40, 2, 41)]
    engine = engine_of(judge, decode_batch_size=2)
    assert engine.batches.prefill.strategy == "cached"
    _ = engine.batches.decode_mode, engine.batches.prefill.token_budget
    judge.model.tokens_run.clear()  # the probes'
    answers = engine.generate(prompts, GREEDY)
    assert [one.text for one in answers] == ["Good. [RESULT] 4"] * 4
    prefills = [tokens for tokens in judge.model.tokens_run if tokens > 2]
    assert all(first <= second for first, second in pairwise(prefills))


def test_a_models_list_of_ends_and_the_tokenizers_end_both_end_a_feedback():
    judge = script_judge({"x": ["Good.", "!", "Never."]})
    bang = judge.tokenizer.convert_tokens_to_ids("!")
    judge.model.generation_config.eos_token_id = [bang]
    (answer,) = engine_of(LoadedModel(judge.model, judge.tokenizer, "float32")).generate([JudgePrompt("", "x")], CARD)
    assert answer.text.startswith("Good. [RESULT] ")


@pytest.mark.parametrize("next_turn", ["<|end|>", "{% if not loop.last %}<|end|>{% endif %}"], ids=["end", "next turn"])
def test_the_token_with_which_the_template_ends_a_turn_ends_a_feedback(next_turn):
    judge = script_judge({"x": ["Good.", "<|end|>", "More? [RESULT] 2"]}, added=["<|end|>"])
    judge.tokenizer.chat_template = (
        "<s>{% for message in messages %}{{ message['content'] }}"
        f"{{% if message['role'] == 'assistant' %}}{next_turn}{{% endif %}}{{{{ '\\n' }}}}{{% endfor %}}"
        "{% if add_generation_prompt %}<ans>{% endif %}"
    )
    (answer,) = engine_of(judge).generate([JudgePrompt("", "x")], CARD)
    assert answer.text.startswith("Good. [RESULT] ") and answer.finish_reason == "forced"


def test_a_mark_that_may_end_thoughts_too_ends_no_feedback():
    judge = script_judge({"x": ["Hm.", "<|end|>", "Good. [RESULT] 2"]}, added=["<|end|>"])
    judge.tokenizer.chat_template = (
        "<s>{% for message in messages %}{% if message['role'] == 'assistant' %}<|content|>{% endif %}"
        "{{ message['content'] }}{% if message['role'] == 'assistant' %}<|end|>{% endif %}{{ '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}<ans>{% endif %}"
    )
    (answer,) = engine_of(judge).generate([JudgePrompt("", "x")], CARD)
    assert answer.text.endswith("[RESULT] 2") and answer.finish_reason == "result"


def test_a_callers_autocast_changes_neither_scores_nor_the_strategy():
    prompts = [JudgePrompt("You judge.", text, "[RESULT] ") for text in ("Sing.", "Name a town.")]
    feedback = [JudgePrompt("You judge.", "Sing.")]
    plain, inside = engine_of(tiny_judge()), engine_of(tiny_judge())
    expected = plain.generate([*prompts, *feedback], GREEDY)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert inside.generate([*prompts, *feedback], GREEDY) == expected
        assert torch.is_autocast_enabled("cpu")
    assert inside.batches.prefill.strategy == plain.batches.prefill.strategy == "tree"
