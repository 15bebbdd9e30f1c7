import pytest

from prom_reward.rewards.watch import Watch


def test_after_failures_ever_more_batches_go_by_until_a_look_is_well():
    seen, logged = [], []

    def look():
        seen.append(batch)
        if batch < 10:
            raise OSError("down")

    watch = Watch(name="x", metric="x/failed")
    for batch in range(20):  # noqa: B007  the look reads it
        watch.run(look, lambda *pair: logged.append(pair))
    assert seen == [0, 2, 6, *range(14, 20)]
    assert logged == [("x/failed", 1.0)] * 3


def test_an_interrupt_is_no_failed_look():
    def look():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Watch(name="x", metric="x/failed").run(look, None)
