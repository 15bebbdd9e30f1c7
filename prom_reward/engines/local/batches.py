"""One call of the in-process engine: which prompts are read or decoded together, and what a lack of memory leads to.

It does not know where weights come from, nor what surrounds a call.
"""

import logging
from collections.abc import Sequence
from functools import partial

import torch

from prom_reward.engines.base import Generation, SamplingParams, out_of_memory, too_long
from prom_reward.engines.local.decoding import Decoding, decode
from prom_reward.engines.local.runtime import JudgeRuntime
from prom_reward.engines.model.memory import unless_out_of_memory
from prom_reward.engines.tokens.seeds import sequence_seeds
from prom_reward.types import JudgePrompt

logger = logging.getLogger(__name__)


class Answering:
    """Answers prompts with a loaded model.

    Args:
        runtime: The model with its conversation.
        prompts: What is asked.
        sampling: How feedback is written.
        context_length: Tokens that prompt and answer may take together; None sets no limit.
        decode_batch_size: Feedbacks that are decoded together; None takes 8 on a CPU and 32 on a GPU.
    """

    def __init__(
        self,
        runtime: JudgeRuntime,
        prompts: Sequence[JudgePrompt],
        sampling: SamplingParams,
        *,
        context_length: int | None,
        decode_batch_size: int | None,
    ) -> None:
        self._runtime = runtime
        self._prompts = prompts
        self._sampling = sampling
        self._context_length = context_length
        self._batch_size = decode_batch_size or (8 if runtime.loaded.device.type == "cpu" else 32)
        self._contexts = [runtime.context_ids(prompt) for prompt in prompts]
        self._results: list[Generation | None] = [None] * len(prompts)

    def run(self) -> list[Generation]:
        """Return every prompt's answer, in order."""
        to_read: list[int] = []
        to_decode: list[int] = []
        for index, prompt in enumerate(self._prompts):
            room = self._room(index)
            if room is not None and room < 0:
                self._results[index] = too_long(len(self._contexts[index]), self._context_length)
            else:
                (to_read if prompt.reads_score_at_once else to_decode).append(index)
        self._read(to_read)
        self._decode(to_decode)
        return [result for result in self._results if result is not None]

    def _room(self, index: int) -> int | None:
        """Tokens that feedback may take before closing and verdict must begin; None without a limit."""
        limit = self._context_length
        return None if limit is None else self._runtime.room(self._prompts[index], len(self._contexts[index]), limit)

    def _read(self, indices: list[int]) -> None:
        """Answer prompts of score mode; by halves where memory runs out."""
        parts = [indices] if indices else []
        while parts:
            part = parts.pop()
            found = unless_out_of_memory(partial(self._read_together, part), self._runtime.loaded.device)
            if self._has_kept(part, found):
                continue
            half = len(part) // 2
            parts += [part[half:], part[:half]]
            logger.warning("out of memory: going on with %d prompts at a time", len(part) - half)

    def _read_together(self, part: list[int]) -> list[Generation]:
        prompts = [self._prompts[index] for index in part]
        return self._runtime.score(prompts, [self._contexts[index] for index in part], self._runtime.read)

    def _has_kept(self, part: list[int], found: list[Generation] | None) -> bool:
        """Keep what was found for some prompts, or that one alone found no memory; False: they are to be split."""
        if found is None and len(part) > 1:
            return False
        if found is None:
            found = [out_of_memory(len(self._contexts[part[0]]))]
            logger.warning("%s", found[0].error)
        for index, generation in zip(part, found, strict=True):
            self._results[index] = generation
        return True

    def _decode(self, indices: list[int]) -> None:
        """Answer prompts of feedback mode, the short ones first."""
        contexts = [tuple(self._contexts[at]) for at in indices]
        seeds = dict(zip(indices, sequence_seeds(contexts, self._sampling.seed), strict=True))
        waiting = sorted(indices, key=lambda index: len(self._contexts[index]))
        while waiting:
            part = self._next_batch(waiting)
            found = unless_out_of_memory(partial(self._decode_together, part, seeds), self._runtime.loaded.device)
            if self._has_kept(part, found):
                del waiting[: len(part)]
            else:
                self._batch_size = len(part) // 2
                self._runtime.prefill.forget_budget()
                logger.warning("out of memory: going on with %d feedbacks at a time", self._batch_size)

    def _decode_together(self, part: list[int], seeds: dict[int, int]) -> list[Generation]:
        sequences = [self._decoding(index, seeds[index]) for index in part]
        runtime = self._runtime
        decode(runtime.loaded.model, sequences, self._sampling, runtime.eos_ids, runtime.prefill)
        return runtime.finish([self._prompts[index] for index in part], sequences, runtime.read)

    def _decoding(self, index: int, seed: int) -> Decoding:
        room, longest, labels = self._room(index), self._sampling.max_new_tokens, self._prompts[index].labels
        return Decoding(
            prompt_ids=self._contexts[index],
            max_new_tokens=longest if room is None else min(longest, room + 1),
            generator=torch.Generator(self._runtime.loaded.device).manual_seed(seed),
            is_done=self._runtime.stop_test(labels),
            closing=self._runtime.closing(labels),
        )

    def _next_batch(self, waiting: Sequence[int]) -> list[int]:
        """Return the first that keep to the batch size and to the tokens of cache that may be held at once."""
        budget = self._runtime.prefill.token_budget
        batch: list[int] = []
        for index in waiting[: self._batch_size]:
            longest = len(self._contexts[index]) + self._sampling.max_new_tokens  # they are in order of length
            if batch and longest * (len(batch) + 1) > budget:
                break
            batch.append(index)
        return batch
