import pytest

from prom_reward.errors import InputError
from prom_reward.files import read_text


def test_a_file_is_read_up_to_its_bound(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("é" * 10, encoding="utf-8")
    assert read_text(path, max_bytes=20) == "é" * 10
    with pytest.raises(InputError, match=r"a\.txt: the file is larger than 0 MiB; expected a smaller one$"):
        read_text(path, max_bytes=19)
