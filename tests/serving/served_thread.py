"""A served judge on a real socket, in a thread of the test's own process."""

import threading
from contextlib import contextmanager

import uvicorn

from prom_reward.serving.server import listen
from tests.serving.scripted_service import served


@contextmanager
def served_url(*args, port=0, **settings):
    """Yield the URL and the service of a judge that is served; settings as those of `served`."""
    service, app = served(*args, **settings)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    with listen("127.0.0.1", port) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", service
        finally:
            server.should_exit = True
            thread.join()
