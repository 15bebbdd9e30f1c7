"""One prompt goes to a server and comes back as a Generation.

If the server takes token ids and gives the log-probabilities of chosen ones, the distribution is read exactly as
an in-process engine reads it. Otherwise the judge writes its verdict, and the labels are looked for among the
likeliest tokens at that place.
"""

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from prom_reward.engines.base import CLOSING_TOKENS, Generation, SamplingParams
from prom_reward.engines.server.prompts import PromptWriter
from prom_reward.engines.server.replies import Reply, label_logprobs_by_text, token_at
from prom_reward.engines.server.requests import ServerRequests, Usage, chosen
from prom_reward.engines.server.transport.client import RequestFailedError
from prom_reward.engines.server.transport.refusals import says_too_long
from prom_reward.engines.tokens.label_probs import Tokens, label_logprobs, next_tokens
from prom_reward.engines.tokens.verdict import Verdict, ends_in_marker, find_verdict, first_verdict, marker_end
from prom_reward.errors import ConfigError
from prom_reward.thinking import answer_start, opening_mark, thoughts_closing
from prom_reward.types import RESULT_MARKER, JudgePrompt

_Row = Mapping[int, float]  # log-probabilities by token id
_VERDICT_TOKENS = 6  # enough for " **(4" if a judge decorates its verdict


@dataclass(frozen=True, slots=True)
class _Reading:
    """The tokens at a verdict."""

    text: str
    """The likeliest label, or the written text if that is no label."""
    logprobs: Mapping[str, float] | None = None
    """The labels' log-probabilities, if the server gave them."""
    is_verdict: bool = True
    """False if there is no verdict."""


class ServerAnswers:
    """Asks a server for one prompt at a time.

    Args:
        requests: Sends what the prompt needs.
        writer: Writes the prompts.
    """

    def __init__(self, requests: ServerRequests, writer: PromptWriter) -> None:
        self._requests = requests
        self._writer = writer

    def check(self, prompt: JudgePrompt) -> None:
        """Raise ConfigError if the server cannot answer prompts of this kind."""
        if prompt.response_prefix and not self._requests.route.abilities.continues_answer:
            raise ConfigError(
                "the server does not continue a started answer, which score mode needs; use mode='feedback', or a "
                "server with text completions and a tokenizer= of its model"
            )

    async def count_tokens(self, prompt: JudgePrompt) -> int:
        """Return the tokens of a prompt; asks the server if no tokenizer is at hand."""
        if self._requests.uses_ids:
            return len(self._writer.ids(prompt))
        usage = Usage()
        await self._requests.ask(self._requests.context(prompt), usage, max_tokens=1)
        return usage.num_prompt

    async def replies_together(self, prompts: Sequence[JudgePrompt]) -> list[Reply | None]:
        """Ask for the verdicts of prompts of one kind in one request, each read at once.

        Returns:
            What `answer` takes as a prompt's reply; None if the prompt has to be asked alone.
        """
        if len(prompts) == 1:
            return [None]
        contexts = {prompt: self._requests.context(prompt) for prompt in prompts}
        kept = [prompt for prompt in prompts if self._fits(prompt, contexts[prompt])]
        if not kept:
            return [None] * len(prompts)
        options = self._verdict_options(kept[0])
        found = await self._requests.ask_together([contexts[prompt] for prompt in kept], **options)
        replies = dict(zip(kept, found, strict=True))
        return [replies.get(prompt) for prompt in prompts]

    async def answer(
        self, prompt: JudgePrompt, sampling: SamplingParams, seed: int, reply: Reply | None = None
    ) -> Generation:
        """Answer one prompt; see `prom_reward.engines.base.Engine.generate`.

        Args:
            prompt: The prompt.
            sampling: How feedback is written.
            seed: The prompt's own.
            reply: That of `replies_together`, if there is one.

        Raises:
            RequestFailedError: The server gave no answer that can be used.
        """
        length = len(self._writer.ids(prompt)) if self._requests.uses_ids else 0
        usage = Usage(num_prompt=length)
        room = self._room(prompt, length)
        if room is not None and room < 0:
            return self._too_long(length, f"the judge's context takes {self._requests.route.context_length}")
        try:
            if prompt.reads_score_at_once:
                return self._scored(await self._read(prompt, "", usage, reply), usage)
            limit = sampling.max_new_tokens if room is None else min(sampling.max_new_tokens, room + 1)
            return await self._feedback(prompt, sampling, seed, limit, usage)
        except RequestFailedError as error:
            if says_too_long(error.status, str(error)):
                return self._too_long(length, f"the server says: {error}")
            raise

    def _room(self, prompt: JudgePrompt, length: int) -> int | None:
        """The most tokens of feedback before closing and verdict must begin; None if unknown."""
        limit = self._requests.route.context_length
        if limit is None or not self._requests.uses_ids:
            return None
        verdict = max(len(tail) for tail in self._writer.labels(prompt).tails.values())
        return limit - length - verdict - (0 if prompt.reads_score_at_once else CLOSING_TOKENS)

    def _fits(self, prompt: JudgePrompt, context: Mapping[str, Any]) -> bool:
        room = self._room(prompt, len(context["prompt"]))
        return room is None or room >= 0

    def _too_long(self, length: int, why: str) -> Generation:
        counted = f"{length} tokens" if length else "too many tokens"
        return Generation(
            text="", finish_reason="too_long", num_prompt_tokens=length, error=f"the prompt has {counted}, {why}"
        )

    def _scored(self, reading: _Reading, usage: Usage) -> Generation:
        return _generation(reading.text, "result" if reading.is_verdict else "stop", reading.logprobs, usage, 0)

    async def _feedback(
        self, prompt: JudgePrompt, sampling: SamplingParams, seed: int, limit: int, usage: Usage
    ) -> Generation:
        reply = await self._requests.ask(
            self._requests.context(prompt),
            usage,
            max_tokens=limit,
            seed=seed,
            **self._requests.sampling(sampling),
            **self._requests.rows(prompt),
        )
        num_written = reply.num_generated_tokens
        text = self._text(reply)
        rendered = "" if self._requests.route.is_chat else self._writer.opened_thoughts(prompt)
        verdict = first_verdict(text, prompt.labels, opened=bool(rendered))
        if verdict is None:
            return await self._closed(prompt, reply, text, rendered, usage)
        logprobs = None
        if verdict.text in prompt.labels:
            logprobs = await self._logprobs_at(prompt, reply, text, verdict, rendered, usage)
        start = answer_start(text, opened=bool(rendered)) or 0
        shown = text[start : verdict.end].lstrip() if start else text[: verdict.end]
        return _generation(shown, "result", logprobs, usage, num_written)

    async def _closed(self, prompt: JudgePrompt, reply: Reply, text: str, rendered: str, usage: Usage) -> Generation:
        """Close a feedback that has no verdict with ` [RESULT] ` and read it, if the server can continue an answer."""
        num_written = reply.num_generated_tokens
        unscored = _generation(opening_mark(rendered) + text, reply.ended, None, usage, num_written)
        if not self._requests.route.abilities.continues_answer:
            return unscored
        has_marker, is_thinking = ends_in_marker(text, opened=bool(rendered)), bool(thoughts_closing(text, rendered))
        closing = "" if has_marker else f" {RESULT_MARKER}"
        asked = None if has_marker else self._read_closed(prompt, reply, text, rendered, usage)
        if asked is None and is_thinking:  # a text cannot say where thoughts end: the mark would be disarmed
            return unscored
        reading = await (asked or self._read(prompt, text.rstrip() + closing, usage))
        if not reading.is_verdict:
            return unscored
        answer = "" if is_thinking else text[answer_start(text, opened=bool(rendered)) or 0 :]
        answer = answer.rstrip() if answer == text else answer.strip()
        return _generation(f"{answer}{closing} {reading.text}", "forced", reading.logprobs, usage, num_written)

    def _read_closed(
        self, prompt: JudgePrompt, reply: Reply, text: str, rendered: str, usage: Usage
    ) -> "Coroutine[Any, Any, _Reading] | None":
        """Return the reading after the very tokens that the judge wrote, if they are known; it leaves open thoughts."""
        ids = [row.token_id for row in reply.rows]
        if not self._requests.reads_ids or None in ids:
            return None
        labels = self._writer.labels(prompt)
        written = self._writer.without_end([token for token in ids if token is not None])
        closing = (*self._writer.thoughts_closing_ids(text, rendered), *self._writer.closing_ids)
        return self._read_labels([*self._writer.ids(prompt), *written, *closing, *labels.lead], labels.tails, usage)

    async def _logprobs_at(
        self, prompt: JudgePrompt, reply: Reply, text: str, verdict: Verdict, rendered: str, usage: Usage
    ) -> Mapping[str, float] | None:
        """Return the distribution at the verdict that the judge wrote, from its tokens or else by asking again."""
        index = self._verdict_row(reply, text, verdict)
        if not self._requests.reads_ids:
            row = reply.rows[index] if index is not None else None
            if row is None or row.text.strip() != verdict.text:
                return None
            return label_logprobs_by_text(row, prompt.labels)
        if index is not None and (found := self._tails_at(prompt, reply, index, verdict)) is not None:
            before = [row.token_id for row in reply.rows[:index] if row.token_id is not None]
            context = [*self._writer.ids(prompt), *before]
            return await self._read_tails(context, found, usage, reply.rows[index].by_id())
        written = text[: marker_end(text[: verdict.start], opened=bool(rendered))]
        return (await self._read(prompt, written, usage)).logprobs

    def _tails_at(self, prompt: JudgePrompt, reply: Reply, index: int, verdict: Verdict) -> Mapping[str, Tokens] | None:
        """Return how the labels are tokenized at the written verdict; None if it is fused with other text."""
        labels = self._writer.labels(prompt)
        ids = tuple(row.token_id for row in reply.rows)
        both = (labels.tails, self._writer.tails_without_space(labels))
        return next(
            (tails for tails in both if ids[index : index + len(tails[verdict.text])] == tails[verdict.text]), None
        )

    def _verdict_row(self, reply: Reply, text: str, verdict: Verdict) -> int | None:
        if not self._requests.reads_ids:
            return token_at(text, reply.rows, verdict.start)
        ids = [row.token_id for row in reply.rows]
        known = [token for token in ids if token is not None]
        lengths = (len(self._writer.decode(known[: count + 1])) for count in range(len(known)))
        return next((index for index, length in enumerate(lengths) if length > verdict.start), None)

    def _text(self, reply: Reply) -> str:
        """Return the judge's text, decoded from its token ids if the verdict is located among them."""
        ids = [row.token_id for row in reply.rows]
        if not self._requests.reads_ids or None in ids:
            return reply.text
        return self._writer.decode([token for token in ids if token is not None])

    def _verdict_options(self, prompt: JudgePrompt) -> dict[str, Any]:
        """Return what asks for a verdict that is only read."""
        limit = 1 if self._requests.reads_ids else _VERDICT_TOKENS
        return {"max_tokens": limit, **self._requests.greedy(), **self._requests.rows(prompt)}

    async def _read(self, prompt: JudgePrompt, written: str, usage: Usage, reply: Reply | None = None) -> _Reading:
        """Return the label reading after the marker that the prefix or the written text ends in."""
        if reply is not None:
            usage.add(reply)
        if self._requests.reads_ids:
            first = reply.rows[0].by_id() if reply is not None and reply.rows else None
            ids, labels = self._writer.ids(prompt, written), self._writer.labels(prompt)
            return await self._read_labels(ids, labels.tails, usage, first)
        if reply is None:
            context = self._requests.context(prompt, written)
            reply = await self._requests.ask(context, usage, **self._verdict_options(prompt))
        verdict = find_verdict(RESULT_MARKER + reply.text, prompt.labels)
        if verdict is None or verdict.text not in prompt.labels:
            return _Reading(reply.text, is_verdict=verdict is not None)
        index = token_at(reply.text, reply.rows, verdict.start - len(RESULT_MARKER))
        row = reply.rows[index] if index is not None else None
        is_whole = row is not None and row.text.strip() == verdict.text
        logprobs_by_text = label_logprobs_by_text(row, prompt.labels) if row is not None and is_whole else None
        if logprobs_by_text is None:
            return _Reading(verdict.text)
        return _Reading(max(logprobs_by_text, key=logprobs_by_text.__getitem__), logprobs_by_text)

    async def _read_labels(
        self, context: list[int], tails: Mapping[str, Tokens], usage: Usage, first_row: _Row | None = None
    ) -> _Reading:
        logprobs = await self._read_tails(context, tails, usage, first_row)
        return _Reading(max(logprobs, key=logprobs.__getitem__), logprobs)

    async def _read_tails(
        self, context: list[int], tails: Mapping[str, Tokens], usage: Usage, first_row: _Row | None = None
    ) -> dict[str, float]:
        """Return the labels' log-probabilities after a context, exactly as an in-process engine does."""
        known: dict[Tokens, _Row] = {}
        for prefix, tokens in next_tokens(tails).items():
            row: _Row = first_row if first_row is not None and not prefix else {}
            if not set(tokens) <= set(row):
                ids = [*context, *prefix]
                reply = await self._requests.ask(
                    {"prompt": ids}, usage, max_tokens=1, **self._requests.greedy(), **chosen(tokens)
                )
                row = reply.rows[0].by_id() if reply.rows else {}
            if not set(tokens) <= set(row):
                raise RequestFailedError("the server left out the log-probabilities of the labels")
            known[prefix] = {token: row[token] for token in tokens}
        return label_logprobs(known, tails)


def _generation(
    text: str, finish_reason: Any, logprobs: Mapping[str, float] | None, usage: Usage, num_written: int
) -> Generation:
    return Generation(
        text=text,
        finish_reason=finish_reason,
        num_prompt_tokens=usage.num_prompt,
        num_computed_tokens=usage.num_computed,
        num_generated_tokens=num_written,
        score_logprobs=logprobs,
        is_partial=logprobs is not None and -inf in logprobs.values(),
    )
