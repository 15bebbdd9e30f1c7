import json
import logging
import multiprocessing
import pickle  # noqa: TID251  a cache must travel between processes as its path
import sqlite3
from math import inf, nan

import pytest

from prom_reward import PrometheusJudge, load_judge
from prom_reward.engines.base import Generation, SamplingParams
from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.errors import InputError
from prom_reward.judging.cache import JudgmentCache
from prom_reward.judging.cache_file import CacheFile

SEEDED = SamplingParams(seed=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "judgments.sqlite"


@pytest.fixture
def judge_of(path):
    """Makes a judge with an engine of its own and the shared cache."""
    caches = []

    def make(script=("Fine. [RESULT] 4",), **options):
        caches.append(JudgmentCache(path))
        engine = ScriptedEngine(script, name="one")
        return PrometheusJudge(engine, cache=caches[-1], **{"mode": "score", **options}), engine

    yield make
    for cache in caches:
        cache.close()


def test_a_thousand_judgments_are_read_back_without_a_request(judge_of, request_of):
    requests = [request_of(f"response {number}") for number in range(1000)]
    scripted = [f"[RESULT] {number % 5 + 1}" for number in range(1000)]
    judge, _ = judge_of(scripted)
    first = judge.grade(requests)
    assert judge.take_metrics() == {"cached": 0}
    again, engine = judge_of([RuntimeError("asked again")])
    assert again.grade(requests) == first
    assert engine.prompts == []
    assert again.take_metrics() == {"cached": 1000}
    assert again.take_metrics() == {"cached": 0}


def test_order_holds_where_only_some_are_known(judge_of, request_of):
    judge_of(["[RESULT] 1"])[0].grade([request_of("b")])
    judge, engine = judge_of(["[RESULT] 5"])
    assert [one.score for one in judge.grade([request_of("a"), request_of("b"), request_of("c")])] == [5, 1, 5]
    assert len(engine.prompts) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "feedback", "sampling": SEEDED},
        {"guard": False},
        {"prompt_style": "prometheus-v1"},
        {"layout": "response_last"},
    ],
)
def test_what_can_change_a_judgment_is_another_key(judge_of, request_of, change):
    judge_of()[0].grade([request_of("a")])
    judge, engine = judge_of(**change)
    judge.grade([request_of("a")])
    assert len(engine.prompts) == 1


def test_another_engine_is_another_key(path, request_of):
    def other(prompt):
        return "[RESULT] 2"

    cache = JudgmentCache(path)
    assert (
        PrometheusJudge(ScriptedEngine(["[RESULT] 1"]), mode="score", cache=cache).grade([request_of("a")])[0].score
        == 1
    )
    assert PrometheusJudge(ScriptedEngine(other), mode="score", cache=cache).grade([request_of("a")])[0].score == 2
    cache.close()


class Weights(ScriptedEngine):
    """An engine whose weights can be exchanged in place: its fingerprint is a digest of them."""

    def __init__(self, score):
        super().__init__([f"[RESULT] {score}"], confidence=1.0)
        self.digest = f"weights of {score}"

    @property
    def fingerprint(self):
        return f"same-folder|{self.digest}"


def test_other_weights_in_the_same_folder_are_another_key(path, request_of):
    cache = JudgmentCache(path)
    scores = [
        PrometheusJudge(Weights(score), mode="score", cache=cache).grade([request_of("a")])[0].score
        for score in (1, 2, 1)
    ]
    assert scores == [1, 2, 1]
    assert cache.take_metrics() == {"cached": 1}
    cache.close()


@pytest.mark.parametrize(
    "sampling",
    [SamplingParams(seed=2), SamplingParams(seed=1, temperature=0.5), SamplingParams(seed=1, max_new_tokens=9)],
)
def test_another_sampling_is_another_key_for_written_feedback(judge_of, request_of, sampling):
    judge_of(mode="feedback", sampling=SEEDED)[0].grade([request_of("a")])
    judge, engine = judge_of(mode="feedback", sampling=sampling)
    judge.grade([request_of("a")])
    assert len(engine.prompts) == 1


def test_what_is_drawn_without_a_seed_is_not_kept_and_what_is_greedy_is(judge_of, request_of):
    for temperature, num_asked in ((1.0, 1), (0.0, 0)):
        options = {"mode": "feedback", "sampling": SamplingParams(temperature=temperature)}
        judge_of(**options)[0].grade([request_of("a")])
        judge, engine = judge_of(**options)
        judge.grade([request_of("a")])
        assert len(engine.prompts) == num_asked


def test_samples_are_kept_one_by_one_and_asked_for_together(judge_of, request_of):
    options = {"mode": "feedback", "sampling": SEEDED, "num_samples": 3}
    written = ["a [RESULT] 1", "b [RESULT] 3", "c [RESULT] 5"]
    [first] = judge_of(written, **options)[0].grade([request_of("a")])
    assert first.sampled_scores == (1, 3, 5)
    judge, engine = judge_of(["none"], **options)
    assert judge.grade([request_of("a")]) == [first]
    assert engine.prompts == []
    more, engine = judge_of(written, **{**options, "num_samples": 4})
    more.grade([request_of("a")])
    assert len(engine.prompts) == 4


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("gone"),
        "No verdict.",
        "[RESULT] 9",
        Generation(text="", finish_reason="too_long", error="9 of 8"),
        Generation(text="4", finish_reason="result", score_logprobs={"4": nan}),
        Generation(text="4", finish_reason="result", score_logprobs={"4": -inf}),
    ],
)
@pytest.mark.parametrize("mode", ["score", "feedback"])
def test_a_failure_is_never_kept(judge_of, request_of, failure, mode):
    options = {"mode": mode, "sampling": SEEDED}
    assert not judge_of([failure], **options)[0].grade([request_of("a")])[0].is_scored
    judge, engine = judge_of(["Fine. [RESULT] 4"], **options)
    assert judge.grade([request_of("a")])[0].score == 4
    assert len(engine.prompts) == 1


def test_a_partial_distribution_stays_partial(judge_of, request_of):
    logprobs = {"1": -inf, "2": -1.0, "3": -2.0, "4": -1.5, "5": -inf}
    partial = Generation(text="2", finish_reason="result", score_logprobs=logprobs, is_partial=True)
    [first] = judge_of([partial])[0].grade([request_of("a")])
    assert first.is_partial
    assert judge_of(["none"])[0].grade([request_of("a")]) == [first]


def _write(path, worker, barrier):
    file = CacheFile(path, max_bytes=1 << 30)
    barrier.wait()
    for number in range(200):
        file.put({f"{worker}/{number}".encode(): f"own {worker} {number}", f"both/{number}".encode(): "shared"})
    file.close()


def test_a_cache_written_by_two_processes_at_once_is_whole(path):
    spawn = multiprocessing.get_context("fork")
    barrier = spawn.Barrier(2)
    workers = [spawn.Process(target=_write, args=(path, worker, barrier)) for worker in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    keys = [f"{name}/{number}".encode() for name in (0, 1, "both") for number in range(200)]
    file = CacheFile(path, max_bytes=1 << 30)
    found = file.get(keys)
    assert set(found) == set(keys)
    assert found[b"1/7"] == "own 1 7"
    file.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_the_size_is_bounded_and_the_newest_stay(path):
    file = CacheFile(path, max_bytes=200_000)
    keys = [str(number).encode() for number in range(1000)]
    for key in keys:
        file.put({key: "x" * 1000})
    found = file.get(keys)
    assert keys[-1] in found and keys[0] not in found
    assert 50 < len(found) < 200
    file.close()
    assert path.stat().st_size < 400_000


@pytest.mark.parametrize("damage", ["garbage", "cut", "flipped"])
def test_a_damaged_file_is_said_moved_aside_and_begun_anew(path, caplog, damage):
    file = CacheFile(path, max_bytes=1 << 30)
    keys = [str(number).encode() for number in range(300)]
    file.put({key: "a value that is long enough to fill some pages " * 3 for key in keys})
    file.close()
    data = path.read_bytes()
    broken = {
        "garbage": b"no database at all " * 500,
        "cut": data[: len(data) // 2],
        "flipped": data.replace(b"long enough", b"long enoogh", 1),
    }[damage]
    path.write_bytes(broken)
    file = CacheFile(path, max_bytes=1 << 30)
    with caplog.at_level(logging.WARNING):
        assert file.get(keys) == {}
        file.put({b"new": "value"})
    assert file.get([b"new"]) == {b"new": "value"}
    assert f"{path}: the judgment cache is damaged (" in caplog.text
    [aside] = [
        one for one in path.parent.iterdir() if ".damaged-" in one.name and not one.name.endswith(("-wal", "-shm"))
    ]
    assert aside.stat().st_size == len(broken)
    file.close()


def test_another_programs_database_is_refused_and_left_alone(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE letters (text)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(
        InputError, match=r"this is another program's database, not a judgment cache; give another path$"
    ):
        JudgmentCache(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("where", ["none/cache.sqlite", "."])
def test_a_place_that_cannot_hold_it_is_refused(tmp_path, where):
    with pytest.raises(InputError, match=r"not a place for a judgment cache; give a file in a folder that exists$"):
        JudgmentCache(tmp_path / where)


def test_a_file_that_cannot_be_used_is_said_once_and_stops_nothing(judge_of, request_of, path, caplog, monkeypatch):
    monkeypatch.setattr("prom_reward.judging.cache_file._BUSY_S", 0.05)
    judge, engine = judge_of()
    judge.cache.close()
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("PRAGMA locking_mode = EXCLUSIVE")
    blocker.execute("BEGIN EXCLUSIVE")
    with caplog.at_level(logging.WARNING):
        assert judge.grade([request_of("a")])[0].score == judge.grade([request_of("a")])[0].score == 4
    blocker.close()
    assert len(engine.prompts) == 2
    assert caplog.text.count("the judgment cache cannot be used (database is locked)") == 1


@pytest.mark.parametrize("more", [{"words": "of another version"}, {"num_prompt_tokens": "many"}])
def test_an_entry_of_another_version_is_asked_for_again(judge_of, request_of, path, more):
    judge, engine = judge_of()
    judge.grade([request_of("a")])
    judge.cache.close()
    connection = sqlite3.connect(path)
    [key] = connection.execute("SELECT key FROM entries").fetchone()
    connection.execute("DELETE FROM entries")
    connection.commit()
    connection.close()
    judge.cache.file.put({key: json.dumps({"text": "4", "finish_reason": "result", **more})})
    assert judge.grade([request_of("a")])[0].score == 4
    assert len(engine.prompts) == 2


def test_it_travels_as_its_path(judge_of, request_of):
    judge, _ = judge_of()
    [first] = judge.grade([request_of("a")])
    traveled = pickle.loads(pickle.dumps(judge.cache))
    other = PrometheusJudge(ScriptedEngine(["none"], name="one"), mode="score", cache=traveled)
    assert other.grade([request_of("a")]) == [first]
    traveled.close()


def test_it_can_be_asked_for_by_load_judge(path, tiny_judge_folder, request_of):
    options = {"mode": "score", "dtype": "float32", "cache": str(path), "cache_mb": 5}
    judge = load_judge(tiny_judge_folder, **options)
    [first] = judge.grade([request_of("a")])
    assert judge.cache.file.max_bytes == 5 << 20
    again = load_judge(tiny_judge_folder, **options)
    assert again.grade([request_of("a")]) == [first]
    assert again.take_metrics() == {"cached": 1}
    judge.cache.close()
    again.cache.close()


def test_an_engine_that_loses_answers_is_a_bug_and_keeps_nothing(judge_of, request_of, monkeypatch):
    judge, engine = judge_of()
    monkeypatch.setattr(engine, "generate", lambda prompts, sampling: [])
    with pytest.raises(RuntimeError, match=r"^the engine answered 0 of 1 prompts; this is a bug in it$"):
        judge.grade([request_of("a")])
