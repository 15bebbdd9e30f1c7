"""The in-process engine: any causal LM that transformers loads, on a CPU or on GPUs.

It does not know rubrics, nor how its conversation is written.
"""

import hashlib
import secrets
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from prom_reward.engines.decoding import Decoding, decode
from prom_reward.engines.encoding import LabelTokens, PromptEncoder
from prom_reward.engines.label_probs import label_logprobs
from prom_reward.engines.loading import LoadedModel, ModelSource, load_model, resolve_device, resolve_dtype
from prom_reward.engines.verdict import Verdict, ends_in_marker, find_verdict, marker_end
from prom_reward.errors import WorkError
from prom_reward.types import RESULT_MARKER, Conversation, Generation, JudgePrompt, SamplingParams, TextSpan

_WINDOW = 40  # tokens at the end of a text in which its verdict is looked for


class TransformersEngine:
    """Runs a judge's weights in this process.

    Args:
        source: Where the weights come from; they are loaded at the first use. Or a model that is loaded
            already: such an engine shares it and cannot be pickled.
        conversation: Makes the judge's conversation for its tokenizer, for example an entry of
            `prom_reward.prompts.conversation.CONVERSATIONS`.
        context_length: Tokens that prompt and answer may take together; None takes the model's own.
        decode_batch_size: Feedbacks that are decoded together; None takes 8 on a CPU and 32 on a GPU.
    """

    def __init__(
        self,
        source: ModelSource | LoadedModel,
        *,
        conversation: Callable[[Any], Conversation],
        context_length: int | None = None,
        decode_batch_size: int | None = None,
    ) -> None:
        self._source = source
        self._conversation_factory = conversation
        self._context_length = context_length
        self._decode_batch_size = decode_batch_size
        self._runtime: _Runtime | None = None

    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self._source, LoadedModel):
            raise WorkError("an engine around a loaded model cannot be pickled; make it from a ModelSource")
        return {**self.__dict__, "_runtime": None}

    @property
    def runtime(self) -> "_Runtime":
        """The loaded model with its encoder and conversation; loads it where that has not happened yet."""
        if self._runtime is None:
            with torch.inference_mode(False):  # weights that are made in it cannot be changed outside of it
                loaded = self._source if isinstance(self._source, LoadedModel) else load_model(self._source)
            self._runtime = _Runtime(loaded, self._conversation_factory(loaded.tokenizer))
        return self._runtime

    @property
    def fingerprint(self) -> str:
        """The weights' origin, what they compute in, conversation and given context; loads nothing."""
        source = self._source
        if isinstance(source, ModelSource):
            loaded_as = source.quantization or str(resolve_dtype(source.dtype, resolve_device(source.device)))
            parts = [source.model, source.revision, source.gguf_file, source.adapter, source.tokenizer, loaded_as]
        else:
            parts = [source.model.config.name_or_path, source.dtype]
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

    @torch.inference_mode()
    def generate(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        """Answer every prompt, in order; see `prom_reward.types.Engine.generate`."""
        contexts = [self.runtime.context_ids(prompt) for prompt in prompts]
        results: list[Generation | None] = [None] * len(prompts)
        read: dict[tuple[tuple[int, ...], tuple[str, ...]], Generation] = {}
        to_decode: list[int] = []
        for index, (prompt, context) in enumerate(zip(prompts, contexts, strict=True)):
            room = self._room(prompt, context)
            if room is not None and room < 0:
                results[index] = self._too_long(context)
            elif prompt.reads_score_at_once:
                key = (tuple(context), prompt.labels)
                if key in read:
                    results[index] = replace(read[key], num_computed_tokens=0)
                else:
                    results[index] = read[key] = self._read(prompt, context)
            else:
                to_decode.append(index)
        self._decode(prompts, contexts, to_decode, sampling, results)
        return [result for result in results if result is not None]

    def _room(self, prompt: JudgePrompt, context: list[int]) -> int | None:
        """Tokens that feedback may take before closing and verdict must begin; None without a limit."""
        limit = self.context_length
        if limit is None:
            return None
        encoder, labels = self.runtime.encoder, self.runtime.encoder.label_tokens(prompt.labels)
        verdict = max(len(tail) for tail in labels.tails.values())
        if prompt.reads_score_at_once:
            return limit - len(context) - verdict
        return limit - len(context) - len(encoder.closing_ids) - len(labels.lead) - verdict - 1

    def _too_long(self, context: list[int]) -> Generation:
        return Generation(
            text="",
            finish_reason="too_long",
            num_prompt_tokens=len(context),
            error=f"the prompt has {len(context)} tokens, the judge's context takes {self.context_length}",
        )

    def _read(self, prompt: JudgePrompt, context: list[int]) -> Generation:
        tails = self.runtime.encoder.label_tokens(prompt.labels).tails
        logprobs = label_logprobs(self.runtime.loaded.model, context, tails)
        return Generation(
            text=max(logprobs, key=logprobs.__getitem__),
            finish_reason="result",
            num_prompt_tokens=len(context),
            num_computed_tokens=len(context),
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
        seeds = _seeds([contexts[index] for index in indices], sampling.seed)
        order = sorted(range(len(indices)), key=lambda at: len(contexts[indices[at]]))
        model = self.runtime.loaded.model
        size = self._decode_batch_size or (8 if model.device.type == "cpu" else 32)
        for start in range(0, len(order), size):
            batch = {}
            for at in order[start : start + size]:
                index = indices[at]
                room = self._room(prompts[index], contexts[index])
                batch[index] = Decoding(
                    prompt_ids=contexts[index],
                    max_new_tokens=sampling.max_new_tokens if room is None else min(sampling.max_new_tokens, room + 1),
                    generator=torch.Generator(model.device).manual_seed(seeds[at]),
                    is_done=self.runtime.stop_test(prompts[index].labels),
                )
            decode(model, list(batch.values()), sampling, self.runtime.eos_ids)
            for index, decoding in batch.items():
                results[index] = self.runtime.finish(prompts[index], decoding)


class _Runtime:
    """A loaded model with its encoder and conversation."""

    def __init__(self, loaded: LoadedModel, conversation: Conversation) -> None:
        self.loaded = loaded
        self.conversation = conversation
        self.encoder = PromptEncoder(loaded.tokenizer)
        generation_eos = getattr(loaded.model.generation_config, "eos_token_id", None)
        eos = generation_eos if isinstance(generation_eos, list) else [generation_eos]
        self.eos_ids = frozenset(token for token in [*eos, loaded.tokenizer.eos_token_id] if token is not None)

    def context_ids(self, prompt: JudgePrompt) -> list[int]:
        """Return the ids of the rendered prompt; in score mode up to where the labels part."""
        if not prompt.reads_score_at_once:
            return self.encoder.encode(self.conversation.render(prompt), add_bos=self.conversation.adds_bos)
        bare = JudgePrompt(prompt.system, prompt.user, prompt.response_prefix.rstrip())
        ids = self.encoder.encode(self.conversation.render(bare), add_bos=self.conversation.adds_bos)
        return [*ids, *self.encoder.label_tokens(prompt.labels).lead]

    def stop_test(self, labels: tuple[str, ...]) -> Callable[[list[int]], bool]:
        """Return the test that ends a sequence as soon as its verdict is complete."""

        def is_done(new_ids: list[int]) -> bool:
            verdict = find_verdict(self.text(new_ids[-_WINDOW:]), labels)
            return verdict is not None and verdict.is_complete

        return is_done

    def text(self, ids: list[int]) -> str:
        """Decode ids to text as the judge wrote it."""
        return str(self.loaded.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def finish(self, prompt: JudgePrompt, decoding: Decoding) -> Generation:
        """Turn a finished sequence into a Generation, closing it where it has no verdict."""
        labels = self.encoder.label_tokens(prompt.labels)
        ids = decoding.new_ids
        text = self.text(ids)
        verdict = find_verdict(text, prompt.labels)
        logprobs: dict[str, float] | None
        if verdict is None:
            context, text = self._closed(decoding, labels, text)
            logprobs = label_logprobs(self.loaded.model, context, labels.tails)
            text += max(logprobs, key=logprobs.__getitem__)
        else:
            text = text[: verdict.end]
            is_label = verdict.text in prompt.labels
            logprobs = self._verdict_logprobs(decoding, labels, verdict) if is_label else None
        return Generation(
            text=text,
            finish_reason="forced" if verdict is None else "result",
            num_prompt_tokens=len(decoding.prompt_ids),
            num_computed_tokens=decoding.computed_tokens,
            num_generated_tokens=len(ids),
            score_logprobs=logprobs,
        )

    def _closed(self, decoding: Decoding, labels: LabelTokens, text: str) -> tuple[list[int], str]:
        """Return ids and text of a feedback with a forced ` [RESULT] ` behind it."""
        if ends_in_marker(text):
            written = decoding.new_ids[: self._marker_end(decoding.new_ids)]
            return [*decoding.prompt_ids, *written, *labels.lead], f"{text.rstrip()} "
        ids = [*decoding.prompt_ids, *decoding.new_ids, *self.encoder.closing_ids, *labels.lead]
        return ids, f"{text.rstrip()} {RESULT_MARKER} "

    def _verdict_logprobs(self, decoding: Decoding, labels: LabelTokens, verdict: Verdict) -> dict[str, float] | None:
        """Read the labels where the judge wrote its verdict, from the pass that wrote it where possible."""
        ids, model = decoding.new_ids, self.loaded.model
        start = self._token_at(ids, verdict.start)
        for tails in (labels.tails, self._glued_tails(labels.tails)):
            tail = tails[verdict.text]
            if tuple(ids[start : start + len(tail)]) == tail:
                context = [*decoding.prompt_ids, *ids[:start]]
                return label_logprobs(model, context, tails, decoding.last_rows.get(start))
        # The verdict is fused with other text ("(4)" as one token): read it behind the judge's marker instead.
        end = self._marker_end(ids)
        if end is None:
            return None
        return label_logprobs(model, [*decoding.prompt_ids, *ids[:end], *labels.lead], labels.tails)

    def _glued_tails(self, tails: Mapping[str, tuple[int, ...]]) -> Mapping[str, tuple[int, ...]]:
        """Return the labels' tokens where no space stands before them: `[RESULT](4)`, `Score:4`."""
        opening = self.encoder.encode([TextSpan("(", False)], add_bos=False)
        whole = {label: self.encoder.encode([TextSpan(f"({label}", False)], add_bos=False) for label in tails}
        size = len(opening)
        is_split = all(ids[:size] == opening and len(ids) > size for ids in whole.values())
        return {label: tuple(ids[size:]) for label, ids in whole.items()} if is_split else tails

    def _marker_end(self, ids: list[int]) -> int | None:
        """Return how many ids reach to the end of the last `[RESULT]`; None where it is fused with other text."""
        char = marker_end(self.text(ids)) or 0
        end = self._token_at(ids, char - 1) + 1
        return end if ends_in_marker(self.text(ids[:end])) else None

    def _token_at(self, ids: list[int], char: int) -> int:
        """Return the index of the token that writes a character of the text."""
        return bisect_right(range(len(ids)), char, key=lambda index: len(self.text(ids[: index + 1])))


def _seeds(contexts: list[list[int]], seed: int | None) -> list[int]:
    """Return one seed a sequence, from the prompt and its count, so that the order in a batch is no matter."""
    base = secrets.randbits(63) if seed is None else seed
    counts: Counter[tuple[int, ...]] = Counter()
    seeds = []
    for context in contexts:
        key = tuple(context)
        digest = hashlib.sha256(repr((base, counts[key], key)).encode()).digest()
        seeds.append(int.from_bytes(digest[:8], "big") >> 1)
        counts[key] += 1
    return seeds
