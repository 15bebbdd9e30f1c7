"""Runs the application under uvicorn until SIGTERM or Ctrl-C; SIGHUP reads the rubrics again."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from prom_reward.errors import InputError


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises:
        InputError: The address cannot be listened on.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise InputError(f"cannot listen on {host} port {port} ({error}); give another --host or --port") from error


class _Server(uvicorn.Server):
    """Calls `on_stop` before it waits for the requests that it took; a second Ctrl-C ends the process at once."""

    on_stop: Callable[[], None]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig == signal.SIGINT:
            with suppress(OSError):  # nobody may be listening any more
                os.write(2, b"interrupted: the requests under way stay without an answer\n")
            os._exit(130)  # a judge's thread would be waited for, and cannot be stopped
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.on_stop()
        await super().shutdown(sockets)


def run_server(
    app: Starlette, listening: socket.socket, *, on_hang_up: Callable[[], None], on_stop: Callable[[], None]
) -> None:
    """Serve until SIGTERM or Ctrl-C, then answer every request that was taken; a second Ctrl-C ends the process.

    Args:
        app: The application.
        listening: The socket; it is closed at the end.
        on_hang_up: Is called at SIGHUP, and must not raise.
        on_stop: Is called on the event loop when no more requests are taken, before the taken ones are answered.
    """
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_keep_alive=75))
    server.on_stop = on_stop
    handlers: dict[int, Callable[[int, FrameType | None], None]] = {
        signal.SIGHUP: lambda _number, _frame: on_hang_up(),
        signal.SIGTERM: lambda _number, _frame: None,  # uvicorn raises both again after its graceful end
        signal.SIGINT: lambda _number, _frame: None,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
