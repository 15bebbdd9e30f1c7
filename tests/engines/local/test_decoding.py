import copy
from types import SimpleNamespace

import pytest
import torch
from transformers import DynamicCache, LlamaConfig

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local import decoding
from prom_reward.engines.local.decoding import Decoding, decode
from prom_reward.engines.prefix.prefill import SharedPrefill
from tests.tiny_models import ARCHITECTURES, ScriptLM, tiny_judge, tiny_mamba, tiny_rotary, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
EOS = frozenset([TOKENIZER.eos_token_id])
GREEDY = SamplingParams(temperature=0, repetition_penalty=1, top_p=1)
TEXTS = ["Fine.", "The answer is good and it is long.", "Poor.", "A much longer prompt: " + "it is good. " * 6]


def sequence(ids, *, max_new_tokens=20, seed=1, is_done=lambda new_ids: False):
    return Decoding(prompt_ids=list(ids), max_new_tokens=max_new_tokens, seed=seed, is_done=is_done)


def prompt_ids(text):
    return TOKENIZER(f"<s>{text}\n<ans>").input_ids


def script_model(scripts):
    return ScriptLM(TOKENIZER, scripts)


def decoded(model, sequences, sampling=GREEDY):
    with torch.inference_mode():
        decode(model, sequences, sampling, EOS)
    return [TOKENIZER.decode(one.new_ids) for one in sequences]


def greedy_reference(model, ids, max_new_tokens):
    """What transformers itself writes, one prompt at a time, without the end-of-sequence token."""
    input_ids = torch.tensor([ids])
    output = model.generate(
        input_ids,
        attention_mask=torch.ones_like(input_ids),
        do_sample=False,
        max_new_tokens=max_new_tokens,
        pad_token_id=TOKENIZER.pad_token_id,
    )
    return [token for token in output[0, len(ids) :].tolist() if token not in EOS]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_greedy_batch_equals_transformers_one_by_one(architecture):
    model = tiny_judge(architecture).model
    sequences = [sequence(prompt_ids(text)) for text in [*TEXTS, TEXTS[1]]]
    decoded(model, sequences)
    assert [one.new_ids for one in sequences] == [
        greedy_reference(model, one.prompt_ids, one.max_new_tokens) for one in sequences
    ]


def test_a_model_of_states_writes_what_transformers_does():
    model = tiny_mamba(len(TOKENIZER))
    sequences = [sequence(prompt_ids(text)) for text in TEXTS]
    decoded(model, sequences)
    assert [one.new_ids for one in sequences] == [
        greedy_reference(model, one.prompt_ids, one.max_new_tokens) for one in sequences
    ]


@pytest.mark.parametrize("lengths", [(5, 8, 45, 60), (45,), (5, 60)])
def test_nothing_is_decoded_across_the_length_at_which_positions_change(monkeypatch, lengths):
    monkeypatch.setattr(decoding, "_MAX_CLOSING_TOKENS", 2)
    model = tiny_rotary("longrope", len(TOKENIZER))
    model_alone = copy.deepcopy(model)
    draw = torch.Generator().manual_seed(1)
    prompts = [torch.randint(3, len(TOKENIZER), (length,), generator=draw).tolist() for length in lengths]
    sequences = [sequence(ids, max_new_tokens=12) for ids in prompts]
    with torch.inference_mode():
        decode(model, sequences, GREEDY, EOS, SharedPrefill(model))
    assert sum(len(one.new_ids) for one in sequences) > 6 * len(sequences)
    for one in sequences:
        for at, token in enumerate(one.new_ids):
            whole = torch.tensor([one.prompt_ids + one.new_ids[:at]])
            assert token == int(model_alone(input_ids=whole, use_cache=False).logits[0, -1].argmax())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_kept_rows_are_the_models_logits_for_the_whole_text(architecture):
    model = tiny_judge(architecture).model
    sequences = [sequence(prompt_ids(text)) for text in TEXTS]
    decoded(model, sequences)
    for one in sequences:
        assert set(one.last_rows) == set(range(len(one.new_ids))[-8:])
        plain = model(input_ids=torch.tensor([one.prompt_ids + one.new_ids])).logits[0]
        for index, row in one.last_rows.items():
            torch.testing.assert_close(row, plain[len(one.prompt_ids) + index - 1], atol=1e-4, rtol=1e-4)


def test_a_kept_row_does_not_hold_its_batchs_logits():
    sequences = [sequence(prompt_ids(text), max_new_tokens=3) for text in TEXTS]
    for one in sequences:
        one.closing = lambda new_ids: (5, 6)
    decoded(tiny_judge().model, sequences)
    rows = [row for one in sequences for row in [*one.last_rows.values(), one.last_row]]
    assert len(rows) == 4 * len(TEXTS)
    assert {row.untyped_storage().nbytes() for row in rows} == {4 * len(TOKENIZER)}


def test_sequences_leave_the_batch_at_their_own_end():
    scripts = {"a": "One.", "bb bb": "A longer text is written here.", "c" * 30: "Two words."}
    model = script_model(scripts)
    sequences = [sequence(prompt_ids(user), max_new_tokens=99) for user in scripts]
    assert decoded(model, sequences) == list(scripts.values())
    longest = max(len(one.new_ids) for one in sequences)
    decoding_calls = model.tokens_run[len(scripts) :]
    assert decoding_calls == sorted(decoding_calls, reverse=True) and decoding_calls[-1] == 1
    assert len(decoding_calls) == longest and sum(decoding_calls) == sum(len(one.new_ids) for one in sequences)


def test_a_batch_shrinks_in_a_cache_that_lies_on_other_devices_than_its_inputs():
    class Spread:  # inputs go to "meta", the layer lies on the CPU
        config = LlamaConfig(num_hidden_layers=1)
        device = torch.device("meta")

        def forward(self, input_ids, past_key_values=None, **_):
            assert input_ids.device == self.device
            cache = past_key_values or DynamicCache(config=self.config)
            cache.update(*[torch.zeros(len(input_ids), 1, input_ids.shape[1], 1)] * 2, 0)
            assert cache.layers[0].keys.device.type == "cpu"
            logits = torch.eye(9)[[4] * len(input_ids)][:, None]
            return SimpleNamespace(logits=logits, past_key_values=cache)

        def __call__(self, **inputs):
            return self.forward(**inputs)

    sequences = [sequence([5, 6], max_new_tokens=2), sequence([5], max_new_tokens=4)]
    decoded(Spread(), sequences)
    assert [one.new_ids for one in sequences] == [[4] * 2, [4] * 4]


def test_the_stop_test_is_told_every_new_token():
    told = []

    def is_done(new_ids):
        told.append(list(new_ids))
        return TOKENIZER.decode(new_ids).endswith("is")

    (one,) = [sequence(prompt_ids("a"), is_done=is_done)]
    assert decoded(script_model({"a": "It is poor."}), [one]) == ["It is"]
    assert told == [one.new_ids[:length] for length in range(1, len(one.new_ids) + 1)]


def test_decoding_ends_after_the_most_tokens_of_each_sequence():
    model = script_model({"a": "x" * 30, "b": "y" * 30})
    texts = decoded(model, [sequence(prompt_ids("a"), max_new_tokens=1), sequence(prompt_ids("b"), max_new_tokens=7)])
    assert texts == ["x", "y" * 7]


def test_identical_prompts_are_prefilled_once():
    model = script_model({"a": "One.", "b": "Two."})
    sequences = [sequence(prompt_ids(user)) for user in "aba"]
    assert decoded(model, sequences) == ["One.", "Two.", "One."]
    assert [one.computed_tokens for one in sequences] == [len(prompt_ids("a")), len(prompt_ids("b")), 0]
    assert model.tokens_run[:2] == [len(prompt_ids("a")), len(prompt_ids("b"))]


def test_the_prompts_are_not_padded_in_their_prefill():
    model = script_model({"a": "One.", "b" * 20: "Two."})
    sequences = [sequence(prompt_ids("a")), sequence(prompt_ids("b" * 20))]
    decoded(model, sequences)
    assert model.tokens_run[:2] == [len(one.prompt_ids) for one in sequences]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_end_their_sequence_alone(value):
    broken = prompt_ids("bb")

    class Overflowing(ScriptLM):
        def row(self, context):
            is_broken = [int(token) for token in context][: len(broken)] == broken and len(context) == len(broken) + 3
            row = super().row(context)
            row[5] = value if is_broken else row[5]
            return row

    model = Overflowing(TOKENIZER, {"aaa": "One. Two.", "bb": "Three."})
    sequences = [sequence(prompt_ids("aaa")), sequence(prompt_ids("bb"))]
    decoded(model, sequences, SamplingParams(temperature=1, seed=1))
    assert TOKENIZER.decode(sequences[0].new_ids) == "One. Two."
    assert len(sequences[1].new_ids) == 3


def test_greedy_decoding_takes_the_likeliest_token_after_the_repetition_penalty():
    model = tiny_judge().model
    (one,) = [sequence(prompt_ids(TEXTS[1]), max_new_tokens=6)]
    decoded(model, [one], SamplingParams(temperature=0, repetition_penalty=1.8, top_p=0.1))
    ids = list(one.prompt_ids)
    for token in one.new_ids:
        row = model(input_ids=torch.tensor([ids])).logits[0, -1]
        seen = row[sorted(set(ids))]
        row[sorted(set(ids))] = torch.where(seen < 0, seen * 1.8, seen / 1.8)
        assert token == int(row.argmax())
        ids.append(token)


def draws(sampling, num=300):
    """First tokens that `num` seeds draw behind one prompt, and the raw probabilities there."""
    model = tiny_judge().model
    sequences = [sequence(prompt_ids("Draw."), max_new_tokens=1, seed=seed) for seed in range(num)]
    decoded(model, sequences, sampling)
    probs = model(input_ids=torch.tensor([prompt_ids("Draw.")])).logits[0, -1].softmax(-1)
    return [one.new_ids[0] for one in sequences if one.new_ids], probs


def test_top_p_keeps_tokens_outside_its_mass_from_being_drawn():
    tokens, probs = draws(SamplingParams(temperature=1, top_p=0.5, repetition_penalty=1))
    ordered = probs.sort(descending=True)
    kept = ordered.indices[: int((ordered.values.cumsum(0) < 0.5).sum()) + 1].tolist()
    assert set(tokens) <= set(kept)
    assert len(set(tokens)) > 1


def test_temperature_flattens_what_is_drawn():
    cold, _ = draws(SamplingParams(temperature=0.3, top_p=1, repetition_penalty=1))
    hot, _ = draws(SamplingParams(temperature=3, top_p=1, repetition_penalty=1))
    assert len(set(cold)) < len(set(hot)) / 2


def test_tokens_are_drawn_as_often_as_they_are_likely():
    tokens, probs = draws(SamplingParams(temperature=1, top_p=1, repetition_penalty=1))
    top = int(probs.argmax())
    assert tokens.count(top) / 300 == pytest.approx(float(probs[top]), abs=0.1)


@pytest.mark.parametrize("architecture", ["llama", "mistral"])
def test_a_sequences_draws_do_not_depend_on_its_batch(architecture):
    model = tiny_judge(architecture).model
    sampling = SamplingParams(temperature=1, top_p=0.9, repetition_penalty=1.03)
    together = [sequence(prompt_ids(text), seed=index) for index, text in enumerate(TEXTS)]
    decoded(model, together, sampling)
    for index, text in enumerate(TEXTS):
        alone = sequence(prompt_ids(text), seed=index)
        decoded(model, [alone], sampling)
        assert alone.new_ids == together[index].new_ids
