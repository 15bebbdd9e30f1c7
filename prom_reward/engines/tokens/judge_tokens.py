"""A judge's prompts as token ids, and its written tokens as verdicts."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prom_reward.engines.base import Generation, SamplingParams
from prom_reward.engines.tokens.encoding import LabelTokens, PromptEncoder, decoded
from prom_reward.engines.tokens.label_probs import LabelQuery, LogprobsAt, likeliest
from prom_reward.engines.tokens.verdict import Verdict, ends_in_marker, find_verdict, marker_end
from prom_reward.thinking import HARMONY_ANSWER, answer_opening, answer_start, opens_thinking, thoughts_closing
from prom_reward.types import RESULT_MARKER, Conversation, JudgePrompt

Read = Callable[[Sequence[LabelQuery]], tuple[list[dict[str, float]], list[int]]]
"""Tells every query's label log-probabilities, and the tokens that were computed for it."""

_WINDOW = 40  # tokens at the end of a text in which its verdict is looked for


class WrittenTokens(Protocol):
    """A prompt with the tokens that the judge wrote."""

    @property
    def prompt_ids(self) -> list[int]:
        """The prompt."""
        ...

    @property
    def new_ids(self) -> list[int]:
        """The written tokens, without an end-of-sequence token."""
        ...

    @property
    def computed_tokens(self) -> int:
        """Tokens that were prefilled for it."""
        ...

    def row(self, index: int) -> LogprobsAt | None:
        """Return the distribution from which the token at an index was drawn, if it is known."""
        ...

    def closing_row(self) -> LogprobsAt | None:
        """Return the distribution after the closing tokens, if they were run."""
        ...


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a sequence ended."""

    text: str
    """The text up to and with its verdict; up to the forced marker if it has none."""
    is_forced: bool
    """Whether the verdict still has to be appended."""
    query: LabelQuery | None
    """The place to read the labels at; None for an off-scale verdict."""


class JudgeTokens:
    """A judge's conversation for one tokenizer.

    Args:
        tokenizer: The judge's tokenizer.
        conversation: Its conversation for that tokenizer.
    """

    def __init__(self, tokenizer: Any, conversation: Conversation) -> None:
        self.tokenizer = tokenizer
        self.conversation = conversation
        self.encoder = PromptEncoder(tokenizer)
        rendered = "".join(span.text for span in conversation.render(JudgePrompt("", "")))
        self._closes_marker: dict[int, bool] = {}
        self._rendered = rendered
        self._opened = opens_thinking(rendered)
        self.end_ids = self._end_ids()
        """Tokens with which an answer ends: the tokenizer's EOS, and the one with which its template ends a turn."""

    def context_ids(self, prompt: JudgePrompt) -> list[int]:
        """Return the ids of the rendered prompt; in score mode up to the first token in which the labels differ."""
        if not prompt.reads_score_at_once:
            return self.encoder.encode(self.conversation.render(prompt), add_bos=self.conversation.adds_bos)
        bare = JudgePrompt(prompt.system, prompt.user, prompt.response_prefix.rstrip())
        ids = self.encoder.encode(self.conversation.render(bare), add_bos=self.conversation.adds_bos)
        return [*ids, *self.encoder.label_tokens(prompt.labels).lead]

    def largest_id(self) -> int:
        """Return the largest id that a prompt can hold."""
        return max(self.encoder.largest_text_id(), *self.context_ids(JudgePrompt("", "")))

    def text(self, ids: Sequence[int]) -> str:
        """Decode ids to text as the judge wrote it."""
        return decoded(self.tokenizer, ids)

    def room(self, prompt: JudgePrompt, length: int, limit: int) -> int:
        """Return how many tokens feedback may take before closing and verdict must begin; negative: it does not fit.

        Args:
            prompt: The prompt.
            length: Its tokens.
            limit: Tokens that prompt and answer may take together.
        """
        labels = self.encoder.label_tokens(prompt.labels)
        verdict = max(len(tail) for tail in labels.tails.values())
        if prompt.reads_score_at_once:
            return limit - length - verdict
        return limit - length - len(self.encoder.closing_ids) - len(labels.lead) - verdict - 1

    def fits(self, prompt: JudgePrompt, sampling: SamplingParams, limit: int | None) -> bool:
        """Return whether a prompt leaves room for the longest answer and its verdict within `limit` tokens."""
        if limit is None:
            return True
        longest = 0 if prompt.reads_score_at_once else sampling.max_new_tokens - 1  # the room is for one token more
        return self.room(prompt, len(self.context_ids(prompt)), limit) >= longest

    def stop_test(self, labels: tuple[str, ...]) -> Callable[[list[int]], bool]:
        """Return the test that ends a sequence as soon as its verdict is complete."""

        def is_done(new_ids: list[int]) -> bool:
            if not any(map(self._may_close_marker, new_ids[-_WINDOW:])):
                return False
            verdict = find_verdict(self.text(new_ids[-_WINDOW:]), labels)
            if verdict is None or not verdict.is_complete:
                return False
            return find_verdict(self.text(new_ids), labels, opened=self._opened) is not None  # not inside of thoughts

        return is_done

    def closing(self, labels: tuple[str, ...]) -> Callable[[list[int]], tuple[int, ...] | None]:
        """Return a function from the written ids to the tokens that close a feedback, so that its labels can be read.

        It returns None if nothing needs closing, or if the text would have to be re-tokenized.
        """
        tokens = self.encoder.label_tokens(labels)

        def closing_ids(new_ids: list[int]) -> tuple[int, ...] | None:
            text = self.text(new_ids)
            if find_verdict(text, labels, opened=self._opened) is not None:
                return None
            if not ends_in_marker(text, opened=self._opened):
                return (*self._leave_thoughts(text)[1], *self.encoder.closing_ids, *tokens.lead)
            return tokens.lead if self._marker_end(new_ids) == len(new_ids) else None

        return closing_ids

    def score_queries(self, prompts: Sequence[JudgePrompt], contexts: Sequence[list[int]]) -> list[LabelQuery]:
        """Return the label queries of prompts in score mode."""
        return [
            LabelQuery(context, self.encoder.label_tokens(prompt.labels).tails)
            for prompt, context in zip(prompts, contexts, strict=True)
        ]

    def score(self, prompts: Sequence[JudgePrompt], contexts: Sequence[list[int]], read: Read) -> list[Generation]:
        """Read the scores of prompts in score mode."""
        return [
            Generation(
                text=likeliest(logprobs),
                finish_reason="result",
                num_prompt_tokens=len(context),
                num_computed_tokens=computed,
                score_logprobs=logprobs,
            )
            for context, logprobs, computed in zip(contexts, *read(self.score_queries(prompts, contexts)), strict=True)
        ]

    def finish(self, prompts: Sequence[JudgePrompt], written: Sequence[WrittenTokens], read: Read) -> list[Generation]:
        """Turn finished sequences into generations, closing those that have no verdict."""
        endings = [self._ending(prompt, one) for prompt, one in zip(prompts, written, strict=True)]
        queries = [ending.query for ending in endings if ending.query is not None]
        found = iter(zip(*read(queries), strict=True))
        generations = []
        for ending, one in zip(endings, written, strict=True):
            logprobs, num_read = next(found) if ending.query is not None else (None, 0)
            generations.append(
                Generation(
                    text=ending.text + (likeliest(logprobs) if logprobs and ending.is_forced else ""),
                    finish_reason="forced" if ending.is_forced else "result",
                    num_prompt_tokens=len(one.prompt_ids),
                    num_computed_tokens=one.computed_tokens + num_read,
                    num_generated_tokens=len(one.new_ids),
                    score_logprobs=logprobs,
                )
            )
        return generations

    def _ending(self, prompt: JudgePrompt, written: WrittenTokens) -> _Ending:
        """Return a sequence's text up to its verdict, and its label query."""
        labels = self.encoder.label_tokens(prompt.labels)
        text = self.text(written.new_ids)
        verdict = find_verdict(text, prompt.labels, opened=self._opened)
        if verdict is None:
            return self._closed(written, labels, text)
        query = self._verdict_query(written, labels, verdict) if verdict.text in prompt.labels else None
        start = answer_start(text, opened=self._opened) or 0
        return _Ending(text[start : verdict.end].lstrip() if start else text[: verdict.end], False, query)

    def _closed(self, written: WrittenTokens, labels: LabelTokens, text: str) -> _Ending:
        """Return a feedback closed with ` [RESULT] `, or with the marker that it ends in."""
        leaving, leaving_ids = self._leave_thoughts(text)
        ids, closing, shown = written.new_ids, (*leaving_ids, *self.encoder.closing_ids), f" {RESULT_MARKER} "
        if ends_in_marker(text, opened=self._opened):
            ids, closing, shown = ids[: self._marker_end(ids)], (), " "
        context = [*written.prompt_ids, *ids, *closing, *labels.lead]
        start = answer_start(text, opened=self._opened)
        answer = "" if leaving or start is None else text[start:]
        return _Ending(answer.rstrip() + shown, True, LabelQuery(context, labels.tails, written.closing_row()))

    def _verdict_query(self, written: WrittenTokens, labels: LabelTokens, verdict: Verdict) -> LabelQuery | None:
        """Return the label query at the written verdict, with its distribution if that is known."""
        ids = written.new_ids
        start = self._token_at(ids, verdict.start)
        for tails in (labels.tails, self.encoder.tails_without_space(labels)):
            tail = tails[verdict.text]
            if tuple(ids[start : start + len(tail)]) == tail:
                return LabelQuery([*written.prompt_ids, *ids[:start]], tails, written.row(start))
        # The verdict is fused with other text ("(4)" as one token): read it after the judge's marker instead.
        end = self._marker_end(ids)
        if end is None:
            return None
        return LabelQuery([*written.prompt_ids, *ids[:end], *labels.lead], labels.tails)

    def _marker_end(self, ids: list[int]) -> int | None:
        """Return how many ids reach to the end of the last `[RESULT]`; None if it is fused with other text."""
        char = marker_end(self.text(ids), opened=self._opened) or 0
        end = self._token_at(ids, char - 1) + 1
        return end if ends_in_marker(self.text(ids[:end]), opened=self._opened) else None

    def _may_close_marker(self, token: int) -> bool:
        """Return whether a token's text holds the last character of `[RESULT]`; every token is decoded once."""
        if token not in self._closes_marker:
            self._closes_marker[token] = RESULT_MARKER[-1] in self.text([token])
        return self._closes_marker[token]

    def _end_ids(self) -> frozenset[int]:
        # A configuration may still name the base model's EOS alone. Harmony ends its thoughts like its answers.
        is_harmony = answer_opening(self._rendered) == HARMONY_ANSWER
        turn_end = None if is_harmony else self.encoder.opening_control(self.conversation.turn_end)
        return frozenset(token for token in (self.tokenizer.eos_token_id, turn_end) if token is not None)

    def _leave_thoughts(self, text: str) -> tuple[str, tuple[int, ...]]:
        """Return what ends thoughts that a text leaves open, as text and as ids; empty if none are open."""
        leaving = thoughts_closing(text, self._rendered)
        ids = self.tokenizer.encode(leaving, add_special_tokens=False) if leaving else []
        return leaving, tuple(ids)

    def _token_at(self, ids: list[int], char: int) -> int:
        """Return the index of the token that writes a character of the text."""
        return bisect_right(range(len(ids)), char, key=lambda index: len(self.text(ids[: index + 1])))
