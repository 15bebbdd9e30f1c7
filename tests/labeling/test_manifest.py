import json

import pytest

from prom_reward.errors import InputError
from prom_reward.labeling.labeling import label
from prom_reward.labeling.manifest import load_manifest
from tests.labeling.label_inputs import pairs, scripted_judge, write_rows


@pytest.fixture
def manifest(tmp_path):
    """The path of a manifest that a labeling wrote."""
    source = write_rows(tmp_path / "rows.jsonl", pairs(2))
    label(source, judge=scripted_judge(name="mine"), out=tmp_path / "out", rubric="honesty", columns={"id": "id"})
    return tmp_path / "out/manifest.json"


def test_a_manifest_is_read_back(manifest):
    found = load_manifest(manifest)
    assert (found.kind, found.method, found.columns) == ("pair", "grade", {"id": "id"})
    assert found.about == {"input": "rows.jsonl", "judge": "mine", "pairs_note": ""}
    assert [rubric.name for rubric in found.parsed_rubrics()] == ["honesty"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "triple"}, "kind"),
        ({"columns": {"id": 3}}, "columns.id"),
        ({"rubrics": "honesty"}, "rubrics"),
        ({"shard_size": "64"}, "shard_size"),
        ({"judge": None}, "judge"),
    ],
)
def test_a_wrong_value_is_named(manifest, change, said):
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **change}))
    with pytest.raises(InputError, match=rf"manifest\.json: not a labeling's manifest \({said}"):
        load_manifest(manifest)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "[" * 100_000])
def test_a_file_that_is_no_manifest_is_one_line(manifest, content):
    manifest.write_text(content)
    with pytest.raises(InputError, match=r"manifest\.json: not a labeling's manifest") as error:
        load_manifest(manifest)
    assert "\n" not in str(error.value)
