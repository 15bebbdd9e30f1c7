import pytest
import torch

from prom_reward.engines.local.batch_cache import prefilled
from prom_reward.engines.prefix.prefill import SharedPrefill
from tests.tiny_models import tiny_model

VOCABULARY = 60
BEGINNING = [5, 6, 7, 8, 9]
PROMPTS = {
    "shared": [[*BEGINNING, 1], [*BEGINNING, 2, 3, 4, 5], [*BEGINNING, 3, 3]],
    "one begins the others": [BEGINNING, [*BEGINNING, 2], [*BEGINNING, 2, 4, 1]],
    "all alike": [BEGINNING, BEGINNING, BEGINNING],
    "nothing shared": [[1, 2, 3], [2, 3], [3, 4, 5, 6]],
}


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


def plain(model, rows):
    return torch.stack([model(input_ids=torch.tensor([row])).logits[0, -1] for row in rows])


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "mixtral", "gpt2", "mistral"])
@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
def test_steps_give_the_logits_of_plain_passes_also_after_rows_have_left(architecture, prompts):
    model = tiny_model(architecture, VOCABULARY)
    prompts = prompts if architecture != "mistral" else prompts[:1]  # its sliding window takes one prompt
    rows = [list(prompt) for prompt in prompts]
    logits, cache, computed = prefilled(model, prompts, SharedPrefill(model))
    assert torch.allclose(logits, plain(model, rows), atol=1e-4)
    assert sum(computed) <= sum(map(len, prompts))
    for number in range(4):
        if number == 2 and len(rows) > 1:
            cache.select([1, 2])
            rows = rows[1:]
        step = [10 * number + at for at in range(len(rows))]
        for row, token in zip(rows, step, strict=True):
            row.append(token)
        assert torch.allclose(cache.step(step), plain(model, rows), atol=1e-4)


def test_what_all_share_is_held_once():
    model = tiny_model("llama", VOCABULARY)
    _, cache, computed = prefilled(model, PROMPTS["shared"], SharedPrefill(model))
    assert cache._num_shared == len(BEGINNING)
    assert cache._cache.layers[0].keys.shape[2] == 4
    assert sum(computed) == len(BEGINNING) + 1 + 4 + 2
