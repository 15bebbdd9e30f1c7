import json

import pytest

from prom_reward.errors import ConfigError, InputError, WorkError
from prom_reward.files import read_text, read_yaml, replacing, write_lines


def test_a_file_is_read_up_to_its_bound(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("é" * 10, encoding="utf-8")
    assert read_text(path, max_bytes=20) == "é" * 10
    with pytest.raises(InputError, match=r"a\.txt: the file is larger than 0 MiB; expected a smaller one$"):
        read_text(path, max_bytes=19)


def test_yaml_with_aliases_is_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("base: &base {low: 1}\nother: {<<: *base, high: 5}")
    assert read_yaml(path)["other"] == {"low": 1, "high": 5}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("&a [*a]", "nested over 100 levels deep"),
        ("[" * 200 + "]" * 200, "nested over 100 levels deep"),
        ("[" * 5000, "not valid YAML"),
        ("a: [1\nb: 2", "line 2: not valid YAML"),
        ("a: 1\nb: 0x" + "f" * 5000, "line 2: not valid YAML .an integer is too long"),
    ],
)
def test_bad_yaml_is_one_line(tmp_path, content, said):
    (tmp_path / "a.yaml").write_text(content)
    with pytest.raises(ConfigError, match=said) as error:
        read_yaml(tmp_path / "a.yaml")
    assert "\n" not in str(error.value)


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.jsonl"
    assert write_lines(path, [{"a": "\ud800é"}, {"a": 2}]) == 2
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"a": "\ud800é"}, {"a": 2}]

    def stop_halfway():
        with replacing(path) as file:
            file.write("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(WorkError, match=r"a\.jsonl: cannot be written \(No space left on device\)"):
        stop_halfway()
    assert len(path.read_text().splitlines()) == 2
    assert list(tmp_path.iterdir()) == [path]
