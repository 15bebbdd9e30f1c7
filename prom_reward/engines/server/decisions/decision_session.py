"""One process's session with a decision endpoint. Belongs to one event loop."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from math import inf, log
from typing import Any

from prom_reward.engines.base import Generation
from prom_reward.engines.server.decisions.questions import REFUSED, input_tokens, read_answers, request_body
from prom_reward.engines.server.models import served_name, unlisted
from prom_reward.engines.server.source import ServerSource
from prom_reward.engines.server.stats import ServerStats
from prom_reward.engines.server.transport.client import RequestFailedError, ServerClient
from prom_reward.engines.server.transport.rate_limit import Pace
from prom_reward.errors import ConfigError
from prom_reward.types import JudgePrompt

logger = logging.getLogger(__name__)

_MOST_QUESTIONS = 32  # in one request; vLLM takes 64, OpenAI 400
_NOT_OFFERED = (404, 405, 501)
_UNSCORED = 503  # of a `prom-reward serve` whose judge cannot answer
_CHARS_A_TOKEN = 4  # for the rate alone
_TRIAL = JudgePrompt("Is it a number?", "7", labels=("0", "1"), label_texts=("No.", "Yes."))


class DecisionSession:
    """Asks questions; those about one document go in one request. Made by `open_decisions`."""

    def __init__(
        self, source: ServerSource, client: ServerClient, model: str | None, stats: ServerStats, pace: Pace
    ) -> None:
        self._source, self._client, self._stats, self._pace = source, client, stats, pace
        self.model = model
        """The served model's name; None leaves it to the server."""

    async def answer_all(self, prompts: Sequence[JudgePrompt]) -> list[Generation]:
        """Answer prompts, in order; equal ones are sent once.

        Raises:
            ServerGoneError, ConfigError: The server answers nothing, or refuses this caller.
        """
        documents: dict[str, list[JudgePrompt]] = {}
        for prompt in dict.fromkeys(prompts):
            documents.setdefault(prompt.user, []).append(prompt)
        asked = [
            same[at : at + _MOST_QUESTIONS]
            for same in documents.values()
            for at in range(0, len(same), _MOST_QUESTIONS)
        ]
        tasks = [asyncio.create_task(self._in_time(questions)) for questions in asked]
        try:
            answered = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        found = {
            prompt: one
            for questions, ones in zip(asked, answered, strict=True)
            for prompt, one in zip(questions, ones, strict=True)
        }
        failures = [one.error for one in found.values() if one.error]
        if failures:
            told = "%s: %d of %d questions got no answer; one of them: %s"
            logger.warning(told, self._source.url, len(failures), len(found), failures[0])
        return [found[prompt] for prompt in prompts]

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _in_time(self, prompts: Sequence[JudgePrompt]) -> list[Generation]:
        deadline_s = self._source.batch_deadline_s
        try:
            async with asyncio.timeout(deadline_s) as deadline:
                return await self._answers(prompts)
        except TimeoutError:
            if not deadline.expired():
                raise
            return [self._failed(f"not answered within the batch's {deadline_s:g} s") for _ in prompts]

    async def _answers(self, prompts: Sequence[JudgePrompt]) -> list[Generation]:
        """Ask about one document; a question that the server does not answer among others is asked alone."""
        body = request_body(self._source.api, self.model, prompts)
        num_chars = len(prompts[0].user) + sum(len(one.system) for one in prompts)
        await self._pace.take(num_chars // _CHARS_A_TOKEN)
        try:
            answer = await self._client.ask(f"/{self._source.api}", body)
        except RequestFailedError as error:
            if len(prompts) == 1:
                return [self._failed(str(error))]
            return [one for prompt in prompts for one in await self._answers([prompt])]
        tokens = input_tokens(answer)
        answers = read_answers(self._source.api, prompts, answer)
        return [
            await self._unanswered(prompt, one, is_alone=len(prompts) == 1)
            if isinstance(one, str)
            else _generation(prompt, one, tokens // len(prompts))
            for prompt, one in zip(prompts, answers, strict=True)
        ]

    async def _unanswered(self, prompt: JudgePrompt, reason: str, *, is_alone: bool) -> Generation:
        if is_alone or reason == REFUSED:
            return self._failed(reason)
        return (await self._answers([prompt]))[0]

    def _failed(self, error: str) -> Generation:
        self._stats.failed()
        return Generation(text="", finish_reason="error", error=error)


async def open_decisions(source: ServerSource, stats: ServerStats) -> DecisionSession:
    """Connect to a decision endpoint and ask it one question, waiting for it if it does not answer yet.

    Raises:
        ConfigError: The server has no such endpoint, does not name its model, or refuses this caller.
        ServerGoneError: It does not answer.
    """
    pace = Pace(requests_per_minute=source.requests_per_minute, tokens_per_minute=source.tokens_per_minute)
    client = ServerClient(source, stats, pace)
    try:
        model = await _model(client, source)
        trial = (f"/{source.api}", request_body(source.api, model, [_TRIAL]))
        problem = await _problem(client, source, trial)
        if problem is not None:
            raise ConfigError(f"the server {source.url} {problem}; check url and api")
    except BaseException:
        await client.close()
        raise
    client.probe_request = trial
    return DecisionSession(source, client, model, stats, pace)


async def _problem(client: ServerClient, source: ServerSource, trial: tuple[str, Mapping[str, Any]]) -> str | None:
    """Return why the endpoint cannot be used; None if it can, or if it cannot answer this question."""
    path, body = trial
    try:
        [found] = read_answers(source.api, [_TRIAL], await client.ask(path, body))
    except RequestFailedError as error:
        if error.status in _NOT_OFFERED:
            return f"has no {path} ({error})"
        return f"refuses a question to {path} ({error})" if error.status != _UNSCORED else None
    is_fine = not isinstance(found, str) or found == REFUSED
    return None if is_fine else f"answers {path} in another shape: {found}"


async def _model(client: ServerClient, source: ServerSource) -> str | None:
    """Return the model's name. System One may leave it out, and servers of it alone need not list their models."""
    served = await client.models()
    if not served and source.api == "systemone":
        return source.model
    name = served_name(served, source.model)
    if problem := unlisted(served, name):
        raise ConfigError(problem)
    return name


def _generation(prompt: JudgePrompt, probs: Sequence[float], num_tokens: int) -> Generation:
    likeliest = max(zip(probs, prompt.labels, strict=True), key=lambda pair: pair[0])[1]
    logprobs = {label: log(prob) if prob > 0 else -inf for label, prob in zip(prompt.labels, probs, strict=True)}
    return Generation(
        text=likeliest,
        finish_reason="result",
        score_logprobs=logprobs,
        num_prompt_tokens=num_tokens,
        num_computed_tokens=num_tokens,
    )
