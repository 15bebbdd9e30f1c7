"""What runs inside of other processes, tried in this one: real ones are in test_labeling, a real Ray in test_label."""

import multiprocessing
import os
import sys
import time
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pyarrow.parquet
import pytest

from prom_reward import PanelJudge, PrometheusJudge, ScriptedEngine
from prom_reward.errors import InputError, MissingPackageError, WorkError
from prom_reward.labeling import backends
from prom_reward.labeling.backends import ProcessBackend
from prom_reward.labeling.labeling import label
from prom_reward.labeling.ray_backend import RayBackend
from prom_reward.labeling.requests import judge_requests, request_key
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import GradingRequest
from tests.labeling.label_inputs import pairs, scripted_judge, verdict, write_rows

REQUEST = GradingRequest(instruction="Hi?", response="Yes.", rubric=Rubric.parse("helpfulness"))


def test_a_worker_takes_its_gpu_and_judges(monkeypatch):
    started = []
    monkeypatch.setattr(backends.signal, "signal", lambda *arguments: started.append(arguments))
    monkeypatch.setattr(backends.threading, "Thread", lambda **options: SimpleNamespace(start=lambda: None))
    monkeypatch.setattr(backends, "_worker_judge", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    judge, requests = scripted_judge(), {request_key(REQUEST): REQUEST}
    backends._start_worker(judge, SimpleNamespace(get=lambda: 3), ["4", "5"], 1, None)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    assert backends._judge(requests) == judge_requests(judge, requests)
    assert len(started) == 1  # Ctrl-C is the parent's


def test_a_worker_ends_with_its_parent(monkeypatch):
    ended = []
    monkeypatch.setattr(backends.multiprocessing, "parent_process", lambda: SimpleNamespace(sentinel="parent"))
    monkeypatch.setattr(backends, "wait_for", ended.append)
    monkeypatch.setattr(backends.os, "_exit", ended.append)
    backends._end_if_told("pipe")
    assert ended == [["parent", "pipe"], 1]


def asleep():
    time.sleep(600)


def test_an_interrupted_run_ends_its_own_workers_alone(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", pairs(40))
    before, context, others = set(multiprocessing.active_children()), multiprocessing.get_context("spawn"), []

    def interrupt(_):
        others.append(context.Process(target=asleep, daemon=True))
        others[0].start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label(
            source,
            judge=scripted_judge(),
            out=tmp_path / "out",
            rubric="helpfulness",
            shard_size=4,
            backend=ProcessBackend(2, threads=1),
            on_progress=interrupt,
        )
    deadline = time.monotonic() + 60
    while set(multiprocessing.active_children()) - before - set(others):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert others[0].is_alive()
    others[0].kill()


class PlacedJudge(PrometheusJudge):
    """Says that its weights are on a CPU, or on a GPU."""

    def __init__(self, machine):
        super().__init__(ScriptedEngine(verdict, keeps_prompts=False), name=machine["device"])
        self._machine = machine

    @property
    def machine(self):
        return self._machine


ON_CPU = {"device": "cpu", "instructions": "AVX2", "threads": 16}
ON_GPU = {"device": "NVIDIA H200"}


def test_the_key_of_the_machine_is_that_of_the_processes_that_judge():
    both = PanelJudge([PlacedJudge(ON_CPU), PlacedJudge(ON_GPU)])
    assert backends.LocalBackend().machine(both) == {"cpu": ON_CPU, "NVIDIA H200": ON_GPU}
    in_processes = {"cpu": {**ON_CPU, "threads": 3}, "NVIDIA H200": ON_GPU}
    assert ProcessBackend(2, threads=3).machine(both) == in_processes


def test_a_run_with_other_threads_in_its_workers_is_refused(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", pairs(4))

    def run(backend, machine, **options):
        judge = PlacedJudge(machine)
        return label(source, judge=judge, out=tmp_path / "out", rubric="honesty", backend=backend, **options)

    run(ProcessBackend(1, threads=1), ON_CPU)
    run(ProcessBackend(1, threads=1), {**ON_CPU, "threads": 4})  # the parent's own do not compute
    with pytest.raises(InputError, match=r"machine threads=1, got threads=2; .*--accept-changes"):
        run(ProcessBackend(1, threads=2), ON_CPU)


def test_what_a_driver_is_does_not_count_on_ray(monkeypatch, tmp_path):
    for name, module in {"ray": fake_ray(3), "ray.data": fake_ray(3).data}.items():
        monkeypatch.setitem(sys.modules, name, module)
    for options, device in (({}, "Ray, no GPU"), ({"gpus_per_worker": 0.5}, "Ray, 0.5 GPUs a worker")):
        backend = RayBackend(2, scratch=tmp_path, cpus_per_worker=2, **options)
        on_actors = {"device": device, "threads": 2}
        assert backend.machine(PlacedJudge(ON_CPU)) == backend.machine(PlacedJudge(ON_GPU)) == on_actors
        both = PanelJudge([PlacedJudge(ON_CPU), PlacedJudge(ON_GPU)])
        assert backend.machine(both) == {"cpu": on_actors, "NVIDIA H200": on_actors}


class RayError(Exception):
    """As Ray raises it: with what happened in the actor as its cause."""


def fake_ray(cpus):
    """A `ray` whose data sets are lists and whose only actor is in this process."""
    ray, data, exceptions = ModuleType("ray"), ModuleType("ray.data"), ModuleType("ray.exceptions")
    ray.__spec__ = ModuleSpec("ray", None)
    ray.data, ray.exceptions = data, exceptions
    ray.started = []
    ray.is_initialized = lambda: bool(ray.started)
    ray.init = lambda **options: ray.started.append(options)
    ray.cluster_resources = lambda: {"CPU": cpus}
    exceptions.RayError = RayError
    data.ActorPoolStrategy = lambda size: size

    class Rows:
        def __init__(self, rows):
            self.rows = rows

        def map_batches(self, actor, *, fn_constructor_args, compute, batch_size, num_cpus, num_gpus):
            judging = actor(*fn_constructor_args)
            batches = ({name: [value] for name, value in row.items()} for row in self.rows)
            done = map(judging, batches)
            return Rows({name: values[0] for name, values in batch.items()} for batch in done)

        def iter_rows(self):
            return iter(self.rows)

    def read_parquet(paths, *, override_num_blocks, ray_remote_args):
        return Rows([pyarrow.parquet.read_table(path).to_pylist()[0] for path in paths])

    data.read_parquet = read_parquet
    return ray


@pytest.fixture
def on_ray(monkeypatch, tmp_path):
    def run(*, cpus=3, judge=None, **options):
        ray = fake_ray(cpus)
        for name, module in (("ray", ray), ("ray.data", ray.data), ("ray.exceptions", ray.exceptions)):
            monkeypatch.setitem(sys.modules, name, module)
        source = write_rows(tmp_path / "rows.jsonl", pairs(20))
        backend = RayBackend(2, scratch=tmp_path / "ray/scratch/ray", **options)
        settings = {"judge": judge or scripted_judge(), "rubric": "helpfulness", "method": "both", "shard_size": 8}
        label(source, out=tmp_path / "local", **settings)
        label(source, out=tmp_path / "ray", backend=backend, **settings)
        label(source, out=tmp_path / "ray", backend=backend, **settings)  # nothing is left to do
        return ray, [(tmp_path / name / "labels.jsonl").read_bytes() for name in ("local", "ray")]

    return run


def test_what_travels_to_ray_comes_back_the_same(on_ray, tmp_path):
    ray, (local, other) = on_ray()
    assert local == other
    assert [options["num_cpus"] for options in ray.started] == [3]
    assert not (tmp_path / "ray/scratch/ray").exists()


def test_only_pending_requests_are_removed_from_the_scratch_folder(on_ray, tmp_path):
    scratch = tmp_path / "ray/scratch/ray"
    scratch.mkdir(parents=True)
    for name in ("thesis.tex", "data.parquet", "000000008.parquet"):  # the last one is of a run that was killed
        (scratch / name).write_text("mine")
    _, (local, other) = on_ray()
    assert local == other
    assert sorted(path.name for path in scratch.iterdir()) == ["data.parquet", "thesis.tex"]


def test_a_cluster_is_joined_by_its_address(on_ray):
    ray, _ = on_ray(address="auto", cpus=64)
    assert [(options["address"], "num_cpus" in options) for options in ray.started] == [("auto", False)]


def test_a_cluster_that_would_wait_for_ever_is_refused(on_ray):
    with pytest.raises(
        WorkError,
        match=r"^the Ray cluster has 2 CPUs; expected 3, for 2 workers and the reader: "
        r"give fewer --processes, or add nodes$",
    ):
        on_ray(address="auto", cpus=2)


def test_what_fails_on_ray_is_one_line(on_ray, monkeypatch, tmp_path):
    failed = RayError("a long report")
    failed.cause = WorkError("Traceback\nModelLoadError: no weights")

    def broken(*arguments):
        raise failed

    monkeypatch.setattr("prom_reward.labeling.ray_backend._Judging.__call__", broken)
    with pytest.raises(
        WorkError,
        match=r"^Ray: ModelLoadError: no weights; finished shards are kept: run the same command again to go on$",
    ):
        on_ray()
    assert not (tmp_path / "ray/scratch/ray").exists()


def test_a_missing_ray_is_one_line_with_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"run: pip install '\.\[ray\]' in the clone$"):
        RayBackend(2, scratch=tmp_path)
