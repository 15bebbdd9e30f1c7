import asyncio
import pickle  # noqa: TID251  judges must travel between processes
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests

from prom_reward import CascadeJudge, ComparisonRequest, GradingRequest, Outcome, PrometheusJudge, ScriptedEngine
from prom_reward.config import load_judge, load_prometheus_judge
from prom_reward.errors import ConfigError, MissingPackageError, RowError, ServerGoneError
from prom_reward.judging.served_judge import ServedJudge
from prom_reward.serving.batcher import BatchLimits
from tests.fault_server import FaultServer
from tests.judging.composed.named_judge import NamedJudge
from tests.serving.scripted_service import word_score
from tests.serving.served_process import served_process
from tests.serving.served_thread import served_url


def gradings(*responses):
    return [GradingRequest(instruction="Hi", response=one, rubric="helpfulness") for one in responses]


@pytest.fixture(scope="module")
def url():
    with served_url() as (found, _):
        yield found


@pytest.fixture
def judge(url):
    made = load_judge(url)
    yield made
    made.close()


def test_a_served_judge_gives_the_answers_of_the_judge_in_process(judge):
    own = PrometheusJudge(ScriptedEngine(word_score), name="scripted")
    asked = gradings(*(f"s{1 + number % 5}" for number in range(70)), "fail", "nothing", "s9")
    assert isinstance(judge, ServedJudge)
    assert judge.grade(asked) == own.grade(asked)
    assert asyncio.run(judge.agrade(asked)) == own.grade(asked)
    assert (judge.fingerprint, judge.identity, judge.name) == (own.fingerprint, own.identity, own.name)


@pytest.mark.parametrize("overrides", [{}, {"sampling": {"seed": 1}}, {"server": {"api": "prom-reward"}}])
def test_what_reads_a_judges_own_settings_refuses_it_before_the_work(url, overrides):
    with pytest.raises(ConfigError, match="got the judge of a `prom-reward serve`; expected 'scripted' itself"):
        load_prometheus_judge(url, **overrides)


def test_a_missing_package_is_one_line_with_the_command(url, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install '\.\[openai\]'"):
        load_judge(url)


def test_comparisons_and_mappings(judge):
    pair = ComparisonRequest(instruction="Hi", response_a="x", response_b="y", rubric="helpfulness")
    assert judge.compare([pair])[0].outcome is Outcome.NO_RESULT
    assert judge.grade([{"instruction": "Hi", "response": "s2", "rubric": "helpfulness"}])[0].score == 2
    with pytest.raises(RowError):
        judge.grade([{"instruction": "Hi"}])
    assert judge.grade([]) == []


def test_it_loads_pickles_and_closes(judge):
    judge.load()
    other = pickle.loads(pickle.dumps(judge))
    assert other.grade(gradings("s3"))[0].score == 3
    other.close()
    assert other.grade(gradings("s3"))[0].score == 3
    other.close()
    assert "prom-reward-server" in {thread.name for thread in threading.enumerate()}  # the first one's


def test_half_a_surrogate_pair_ends_nothing(judge):
    assert judge.grade(gradings("s3\ud800"))[0].score == 3


def test_batches_of_several_ranks_are_put_together():
    with served_url(limits=BatchLimits(max_wait_s=5, max_batch=8)) as (url, service):
        ranks = [load_judge(url) for _ in range(2)]
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda rank: rank.grade(gradings("s1", "s2", "s3", "s4")), ranks))
        for rank in ranks:
            rank.close()
        assert service.metrics.values()["prom_reward_batch_size_count"] == 1
    assert [[one.score for one in scores] for scores in found] == [[1, 2, 3, 4]] * 2


def test_a_served_cascade_gets_groups_whole():
    scores = {f"{instruction}{at}": 1 + at % 5 for at in range(20) for instruction in "ab"}
    cheap, strong = NamedJudge("cheap", scores), NamedJudge("strong", scores)
    asked = [GradingRequest(instruction=one[0], response=one, rubric="helpfulness") for one in scores]
    with served_url(CascadeJudge(cheap, strong)) as (url, _):
        judge = load_judge(url)
        found = judge.grade(asked)
        judge.close()
    assert [one.expected_score for one in found] == list(scores.values())
    for instruction in "ab":
        assert sum(any(one[0] == instruction for one in call) for call in cheap.asked) == 1


def test_an_item_that_the_server_refuses_costs_no_other():
    with served_url(max_body_bytes=5000) as (url, _):
        judge = load_judge(url)
        found = judge.grade(gradings("s1", "s2", "s3 " + "x" * 5000, "s4", "s5"))
        judge.close()
    assert [one.score for one in found] == [1, 2, None, 4, 5]
    assert found[2].outcome is Outcome.ENGINE_FAILED
    assert "larger than 5000 bytes" in found[2].error


def test_the_key_is_that_of_other_servers(monkeypatch):
    with served_url(key="sesame") as (url, _):
        monkeypatch.setenv("PROM_REWARD_API_KEY", "sesame")
        judge = load_judge(url)
        assert judge.grade(gradings("s3"))[0].score == 3
        judge.close()


def test_settings_beside_the_url_are_refused(url):
    with pytest.raises(ConfigError, match=r"got mode .*prom-reward serve"):
        load_judge(url, mode="score", server={"api": "prom-reward"})
    judge = load_judge(url, mode="score")
    with pytest.raises(ConfigError, match=r"prom-reward serve"):
        judge.grade(gradings("s3"))
    judge.engine.close()


def test_a_server_of_another_kind_is_not_mistaken():
    with closing(FaultServer(lambda path, body: 404)) as server:
        assert isinstance(load_judge(server.url), PrometheusJudge)
        with pytest.raises(ConfigError, match="is no `prom-reward serve`"):
            load_judge(server.url, server={"api": "prom-reward"})
    with pytest.raises(ServerGoneError):
        load_judge("http://127.0.0.1:9", server={"api": "prom-reward", "first_answer_s": 0.1, "max_retries": 0})


def test_a_server_that_comes_back_with_another_judge_is_an_error():
    with served_url() as (url, _):
        judge = load_judge(url)
        judge.grade(gradings("s3"))
    port = int(url.rpartition(":")[2])
    with served_url(PrometheusJudge(ScriptedEngine(["x [RESULT] 1"])), port=port):
        with pytest.raises(ConfigError, match="another judge"):
            judge.grade(gradings("s3"))
        with pytest.raises(ConfigError, match="another judge"):
            judge.load()
    judge.close()


def test_a_server_that_is_killed_and_started_again_is_waited_for():
    with served_process("--rubric", "helpfulness", "--port", 0, seconds=0.02) as first:
        judge = load_judge(first.url)
        asked = gradings(*(f"s{1 + number % 5}" for number in range(64)))
        with ThreadPoolExecutor(1) as pool:
            grading = pool.submit(judge.grade, asked)
            while "prom_reward_under_way 0.0" in requests.get(f"{first.url}/metrics", timeout=10).text:
                pass
            first.send(signal.SIGKILL)
            first.process.wait()
            with served_process("--rubric", "helpfulness", "--port", first.url.rpartition(":")[2]):
                found = grading.result(120)
        judge.close()
    assert [one.score for one in found] == [1 + number % 5 for number in range(64)]
