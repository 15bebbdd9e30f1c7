import json
import resource
from contextlib import contextmanager

import pytest

from prom_reward.errors import ConfigError, InputError, WorkError
from prom_reward.files import leftovers, names_hub_repository, read_text, read_yaml, replacing, write_lines


def test_a_file_is_read_up_to_its_bound(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("é" * 10, encoding="utf-8")
    assert read_text(path, max_bytes=20) == "é" * 10
    with pytest.raises(InputError, match=r"a\.txt: the file is larger than 0 MiB; expected a smaller one$"):
        read_text(path, max_bytes=19)


def test_yaml_with_aliases_is_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("base: &base {low: 1}\nother: {<<: *base, low: 2, high: 5}")
    assert read_yaml(path)["other"] == {"low": 2, "high": 5}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("&a [*a]", "nested over 100 levels deep"),
        ("[" * 200 + "]" * 200, "nested over 100 levels deep"),
        ("[" * 5000, "not valid YAML"),
        ("a:\n  b: 1\n  b: 2", "line 3: not valid YAML .the key 'b' twice"),
        ('{"a": 1, "a": 1}', "line 1: not valid YAML .the key 'a' twice"),
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

    with file_size_limit(50_000), pytest.raises(WorkError, match=r"a\.jsonl: cannot be written \(File too large\)"):
        write_lines(path, ({"a": number} for number in range(10_000)))
    assert len(path.read_text().splitlines()) == 2
    assert list(tmp_path.iterdir()) == [path]


@contextmanager
def file_size_limit(num_bytes):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_small_file_on_a_full_disk_is_a_work_error(tmp_path):
    with file_size_limit(10), pytest.raises(WorkError, match=r"a\.jsonl: cannot be written \(File too large\)"):
        write_lines(tmp_path / "a.jsonl", [{"a": "more than ten bytes"}])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ValueError("not a row"), KeyboardInterrupt()])
def test_an_error_of_the_one_who_writes_is_its_own_and_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / "a.jsonl"
    path.write_text("old")

    def broken_input():
        with replacing(path) as file:
            file.write("half")
            raise error

    with pytest.raises(type(error)) as raised:
        broken_input()
    assert raised.value is error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_that_write_the_same_file_do_not_mix_their_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    with replacing(path) as one, replacing(path) as other:
        one.write("one\n" * 3)
        other.write("other\n")
        assert len(list(leftovers(tmp_path))) == len(list(leftovers(tmp_path, "a.jsonl"))) == 2
    assert path.read_text() == "one\n" * 3
    assert list(tmp_path.iterdir()) == [path]


def test_a_replaced_file_has_the_rights_of_any_new_file(tmp_path):
    write_lines(tmp_path / "a.jsonl", [])
    (tmp_path / "b").touch()
    assert (tmp_path / "a.jsonl").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        ("owner/name", True),
        ("owner/name-7b.v2_x", True),
        ("name", False),
        ("a/b/c", False),
        ("./name", False),
        ("../name", False),
        ("/name", False),
        ("~/name", False),
        ("owner/", False),
        ("owner/na me", False),
        ("http://host", False),
        ("package:name/folder", False),
    ],
)
def test_a_hubs_id_is_an_owner_and_a_name(text, is_id):
    assert names_hub_repository(text) is is_id
