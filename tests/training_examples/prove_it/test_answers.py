import pytest
import torch

from tests.tiny_models import script_ids, tiny_model, tiny_tokenizer
from training_examples.prove_it.answers import GREEDY, generate_answers

PROMPTS = {f"task {at}": [{"role": "user", "content": "x" * (1 + 3 * at)}] for at in range(5)}


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def policy(tokenizer):
    return tiny_model("llama", len(tokenizer))


def answers(policy, tokenizer, **changes):
    options = {"seeds": (0, 1), "max_new_tokens": 6, "batch_size": 2, **changes}
    return list(generate_answers(policy, tokenizer, PROMPTS, **options))


def test_every_prompt_is_answered_greedily_and_with_each_seed(policy, tokenizer):
    found = answers(policy, tokenizer)
    assert [(one.key, one.sample) for one in found] == [
        (key, sample) for sample in (GREEDY, "seed 0", "seed 1") for key in PROMPTS
    ]
    by_sample = {sample: [one.text for one in found if one.sample == sample] for sample in (GREEDY, "seed 0", "seed 1")}
    assert len({tuple(texts) for texts in by_sample.values()}) == 3
    assert answers(policy, tokenizer) == found  # the same again


def test_batched_greedy_answers_are_those_of_a_plain_loop(policy, tokenizer):
    found = answers(policy, tokenizer, seeds=(), batch_size=5)
    for one in found:
        text = tokenizer.apply_chat_template(PROMPTS[one.key], tokenize=False, add_generation_prompt=True)
        ids = script_ids(tokenizer, text)
        written = []
        while len(written) < 6 and tokenizer.eos_token_id not in written:
            written.append(int(policy(torch.tensor([ids + written])).logits[0, -1].argmax()))
        assert one.text == tokenizer.decode(written, skip_special_tokens=True)
        assert one.num_tokens == len(written)
        assert one.is_cut == (tokenizer.eos_token_id not in written)


def test_an_answer_ends_at_its_eos(policy, tokenizer, monkeypatch):
    end, letter = tokenizer.eos_token_id, script_ids(tokenizer, "g")[0]
    rows = [[letter, end, end], [letter, letter, letter]]

    def generate(input_ids, **_):
        return torch.cat([input_ids, torch.tensor(rows)], dim=1)

    monkeypatch.setattr(policy, "generate", generate)
    prompts = {key: PROMPTS[key] for key in list(PROMPTS)[:2]}
    whole, cut = generate_answers(policy, tokenizer, prompts, max_new_tokens=3, batch_size=2)
    assert (whole.text, whole.num_tokens, whole.is_cut) == ("g", 2, False)
    assert (cut.text, cut.num_tokens, cut.is_cut) == ("ggg", 3, True)


def test_nothing_of_the_model_or_the_random_state_is_different_afterwards(policy, tokenizer):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    policy.train()
    try:
        answers(policy, tokenizer, seeds=(5,))
        assert policy.training
    finally:
        policy.eval()
    assert torch.equal(torch.rand(2), expected)


def test_a_tokenizer_without_padding_pads_with_its_eos(policy):
    plain = tiny_tokenizer()
    plain.pad_token = None
    assert answers(policy, plain, seeds=()) == answers(policy, tiny_tokenizer(), seeds=())
