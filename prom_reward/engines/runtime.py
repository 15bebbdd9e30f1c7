"""A loaded model with its conversation: prompts to ids, label distributions, finished sequences to generations.

It does not know how a call is split into batches.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from prom_reward.engines.base import Generation
from prom_reward.engines.decoding import Decoding
from prom_reward.engines.encoding import LabelTokens, PromptEncoder
from prom_reward.engines.label_probs import Tokens, label_logprobs, next_tokens, token_logprobs
from prom_reward.engines.loading import LoadedModel
from prom_reward.engines.prefill import SharedPrefill
from prom_reward.engines.verdict import Verdict, ends_in_marker, find_verdict, marker_end
from prom_reward.types import RESULT_MARKER, Conversation, JudgePrompt, TextSpan

_WINDOW = 40  # tokens at the end of a text in which its verdict is looked for


@dataclass(frozen=True, slots=True)
class LabelQuery:
    """A place at which the labels' distribution is to be read."""

    context: list[int]
    """Token ids up to the verdict."""
    tails: Mapping[str, Tokens]
    """Each label's tokens behind them."""
    first_row: torch.Tensor | None = None
    """Raw logits (V,) behind `context`, where they are known already."""


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a sequence ended."""

    text: str
    """Up to and with its verdict; up to the forced marker where it has none."""
    is_forced: bool
    """Whether the verdict still has to be put behind the text."""
    query: LabelQuery | None
    """Where the labels are to be read; None for an off-scale verdict."""


class JudgeRuntime:
    """A loaded model with its conversation and encoder.

    Args:
        loaded: The model and its tokenizer.
        conversation: The judge's conversation for that tokenizer.
    """

    def __init__(self, loaded: LoadedModel, conversation: Conversation) -> None:
        self.loaded = loaded
        self.conversation = conversation
        self.encoder = PromptEncoder(loaded.tokenizer)
        self.prefill = SharedPrefill(loaded.model)
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

    def read(self, queries: Sequence[LabelQuery]) -> tuple[list[dict[str, float]], list[int]]:
        """Return every query's label log-probabilities, and the tokens that were computed for it.

        What the contexts share at their beginning is computed once.
        """
        wanted = [next_tokens(query.tails) for query in queries]
        known: list[dict[Tokens, dict[int, float]]] = [{} for _ in queries]
        owners: list[tuple[int, Tokens]] = []
        for index, (query, prefixes) in enumerate(zip(queries, wanted, strict=True)):
            for prefix, tokens in prefixes.items():
                if not prefix and query.first_row is not None:
                    known[index][prefix] = token_logprobs(query.first_row, tokens)
                else:
                    owners.append((index, prefix))

        def keep(at: int, logits: torch.Tensor) -> None:
            index, prefix = owners[at]
            known[index][prefix] = token_logprobs(logits, wanted[index][prefix])

        computed = [0] * len(queries)
        contexts = [[*queries[index].context, *prefix] for index, prefix in owners]
        for (index, _), num_tokens in zip(owners, self.prefill.run(contexts, keep), strict=True):
            computed[index] += num_tokens
        return [label_logprobs(one, query.tails) for one, query in zip(known, queries, strict=True)], computed

    def finish(self, prompts: Sequence[JudgePrompt], decodings: Sequence[Decoding]) -> list[Generation]:
        """Turn finished sequences into generations, closing those that have no verdict."""
        endings = [self._ending(prompt, decoding) for prompt, decoding in zip(prompts, decodings, strict=True)]
        queries = [ending.query for ending in endings if ending.query is not None]
        read = iter(zip(*self.read(queries), strict=True))
        generations = []
        for ending, decoding in zip(endings, decodings, strict=True):
            logprobs, num_read = next(read) if ending.query is not None else (None, 0)
            generations.append(
                Generation(
                    text=ending.text + (likeliest(logprobs) if logprobs and ending.is_forced else ""),
                    finish_reason="forced" if ending.is_forced else "result",
                    num_prompt_tokens=len(decoding.prompt_ids),
                    num_computed_tokens=decoding.computed_tokens + num_read,
                    num_generated_tokens=len(decoding.new_ids),
                    score_logprobs=logprobs,
                )
            )
        return generations

    def _ending(self, prompt: JudgePrompt, decoding: Decoding) -> "_Ending":
        """Return what a sequence says up to its verdict, and where its labels are to be read."""
        labels = self.encoder.label_tokens(prompt.labels)
        text = self.text(decoding.new_ids)
        verdict = find_verdict(text, prompt.labels)
        if verdict is None:
            return self._closed(decoding, labels, text)
        query = self._verdict_query(decoding, labels, verdict) if verdict.text in prompt.labels else None
        return _Ending(text[: verdict.end], False, query)

    def _closed(self, decoding: Decoding, labels: LabelTokens, text: str) -> "_Ending":
        """Return a feedback with a forced ` [RESULT] ` behind it, or behind the marker that it ends with."""
        written, closing, shown = decoding.new_ids, self.encoder.closing_ids, f" {RESULT_MARKER} "
        if ends_in_marker(text):
            written, closing, shown = written[: self._marker_end(written)], (), " "
        context = [*decoding.prompt_ids, *written, *closing, *labels.lead]
        return _Ending(text.rstrip() + shown, True, LabelQuery(context, labels.tails))

    def _verdict_query(self, decoding: Decoding, labels: LabelTokens, verdict: Verdict) -> LabelQuery | None:
        """Return where the judge wrote its verdict, with the logits of the pass that wrote it where possible."""
        ids = decoding.new_ids
        start = self._token_at(ids, verdict.start)
        for tails in (labels.tails, self._glued_tails(labels.tails)):
            tail = tails[verdict.text]
            if tuple(ids[start : start + len(tail)]) == tail:
                context = [*decoding.prompt_ids, *ids[:start]]
                return LabelQuery(context, tails, decoding.last_rows.get(start))
        # The verdict is fused with other text ("(4)" as one token): read it behind the judge's marker instead.
        end = self._marker_end(ids)
        if end is None:
            return None
        return LabelQuery([*decoding.prompt_ids, *ids[:end], *labels.lead], labels.tails)

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


def likeliest(logprobs: Mapping[str, float]) -> str:
    """Return the label with the largest log-probability."""
    return max(logprobs, key=logprobs.__getitem__)
