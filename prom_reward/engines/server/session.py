"""One process's session with a judge's server: it probes the server's abilities, and asks it for batches.

Belongs to one event loop.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from prom_reward.engines.base import Generation, SamplingParams
from prom_reward.engines.server.answers import ServerAnswers
from prom_reward.engines.server.batches import Job, batches
from prom_reward.engines.server.probe import ServerAbilities, probe_server, sample_text
from prom_reward.engines.server.prompts import PromptWriter
from prom_reward.engines.server.replies import Reply
from prom_reward.engines.server.requests import Route, ServerRequests
from prom_reward.engines.server.source import ServerSource
from prom_reward.engines.server.stats import ServerStats
from prom_reward.engines.server.transport.client import RequestFailedError, ServerClient
from prom_reward.engines.server.transport.rate_limit import Pace
from prom_reward.engines.tokens.seeds import sequence_seeds
from prom_reward.errors import ConfigError
from prom_reward.types import Conversation, JudgePrompt

logger = logging.getLogger(__name__)

_SEED_BITS = 31  # what every server takes
_Item = TypeVar("_Item")


class ServerSession:
    """Answers batches of prompts. Made by `open_session`."""

    def __init__(
        self, source: ServerSource, client: ServerClient, answers: ServerAnswers, route: Route, stats: ServerStats
    ) -> None:
        self._source = source
        self._client = client
        self._stats = stats
        self.answers = answers
        """Asks for one prompt."""
        self.route = route
        """The form of requests."""

    async def answer_all(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        """Answer prompts, in order.

        Prompts that begin alike are sent one after another, so that the server's prefix cache hits; verdicts that are
        read at once, as those on the criteria of one response, go in one request if the server takes that. Equal
        requests are sent once.

        Raises:
            ServerGoneError, ConfigError: The server answers nothing, or refuses this caller.
        """
        for prompt in {(prompt.response_prefix, prompt.labels): prompt for prompt in prompts}.values():
            self.answers.check(prompt)
        jobs = [(prompt, seed) for prompt, seed in zip(prompts, _seeds(prompts, sampling), strict=True)]
        order = sorted(set(jobs), key=lambda job: (job[0].system, job[0].user, job[0].response_prefix, job[1]))
        answered = await self._run(order, sampling)
        failures = [one for one in answered.values() if one.finish_reason == "error"]
        if failures:
            logger.warning(
                "%s: %d of %d prompts got no answer; one of them: %s",
                self._source.url,
                len(failures),
                len(order),
                failures[0].error,
            )
        seen: set[Job] = set()
        generations = []
        for job in jobs:
            one = answered[job]
            generations.append(replace(one, num_computed_tokens=0) if job in seen else one)
            seen.add(job)
        return generations

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _run(self, order: Sequence[Job], sampling: SamplingParams) -> dict[Job, Generation]:
        answered: dict[Job, Generation] = {}
        left: list[Job] = []

        async def answer(job: Job, reply: Reply | None = None) -> None:
            try:
                answered[job] = await self.answers.answer(job[0], sampling, job[1], reply)
            except RequestFailedError as error:
                answered[job] = self._failed(str(error))

        async def answer_together(batch: Sequence[Job]) -> None:
            replies = await self.answers.replies_together([prompt for prompt, _ in batch])
            for job, reply in zip(batch, replies, strict=True):
                if reply is None and len(batch) > 1:
                    left.append(job)
                else:
                    await answer(job, reply)

        try:
            async with asyncio.timeout(self._source.batch_deadline_s) as deadline:
                await self._side_by_side(batches(order, self._most_together), answer_together)
                await self._side_by_side(left, answer)
        except TimeoutError:
            if not deadline.expired():
                raise
        for job in order:
            if job not in answered:
                answered[job] = self._failed(f"not answered within the batch's {self._source.batch_deadline_s:g} s")
        return answered

    @property
    def _most_together(self) -> int:
        """The most prompts of one request; 1 if one that hangs would leave the others no time."""
        has_time = self._source.batch_deadline_s >= 2 * self._source.request_timeout_s
        takes_several = not self.route.is_chat and self.route.abilities.takes_several
        return self._source.max_in_flight if takes_several and has_time else 1

    async def _side_by_side(self, items: Sequence[_Item], work: Callable[[_Item], Awaitable[None]]) -> None:
        """Work on items in order, as many at once as may be under way."""
        pending = iter(items)

        async def work_on() -> None:
            for item in pending:
                await work(item)

        workers = [asyncio.create_task(work_on()) for _ in range(min(self._source.max_in_flight, len(items)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def _failed(self, error: str) -> Generation:
        self._stats.failed()
        return Generation(text="", finish_reason="error", error=error)


async def open_session(
    source: ServerSource,
    stats: ServerStats,
    *,
    conversation: Callable[[Any], Conversation],
    system_separator: str | None,
    tokenizer: Any,
    model: str | None,
    context_length: int | None,
    chat_template_kwargs: Mapping[str, Any],
) -> ServerSession:
    """Connect to a server and find out what it can do, waiting for it if it does not answer yet.

    Args:
        source: Address and settings of the server.
        stats: Counts requests, retries and outages.
        conversation: Makes the judge's conversation.
        system_separator: Text between system and task text in one chat message; None makes two.
        tokenizer: The judge's tokenizer; None without one.
        model: The judge's own name, under which it may be served.
        context_length: Tokens that prompt and answer may take together; None asks the server.
        chat_template_kwargs: Arguments of the server's chat template, sent with chat completions.

    Raises:
        ConfigError: The server cannot be used as it is configured.
        ServerGoneError: It does not answer.
    """
    pace = Pace(requests_per_minute=source.requests_per_minute, tokens_per_minute=source.tokens_per_minute)
    client = ServerClient(source, stats, pace)
    try:
        writer = PromptWriter(conversation, tokenizer, system_separator=system_separator)
        abilities = await _abilities(client, source, model, writer)
        if (own := _matching(tokenizer, abilities, source)) is not tokenizer:
            writer = PromptWriter(conversation, own, system_separator=system_separator)
        route = _route(abilities, source, writer, context_length)
        if route.is_chat:
            route = replace(route, chat_template_kwargs=chat_template_kwargs)
    except BaseException:
        await client.close()
        raise
    requests = ServerRequests(client=client, route=route, writer=writer, pace=pace)
    return ServerSession(source, client, ServerAnswers(requests, writer), route, stats)


async def check_server(source: ServerSource) -> ServerAbilities:
    """Return what a server can do; for a look at it, without a judge."""
    client = ServerClient(source, ServerStats())
    try:
        return await _abilities(client, source, None)
    finally:
        await client.close()


async def _abilities(
    client: ServerClient, source: ServerSource, model: str | None, writer: PromptWriter | None = None
) -> ServerAbilities:
    """Return what a server can do; a writer of prompts needs one endpoint, and the other is tried only in its place."""
    try:
        return await probe_server(
            client,
            model=source.model,
            fallback_model=model,
            api=source.api,
            prefers=None if writer is None else "completions" if writer.can_render else "chat",
            suffices=lambda found: writer is None or _is_own(writer.tokenizer, found.num_sample_tokens),
        )
    except RequestFailedError as error:
        raise ConfigError(f"the judge's server {source.url} cannot be used: {error}") from error
    except ConfigError as error:
        where = "" if source.url in str(error) else f"{source.url}: "
        raise ConfigError(f"{where}{error}") from error


def _matching(tokenizer: Any, abilities: ServerAbilities, source: ServerSource) -> Any:
    """Return the tokenizer if it is the server's own: another one's token ids would be another text."""
    counted = abilities.completions.num_sample_tokens if abilities.completions is not None else None
    if _is_own(tokenizer, counted):
        return tokenizer
    logger.warning(
        "%s: the tokenizer of %s is not that of the model %s (%d tokens, not %s); prompts are sent as text",
        source.url,
        getattr(tokenizer, "name_or_path", "the judge") or "the judge",
        abilities.model,
        counted,
        " or ".join(map(str, sorted(_sample_counts(tokenizer)))),
    )
    return None


def _is_own(tokenizer: Any, counted: int | None) -> bool:
    """Whether a tokenizer may be the server's, which counted so many tokens in the sample text."""
    return tokenizer is None or counted is None or counted in _sample_counts(tokenizer)


def _sample_counts(tokenizer: Any) -> set[int]:
    return {len(tokenizer(sample_text(), add_special_tokens=flag)["input_ids"]) for flag in (False, True)}


def _route(abilities: ServerAbilities, source: ServerSource, writer: PromptWriter, context_length: int | None) -> Route:
    lengths = [length for length in (context_length, abilities.context_length) if length is not None]
    is_chat = source.api == "chat" or (
        source.api == "auto" and (abilities.completions is None or not writer.can_render)
    )
    endpoint = abilities.chat if is_chat else abilities.completions
    if endpoint is None:
        missing = "chat completions" if is_chat else "text completions"
        advice = "give tokenizer= for text completions" if abilities.completions is not None else "give another api"
        raise ConfigError(f"{source.url}: the server has no {missing} for {abilities.model!r}; {advice}")
    if not is_chat and not writer.can_render:
        raise ConfigError(
            f"{source.url}: text completions need the judge's tokenizer, which writes its conversation; give "
            "tokenizer=, or api: chat"
        )
    if endpoint.left_out:
        logger.warning(
            "%s: the server refuses %s; requests go without", source.url, " and ".join(sorted(endpoint.left_out))
        )
    return Route(
        model=abilities.model,
        is_chat=is_chat,
        abilities=endpoint,
        context_length=min(lengths, default=None),
    )


def _seeds(prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[int]:
    """Return one seed per prompt; 0 if nothing is sampled, so that copies are asked for once."""
    if sampling.temperature == 0:
        return [0] * len(prompts)
    seeds = sequence_seeds(prompts, sampling.seed, bits=_SEED_BITS)
    return [0 if prompt.reads_score_at_once else seed for prompt, seed in zip(prompts, seeds, strict=True)]
