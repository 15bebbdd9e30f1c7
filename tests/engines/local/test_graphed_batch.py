import logging
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local import graphed_batch
from prom_reward.engines.local.batch_cache import prefilled
from prom_reward.engines.local.decode_probe import probe_decoding
from prom_reward.engines.local.decoding import Decoding, decode
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.prefix.prefill import SharedPrefill
from prom_reward.errors import ConfigError
from prom_reward.prompts.conversation import CONVERSATIONS
from tests.tiny_models import tiny_judge, tiny_rotary

GREEDY = SamplingParams(temperature=0, repetition_penalty=1, top_p=1)
PROMPTS = [[3, 4, 5, 6, 7], [3, 4, 8], [3, 4, *range(10, 60)], [3, 4, 5, 6, 7]]
LENGTHS = [9, 3, 5, 1]
"""New tokens of each prompt: the batch shrinks from 4 to 1."""
FULL_ATTENTION = ["llama", "mixtral", "qwen2"]


class Recorder(TorchDispatchMode):
    """Writes down the operations of a step, as the recording of a CUDA graph does."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        assert operation is not torch.ops.aten._local_scalar_dense.default, "a number was read"
        output = operation(*args, **(kwargs or {}))
        self.calls.append((operation, args, kwargs or {}, output))
        return output

    def run_again(self):
        """Run the operations on the memory of the recording, and none of the step's Python."""
        found = {}
        for operation, args, kwargs, output in self.calls:
            its_args, its_kwargs = tree_map(partial(_again, found), (args, kwargs))
            again = operation(*its_args, **its_kwargs)
            found |= zip(map(id, tree_leaves(output)), tree_leaves(again), strict=True)
        return found


def _again(found, one):
    return found.get(id(one), one)


def recorded_operations(work, device):
    with Recorder() as recorder:
        output = work()

    def replay():
        return output.copy_(recorder.run_again()[id(output)])

    return replay


def written(model, mode, *, lengths=LENGTHS, closing=()):
    sequences = [
        Decoding(
            prompt_ids=ids,
            max_new_tokens=length,
            seed=0,
            is_done=lambda _: False,
            closing=lambda _: closing or None,
        )
        for ids, length in zip(PROMPTS, lengths, strict=True)
    ]
    with torch.inference_mode():
        decode(model, sequences, GREEDY, frozenset(), SharedPrefill(model), mode=mode)
    return sequences


@pytest.mark.parametrize("is_recorded", [False, True])
@pytest.mark.parametrize("architecture", FULL_ATTENTION)
def test_steps_in_one_place_write_what_other_steps_do(architecture, is_recorded, monkeypatch):
    if is_recorded:
        monkeypatch.setattr(graphed_batch, "recorded", recorded_operations)
    model = tiny_judge(architecture).model
    graphed, batched = written(model, "graphed", closing=(5, 6)), written(model, "batched", closing=(5, 6))
    for one, other in zip(graphed, batched, strict=True):
        assert one.new_ids == other.new_ids and len(one.new_ids) == one.max_new_tokens
        assert one.computed_tokens == other.computed_tokens
        torch.testing.assert_close(one.last_row, other.last_row, atol=1e-4, rtol=1e-4)
        assert one.last_rows.keys() == other.last_rows.keys()
        for index, row in one.last_rows.items():
            torch.testing.assert_close(row, other.last_rows[index], atol=1e-4, rtol=1e-4)


def test_a_step_is_recorded_anew_only_if_half_of_the_batch_is_done(monkeypatch):
    sizes = []

    def recorded(work, device):
        sizes.append(len(work().view(-1, len(work()[0]))))
        return work

    monkeypatch.setattr(graphed_batch, "recorded", recorded)
    written(tiny_judge().model, "graphed")  # 4, 3, 2 and 1 sequences at a time
    assert sizes == [4, 2, 1]


def test_every_step_runs_in_the_same_memory():
    model = tiny_judge().model
    with torch.inference_mode():
        _, batch, _ = prefilled(model, PROMPTS, None, num_graphed=8)
        places = [addresses(batch)]
        for rows in ([0, 1, 2, 3], [0, 1, 3], [0, 1, 3]):
            if len(rows) < len(batch._active):
                batch.select(rows)
            batch.step([5] * len(rows))
            places.append(addresses(batch))
    assert len(set(places)) == 1


def addresses(batch):
    states = [one for layer in batch._cache.layers for one in (layer.keys, layer.values)]
    return tuple(one.data_ptr() for one in (batch._ids, batch._mask, batch._positions, batch._place, *states))


def test_a_step_beyond_the_memory_takes_more(monkeypatch):
    monkeypatch.setattr(graphed_batch, "_SPARE_TOKENS", 1)
    model = tiny_judge().model
    with torch.inference_mode():
        rows, batch, _ = prefilled(model, PROMPTS[:2], None, num_graphed=0)
        for ids in ([9, 8], [7, 6], [5, 4]):
            rows = batch.step(ids)
        for row, prompt, new in zip(rows, PROMPTS, ([9, 7, 5], [8, 6, 4]), strict=False):
            plain = model(input_ids=torch.tensor([prompt + new])).logits[0, -1]
            torch.testing.assert_close(row, plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("architecture", "mode"), [("llama", "graphed"), ("mistral", "single"), ("gemma2", "single")])
def test_graphs_are_taken_only_if_the_model_can(architecture, mode, caplog):
    model = tiny_judge(architecture).model
    with torch.inference_mode():
        assert probe_decoding(model, SharedPrefill(model), cuda_graphs=True) == mode
        assert probe_decoding(model, SharedPrefill(model)) != "graphed"
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert [one for one in warnings if "graphed decoding does not work" in one] == warnings
    assert bool(warnings) == (mode != "graphed")


def test_positions_that_turn_with_the_length_of_the_text_are_not_recorded(caplog):
    model = tiny_rotary("longrope", 100)
    with torch.inference_mode():
        assert probe_decoding(model, SharedPrefill(model), cuda_graphs=True) == "batched"
    assert "graphed decoding does not work" in caplog.text


def test_a_replay_with_other_logits_is_noticed(monkeypatch, caplog):
    def stale(work, device):
        first = work().clone()
        return lambda: first

    monkeypatch.setattr(graphed_batch, "recorded", stale)
    model = tiny_judge().model
    with torch.inference_mode():
        assert probe_decoding(model, SharedPrefill(model), cuda_graphs=True) == "batched"
    assert "graphed decoding does not work (its logits differ from a plain forward pass)" in caplog.text


def test_graphs_without_a_gpu_are_refused():
    for source in (ModelSource(model="x", device="cpu"), tiny_judge()):
        with pytest.raises(ConfigError, match="got cuda_graphs on device cpu; expected a CUDA device, or leave"):
            TransformersEngine(source, conversation=CONVERSATIONS["tokenizer"], cuda_graphs=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("architecture", FULL_ATTENTION)
def test_a_cuda_graph_writes_what_other_steps_do(architecture):
    model = tiny_judge(architecture).model.to("cuda")
    with torch.inference_mode():
        assert probe_decoding(model, SharedPrefill(model), cuda_graphs=True) == "graphed"
    graphed, batched = written(model, "graphed"), written(model, "batched")
    assert [one.new_ids for one in graphed] == [one.new_ids for one in batched]


def test_a_finished_sequences_positions_do_not_go_on():
    model = tiny_judge().model
    with torch.inference_mode():
        _, batch, _ = prefilled(model, PROMPTS[:3], None, num_graphed=8)
        batch.select([0, 1])  # the longest prompt is done
        for _ in range(3):
            batch.step([5, 5])
    assert batch._positions[:, 0].tolist() == [8, 6, 52]
