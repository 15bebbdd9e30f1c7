import asyncio
import json

import pytest

from prom_reward.reports.live.app import make_app
from tests.reports.live.test_tail import append
from tests.reports.test_page import table

pytest.importorskip("starlette")


def ask(app, path, host="127.0.0.1:8101", events=0):
    """Send a request to the application and return its status and body; of a stream so many parts."""

    async def call():
        asked, parts, status = [], [], []
        done = asyncio.Event()

        async def receive():
            if not asked:
                asked.append(True)
                return {"type": "http.request", "body": b"", "more_body": False}
            await done.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if message["type"] == "http.response.start":
                status.append(message["status"])
            else:
                parts.append(message.get("body", b""))
                if events and len(parts) >= events:
                    done.set()

        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
        scope |= {"headers": [(b"host", host.encode())], "http_version": "1.1", "scheme": "http", "root_path": ""}
        await asyncio.wait_for(app(scope, receive, send), 30)
        return status[0], b"".join(parts).decode()

    return asyncio.run(call())


def test_the_page_asks_only_its_own_server_and_holds_no_judgment(tmp_path):
    append(tmp_path / "judgments.jsonl", {"step": 0, "row": 0})
    status, page = ask(make_app(tmp_path, tmp_path / "judgments.jsonl"), "/")
    assert status == 200
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; script-src 'sha" in page
    assert table(page)["size"] == 0


def test_a_folder_without_a_log_waits_for_it(tmp_path):
    status, page = ask(make_app(tmp_path, tmp_path / "judgments.jsonl"), "/")
    assert status == 200
    assert "no judgments.jsonl in it" in page


def test_finished_steps_are_events(tmp_path):
    append(tmp_path / "judgments.jsonl", {"step": 0, "row": 0}, {"step": 1, "row": 0})
    status, text = ask(make_app(tmp_path, tmp_path / "judgments.jsonl", poll_s=0.01), "/events", events=2)
    assert status == 200
    first, second = text.strip().split("\n\n")[:2]
    batch = json.loads(first.removeprefix("data: "))
    assert batch["counts"] == [3]
    assert second == ":"


def test_a_page_of_another_site_reads_nothing(tmp_path):
    append(tmp_path / "judgments.jsonl", {"step": 0, "row": 0})
    status, text = ask(make_app(tmp_path, tmp_path / "judgments.jsonl"), "/", host="evil.example")
    assert (status, "script" in text) == (400, False)
