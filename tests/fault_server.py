"""An OpenAI-compatible HTTP server on 127.0.0.1 for tests, which misbehaves as it is told.

It speaks raw HTTP over asyncio streams, so that it can do what a web framework cannot: break off, drip, hang.
"""

import asyncio
import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

FAULTS = (
    "429",
    "429-retry-after",
    "error-200",
    "500",
    "502",
    "reset",
    "cut",
    "no-json",
    "no-choices",
    "bad-logprobs",
    "bomb",
    "forever",
    "drip",
    "401",
    "404",
    "400",
)
"""Everything that it can do in place of an answer."""

_NO_ANSWERS = {
    "no-json": b"<html>busy</html>",
    "error-200": b'{"error": {"message": "Provider returned error", "code": 502}}',
}

Answer = Callable[[str, dict], "dict | int"]
"""Makes the JSON answer to a path and a body; a number is an HTTP status."""


@dataclass(frozen=True)
class Request:
    """A request that came in."""

    path: str
    body: dict
    headers: dict = field(repr=False)


class FaultServer:
    """Answers POST requests with `answer`, or with the fault that `fault` names for them.

    `fault` is asked for every POST with its number, from 0, and its body; None answers properly.
    """

    def __init__(self, answer: Answer, *, models=({"id": "judge"},), redirect_to: str | None = None) -> None:
        self.answer = answer
        self.models = list(models)
        self.fault: Callable[[int, dict], str | None] = lambda number, body: None
        self.redirect_to = redirect_to
        self.delay_s = 0.0
        self.error_text = "made to say {status}"
        self.requests: list[Request] = []
        self.keeps_requests = True
        self.num_posts = 0
        self.num_connections = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-server", daemon=True)
        self._thread.start()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def num_open(self) -> int:
        return len(self._writers)

    @property
    def posts(self) -> list[Request]:
        return [request for request in self.requests if request.body]

    def start(self) -> None:
        """Listen (again) on the same port."""
        self._run(self._start())

    def stop(self) -> None:
        """Break off all connections and listen no more, as a killed server does."""
        self._run(self._stop())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _stop(self) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for _ in range(100):
            if not self._writers:
                break
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.num_connections += 1
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; False ends the connection."""
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"null")
        method, path, _ = first.split(" ", 2)
        if self.keeps_requests:
            self.requests.append(Request(path, body or {}, headers))
        if self.redirect_to is not None:
            await _write(writer, 307, b"{}", {"location": self.redirect_to + path})
            return True
        if method == "GET":
            await _write(writer, 200, json.dumps({"object": "list", "data": self.models}).encode())
            return True
        number, self.num_posts = self.num_posts, self.num_posts + 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.delay_s)
            return await self._post(writer, path, body, self.fault(number, body), reader)
        finally:
            self.in_flight -= 1

    async def _post(
        self, writer: asyncio.StreamWriter, path: str, body: dict, fault: str | None, reader: asyncio.StreamReader
    ) -> bool:
        made = self.answer(path, body)
        if isinstance(made, int):
            await _write(writer, made, json.dumps({"error": {"message": f"status {made}"}}).encode())
            return True
        match fault:
            case None:
                await _write(writer, 200, json.dumps(made).encode())
            case "400" | "401" | "404" | "429" | "500" | "502":
                await _write(
                    writer,
                    int(fault),
                    json.dumps({"error": {"message": self.error_text.format(status=fault)}}).encode(),
                )
            case "429-retry-after":
                await _write(writer, 429, b"{}", {"retry-after": "0.2"})
            case "no-json" | "error-200":
                await _write(writer, 200, _NO_ANSWERS[fault])
            case "no-choices":
                await _write(writer, 200, json.dumps({**made, "choices": []}).encode())
            case "bad-logprobs":
                broken = [{**choice, "logprobs": {"tokens": ["4"], "token_logprobs": []}} for choice in made["choices"]]
                await _write(writer, 200, json.dumps({**made, "choices": broken}).encode())
            case "bomb":  # unpacks to what no client should hold
                await _write(writer, 200, _bomb(), {"content-encoding": "gzip"})
            case "forever":
                await reader.read()  # until the client gives up
                return False
            case _:
                return await _break_off(writer, json.dumps(made).encode(), fault)
        return True


async def _break_off(writer: asyncio.StreamWriter, data: bytes, fault: str) -> bool:
    """Send a part of an answer: with a reset behind it ("reset"), an end ("cut"), or byte after byte ("drip")."""
    writer.write(_head(200, len(data), {}))
    if fault == "drip":
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)
        return True
    writer.write(data[: len(data) // 2])
    with suppress(ConnectionError):
        await writer.drain()
    if fault == "reset":
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    return False


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * (65 << 20), 1)


async def _write(writer: asyncio.StreamWriter, status: int, data: bytes, headers: dict | None = None) -> None:
    writer.write(_head(status, len(data), headers or {}) + data)
    await writer.drain()


def _head(status: int, length: int, headers: dict) -> bytes:
    lines = [f"HTTP/1.1 {status} x", "content-type: application/json", f"content-length: {length}"]
    return ("\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items())]) + "\r\n\r\n").encode()
