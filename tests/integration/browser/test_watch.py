"""The page of a training that runs, in a real browser."""

import contextlib
import socket
import threading

import pytest

from tests.integration.browser.driving import click, errors, is_wider_than_window, texts, violations, wait, write
from tests.integration.browser.training_log import write_log

pytestmark = pytest.mark.browser


@contextlib.contextmanager
def watched(browser, folder):
    """Serve a training's live page at the address that is given."""
    uvicorn = pytest.importorskip("uvicorn")
    from prom_reward.reports.live.app import make_app

    app = make_app(folder, folder / "judgments.jsonl", poll_s=0.05)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            browser.get("about:blank")
            server.should_exit = True
            thread.join(20)


def test_judgments_of_a_running_training_appear(browser, tmp_path):
    log = tmp_path / "judgments.jsonl"
    lines = write_log(tmp_path / "whole.jsonl", steps=4).read_text(encoding="utf-8").splitlines(keepends=True)
    part = len(lines) // 4
    with watched(browser, tmp_path) as address:
        browser.get(f"{address}#view=groups")
        wait(browser, "document.getElementById('live').textContent === 'waiting for judgments'")
        log.write_text("".join(lines[: 2 * part]), encoding="utf-8")
        wait(browser, "document.getElementById('count').textContent === '6 of 6 groups'")
        click(browser, "[data-tab=judgments]")
        write(browser, "where", 'rubric == "honesty"', "24 of 48 judgments")
        with log.open("a", encoding="utf-8") as file:
            file.write("".join(lines[2 * part :]))
        wait(browser, "document.getElementById('count').textContent === '48 of 96 judgments'")
        assert "live, step 4" in texts(browser, "#live")[0]
        browser.get(f"{address}#view=groups&group=12")
        wait(browser, "document.querySelector('#group h2')?.textContent === 'Step 4, group 12'")
        assert texts(browser, ".matrix thead th") == ["#9", "#10", "#11", "#12"]
        assert errors(browser) == []


def test_calls_without_a_trainer_have_no_steps(browser, tmp_path):
    log = write_log(tmp_path / "whole.jsonl", steps=1)
    with watched(browser, tmp_path) as address:
        browser.get(f"{address}#view=groups&group=1")
        wait(browser, "document.getElementById('live').textContent === 'waiting for judgments'")
        (tmp_path / "judgments.jsonl").write_text(log.read_text(encoding="utf-8").replace('"step": 0', '"step": null'))
        wait(browser, "document.querySelector('#group h2')?.textContent === 'Group 1'")
        assert "live, 24 judgments" in texts(browser, "#live")[0]
        assert "against the mean" in texts(browser, ".matrix tbody th")
        assert errors(browser) == []


def test_axe_finds_nothing_on_a_live_page_before_and_after_judgments(browser, seen_as, axe, tmp_path):
    seen_as(390, "light")
    with watched(browser, tmp_path) as address:
        browser.get(address)
        wait(browser, "document.getElementById('live').textContent === 'waiting for judgments'")
        assert violations(browser, axe) == []
        write_log(tmp_path / "judgments.jsonl", steps=2)
        browser.get(f"{address}?again#view=groups&group=2")
        wait(browser, "document.querySelector('.matrix')")
        assert violations(browser, axe) == []
        assert not is_wider_than_window(browser)
