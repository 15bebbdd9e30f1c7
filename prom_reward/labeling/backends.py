"""Backends that judge shards: in this process, or in several of one machine, each with its own copy of the judge."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import Connection, wait as wait_for
from typing import Any, Protocol

from prom_reward.errors import WorkError
from prom_reward.judging.base import Judge
from prom_reward.labeling.requests import Answers, judge_requests
from prom_reward.labeling.shards import Shard
from prom_reward.types import JudgeRequest

_AHEAD = 2  # shards queued for each process, so that none is idle while shards are planned
_worker_judge: Judge | None = None


class Backend(Protocol):
    """Judges shards."""

    def machine(self, judge: Judge) -> Mapping[str, Any]:
        """Return the judge's `machine` in the processes that judge."""
        ...

    def run(self, judge: Judge, shards: Iterator[Shard]) -> Iterator[tuple[Shard, Answers]]:
        """Yield every shard with the answers to its requests, in any order."""
        ...


class LocalBackend:
    """Judges shards one after another in this process."""

    def machine(self, judge: Judge) -> Mapping[str, Any]:
        """Return the judge's `machine`."""
        return judge.machine

    def run(self, judge: Judge, shards: Iterator[Shard]) -> Iterator[tuple[Shard, Answers]]:
        """Yield every shard with its answers, in order."""
        for shard in shards:
            yield shard, judge_requests(judge, shard.requests)


class ProcessBackend:
    """Judges shards in a pool of processes.

    Args:
        num_processes: The number of processes; each holds its own judge.
        gpus: The GPUs to spread them over, as CUDA_VISIBLE_DEVICES names them; empty for none.
        threads: CPU threads of each; None divides the machine's processors among them.
    """

    def __init__(self, num_processes: int, *, gpus: Sequence[str] = (), threads: int | None = None) -> None:
        self._num_processes = num_processes
        self._gpus = list(gpus)
        self._threads = threads or max(1, (os.cpu_count() or 1) // num_processes)

    def machine(self, judge: Judge) -> Mapping[str, Any]:
        """Return the judge's `machine` with a worker's threads: a CPU's sums are split by them."""
        return _in_workers(judge.machine, {"threads": self._threads})

    def run(self, judge: Judge, shards: Iterator[Shard]) -> Iterator[tuple[Shard, Answers]]:
        """Yield every shard with its answers, in the order of completion.

        Raises:
            WorkError: A process died, for example out of memory.
        """
        context = multiprocessing.get_context("spawn")
        numbers = context.SimpleQueue()
        for number in range(self._num_processes):
            numbers.put(number)
        told_to_end, end = context.Pipe(duplex=False)
        arguments = (judge, numbers, self._gpus, self._threads, told_to_end)
        pool = ProcessPoolExecutor(self._num_processes, context, _start_worker, arguments)
        is_done = False
        try:
            yield from _run(pool, shards, self._num_processes * _AHEAD)
            is_done = True
        except BrokenProcessPool as error:
            raise WorkError(
                "a judging process died (out of memory?); finished shards are kept: run the same command again with "
                "--accept-changes, and fewer --processes or a smaller --shard-size"
            ) from error
        finally:
            if not is_done:
                end.send(None)  # all workers see it; after Ctrl-C nobody waits for the current shards
            pool.shutdown(wait=is_done, cancel_futures=True)
            end.close()
            told_to_end.close()


def _run(pool: ProcessPoolExecutor, shards: Iterator[Shard], ahead: int) -> Iterator[tuple[Shard, Answers]]:
    waiting: dict[Future[Answers], Shard] = {}
    while True:
        for shard in islice(shards, ahead - len(waiting)):
            waiting[pool.submit(_judge, shard.requests)] = shard
        if not waiting:
            return
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            yield waiting.pop(future), future.result()


def _in_workers(machine: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a judge's `machine` with what is known of the workers that have it; of a judge of judges that of each."""
    nested = {name: _in_workers(of, known) for name, of in machine.items() if isinstance(of, Mapping)}
    return {**machine, **{name: value for name, value in known.items() if name in machine}, **nested}


def _start_worker(judge: Judge, numbers: Any, gpus: Sequence[str], threads: int, told_to_end: Connection) -> None:
    global _worker_judge  # noqa: PLW0603  # a pool gives its workers no other place for a judge
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends the work
    threading.Thread(target=_end_if_told, args=(told_to_end,), daemon=True).start()
    number = numbers.get()
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    if judge.machine:
        import torch

        torch.set_num_threads(threads)
    _worker_judge = judge


def _end_if_told(told_to_end: Connection) -> None:
    """End this process if its parent says so, or is killed: it could not say so, and a GPU would stay taken."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel, told_to_end])
        os._exit(1)


def _judge(requests: Mapping[str, JudgeRequest]) -> Answers:
    assert _worker_judge is not None
    return judge_requests(_worker_judge, requests)
