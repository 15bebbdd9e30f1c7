import pytest

from prom_reward.data.sources import is_hub_id


@pytest.mark.parametrize(
    ("name", "is_id"),
    [
        ("owner/name", True),
        ("owner/name-1.5", True),
        ("data/rows.jsonl", False),
        ("data/rows.txt", False),
        ("a/b/c", False),
        ("~/name", False),
        ("./name", False),
    ],
)
def test_a_hub_id_is_an_owner_and_a_name_without_a_files_ending(name, is_id):
    assert is_hub_id(name) is is_id
