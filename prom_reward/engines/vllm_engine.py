"""The vLLM engine: a judge's weights in `vllm.LLM`, in this process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

from prom_reward.engines.base import Engine, Generation, SamplingParams, conversation_name, too_long
from prom_reward.engines.model.identity import source_identity
from prom_reward.engines.model.loading import load_tokenizer
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.tokens.judge_tokens import JudgeTokens
from prom_reward.engines.tokens.label_probs import LabelQuery, next_tokens, read_labels
from prom_reward.engines.tokens.seeds import sequence_seeds
from prom_reward.engines.vllm_model import VllmModel, VllmSequence, compute_dtype, load_vllm
from prom_reward.types import Conversation, JudgePrompt


class VllmEngine(Engine):
    """Runs a judge's weights in vLLM, in this process.

    Score mode is one generated token with the labels' log-probabilities; feedback ends at its verdict, whose
    distribution comes from the step that wrote it. Prompts are submitted in the order of their tokens, so that
    vLLM's prefix cache finds shared beginnings.

    Args:
        source: Origin of the weights, which are loaded at the first use, once a process for equal arguments.
        conversation: Makes the judge's conversation for its tokenizer, for example an entry of
            `prom_reward.prompts.conversation.CONVERSATIONS`.
        context_length: Tokens that prompt and answer may take together; None takes the model's own.
        options: Further arguments of `vllm.LLM`, as `tensor_parallel_size` or `gpu_memory_utilization`.

    Raises:
        MissingPackageError: At the first use, if vLLM is not installed.
    """

    def __init__(
        self,
        source: ModelSource,
        *,
        conversation: Callable[[Any], Conversation],
        context_length: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._source = source
        self._conversation_factory = conversation
        self._context_length = context_length
        self._options = dict(options or {})
        self._tokens: JudgeTokens | None = None
        self._model: VllmModel | None = None
        self._identity: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tokens": None, "_model": None, "_identity": None}

    @property
    def fingerprint(self) -> str:
        """The identity, and the dtype on this machine; loads no weights."""
        return f"{self.identity}|{compute_dtype(self._source)}"

    @property
    def identity(self) -> str:
        """The weights' origin and digest, conversation, given context and options: the same on every machine."""
        if self._identity is None:
            name = conversation_name(self._conversation_factory)
            options = ",".join(f"{key}={value}" for key, value in sorted(self._options.items()))
            self._identity = f"vllm:{source_identity(self._source, name, self._context_length, options)}"
        return self._identity

    def load(self) -> None:
        """Load the weights now."""
        _ = self._loaded

    @property
    def context_length(self) -> int | None:
        """The given length, else the model's."""
        return self._context_length or self._loaded.context_length

    def count_tokens(self, prompt: JudgePrompt) -> int:
        """Return the number of tokens of the rendered prompt, BOS and prefix included."""
        return len(self._judge.context_ids(prompt))

    def fits(self, prompt: JudgePrompt, sampling: SamplingParams) -> bool:
        """Return whether the prompt leaves room for the longest answer and its verdict."""
        return self._judge.fits(prompt, sampling, self.context_length)

    def generate(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        """Answer every prompt, in order; see `prom_reward.engines.base.Engine.generate`."""
        contexts = [self._judge.context_ids(prompt) for prompt in prompts]
        results: list[Generation | None] = [None] * len(prompts)
        to_read: list[int] = []
        to_write: list[int] = []
        for index, (prompt, context) in enumerate(zip(prompts, contexts, strict=True)):
            if self._room(prompt, context) < 0:
                results[index] = too_long(len(context), self.context_length)
            else:
                (to_read if prompt.reads_score_at_once else to_write).append(index)
        for part, answer in ((to_read, self._scored), (to_write, self._written)):
            chosen = [prompts[index] for index in part], [contexts[index] for index in part]
            for index, generation in zip(part, answer(*chosen, sampling), strict=True):
                results[index] = self._marked(generation)
        return [result for result in results if result is not None]

    @property
    def _judge(self) -> JudgeTokens:
        if self._tokens is None:
            tokenizer = load_tokenizer(self._source)
            self._tokens = JudgeTokens(tokenizer, self._conversation_factory(tokenizer))
        return self._tokens

    @property
    def _loaded(self) -> VllmModel:
        if self._model is None:
            self._model = load_vllm(self._source, self._context_length, self._options)
        return self._model

    def _room(self, prompt: JudgePrompt, context: list[int]) -> int:
        return self._judge.room(prompt, len(context), self.context_length or 0)

    def _read(self, queries: Sequence[LabelQuery]) -> tuple[list[dict[str, float]], list[int]]:
        return read_labels(queries, self._loaded.look_up)

    def _scored(
        self, prompts: Sequence[JudgePrompt], contexts: Sequence[list[int]], _: SamplingParams
    ) -> list[Generation]:
        """Answer prompts of score mode."""
        return self._judge.score(prompts, contexts, self._read)

    def _written(
        self, prompts: Sequence[JudgePrompt], contexts: Sequence[list[int]], sampling: SamplingParams
    ) -> list[Generation]:
        """Answer prompts of feedback mode."""
        seeds = sequence_seeds([tuple(context) for context in contexts], sampling.seed)
        sequences = [
            VllmSequence(
                prompt_ids=context,
                max_new_tokens=min(sampling.max_new_tokens, self._room(prompt, context) + 1),
                tokens=self._label_ids(prompt.labels),
                seed=seed,
                is_done=self._judge.stop_test(prompt.labels),
            )
            for prompt, context, seed in zip(prompts, contexts, seeds, strict=True)
        ]
        self._loaded.write(sequences, sampling, self._judge.end_ids | self._loaded.end_ids)
        return self._judge.finish(prompts, sequences, self._read)

    def _label_ids(self, labels: tuple[str, ...]) -> tuple[int, ...]:
        """Return the first tokens of the labels, with and without a space before them."""
        encoder, tokens = self._judge.encoder, self._judge.encoder.label_tokens(labels)
        both = {*next_tokens(tokens.tails)[()], *next_tokens(encoder.tails_without_space(tokens))[()]}
        return tuple(sorted(both))

    def _marked(self, generation: Generation) -> Generation:
        """Mark a distribution as partial if vLLM did not report every label."""
        logprobs = generation.score_logprobs or {}
        return replace(generation, is_partial=True) if -inf in logprobs.values() else generation
