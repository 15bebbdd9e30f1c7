import pytest
from torch import distributed

from prom_reward.errors import RowError, WorkError
from prom_reward.rewards.groups.ranks import gathered, own_rank


def two_ranks(monkeypatch, other, rank=0):
    """Pretend to be one of two ranks; the other one's value and failure are given."""
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)

    def all_gather_object(answers, own):
        answers[rank], answers[1 - rank] = own, other

    monkeypatch.setattr(distributed, "all_gather_object", all_gather_object)


def fail():
    raise RowError("row 3")


def test_one_process_has_its_own_value_and_error():
    assert own_rank() == (0, 1)
    assert gathered(lambda: 7) == [7]
    with pytest.raises(RowError):
        gathered(fail)


def test_values_come_in_the_order_of_the_ranks(monkeypatch):
    two_ranks(monkeypatch, ("other", None), rank=1)
    assert own_rank() == (1, 2)
    assert gathered(lambda: "own") == ["other", "own"]


def test_a_failure_ends_all_ranks(monkeypatch):
    two_ranks(monkeypatch, (None, "RowError: row 3"))
    with pytest.raises(WorkError, match=r"rank 1 .*RowError: row 3"):
        gathered(lambda: "own")


def test_the_failing_rank_tells_the_others_and_raises_its_own_error(monkeypatch):
    told = []
    two_ranks(monkeypatch, ("other", None))
    monkeypatch.setattr(distributed, "all_gather_object", lambda answers, own: told.append(own))
    with pytest.raises(RowError):
        gathered(fail)
    assert told == [(None, "RowError: row 3")]
