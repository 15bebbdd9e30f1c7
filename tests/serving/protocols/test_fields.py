import pytest

from prom_reward.errors import RowError
from prom_reward.serving.batcher import RequestGroup
from prom_reward.serving.protocols.fields import check_fields, group_of


def test_a_group_has_a_name_and_a_size():
    assert group_of({}) is None
    assert group_of({"group": {"name": "p1", "size": 8}}) == RequestGroup("p1", 8)
    for wrong in ("p1", {"name": "p1"}, {"name": "p1", "size": 0}, {"name": "p1", "size": 2, "more": 1}):
        with pytest.raises(RowError, match="group"):
            group_of({"group": wrong})


def test_an_unknown_field_is_named_with_its_near_miss():
    with pytest.raises(RowError, match="Did you mean 'labels'"):
        check_fields({"label": 1}, ("labels",))
