"""Answers the prompts of a call with a loaded model: score mode in one prefill, feedback in decoding batches."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from prom_reward.engines.base import Generation, SamplingParams, out_of_memory, too_long
from prom_reward.engines.local.decode_probe import probe_decoding
from prom_reward.engines.local.decoding import DecodeMode, Decoding, decode
from prom_reward.engines.model.forward import token_logprobs
from prom_reward.engines.model.loading import LoadedModel
from prom_reward.engines.model.memory import unless_out_of_memory
from prom_reward.engines.prefix.prefill import SharedPrefill
from prom_reward.engines.prefix.tree_prefill import Attention
from prom_reward.engines.tokens.judge_tokens import JudgeTokens
from prom_reward.engines.tokens.label_probs import LabelQuery, read_labels
from prom_reward.engines.tokens.seeds import sequence_seeds
from prom_reward.errors import ConfigError, ModelLoadError
from prom_reward.types import Conversation, JudgePrompt, Readout

logger = logging.getLogger(__name__)

HiddenStates = dict[tuple[int, ...], torch.Tensor]
"""Last hidden states (H,) by the token ids before them."""
IndexedGenerations = Iterator[tuple[int, Generation]]
"""Answers with the indices of their prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """A prompt of a call."""

    index: int
    prompt: JudgePrompt
    ids: list[int]
    max_new_tokens: int
    """Longest feedback that fits; 0 in score mode, negative if the prompt does not fit."""


class Batches:
    """Answers prompts with one loaded model.

    Args:
        loaded: The model and its tokenizer.
        conversation: The judge's conversation for that tokenizer.
        decode_batch_size: Feedbacks that are decoded together; None takes 16 on a CPU and 32 on a GPU.
        attn_implementation: How the prefill attends, see `SharedPrefill`.
        cuda_graphs: Whether to decode by CUDA graphs, if the model can.

    Raises:
        ModelLoadError: The tokenizer has tokens that the model does not know.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        conversation: Conversation,
        *,
        decode_batch_size: int | None = None,
        attn_implementation: Attention = "sdpa",
        cuda_graphs: bool = False,
    ) -> None:
        self.loaded = loaded
        self.tokens = JudgeTokens(loaded.tokenizer, conversation)
        _check_vocabulary(loaded.model, self.tokens.largest_id())
        self.prefill = SharedPrefill(loaded.model, attention=attn_implementation)
        self.eos_ids = _eos_ids(loaded.model) | self.tokens.end_ids
        self._cuda_graphs = cuda_graphs
        self._decode_modes: dict[tuple[str, torch.dtype], DecodeMode] = {}
        self._batch_size = decode_batch_size or (16 if loaded.device.type == "cpu" else 32)

    def answer(
        self, prompts: Sequence[JudgePrompt], sampling: SamplingParams, *, context_length: int | None
    ) -> list[Generation]:
        """Return every prompt's answer, in order.

        Args:
            prompts: The prompts.
            sampling: How feedback is written.
            context_length: Tokens that prompt and answer may take together; None sets no limit.
        """
        items = [self._item(*pair, sampling, context_length) for pair in enumerate(prompts)]
        fitting = [item for item in items if item.max_new_tokens >= 0]
        scoring = [item for item in fitting if item.prompt.reads_score_at_once]
        writing = [item for item in fitting if not item.prompt.reads_score_at_once]
        answers = {item.index: too_long(len(item.ids), context_length) for item in items if item.max_new_tokens < 0}
        answers.update(self._score(scoring))
        answers.update(self._write(writing, sampling))
        return [answers[item.index] for item in items]

    @property
    def decode_mode(self) -> DecodeMode:
        """How the model decodes; probed before the first feedback."""
        model = self.loaded.model
        key = (model.device.type, model.dtype)
        if key not in self._decode_modes:
            self._decode_modes[key] = probe_decoding(model, self.prefill, cuda_graphs=self._cuda_graphs)
        return self._decode_modes[key]

    def read(
        self, queries: Sequence[LabelQuery], states: HiddenStates | None = None
    ) -> tuple[list[dict[str, float]], list[int]]:
        """Return every query's label log-probabilities, and the tokens that were computed for it.

        The last hidden states at the queries go into `states`, if they are wanted.
        """
        return read_labels(queries, partial(self._rows, states=states))

    def states(self, prompts: Sequence[JudgePrompt]) -> NDArray[np.float32]:
        """Return the last hidden state (N, H) at the score of each prompt of score mode."""
        contexts = [self.tokens.context_ids(prompt) for prompt in prompts]
        states: HiddenStates = {}
        self._rows(contexts, [()] * len(contexts), states)
        return np.stack([states[tuple(context)].cpu().numpy() for context in contexts])

    def _rows(
        self, contexts: Sequence[list[int]], tokens: Sequence[tuple[int, ...]], states: HiddenStates | None = None
    ) -> tuple[list[dict[int, float]], list[int]]:
        """Return the log-probabilities of tokens after each context, and the tokens computed for it.

        The contexts' last hidden states go into `states`, if they are wanted.
        """
        rows: list[dict[int, float]] = [{} for _ in contexts]
        computed = [0] * len(contexts)
        for one in self.prefill.run(contexts, keeps_hidden=states is not None):
            rows[one.index] = token_logprobs(one.logits, tokens[one.index])
            computed[one.index] = one.num_computed_tokens
            if states is not None and one.hidden is not None:
                states[tuple(contexts[one.index])] = one.hidden
        return rows, computed

    def _item(self, index: int, prompt: JudgePrompt, sampling: SamplingParams, limit: int | None) -> _Item:
        ids = self.tokens.context_ids(prompt)
        longest = 0 if prompt.reads_score_at_once else sampling.max_new_tokens
        if limit is not None:
            room = self.tokens.room(prompt, len(ids), limit)
            longest = room if room < 0 else min(longest, room + 1)
        return _Item(index=index, prompt=prompt, ids=ids, max_new_tokens=longest)

    def _score(self, items: list[_Item]) -> IndexedGenerations:
        """Answer prompts of score mode; in halves if memory runs out."""
        parts = [items] if items else []
        while parts:
            part = parts.pop()
            answers = self._unless_out_of_memory(part, partial(self._score_together, part))
            if answers is not None:
                yield from zip((item.index for item in part), answers, strict=True)
                continue
            half = len(part) // 2
            parts += [part[half:], part[:half]]
            logger.warning("out of memory: continuing with %d prompts at a time", len(part) - half)

    def _score_together(self, items: Sequence[_Item]) -> list[Generation]:
        prompts, contexts = [item.prompt for item in items], [item.ids for item in items]
        if not any(prompt.readout for prompt in prompts):
            return self.tokens.score(prompts, contexts, self.read)
        states: HiddenStates = {}
        found = self.tokens.score(prompts, contexts, partial(self.read, states=states))
        return [
            replace(one, readout=_read_out(item.prompt.readout, states[tuple(item.ids)]))
            for item, one in zip(items, found, strict=True)
        ]

    def _write(self, items: list[_Item], sampling: SamplingParams) -> IndexedGenerations:
        """Answer prompts of feedback mode, the short ones first; in smaller batches if memory runs out."""
        seeds = sequence_seeds([tuple(item.ids) for item in items], sampling.seed)
        waiting = sorted(zip(items, seeds, strict=True), key=lambda pair: len(pair[0].ids))
        batch_size = self._batch_size
        while waiting:
            size = self._fitting([item for item, _ in waiting[:batch_size]], sampling.max_new_tokens)
            batch = waiting[:size]
            part = [item for item, _ in batch]
            answers = self._unless_out_of_memory(part, partial(self._write_together, batch, sampling))
            if answers is not None:
                yield from zip((item.index for item in part), answers, strict=True)
                del waiting[:size]
                continue
            batch_size = size // 2
            self.prefill.forget_budget()
            logger.warning("out of memory: continuing with %d feedbacks at a time", batch_size)

    def _fitting(self, items: Sequence[_Item], max_new_tokens: int) -> int:
        """Return how many of these, in order of length, fit into the cache's budget together: at least one."""
        budget = self.prefill.token_budget
        sizes = range(len(items), 1, -1)
        return next((size for size in sizes if size * (len(items[size - 1].ids) + max_new_tokens) <= budget), 1)

    def _write_together(self, batch: Sequence[tuple[_Item, int]], sampling: SamplingParams) -> list[Generation]:
        sequences = [self._decoding(item, seed) for item, seed in batch]
        decode(self.loaded.model, sequences, sampling, self.eos_ids, self.prefill, mode=self.decode_mode)
        return self.tokens.finish([item.prompt for item, _ in batch], sequences, self.read)

    def _decoding(self, item: _Item, seed: int) -> Decoding:
        labels = item.prompt.labels
        return Decoding(
            prompt_ids=item.ids,
            max_new_tokens=item.max_new_tokens,
            seed=seed,
            is_done=self.tokens.stop_test(labels),
            closing=self.tokens.closing(labels),
        )

    def _unless_out_of_memory(
        self, items: Sequence[_Item], work: "partial[list[Generation]]"
    ) -> list[Generation] | None:
        """Return the answers, or an error if one prompt alone finds no memory; None if the items can be split."""
        answers = unless_out_of_memory(work, self.loaded.device)
        if answers is None and len(items) == 1:
            answers = [out_of_memory(len(items[0].ids))]
            logger.warning("%s", answers[0].error)
        return answers


def _read_out(readout: Readout | None, state: torch.Tensor) -> float | None:
    """Return a readout of a state (H,), if there is one."""
    if readout is None:
        return None
    weights = torch.frombuffer(bytearray(readout.weights), dtype=torch.float32)
    if len(weights) != len(state):
        raise ConfigError(
            f"got a head for hidden states of size {len(weights)}, the judge's are of size {len(state)}; fit one with "
            "`prom-reward tune`"
        )
    return float(weights.to(state.device) @ state) + readout.bias


def _check_vocabulary(model: Any, largest_id: int) -> None:
    """Refuse a tokenizer that is larger than its model: on a GPU such an id would end the process."""
    try:
        size = int(model.get_input_embeddings().num_embeddings)
    except (AttributeError, NotImplementedError):  # a model that embeds its tokens otherwise
        return
    if largest_id >= size:
        raise ModelLoadError(
            f"the tokenizer writes token ids up to {largest_id}, the model's embedding has {size} rows; expected the "
            "tokenizer that the model was trained with: give it with tokenizer="
        )


def _eos_ids(model: Any) -> frozenset[int]:
    """Return the tokens with which the model's own configuration ends a sequence."""
    given = getattr(model.generation_config, "eos_token_id", None)
    return frozenset(token for token in (given if isinstance(given, list) else [given]) if token is not None)
