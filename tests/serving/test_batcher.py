import asyncio
import threading

import pytest

from prom_reward import Comparison, ComparisonRequest, GradingRequest, Judgment, Outcome
from prom_reward.errors import ConfigError, RowError, ServerGoneError
from prom_reward.judging.base import Judge
from prom_reward.serving.batcher import Batcher, BatchLimits, QueueFullError, RequestGroup


class RecordingJudge(Judge):
    """Scores a response by its number, and keeps the batches that it got. It waits while `gate` is closed."""

    fingerprint = "recording"

    def __init__(self, *, is_repeatable=False, judges_groups=False):
        self.is_repeatable, self.judges_groups = is_repeatable, judges_groups
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()

    def grade(self, requests):
        assert self.gate.wait(10)
        self.batches.append([one.response for one in requests])
        if any("poison" in one.response for one in requests):
            raise ValueError("poisoned")
        if any("gone" in one.response for one in requests):
            raise ServerGoneError("the server is gone")
        scores = [1 + int(one.response) % 5 for one in requests]
        return [Judgment(outcome=Outcome.SCORED, score=score, expected_score=float(score)) for score in scores]

    def compare(self, requests):
        return [Comparison(outcome=Outcome.SCORED, winner="A") for _ in requests]


def graded(*responses):
    return [GradingRequest(instruction="i", response=one, rubric="helpfulness") for one in responses]


def together(judge, work, **limits):
    """Run `work(batcher)` while a batcher judges."""

    async def run():
        batcher = Batcher(judge, BatchLimits(**limits))
        judging = asyncio.create_task(batcher.run())
        try:
            return await work(batcher)
        finally:
            batcher.close()
            await judging

    return asyncio.run(run())


def test_single_requests_of_many_callers_become_one_batch_and_each_gets_its_own_answer():
    judge = RecordingJudge()

    async def work(batcher):
        return await asyncio.gather(*(batcher.judge(graded(str(number))) for number in range(64)))

    answers = together(judge, work, max_wait_s=0.5, max_batch=64)
    assert [[one.score for one in found] for found in answers] == [[1 + number % 5] for number in range(64)]
    assert [len(batch) for batch in judge.batches] == [64]


def test_what_arrives_while_the_judge_is_busy_goes_together_when_it_is_free():
    judge = RecordingJudge()
    judge.gate.clear()

    async def work(batcher):
        first = asyncio.create_task(batcher.judge(graded("0")))
        while batcher.num_under_way == 0:
            await asyncio.sleep(0.001)
        rest = [asyncio.create_task(batcher.judge(graded(str(number)))) for number in range(1, 9)]
        while batcher.num_waiting < 8:
            await asyncio.sleep(0.001)
        judge.gate.set()
        await asyncio.gather(first, *rest)

    together(judge, work, max_wait_s=0)
    assert [len(batch) for batch in judge.batches] == [1, 8]


def test_a_judge_on_a_server_has_several_batches_at_once():
    judge = RecordingJudge()
    judge.gate.clear()

    async def work(batcher):
        asked = []
        for number in range(3):
            asked.append(asyncio.create_task(batcher.judge(graded(str(number)))))
            while number < 2 and batcher.num_under_way <= number:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        waiting = batcher.num_under_way, batcher.num_waiting
        judge.gate.set()
        return waiting, [found[0].score for found in await asyncio.gather(*asked)]

    assert together(judge, work, max_wait_s=0, max_parallel=2) == ((2, 1), [1, 2, 3])


def test_a_full_batch_and_a_complete_group_wait_for_nobody():
    for limits, group in (({"max_batch": 3}, None), ({}, RequestGroup("g", 3))):
        judge = RecordingJudge()

        async def work(batcher, group=group):
            await asyncio.gather(*(batcher.judge(graded(str(number)), group) for number in range(3)))

        together(judge, lambda batcher, work=work: asyncio.wait_for(work(batcher), 20), max_wait_s=50, **limits)
        assert [len(batch) for batch in judge.batches] == [3]


def test_equal_requests_are_judged_once_only_if_no_answer_is_drawn():
    for is_repeatable, num_judged in ((True, 2), (False, 4)):
        judge = RecordingJudge(is_repeatable=is_repeatable)
        answers = together(judge, lambda batcher: batcher.judge(graded("1", "2", "1", "1")))
        assert [one.score for one in answers] == [2, 3, 2, 2]
        assert len(judge.batches[0]) == num_judged


def test_one_bad_request_harms_no_other():
    judge = RecordingJudge()

    async def work(batcher):
        return await asyncio.gather(*(batcher.judge(graded(one)) for one in ("0", "1", "poison", "3")))

    answers = [found[0] for found in together(judge, work)]
    assert [one.score for one in answers] == [1, 2, None, 4]
    assert answers[2].outcome is Outcome.ENGINE_FAILED
    assert "poisoned" in answers[2].error


def test_gradings_and_comparisons_share_a_batch():
    pair = ComparisonRequest(instruction="i", response_a="1", response_b="2", rubric="helpfulness")
    answers = together(RecordingJudge(), lambda batcher: batcher.judge([*graded("0"), pair, *graded("3")]))
    assert [type(one) for one in answers] == [Judgment, Comparison, Judgment]
    assert answers[2].score == 4


def test_a_judge_without_ranking_fails_its_comparisons_alone():
    judge = RecordingJudge()
    judge.compare = lambda requests: Judge.compare(judge, requests)
    pair = ComparisonRequest(instruction="i", response_a="1", response_b="2", rubric="helpfulness")
    first, second = together(judge, lambda batcher: batcher.judge([*graded("0"), pair]))
    assert first.score == 1
    assert second.outcome is Outcome.ENGINE_FAILED


def test_a_caller_that_leaves_frees_its_place_and_the_judge_never_sees_it():
    judge = RecordingJudge()
    judge.gate.clear()

    async def work(batcher):
        first = asyncio.create_task(batcher.judge(graded("0")))
        while batcher.num_under_way == 0:
            await asyncio.sleep(0.001)
        leaving = asyncio.create_task(batcher.judge(graded("1", "2")))
        staying = asyncio.create_task(batcher.judge(graded("3")))
        await asyncio.sleep(0.01)
        leaving.cancel()
        await asyncio.sleep(0.01)
        assert batcher.num_waiting == 1
        judge.gate.set()
        return (await first)[0].score, (await staying)[0].score

    assert together(judge, work, max_wait_s=0) == (1, 4)
    assert judge.batches == [["0"], ["3"]]


def test_a_full_queue_refuses_and_says_when_to_come_back():
    judge = RecordingJudge()
    judge.gate.clear()

    async def work(batcher):
        under_way = asyncio.create_task(batcher.judge(graded("0")))
        while batcher.num_under_way == 0:
            await asyncio.sleep(0.001)
        waiting = asyncio.create_task(batcher.judge(graded("1", "2")))
        await asyncio.sleep(0.01)
        with pytest.raises(QueueFullError, match="got 1 request beside 2 that wait"):
            await batcher.judge(graded("3"))
        assert batcher.retry_after_s >= 1
        judge.gate.set()
        await asyncio.gather(under_way, waiting)
        return await batcher.judge(graded("3"))

    (late,) = together(judge, work, max_wait_s=0, max_batch=2, max_queued=2)
    assert late.score == 4


def test_more_at_once_than_the_queue_ever_holds_is_an_error_of_the_caller():
    with pytest.raises(RowError, match="expected at most 4"):
        together(RecordingJudge(), lambda batcher: batcher.judge(graded(*"01234")), max_batch=4, max_queued=4)


def test_a_judge_whose_server_is_gone_fails_the_batch_at_once():
    judge = RecordingJudge()
    with pytest.raises(ServerGoneError):
        together(judge, lambda batcher: batcher.judge(graded("0", "gone", "2")))
    assert len(judge.batches) == 1


def test_a_judge_that_loses_an_answer_scores_nothing():
    judge = RecordingJudge()
    judge.grade = lambda requests: []
    (answer,) = together(judge, lambda batcher: batcher.judge(graded("0")))
    assert answer.outcome is Outcome.ENGINE_FAILED


def test_closing_judges_what_waits_and_takes_no_more():
    judge = RecordingJudge()

    async def work(batcher):
        waiting = asyncio.create_task(batcher.judge(graded("0", "1")))
        await asyncio.sleep(0)
        batcher.close()
        with pytest.raises(QueueFullError, match="stopping"):
            await batcher.judge(graded("2"))
        return await waiting

    assert [one.score for one in together(judge, work, max_wait_s=50)] == [1, 2]


@pytest.mark.parametrize(
    "limits", [{"max_wait_s": -1}, {"max_batch": 0}, {"max_parallel": 0}, {"max_batch": 5, "max_queued": 4}]
)
def test_limits_that_cannot_be_kept_are_refused(limits):
    with pytest.raises(ConfigError):
        BatchLimits(**limits)


def test_a_judge_that_looks_at_groups_gets_them_whole():
    asked = [GradingRequest(instruction=one, response=str(at), rubric="helpfulness") for at, one in enumerate("pqpqqr")]
    for judges_groups, batches in (
        (True, [["0", "2"], ["1", "3", "4", "5"]]),
        (False, [["0", "1", "2", "3"], ["4", "5"]]),
    ):
        judge = RecordingJudge(judges_groups=judges_groups)
        answers = together(judge, lambda batcher: batcher.judge(asked), max_batch=4)
        assert judge.batches == batches
        assert [one.score for one in answers] == [1, 2, 3, 4, 5, 1]
