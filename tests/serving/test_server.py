import signal
import socket
import threading
import time
from contextlib import suppress

import pytest
import requests

from prom_reward.errors import InputError
from prom_reward.serving.server import listen
from tests.serving.served_process import served_process


def reward(url, completion):
    rows = [{"prompt": "Hi", "completion": completion}]
    return requests.post(f"{url}/v1/reward", json={"rows": rows}, timeout=60)


def part_of_a_group(url):
    body = {"rows": [{"prompt": "Hi", "completion": "s1"}], "topology": "circular", "group": {"name": "a", "size": 2}}
    return requests.post(f"{url}/v1/reward", json=body, timeout=60)


def refusal(url):
    """Return why a server cannot be reached, empty if it answers."""
    try:
        requests.get(f"{url}/readyz", timeout=10)
    except requests.ConnectionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_stop_answers_what_was_taken_and_ends_in_peace(number):
    with served_process("--rubric", "helpfulness", "--port", 0, seconds=0.1) as server:
        found = [None] * 8

        def ask(at):
            found[at] = reward(server.url, f"s{1 + at % 5}")

        threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(found))]
        threads.append(threading.Thread(target=lambda: found.append(part_of_a_group(server.url))))
        for thread in threads:
            thread.start()
        waiting = "prom_reward_under_way 0.0"
        while waiting in requests.get(f"{server.url}/metrics", timeout=10).text:
            time.sleep(0.01)
        time.sleep(0.2)  # all eight are taken
        server.send(number)
        for thread in threads:
            thread.join()
        status, said = server.ended()
    *whole, part = found
    assert [one.json()["rows"][0]["judgments"][0]["score"] for one in whole] == [1 + at % 5 for at in range(8)]
    assert part.status_code == 429  # the rest of its group cannot come any more
    assert status == 0
    assert "every request that was taken is answered" in said


def test_a_second_interrupt_waits_for_no_answer():
    with served_process("--rubric", "helpfulness", "--port", 0, seconds=60) as server:

        def ask():
            with suppress(requests.ConnectionError):
                reward(server.url, "s1")

        thread = threading.Thread(target=ask)
        thread.start()
        while "prom_reward_under_way 0.0" in requests.get(f"{server.url}/metrics", timeout=10).text:
            time.sleep(0.01)
        server.send(signal.SIGINT)
        while "refused" not in refusal(server.url):  # it takes no more connections
            time.sleep(0.01)
        server.send(signal.SIGINT)
        status, said = server.ended()
        thread.join()
    assert status == 130
    assert "interrupted: the requests under way stay without an answer" in said


def test_sighup_and_a_route_read_the_rubrics_again_and_keep_the_old_ones_if_they_are_broken(tmp_path):
    file = tmp_path / "rubric.yaml"
    levels = "".join(f"score{n}_description: level {n}\n" for n in range(1, 6))
    file.write_text("name: first\ncriteria: Is it good?\n" + levels)
    with served_process("--rubric", file, "--port", 0) as server:
        file.write_text("criteria: [")
        server.send(signal.SIGHUP)
        while "stay as they were" not in (line := server.process.stderr.readline()):
            assert line
        refused = requests.post(f"{server.url}/v1/reload", json={}, timeout=60)
        assert (refused.status_code, str(file) in refused.json()["error"]["message"]) == (400, True)
        assert reward(server.url, "s4").ok
        file.write_text("name: third\ncriteria: Is it good?\n" + levels)
        assert requests.post(f"{server.url}/v1/reload", json={}, timeout=60).json() == {"rubrics": ["third"]}
        file.write_text("name: second\ncriteria: Is it good?\n" + levels)
        server.send(signal.SIGHUP)
        while "read second again" not in (line := server.process.stderr.readline()):
            assert line
        server.send(signal.SIGTERM)
        assert server.ended()[0] == 0


def test_a_taken_port_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="cannot listen on"):
        listen("127.0.0.1", taken.getsockname()[1])
