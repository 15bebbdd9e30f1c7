"""One HTTP exchange: a bounded JSON body in, JSON out, one-line errors, and no work for a client that is gone."""

import asyncio
import base64
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from prom_reward.data.advice import of_request
from prom_reward.errors import InputError, PromRewardError, WorkError
from prom_reward.files import is_too_deep, unique_keys
from prom_reward.serving.batcher import QueueFullError
from prom_reward.serving.service import JudgeService

logger = logging.getLogger(__name__)

Body = Mapping[str, Any]
"""A request's JSON object."""
Handler = Callable[[JudgeService, Body], Awaitable[object]]
"""Answers a request's body with a JSON value or a response, or raises an error of `prom_reward.errors`."""

_BODY_TIMEOUT_S = 60.0
_CLOSED_REQUEST = 499  # nginx's status of a client that left; nobody reads it


class RequestError(PromRewardError):
    """A request is refused with a status of its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status."""


class JsonEndpoint:
    """Serves a handler as an HTTP endpoint.

    Most frameworks show a refusal's status and not its text, so the first of each kind is logged.

    Args:
        service: The served judge.
        handler: Answers a body.
        max_body_bytes: Larger bodies are refused.
        key: The key that callers must send as a bearer token; None for none.
    """

    def __init__(self, service: JudgeService, handler: Handler, *, max_body_bytes: int, key: str | None) -> None:
        self._service = service
        self._handler = handler
        self._max_body_bytes = max_body_bytes
        self._key = key
        self._told: set[type[PromRewardError]] = set()

    async def answer(self, request: Request) -> Response:
        """Answer a request."""
        start, route = time.perf_counter(), request.url.path
        try:
            check_key(request, self._key)
            body = {} if request.method == "GET" else await self._body(request)
            with of_request():
                answer = await _while_connected(request, self._handler(self._service, body))
            response = answer if isinstance(answer, Response) else json_response(answer)
        except ClientDisconnect:
            self._service.metrics.hung_up(route)
            return Response(status_code=_CLOSED_REQUEST)
        except PromRewardError as error:
            response = self._refusal(error)
            self._tell(route, response.status_code, error)
        self._service.metrics.answered(route, response.status_code, time.perf_counter() - start)
        return response

    async def _body(self, request: Request) -> Body:
        """Return the JSON object of a request, which no client can make as large or as slow as it likes."""
        parts, num_bytes = [], 0
        try:
            async with asyncio.timeout(_BODY_TIMEOUT_S):
                async for part in request.stream():
                    num_bytes += len(part)
                    if num_bytes > self._max_body_bytes:
                        raise RequestError(413, f"the body is larger than {self._max_body_bytes} bytes; send less")
                    parts.append(part)
        except TimeoutError:
            raise RequestError(408, f"the body did not arrive within {_BODY_TIMEOUT_S:g} s") from None
        return _json_object(b"".join(parts))

    def _refusal(self, error: PromRewardError) -> Response:
        if isinstance(error, QueueFullError):
            after = {"retry-after": str(self._service.batcher.retry_after_s)}
            return json_response(error_body(error), status=429, headers=after)
        statuses = {RequestError: getattr(error, "status", 0), InputError: 400, WorkError: 503}
        return json_response(
            error_body(error), status=next(code for kind, code in statuses.items() if isinstance(error, kind))
        )

    def _tell(self, route: str, status: int, error: PromRewardError) -> None:
        if type(error) not in self._told:
            self._told.add(type(error))
            logger.warning("%s answers %d: %s (said once; /metrics counts them)", route, status, error)


def check_key(request: Request, key: str | None) -> None:
    """Refuse a request without the server's key, as a bearer token or, from a browser, as the password."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            given = base64.b64decode(given).decode().partition(":")[2]
    given = given.strip()
    if key is not None and not hmac.compare_digest(given.encode(), key.encode()):
        raise RequestError(401, "got no key or a wrong one; send the header `Authorization: Bearer KEY`")


def json_response(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response; lone surrogates stay escaped.

    Raises:
        RequestError: A number that JSON does not have came with the request, as 1e999.
    """
    try:
        text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    except ValueError as error:
        raise RequestError(400, f"the answer would hold a number that JSON does not have ({error})") from None
    return Response(text, status_code=status, headers=dict(headers or {}), media_type="application/json")


def error_body(error: PromRewardError) -> dict[str, Any]:
    """Return an error's JSON, in the shape that OpenAI's clients read."""
    return {"error": {"message": str(error), "type": type(error).__name__}}


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _json_object(content: bytes) -> Body:
    try:
        body = json.loads(content, parse_constant=_no_number, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the body is no JSON ({error})") from None
    if not isinstance(body, dict):
        raise RequestError(400, f"the body is a JSON {type(body).__name__}; expected an object")
    if is_too_deep(body):
        raise RequestError(400, "the body is nested too deeply; write it flatter")
    return body


async def _while_connected(request: Request, work: Awaitable[object]) -> object:
    """Return a handler's answer; it is canceled if the client leaves.

    Raises:
        ClientDisconnect: The client left.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
