"""Serves the explorer of a training that runs: new judgments reach the page as server-sent events, step by step."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, StreamingResponse
from starlette.routing import Route

from prom_reward.errors import InputError
from prom_reward.explorer.table import table_of
from prom_reward.pages.packing import packed
from prom_reward.reports.data import load_report
from prom_reward.reports.live.tail import LogTail
from prom_reward.reports.page import report_page
from prom_reward.reports.report_data import ReportData

POLL_S = 1.0
"""Seconds between two looks at the log."""


def make_app(source: Path, log: Path, *, rubrics: Any = (), poll_s: float = POLL_S) -> Starlette:
    """Return the application with the page at `/` and the judgments at `/events`.

    It answers only to loopback's names, so that no other site's page can read it through a name of its own.

    Args:
        source: The training's folder or its log.
        log: The log of rank 0, which may not exist yet.
        rubrics: As in `load_report`.
        poll_s: Seconds between two looks at the log.
    """

    def page(_: Request) -> HTMLResponse:
        try:
            data = load_report(source, rubrics=rubrics)
        except InputError as error:
            data = ReportData(title=source.name, is_training=True, missing=[str(error)])
        return HTMLResponse(report_page(data, is_live=True), headers={"cache-control": "no-store"})

    async def events(_: Request) -> StreamingResponse:
        headers = {"cache-control": "no-store"}
        return StreamingResponse(_events(LogTail(log), poll_s), media_type="text/event-stream", headers=headers)

    return Starlette(
        routes=[Route("/", page), Route("/events", events)],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


async def _events(tail: LogTail, poll_s: float) -> AsyncIterator[str]:
    """Yield an event for each batch of finished steps, and a comment if there is none, which finds out who left."""
    while True:
        yield await run_in_threadpool(_event, tail)
        await asyncio.sleep(poll_s)


def _event(tail: LogTail) -> str:
    judgments = tail.poll()
    if not judgments:
        return ":\n\n"
    table = table_of(judgments, is_training=True)
    chunks = table.chunks
    batch = {
        "table": packed(table.columns),
        "counts": [len(one) for one in chunks],
        "chunks": list(map(packed, chunks)),
    }
    return f"data: {json.dumps(batch)}\n\n"
