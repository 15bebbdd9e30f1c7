"""Sends requests to an OpenAI-compatible server until each is answered or has failed.

Retries, back-off and Retry-After are the `openai` client's. Added here: an answer that drips or cannot be used is asked
for again like one that breaks off, and nothing is sent to a server that is gone.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, NoReturn

import httpx2
import openai

from prom_reward.engines.server.source import ServerSource
from prom_reward.engines.server.stats import ServerStats
from prom_reward.engines.server.transport.circuit_breaker import CircuitBreaker
from prom_reward.engines.server.transport.connections import ONCE, JudgeHttp, named
from prom_reward.engines.server.transport.rate_limit import Pace, Slots
from prom_reward.engines.server.transport.refusals import server_words
from prom_reward.errors import ConfigError

logger = logging.getLogger(__name__)

_MOST_OUTAGES = 3  # a prompt that comes back from so many is what brings the server down
_REFUSALS = (401, 403, 404)
_SHOWN_CHARS = 300


class RequestFailedError(Exception):
    """A request got no answer that can be used; the message says why, without secrets."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status, if the server gave one."""


class ServerClient:
    """One process's connections to a server. Belongs to one event loop.

    Args:
        source: Where the server is.
        stats: Is told of retries and latencies.
        pace: Spaces the retries; None for no limit.
    """

    def __init__(self, source: ServerSource, stats: ServerStats, pace: Pace | None = None) -> None:
        self._source = source
        self._key = source.read_key()
        self._slots = Slots(source.max_in_flight)
        self.breaker = CircuitBreaker(
            server=f"the judge's server {source.url}",
            threshold=source.outage_after,
            deadline_s=source.outage_deadline_s,
            first_deadline_s=source.first_answer_s,
            probe=self._probe,
        )
        self.probe_request: tuple[str, Mapping[str, Any]] | None = None
        """A small request, path and body, that a living server answers; None asks for its models."""
        self._judging = self._openai(
            source.max_retries, JudgeHttp(source, self.breaker, stats, key=self._key, pace=pace)
        )
        self._probing = self._openai(0, JudgeHttp(source, None, None, key=self._key))
        if self._key and not source.is_loopback and source.parts.scheme == "http":
            logger.warning("%s: the key goes over plain http, readable on the way; use https", source.url)

    async def models(self) -> list[dict[str, Any]] | None:
        """Return what the server serves, as it says; None if it has no such list."""
        try:
            listed = await self._answer("GET", "/models", None)
        except RequestFailedError as error:
            if error.status in (404, 405, 501):
                return None
            raise
        found = listed.get("data")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else None

    async def ask(self, path: str, body: Mapping[str, Any], *, num_prompts: int = 1) -> dict[str, Any]:
        """Return the JSON answer to a request, of a shape that can be read.

        Args:
            path: The endpoint.
            body: The request.
            num_prompts: Those in the body. A request for several is sent again only if it came too
                early (429): one of them may be why it failed.

        Raises:
            RequestFailedError: This request failed, after its retries; the server answers others.
            ServerGoneError: The server answers nothing.
            ConfigError: It refuses this caller: a wrong key, a wrong model.
        """
        return await self._answer("POST", path, _encodable({**body, **self._source.extra_body}), num_prompts)

    async def close(self) -> None:
        """Close all connections."""
        await self._judging.close()
        await self._probing.close()

    def _openai(self, max_retries: int, http: "JudgeHttp") -> openai.AsyncOpenAI:
        """Return a client that takes nothing from the environment: no other service's key reaches this server."""
        return openai.AsyncOpenAI(
            api_key=self._key or "none",
            admin_api_key="",
            organization="",
            project="",
            base_url=self._source.url,
            max_retries=max_retries,
            http_client=http,
        )

    async def _answer(
        self, method: str, path: str, body: Mapping[str, Any] | None, num_prompts: int = 1
    ) -> dict[str, Any]:
        headers = ONCE if num_prompts > 1 else {}
        async with self._slots.take(num_prompts):
            was_lost = False
            for _ in range(_MOST_OUTAGES):
                try:
                    return await _send(self._judging, method, path, body, headers)
                except openai.APIError as error:
                    reason, status = self._reason(error), getattr(error, "status_code", None)
                    if status is not None and 400 <= status < 500 and status not in (408, 409, 429, *_REFUSALS):
                        raise RequestFailedError(reason, status) from None
                    was_lost, before = _is_lost(error) or status in _REFUSALS, was_lost
                    # The probe is answered if a server came back in the meantime, or refused by mistake.
                    if not await self.breaker.was_gone(reason) and (before or not was_lost):
                        raise RequestFailedError(reason, status) from None
            raise RequestFailedError(f"the server went down {_MOST_OUTAGES} times while it had this request ({reason})")

    async def _probe(self) -> None:
        """Ask for a sign of life; see `CircuitBreaker`."""
        async with asyncio.timeout(None if self.breaker.has_answered else self._source.probe_timeout_s):
            await self._ask_for_life()

    async def _ask_for_life(self) -> None:
        try:
            if self.probe_request is None:
                await _send(self._probing, "GET", "/models", None)
            else:
                path, body = self.probe_request
                await _send(self._probing, "POST", path, {**body, **self._source.extra_body})
        except openai.APIError as error:
            status = getattr(error, "status_code", None)
            reason = self._reason(error)
            if self.probe_request is None and status == 404:
                return  # no list of models, but a server
            if status in _REFUSALS or (status is not None and 300 <= status < 400):
                self._refuse(status, reason)
            raise ConnectionError(reason) from None

    def _refuse(self, status: int, reason: str) -> NoReturn:
        advice = {
            401: f"set the key in {self._source.api_key_env} or server.api_key_file",
            403: f"set a key that may use it in {self._source.api_key_env} or server.api_key_file",
            404: "check the url and server.model",
        }.get(status, "give the url that it redirects to; a key is never sent on")
        raise ConfigError(f"the judge's server {self._source.url} refuses every request ({reason}); {advice}")

    def _reason(self, error: openai.APIError) -> str:
        """Return one line that says what went wrong, with the key taken out wherever it may have come from."""
        cause = error.__cause__
        text = named(cause) if isinstance(cause, httpx2.RequestError) else error.message
        if isinstance(error, openai.APIStatusError):
            text = _refusal(error.response)
        text = text.replace(self._key, "[key]") if self._key else text
        return " ".join(text.split()).encode("ascii", "backslashreplace").decode()[:_SHOWN_CHARS]


async def _send(
    client: openai.AsyncOpenAI,
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    if method == "GET":
        response = await client.get(path, cast_to=httpx2.Response)
    else:
        response = await client.post(
            path, body=dict(body or {}), cast_to=httpx2.Response, options={"headers": headers or {}}
        )
    parsed: dict[str, Any] = response.extensions["parsed"]
    return parsed


def _refusal(response: httpx2.Response) -> str:
    """Return a refusal's status with the server's own words; of a redirect where it leads, without its query."""
    if 300 <= response.status_code < 400:
        where = response.headers.get("location", "").partition("?")[0]
        return f"HTTP {response.status_code}, a redirect{' to ' * bool(where)}{where}"
    status = "an error in place of an answer" if "refused" in response.extensions else f"HTTP {response.status_code}"
    words = server_words(response.content)
    return f"{status} - {words}" if words else status


def _is_lost(error: openai.APIError) -> bool:
    """Whether the connection broke."""
    return isinstance(error.__cause__, httpx2.NetworkError | httpx2.RemoteProtocolError)


def _encodable(value: Any) -> Any:
    """Return a JSON value in which U+FFFD replaces lone surrogates, which UTF-8 cannot encode."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {key: _encodable(one) for key, one in value.items()}
    if isinstance(value, list | tuple) and not all(isinstance(one, int) for one in value):  # not thousands of token ids
        return [_encodable(one) for one in value]
    return value
