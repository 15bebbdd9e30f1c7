from prom_reward.judging.composed.counts import Rest


def test_a_judge_rests_longer_after_each_failure_and_not_after_an_answer():
    rest = Rest(longest=3)
    assert [calls_left_out(rest) for _ in range(4)] == [1, 3, 3, 3]
    rest.worked()
    assert calls_left_out(rest) == 1


def calls_left_out(rest):
    rest.failed(rest.begin())
    left_out = 0
    while rest.begin() is None:
        left_out += 1
    return left_out


def test_calls_that_fail_together_are_one_failure():
    rest = Rest(longest=63)
    for begun in [rest.begin() for _ in range(8)]:
        rest.failed(begun)
    assert [rest.begin() for _ in range(3)] == [None, 1, 1]
