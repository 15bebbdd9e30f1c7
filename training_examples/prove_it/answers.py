"""Generates a policy's greedy and sampled answers to prompts, in fixed batches.

A sample depends on the seed and on the prompts of its batch: the same policy, prompts, seeds and batch size give the
same answers on the same machine.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from prom_reward.engines.model.sessions import evaluating

GREEDY = "greedy"
"""The name of the greedy answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of a policy."""

    key: str
    """The key of its prompt."""
    sample: str
    """GREEDY, or "seed 0", "seed 1"..."""
    text: str
    """The answer without special tokens."""
    num_tokens: int
    """Its tokens, including the EOS."""
    is_cut: bool
    """Whether it reached the token limit without an EOS."""


def generate_answers(
    model: Any,
    tokenizer: Any,
    prompts: Mapping[str, Sequence[Mapping[str, str]]],
    *,
    seeds: Sequence[int] = (),
    max_new_tokens: int = 64,
    batch_size: int | None = None,
) -> Iterator[Answer]:
    """Yield every prompt's greedy answer, then one for each seed, sampled at temperature 1 without top-p or top-k.

    Restores the model's mode and the random state.

    Args:
        model: A causal LM of transformers or peft.
        tokenizer: Its tokenizer, with a chat template and an EOS.
        prompts: Messages by key.
        seeds: Seeds of the sampled answers.
        max_new_tokens: The token limit of an answer.
        batch_size: Prompts answered together; None takes 16 on a CPU and 64 on a GPU.
    """
    keys = list(prompts)
    batch_size = batch_size or (16 if model.device.type == "cpu" else 64)
    for seed in (None, *seeds):
        for start in range(0, len(keys), batch_size):
            batch = keys[start : start + batch_size]
            rows = _prompt_ids(tokenizer, [prompts[key] for key in batch])
            written = _generate(model, tokenizer, rows, seed=seed, draw=start, max_new_tokens=max_new_tokens)
            for key, ids in zip(batch, written, strict=True):
                yield _answer(tokenizer, ids, key, GREEDY if seed is None else f"seed {seed}")


def _prompt_ids(tokenizer: Any, conversations: Sequence[Sequence[Mapping[str, str]]]) -> list[list[int]]:
    texts = [tokenizer.apply_chat_template(one, tokenize=False, add_generation_prompt=True) for one in conversations]
    return [tokenizer(text, add_special_tokens=False).input_ids for text in texts]  # the template writes the BOS


def _generate(
    model: Any, tokenizer: Any, rows: Sequence[list[int]], *, seed: int | None, draw: int, max_new_tokens: int
) -> list[list[int]]:
    """Return the new tokens of each row, including those after an EOS."""
    from transformers import GenerationConfig

    width = max(map(len, rows))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows], device=model.device)  # (B, T)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=model.device)  # (B, T)
    sampling = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0} if seed is not None else {}
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        pad_token_id=pad,
        eos_token_id=tokenizer.eos_token_id,
        **{"do_sample": False, **sampling},
    )
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad(), evaluating(model):
        if seed is not None:
            torch.manual_seed((seed << 20) + draw)  # another seed for every batch
        found = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    new: list[list[int]] = found[:, width:].tolist()
    return new


def _answer(tokenizer: Any, ids: list[int], key: str, sample: str) -> Answer:
    is_cut = tokenizer.eos_token_id not in ids
    ids = ids if is_cut else ids[: ids.index(tokenizer.eos_token_id) + 1]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    return Answer(key=key, sample=sample, text=text, num_tokens=len(ids), is_cut=is_cut)
