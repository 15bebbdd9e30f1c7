"""What a served judge loses, invents or mixes up under faults, what a request costs, and what micro-batches gain.

    python tests/benchmarks/bench_serve.py --requests 10000 --json soak.json
    python tests/benchmarks/bench_serve.py --requests 0 --judge smollm2-135m --rounds 2 --json rate.json

The soak sends single requests over 64 connections to `prom-reward serve` with a scripted judge in a process of its own:
each response has a number, the judge repeats it, and one request in twenty goes wrong (see FAULTS). The rate compares
64 single requests at once, 64 in one call in process, and single requests one after another, with the same judge in
the same process, in turns.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from statistics import median, quantiles

from tests.serving.served_process import served_process

FAULTS = ("hang-up", "broken-json", "oversized", "slow-reader", "judge-failure")
_CONNECTIONS = 64
_TICKS = os.sysconf("SC_CLK_TCK")


def fault_of(number: int) -> str | None:
    """Return the fault of a request; one in twenty has one."""
    return FAULTS[number // 20 % len(FAULTS)] if number % 20 == 7 else None


def repeat(prompt) -> str:
    """Judge a response by its number, and say the number; the scripted judge of the soak."""
    response = prompt.user.split("###Response to evaluate:\n")[-1].split("\n\n###")[0]
    number = int(response.partition(" ")[0])
    if fault_of(number) == "judge-failure":
        raise RuntimeError("the judge broke")
    return f"number {number} [RESULT] {1 + number % 5}"


class Connection:
    """One keep-alive connection, opened again after each fault that ends it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, body: bytes, fault: str | None) -> tuple[int, bytes] | None:
        """Return status and content of an answer; None if the client hung up."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"POST /v1/grade HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        if fault == "hang-up":
            await self._writer.drain()
            await asyncio.sleep(random.random() * 0.02)
            await self.close()
            return None
        try:
            header = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(header.partition("content-length: ")[2].partition("\r\n")[0])
            content = b""
            while len(content) < length:
                content += await self._reader.read(64 if fault == "slow-reader" else length)
                await asyncio.sleep(0.01 if fault == "slow-reader" else 0)
            if "connection: close" in header:
                await self.close()
            return int(header.split(" ", 2)[1]), content
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.close()
            raise

    async def close(self) -> None:
        """Break the connection off."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None


def body_of(number: int, fault: str | None) -> bytes:
    """Return the body of a request."""
    text = f"{number} " + "word " * (number % 200)
    body = json.dumps({"requests": [{"instruction": f"Question {number // 8}", "response": text}]}).encode()
    if fault == "broken-json":
        return body[: len(body) // 2]
    return body + b" " * (2 << 20) if fault == "oversized" else body


def verdict(number: int, fault: str | None, answer: tuple[int, bytes]) -> str:
    """Return what became of a request: "right", or what is wrong with its answer."""
    status, content = answer
    expected = {"broken-json": 400, "oversized": 413}.get(fault or "", 200)
    if status != expected:
        return f"status {status}"
    if expected != 200:
        return "invented" if b"score" in content else "right"
    [judgment] = json.loads(content)["judgments"]
    if fault == "judge-failure":
        return "right" if judgment["score"] is None and judgment["outcome"] == "engine_failed" else "invented"
    if f"number {number} " not in judgment["feedback"] + " ":
        return "mixed up"
    return "right" if judgment["score"] == 1 + number % 5 else "invented"


def of_process(pid: int) -> tuple[float, float]:
    """Return the processor seconds and the resident MiB of a process."""
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return (int(times[11]) + int(times[12])) / _TICKS, resident


async def send_all(port: int, pid: int, num_requests: int) -> dict:
    """Send all requests over 64 connections; return what became of them."""
    numbers = iter(range(num_requests))
    found: Counter[str] = Counter()
    seconds: list[float] = []
    memory: list[float] = []

    async def work() -> None:
        connection = Connection(port)
        for number in numbers:
            fault, start = fault_of(number), time.perf_counter()
            try:
                answer = await connection.ask(body_of(number, fault), fault)
            except (ConnectionError, asyncio.IncompleteReadError):
                # a server may close on an oversized body before it is sent: no answer, and nothing invented
                found["refused unread" if fault == "oversized" else "lost"] += 1
                continue
            found["hung up" if answer is None else verdict(number, fault, answer)] += 1
            if fault is None:
                seconds.append(time.perf_counter() - start)
            if number % (num_requests // 10) == 0:
                memory.append(round(of_process(pid)[1], 1))
        await connection.close()

    await asyncio.gather(*(work() for _ in range(_CONNECTIONS)))
    percents = quantiles(seconds, n=100)
    latency = {f"p{percent}_ms": round(1000 * percents[percent - 1], 1) for percent in (50, 95, 99)}
    return {"outcomes": dict(found), "latency": latency, "memory_mib": memory}


def soak(num_requests: int) -> dict:
    """Run the soak; return its figures."""
    arguments = ("--rubric", "helpfulness", "--port", 0, "--max-body-mb", 1, "--max-wait-ms", 2)
    with served_process(*arguments, script="tests.benchmarks.bench_serve:repeat") as server:
        before, _ = of_process(server.process.pid)
        start = time.perf_counter()
        found = asyncio.run(send_all(int(server.url.rpartition(":")[2]), server.process.pid, num_requests))
        seconds = time.perf_counter() - start
        after, _ = of_process(server.process.pid)
        server.send(signal.SIGTERM)
        status, _ = server.ended()
    cpu_ms = round(1000 * (after - before) / num_requests, 2)
    return {**found, "requests": num_requests, "seconds": round(seconds, 1), "cpu_ms": cpu_ms, "exit_status": status}


def rate(judge_name: str, num_rounds: int) -> dict:
    """Compare micro-batches with one call and with single requests, in turns; return seconds and their ratios."""
    from concurrent.futures import ThreadPoolExecutor

    import requests

    from prom_reward import load_judge
    from prom_reward.serving.batcher import BatchLimits
    from tests.benchmarks.workloads import workload
    from tests.serving.served_thread import served_url

    judge = load_judge(judge_name)
    asked = workload("a", is_quick=False).requests
    names = ("instruction", "response", "reference_answer")
    bodies = [
        {"requests": [{**{name: getattr(one, name) for name in names}, "rubric": "helpfulness"}]} for one in asked
    ]
    judge.grade(asked[:2])
    rounds = []
    with served_url(judge, limits=BatchLimits(max_wait_s=0.05)) as (url, service), ThreadPoolExecutor(64) as pool:
        session = requests.Session()
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=64))

        def ask(body: dict) -> float:
            return session.post(f"{url}/v1/grade", json=body, timeout=600).json()["judgments"][0]["expected_score"]

        def timed(work) -> tuple[float, list]:
            start = time.perf_counter()
            found = work()
            return time.perf_counter() - start, found

        for _ in range(num_rounds):
            own_s, graded = timed(lambda: judge.grade(asked))
            own = [one.expected_score for one in graded]
            together_s, together = timed(lambda: list(pool.map(ask, bodies)))
            alone_s, _ = timed(lambda: [ask(body) for body in bodies[::4]])
            off = max(abs(one - other) for one, other in zip(own, together, strict=True))
            rounds.append({"own_s": own_s, "together_s": together_s, "alone_s": 4 * alone_s, "largest_difference": off})
        batches = service.metrics.values()["prom_reward_batch_size_count"]
    tokens = [sum(getattr(one, f"num_{kind}_tokens") for one in graded) for kind in ("prompt", "computed")]
    return {
        "judge": judge_name,
        "tokens_alone_over_together": tokens[0] / tokens[1],
        "rounds": rounds,
        "batches": batches,
        "together_over_own": median(one["own_s"] / one["together_s"] for one in rounds),
        "together_over_alone": median(one["alone_s"] / one["together_s"] for one in rounds),
    }


def main() -> None:
    """Run what was asked for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="requests of the soak; 0 for none")
    parser.add_argument("--judge", help="the judge whose rate is measured; none without it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    figures = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "commit": commit}
    if options.requests:
        figures["soak"] = soak(options.requests)
    if options.judge:
        figures["rate"] = rate(options.judge, options.rounds)
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
