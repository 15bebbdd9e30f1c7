"""The HTTP application: which route is answered by what."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from prom_reward.serving.exchange import Handler, JsonEndpoint, RequestError, check_key, error_body, json_response
from prom_reward.serving.page import REFRESH_S, live_page
from prom_reward.serving.protocols import own
from prom_reward.serving.protocols.decisions import decisions
from prom_reward.serving.protocols.llama_factory import score_evaluation
from prom_reward.serving.protocols.nemo_gym import aggregate_metrics, close_session, compare, seed_session, verify
from prom_reward.serving.protocols.openrlhf import get_reward
from prom_reward.serving.protocols.slime import rm
from prom_reward.serving.protocols.systemone import systemone
from prom_reward.serving.service import JudgeService

MAX_BODY_BYTES = 32 << 20

POST_ROUTES: Mapping[str, Handler] = {
    "/v1/grade": own.grade,
    "/v1/compare": own.compare,
    "/v1/reward": own.reward,
    "/v1/reload": own.reload,
    "/get_reward": get_reward,
    "/rm": rm,
    "/verify": verify,
    "/seed_session": seed_session,
    "/close_session": close_session,
    "/aggregate_metrics": aggregate_metrics,
    "/compare": compare,
    "/v1/score/evaluation": score_evaluation,
    "/v1/decisions": decisions,
    "/v1/systemone": systemone,
}
"""Every protocol's routes."""


def make_app(service: JudgeService, *, key: str | None = None, max_body_bytes: int = MAX_BODY_BYTES) -> Starlette:
    """Return the application of a served judge.

    Args:
        service: The served judge; it judges while the application lives.
        key: The bearer token that callers must send; None for none. /healthz and /readyz need none.
        max_body_bytes: Larger bodies are refused.
    """

    def endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        return JsonEndpoint(service, handler, max_body_bytes=max_body_bytes, key=key).answer

    async def metrics(request: Request) -> Response:
        return _unless_refused(request, lambda: Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST))

    async def page(request: Request) -> Response:
        again = {"refresh": str(REFRESH_S)}
        return _unless_refused(request, lambda: HTMLResponse(live_page(service), headers=again))

    def _unless_refused(request: Request, answer: Callable[[], Response]) -> Response:
        try:
            check_key(request, key)
        except RequestError as error:
            asking = {"www-authenticate": 'Basic realm="the key as password"'}
            return PlainTextResponse(str(error), status_code=error.status, headers=asking)
        return answer()

    async def ready(_request: Request) -> Response:
        is_ready = service.is_judging
        return PlainTextResponse("ready" if is_ready else "not judging", status_code=200 if is_ready else 503)

    return Starlette(
        routes=[
            *(Route(path, endpoint(handler), methods=["POST"]) for path, handler in POST_ROUTES.items()),
            Route("/v1/models", endpoint(own.models)),
            Route("/", page),
            Route("/metrics", metrics),
            Route("/healthz", _alive),
            Route("/readyz", ready),
        ],
        exception_handlers={HTTPException: _no_route},
        lifespan=_judging(service),
    )


async def _no_route(request: Request, error: Exception) -> Response:
    """Answer a request for another path or with another method, in the shape of all errors."""
    assert isinstance(error, HTTPException)
    known = f"POST to one of {', '.join(POST_ROUTES)}"
    refused = RequestError(error.status_code, f"got {request.method} {request.url.path:.200}; expected {known}")
    return json_response(error_body(refused), status=error.status_code, headers=error.headers)


async def _alive(_request: Request) -> Response:
    return PlainTextResponse("alive")


def _judging(service: JudgeService) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Return a lifespan in which the service judges; at its end everything that waits is judged first."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        judging = asyncio.create_task(service.run())
        try:
            yield
        finally:
            service.close()
            await judging

    return lifespan
