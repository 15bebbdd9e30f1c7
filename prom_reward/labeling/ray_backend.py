"""Judges shards on Ray Data: a pool of actors, each with its own judge, on one machine or a cluster.

Finished shards are never planned again, so a second run sends only what is missing. The pending requests are written as
Parquet files, which Ray Data streams: neither the driver nor the object store has to hold the data set. All nodes must
see that folder.
"""

import importlib.util
import json
import logging
import re
from collections.abc import Iterator, Mapping
from math import ceil
from pathlib import Path
from typing import Any

from prom_reward.errors import MissingPackageError, WorkError
from prom_reward.judging.base import Judge
from prom_reward.labeling.requests import (
    Answers,
    answer_from_json,
    judge_requests,
    request_from_json,
    request_to_json,
)
from prom_reward.labeling.shards import Shard

_MAX_BLOCKS = 20_000  # Ray schedules a task for each
_READER_CPUS = 0.25
_FILE_NAME = re.compile(r"[0-9]{9,18}\.parquet")


def require_ray() -> None:
    """Raise MissingPackageError if Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise MissingPackageError("ray is not installed; run: pip install '.[ray]' in the clone")


class RayBackend:
    """Judges shards in an actor pool of Ray Data.

    Args:
        num_workers: The number of actors, each with its own judge.
        scratch: A folder for the pending requests, which all nodes see. Files of an earlier run that was killed are
            removed from it; other files stay.
        address: The address of a Ray cluster, for example "auto"; None uses the running Ray, or starts one here.
        gpus_per_worker: GPUs of each actor, or a share of one.
        cpus_per_worker: CPUs of each actor, and its threads.

    Raises:
        MissingPackageError: Ray is not installed.
    """

    def __init__(
        self,
        num_workers: int,
        *,
        scratch: str | Path,
        address: str | None = None,
        gpus_per_worker: float = 0,
        cpus_per_worker: float = 1,
    ) -> None:
        require_ray()
        self._num_workers = num_workers
        self._scratch = Path(scratch).absolute()
        self._address = address
        self._gpus = gpus_per_worker
        self._cpus = cpus_per_worker
        self._threads = max(1, int(cpus_per_worker))
        self._has_made_scratch = False

    def machine(self, judge: Judge) -> Mapping[str, Any]:
        """Return the judge's `machine` with what is known of the actors; their GPUs' names are not."""
        device = f"Ray, {self._gpus:g} GPUs a worker" if self._gpus else "Ray, no GPU"
        return _on_actors(judge.machine, {"device": device, "threads": self._threads})

    def run(self, judge: Judge, shards: Iterator[Shard]) -> Iterator[tuple[Shard, Answers]]:
        """Yield every shard with its answers, in the order of completion.

        Raises:
            WorkError: An actor failed, or the cluster is too small.
        """
        import ray.data
        import ray.exceptions

        try:
            paths = self._write(shards)
            if not paths:
                return
            self._connect()
            pending = ray.data.read_parquet(
                paths, override_num_blocks=min(len(paths), _MAX_BLOCKS), ray_remote_args={"num_cpus": _READER_CPUS}
            )
            judged = pending.map_batches(
                _Judging,
                fn_constructor_args=(judge, self._threads),
                compute=ray.data.ActorPoolStrategy(size=min(self._num_workers, len(paths))),
                batch_size=1,
                num_cpus=self._cpus,
                num_gpus=self._gpus or None,
            )
            for row in judged.iter_rows():
                shard = Shard(
                    start=int(row["start"]), num_rows=int(row["num_rows"]), rows_digest=row["rows_digest"], requests={}
                )
                yield shard, {key: answer_from_json(one) for key, one in json.loads(row["answers"]).items()}
        except ray.exceptions.RayError as error:
            cause = str(getattr(error, "cause", None) or error).strip().rpartition("\n")[2]
            raise WorkError(f"Ray: {cause}; finished shards are kept: run the same command again to go on") from error
        finally:
            self._clear()

    def _connect(self) -> None:
        """Join the cluster, or start Ray here; Ray waits forever if its actors leave no CPU to its readers."""
        import ray

        needed = self._num_workers * self._cpus + 1
        if not ray.is_initialized():
            own: dict[str, Any] = {} if self._address else {"num_cpus": ceil(needed), "include_dashboard": False}
            ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR, **own)
        found = ray.cluster_resources().get("CPU", 0)
        if found < needed:
            raise WorkError(
                f"the Ray cluster has {found:g} CPUs; expected {needed:g}, for {self._num_workers} workers and the "
                "reader: give fewer --processes, or add nodes"
            )

    def _write(self, shards: Iterator[Shard]) -> list[str]:
        """Write a file for each shard, so that each is its own block, and return the paths."""
        import pyarrow
        import pyarrow.parquet

        self._clear()
        self._has_made_scratch = not self._scratch.exists()
        self._scratch.mkdir(parents=True, exist_ok=True)
        paths = []
        for shard in shards:
            requests = {key: request_to_json(request) for key, request in shard.requests.items()}
            row = {"start": shard.start, "num_rows": shard.num_rows, "rows_digest": shard.rows_digest}
            table = pyarrow.Table.from_pylist([{**row, "requests": json.dumps(requests)}])
            paths.append(str(self._scratch / f"{shard.start:09d}.parquet"))
            pyarrow.parquet.write_table(table, paths[-1])
        return paths

    def _clear(self) -> None:
        """Remove the pending requests of this run, or of one that was killed, and the folder if this one made it."""
        for path in self._scratch.glob("*.parquet"):
            if _FILE_NAME.fullmatch(path.name):
                path.unlink(missing_ok=True)
        if self._has_made_scratch and self._scratch.exists() and not any(self._scratch.iterdir()):
            self._scratch.rmdir()


def _on_actors(machine: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a judge's `machine` on actors, which need not be like this process; of a judge of judges that of each."""
    if "device" not in machine:
        return {name: _on_actors(of, known) if isinstance(of, Mapping) else of for name, of in machine.items()}
    return {name: of for name, of in machine.items() if name not in ("instructions", "threads")} | dict(known)


class _Judging:
    """An actor with a judge that loads its weights at the first shard."""

    def __init__(self, judge: Judge, threads: int) -> None:
        if judge.machine:
            import torch

            torch.set_num_threads(threads)
        self._judge = judge

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Judge a batch of shards."""
        answers = []
        for text in batch["requests"]:
            requests = {key: request_from_json(values) for key, values in json.loads(text).items()}
            judged = judge_requests(self._judge, requests)
            answers.append(json.dumps({key: answer.to_dict() for key, answer in judged.items()}))
        return {**{name: batch[name] for name in ("start", "num_rows", "rows_digest")}, "answers": answers}
