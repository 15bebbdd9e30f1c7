import asyncio
import threading

import pytest

from prom_reward import Judge, Judgment, Outcome, PrometheusJudge, ScriptedEngine
from prom_reward.engines.base import SamplingParams
from prom_reward.errors import ConfigError, RubricError
from prom_reward.judging.cache import JudgmentCache


class WordCount(Judge):
    """The least that a judge needs."""

    fingerprint = "word-count"

    def grade(self, requests):
        self.thread = threading.current_thread()
        scores = [len(request.response.split()) for request in requests]
        return [Judgment(outcome=Outcome.SCORED, score=one, expected_score=float(one)) for one in scores]


def test_one_response_is_graded_by_keywords():
    judge = PrometheusJudge(ScriptedEngine(["Right. [RESULT] 5"], confidence=1.0))
    judgment = judge.grade_one(instruction="Capital?", response="Paris.", rubric="helpfulness", reference_answer="P.")
    assert (judgment.score, judgment.feedback) == (5, "Right.")
    assert "###Reference Answer (Score 5):\nP.\n" in judge.engine.prompts[0].user
    assert WordCount().grade_one(instruction="Q", response="a b c", rubric="honesty").score == 3


def test_one_request_has_one_rubric():
    with pytest.raises(RubricError, match=r"^got 2 rubrics in a request; expected one"):
        WordCount().grade_one(instruction="Q", response="a", rubric=["honesty", "helpfulness"])


def test_a_judge_of_ones_own_grades_in_a_thread(request_of):
    judge = WordCount()
    requests = [request_of("a"), request_of("a b")]
    assert asyncio.run(judge.agrade(requests)) == judge.grade(requests)
    asyncio.run(judge.agrade(requests))
    assert judge.thread is not threading.main_thread()


def test_a_judge_of_ones_own_does_not_compare():
    with pytest.raises(ConfigError, match=r"^the judge 'judge' does not compare responses"):
        WordCount().compare([])


class AsyncEngine(ScriptedEngine):
    """An engine with an async client, as that of a server."""

    def generate(self, prompts, sampling):
        raise AssertionError("asked in a thread")

    async def agenerate(self, prompts, sampling):
        await asyncio.sleep(0)
        return super().generate(prompts, sampling)


def test_an_engine_that_is_async_needs_no_thread(request_of, tmp_path):
    answers = ["a [RESULT] 1", "b [RESULT] 2", "c [RESULT] 5", "d [RESULT] 4"]
    settings = {"num_samples": 2, "sampling": SamplingParams(seed=1)}
    requests = [request_of("x"), request_of("y")]
    cache = JudgmentCache(tmp_path / "cache.sqlite")
    judge = PrometheusJudge(AsyncEngine(answers), cache=cache, **settings)
    judgments = asyncio.run(judge.agrade(requests))
    assert judgments == PrometheusJudge(ScriptedEngine(answers), **settings).grade(requests)
    assert asyncio.run(judge.agrade(requests)) == judgments
    assert len(judge.engine.prompts) == 4
    cache.close()


def test_other_engines_answer_in_a_thread(request_of):
    threads = []

    def script(prompt):
        threads.append(threading.current_thread())
        return "[RESULT] 4"

    judge = PrometheusJudge(ScriptedEngine(script))
    assert [one.score for one in asyncio.run(judge.agrade([request_of("x")]))] == [4]
    assert threads[0] is not threading.main_thread()


def test_a_judge_says_whether_it_ranks():
    assert not WordCount().ranks
    assert PrometheusJudge(ScriptedEngine(["A"]), prompt_style="prometheus-v2").ranks
    assert not PrometheusJudge(ScriptedEngine(["A"]), prompt_style="prometheus-v1").ranks
    untaught = PrometheusJudge(ScriptedEngine(["A"]), prompt_style="prometheus-v2")
    untaught.taught_to_rank = False
    assert not untaught.ranks
