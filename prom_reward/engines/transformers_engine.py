"""The in-process engine: any causal LM that transformers loads, on a CPU or on GPUs.

It does not know rubrics, nor how its conversation is written.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from prom_reward.engines.adapter_stamp import adapter_digest
from prom_reward.engines.base import Generation, SamplingParams, too_long
from prom_reward.engines.decoding import Decoding, decode, sequence_seeds
from prom_reward.engines.label_probs import likeliest
from prom_reward.engines.loading import (
    LoadedModel,
    ModelSource,
    load_model,
    resolve_device,
    resolve_dtype,
    resolve_path,
)
from prom_reward.engines.memory import is_out_of_memory, release_memory
from prom_reward.engines.runtime import JudgeRuntime
from prom_reward.engines.sessions import judging, judging_on
from prom_reward.errors import ConfigError, WorkError
from prom_reward.types import Conversation, JudgePrompt

logger = logging.getLogger(__name__)

Session = Callable[[Any], AbstractContextManager[None]]
"""What surrounds a call: it is given the model and puts it into, and out of, the state in which it judges."""

_loading = threading.Lock()  # async rewards run in threads; a judge that they share is loaded once


class TransformersEngine:
    """Runs a judge's weights in this process.

    Args:
        source: Where the weights come from; they are loaded at the first use. Or a model that is loaded
            already: such an engine shares it and cannot be pickled.
        conversation: Makes the judge's conversation for its tokenizer, for example an entry of
            `prom_reward.prompts.conversation.CONVERSATIONS`.
        context_length: Tokens that prompt and answer may take together; None takes the model's own.
        decode_batch_size: Feedbacks that are decoded together; None takes 8 on a CPU and 32 on a GPU.
        offload: Keep the weights on the CPU between calls, where a policy on the same GPU needs the memory.
        session: What surrounds a call; None is eval mode without gradients.

    Raises:
        ConfigError: `offload` is asked for weights that are spread over devices or quantised.
    """

    def __init__(
        self,
        source: ModelSource | LoadedModel,
        *,
        conversation: Callable[[Any], Conversation],
        context_length: int | None = None,
        decode_batch_size: int | None = None,
        offload: bool = False,
        session: Session | None = None,
    ) -> None:
        if offload and isinstance(source, ModelSource) and (source.device_map or source.quantization):
            raise ConfigError(
                f"got offload with device_map={source.device_map!r}, quantization={source.quantization!r}; "
                "expected neither: only plain weights on one device can be moved between calls"
            )
        self._source = source
        self._conversation_factory = conversation
        self._context_length = context_length
        self._decode_batch_size = decode_batch_size
        self._offload = offload
        self._session = session
        self._home: torch.device | None = None
        self._runtime: JudgeRuntime | None = None
        self._adapter_digest: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self._source, LoadedModel):
            raise WorkError("an engine around a loaded model cannot be pickled; make it from a ModelSource")
        return {**self.__dict__, "_runtime": None, "_adapter_digest": None}

    @property
    def runtime(self) -> "JudgeRuntime":
        """The loaded model with its encoder and conversation; loads it where that has not happened yet."""
        if self._runtime is None:
            with _loading:
                self._runtime = self._runtime or self._load()
        return self._runtime

    def _load(self) -> JudgeRuntime:
        with torch.inference_mode(False):  # weights that are made in it cannot be changed outside of it
            loaded = self._source if isinstance(self._source, LoadedModel) else load_model(self._source)
        self._home = loaded.device
        return JudgeRuntime(loaded, self._conversation_factory(loaded.tokenizer))

    def on(self, loaded: LoadedModel, session: Session) -> "TransformersEngine":
        """Return this engine on a model that is loaded already, with what surrounds a call of it."""
        return TransformersEngine(
            loaded,
            conversation=self._conversation_factory,
            context_length=self._context_length,
            decode_batch_size=self._decode_batch_size,
            session=session,
        )

    @property
    def source(self) -> ModelSource | LoadedModel:
        """Where the weights come from."""
        return self._source

    @property
    def fingerprint(self) -> str:
        """The identity, a digest of the adapter, and what the weights compute in on this machine; loads nothing."""
        source = self._source
        if isinstance(source, LoadedModel):
            return f"{self.identity}|{source.dtype}"
        if self._adapter_digest is None:
            self._adapter_digest = adapter_digest(resolve_path(source.adapter)) if source.adapter else ""
        dtype = source.quantization or resolve_dtype(source.dtype, resolve_device(source.device))
        return f"{self.identity}|{self._adapter_digest}|{dtype}"

    @property
    def identity(self) -> str:
        """The weights' origin, the conversation and the given context: the same on every machine."""
        source = self._source
        if isinstance(source, ModelSource):
            parts = [source.model, source.revision, source.gguf_file, source.adapter, source.tokenizer]
            parts += [source.dtype, source.quantization]
        else:
            parts = [source.model.config.name_or_path]
        factory = self._conversation_factory
        name = getattr(factory, "__qualname__", None) or repr(factory)
        return "transformers:" + "|".join(str(part or "") for part in [*parts, name, self._context_length])

    @property
    def context_length(self) -> int | None:
        """The given length, else the model's `max_position_embeddings`."""
        if self._context_length is not None:
            return self._context_length
        config = self.runtime.loaded.model.config
        config = config.get_text_config() if hasattr(config, "get_text_config") else config
        length = getattr(config, "max_position_embeddings", None)
        return int(length) if length else None

    def count_tokens(self, prompt: JudgePrompt) -> int:
        """Return the number of tokens of the rendered prompt, BOS and prefix included."""
        return len(self.runtime.context_ids(prompt))

    def generate(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        """Answer every prompt, in order; see `prom_reward.engines.base.Engine.generate`."""
        model = self.runtime.loaded.model
        with self._around(model):
            return self._generate(prompts, sampling)

    def _around(self, model: Any) -> AbstractContextManager[None]:
        """Return what surrounds a call."""
        if self._session is not None:
            return self._session(model)
        return judging_on(self._home, model) if self._offload and self._home is not None else judging(model)

    def _generate(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        contexts = [self.runtime.context_ids(prompt) for prompt in prompts]
        results: list[Generation | None] = [None] * len(prompts)
        to_read: list[int] = []
        to_decode: list[int] = []
        for index, (prompt, context) in enumerate(zip(prompts, contexts, strict=True)):
            room = self._room(prompt, context)
            if room is not None and room < 0:
                results[index] = too_long(len(context), self.context_length)
            else:
                (to_read if prompt.reads_score_at_once else to_decode).append(index)
        self._read(prompts, contexts, to_read, results)
        self._decode(prompts, contexts, to_decode, sampling, results)
        return [result for result in results if result is not None]

    def _room(self, prompt: JudgePrompt, context: list[int]) -> int | None:
        """Tokens that feedback may take before closing and verdict must begin; None without a limit."""
        limit = self.context_length
        return None if limit is None else self.runtime.room(prompt, len(context), limit)

    def _read(
        self,
        prompts: Sequence[JudgePrompt],
        contexts: list[list[int]],
        indices: list[int],
        results: list[Generation | None],
    ) -> None:
        """Answer the prompts of score mode."""
        queries = self.runtime.score_queries([prompts[at] for at in indices], [contexts[at] for at in indices])
        for index, logprobs, computed in zip(indices, *self.runtime.read(queries), strict=True):
            results[index] = Generation(
                text=likeliest(logprobs),
                finish_reason="result",
                num_prompt_tokens=len(contexts[index]),
                num_computed_tokens=computed,
                score_logprobs=logprobs,
            )

    def _decode(
        self,
        prompts: Sequence[JudgePrompt],
        contexts: list[list[int]],
        indices: list[int],
        sampling: SamplingParams,
        results: list[Generation | None],
    ) -> None:
        seeds = sequence_seeds([contexts[index] for index in indices], sampling.seed)
        costs = [len(contexts[index]) + sampling.max_new_tokens for index in indices]
        waiting = sorted(range(len(indices)), key=lambda at: len(contexts[indices[at]]))
        while waiting:
            part = self._next_batch(waiting, costs)
            batch = {indices[at]: self._decoding(prompts, contexts, indices[at], sampling, seeds[at]) for at in part}
            try:
                self._decode_batch(prompts, batch, sampling, results)
            except RuntimeError as error:
                if not is_out_of_memory(error) or len(part) == 1:
                    raise
                self._decode_less(len(part) // 2)
            else:
                del waiting[: len(part)]

    def _decode_batch(
        self,
        prompts: Sequence[JudgePrompt],
        batch: dict[int, Decoding],
        sampling: SamplingParams,
        results: list[Generation | None],
    ) -> None:
        sequences = list(batch.values())
        decode(self.runtime.loaded.model, sequences, sampling, self.runtime.eos_ids, self.runtime.prefill)
        finished = self.runtime.finish([prompts[index] for index in batch], sequences, self.runtime.read)
        for index, generation in zip(batch, finished, strict=True):
            results[index] = generation

    def _decoding(
        self,
        prompts: Sequence[JudgePrompt],
        contexts: list[list[int]],
        index: int,
        sampling: SamplingParams,
        seed: int,
    ) -> Decoding:
        room = self._room(prompts[index], contexts[index])
        return Decoding(
            prompt_ids=contexts[index],
            max_new_tokens=sampling.max_new_tokens if room is None else min(sampling.max_new_tokens, room + 1),
            generator=torch.Generator(self.runtime.loaded.model.device).manual_seed(seed),
            is_done=self.runtime.stop_test(prompts[index].labels),
            closing=self.runtime.closing(prompts[index].labels),
        )

    def _decode_less(self, size: int) -> None:
        self._decode_batch_size = size
        logger.warning("out of memory: going on with %d feedbacks at a time", size)
        release_memory(self.runtime.loaded.model.device)

    def _next_batch(self, waiting: Sequence[int], costs: Sequence[int]) -> list[int]:
        """Return the first that keep to the batch size and to the tokens of cache that may be held at once."""
        size = self._decode_batch_size or (8 if self.runtime.loaded.model.device.type == "cpu" else 32)
        budget = self.runtime.prefill.token_budget
        batch: list[int] = []
        for at in waiting[:size]:
            longest = max([costs[at], *(costs[other] for other in batch)])
            if batch and longest * (len(batch) + 1) > budget:
                break
            batch.append(at)
        return batch
