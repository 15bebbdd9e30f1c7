"""HTTP connections whose every answer is whole, in time and of a known shape, or an error."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx2
import openai

from prom_reward.engines.server.replies import parse_answer
from prom_reward.engines.server.source import ServerSource
from prom_reward.engines.server.stats import ServerStats
from prom_reward.engines.server.transport.circuit_breaker import CircuitBreaker
from prom_reward.engines.server.transport.rate_limit import Pace
from prom_reward.engines.server.transport.refusals import MOST_WAITED_S, error_status, error_words

ONCE = {"x-once": "1"}
"""Headers of a request that is sent again only if it came too early; they do not leave this process."""

_PROBE_TIMEOUT_S = 20.0
_CONNECT_TIMEOUT_S = 10.0
_OWN_HEADERS = ("host", "accept", "accept-encoding", "connection", "content-type", "content-length")
_BODY_HEADERS = ("content-encoding", "content-length", "transfer-encoding")  # of the body as it was sent
_BYTES_A_TOKEN = 4  # for the rate alone
_MOST_ANSWER_BYTES = 64 << 20  # a feedback with log-probabilities at every token has some MiB


async def _read(response: httpx2.Response) -> httpx2.Response:
    """Return the response with its body read and unpacked, which no server can make as large as it likes."""
    parts, num_bytes = [], 0
    try:
        async for part in response.aiter_bytes():
            num_bytes += len(part)
            if num_bytes > _MOST_ANSWER_BYTES:
                message = f"the answer is longer than {_MOST_ANSWER_BYTES >> 20} MiB"
                raise _UnusableAnswerError(message, request=response.request)
            parts.append(part)
    finally:
        await response.aclose()
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in _BODY_HEADERS]
    return httpx2.Response(response.status_code, headers=headers, content=b"".join(parts), request=response.request)


def _waiting(response: httpx2.Response) -> httpx2.Response:
    """Return a refusal whose `Retry-After` is one that the client keeps: it gives up at a longer one."""
    with suppress(ValueError):
        if float(response.headers.get("retry-after", "0")) > MOST_WAITED_S:
            response.headers["retry-after"] = str(MOST_WAITED_S)
    return response


class _UnusableAnswerError(httpx2.RequestError):
    """The server answered, but not in time or not in a form that can be read; the client sends it again."""


def named(error: httpx2.RequestError) -> str:
    """Return what happened to a request without an answer."""
    return str(error) if isinstance(error, _UnusableAnswerError) else f"{type(error).__name__}: {error}"


class JudgeHttp(httpx2.AsyncClient):
    """An HTTP client whose every answer is whole, in time and of a known shape, or an error that is sent again."""

    def __init__(
        self,
        source: ServerSource,
        breaker: CircuitBreaker | None,
        stats: ServerStats | None,
        *,
        key: str | None,
        pace: Pace | None = None,
    ) -> None:
        is_probing = breaker is None
        self._timeout_s = min(source.request_timeout_s, _PROBE_TIMEOUT_S) if is_probing else source.request_timeout_s
        self._first_timeout_s = min(self._timeout_s, source.probe_timeout_s)
        self._key = key
        self._pace = pace
        self._breaker = breaker
        self._stats = stats
        super().__init__(
            base_url=source.url,
            timeout=httpx2.Timeout(self._timeout_s, connect=_CONNECT_TIMEOUT_S, pool=None),
            limits=httpx2.Limits(max_connections=source.max_in_flight, max_keepalive_connections=source.max_in_flight),
            follow_redirects=False,
            trust_env=not source.is_loopback,  # no proxy stands between a machine and itself
        )

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request once the server is not in doubt, and look at the answer."""
        if self._breaker is not None:
            await self._breaker.wait()
        is_retry = request.headers.get("x-stainless-retry-count", "0") != "0"
        if self._stats is not None and is_retry:
            self._stats.retried()
        if self._pace is not None and is_retry:
            await self._pace.take(len(request.content) // _BYTES_A_TOKEN)
        is_sent_once = ONCE.items() <= request.headers.items()
        self._keep_own_headers(request)
        start = time.perf_counter()
        try:
            response = await self._whole(request, options)
        except httpx2.RequestError as error:
            self._failed(named(error))
            if is_sent_once:  # an error of the client's own is not retried
                raise openai.APIConnectionError(request=request) from error
            raise
        if is_sent_once and response.status_code != 429:
            response.headers["x-should-retry"] = "false"
        if response.status_code >= 500:
            self._failed(f"HTTP {response.status_code}")
        elif self._breaker is not None and response.status_code != 429:
            self._breaker.succeeded()
        if self._stats is not None and response.is_success:
            self._stats.answered(time.perf_counter() - start)
        return response

    def _keep_own_headers(self, request: httpx2.Request) -> None:
        """Drop what the client takes from the environment: no other service's key or header goes to this server."""
        for name in list(request.headers):
            if name not in _OWN_HEADERS:
                del request.headers[name]
        request.headers["user-agent"] = "prom-reward"
        if self._key is not None:
            request.headers["authorization"] = f"Bearer {self._key}"

    async def _whole(self, request: httpx2.Request, options: Mapping[str, Any]) -> httpx2.Response:
        is_first = request.method == "GET" and self._breaker is not None and not self._breaker.has_answered
        timeout_s = self._first_timeout_s if is_first else self._timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                response = await _read(await super().send(request, **{**options, "stream": True}))
        except TimeoutError:
            message = f"no whole answer within {timeout_s:g} s"
            raise _UnusableAnswerError(message, request=request) from None
        if not response.is_success:
            return _waiting(response)
        parsed, problem = parse_answer(response.content, is_completion=request.url.path.endswith("/completions"))
        if error_words(parsed):  # gateways answer so, after they have sent the status 200
            response.status_code = error_status(parsed)
            response.extensions["refused"] = True
        elif problem is not None:
            raise _UnusableAnswerError(problem, request=request)
        response.extensions["parsed"] = parsed
        return response

    def _failed(self, reason: str) -> None:
        if self._breaker is not None:
            self._breaker.failed(reason)
