"""Finds out how a model can decode: several sequences together, one at a time, or without its cache."""

import logging
from typing import Any

import torch

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.decoding import DecodeMode, Decoding, decode
from prom_reward.engines.model.forward import forward_last, is_close
from prom_reward.engines.model.memory import is_out_of_memory
from prom_reward.engines.prefix.prefill import SharedPrefill, probe_ids
from prom_reward.engines.prefix.tree_attention import keeps_all_states

logger = logging.getLogger(__name__)

_SHARED_TOKENS = 2
_PROMPT_TOKENS = (48, 8, 3)  # unequal: the short ones are mostly padding, which a wrong mask would show
_NEW_TOKENS = 3
_GREEDY = SamplingParams(temperature=0, top_p=1, repetition_penalty=1)


def probe_decoding(model: Any, prefill: SharedPrefill, *, cuda_graphs: bool = False) -> DecodeMode:
    """Return the fastest mode whose logits are those of plain forward passes, with CUDA graphs only if wanted."""
    modes: list[DecodeMode] = ["batched", "single"] if keeps_all_states(model) else ["single"]
    if cuda_graphs:
        modes.insert(0, "graphed")
    for mode in modes:
        try:
            if _is_exact(model, prefill, mode):
                return mode
            reason = "its logits differ from a plain forward pass"
        except Exception as error:  # any error of a model's own cache: decoding without it still works
            if is_out_of_memory(error):
                raise  # it says nothing about the model
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        logger.warning("%s: %s decoding does not work (%s)", type(model).__name__, mode, reason)
    logger.warning("%s: feedback is decoded without a cache, which is slow", type(model).__name__)
    return "uncached"


def _is_exact(model: Any, prefill: SharedPrefill, mode: DecodeMode) -> bool:
    ids = probe_ids(model, max(_PROMPT_TOKENS))
    sequences = [
        Decoding(
            prompt_ids=[*ids[:_SHARED_TOKENS], *ids[_SHARED_TOKENS - length :]],
            max_new_tokens=_NEW_TOKENS,
            seed=0,
            is_done=lambda _: False,
        )
        for length in _PROMPT_TOKENS
    ]
    decode(model, sequences, _GREEDY, frozenset(), prefill, mode=mode)
    for sequence in sequences:
        if not sequence.new_ids:  # logits without a number: every answer will say so
            continue
        last = len(sequence.new_ids) - 1
        before = torch.tensor([[*sequence.prompt_ids, *sequence.new_ids[:last]]], device=model.device)
        plain, _ = forward_last(model, before, keeps_cache=False)
        if not is_close(sequence.last_rows[last], plain[0], model.dtype):
            return False
    return True
