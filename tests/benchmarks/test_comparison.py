import json

import pytest

from tests.benchmarks.comparison import Earlier

ABOUT = {"model": "m", "dtype": "float32", "device": "cpu", "threads": 2, "cpu": "Xeon", "commit": "abc"}


def row(workload="a", contender="engine", *, median=2.0, total_tokens=100):
    return {
        "workload": workload,
        "contender": contender,
        "s_per_item": {"median": median},
        "of_plain": median / 4,
        "num_prompts": 8,
        "total_tokens": total_tokens,
        "generated_tokens": 0,
        "peak_bytes": 10,
    }


def earlier(folder, rows, **about):
    path = folder / "old.json"
    path.write_text(json.dumps({"about": {**ABOUT, **about}, "rows": rows}))
    return Earlier(str(path), ABOUT)


def test_a_row_is_set_beside_its_earlier_one(tmp_path):
    lines = earlier(tmp_path, [row(), row("c")]).lines([row(median=1.0), row(contender="new")])
    assert len(lines) == 1
    assert "2.00 x as fast as at abc" in lines[0]


@pytest.mark.parametrize("name", ["model", "dtype", "device", "threads", "cpu"])
def test_a_run_of_another_machine_is_refused_in_one_line(tmp_path, name):
    with pytest.raises(SystemExit, match=f"{name}='other'") as refused:
        earlier(tmp_path, [row()], **{name: "other"})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("rows", "named"), [([row(total_tokens=99)], "total_tokens=99"), ([row("b")], "workloads b")])
def test_a_run_of_other_workloads_is_refused_in_one_line(tmp_path, rows, named):
    with pytest.raises(SystemExit, match=named):
        earlier(tmp_path, rows).lines([row()])


@pytest.mark.parametrize("text", ["", "[]", '{"rows": []}', '{"about": {}, "rows": [1]}'])
def test_a_file_that_is_no_run_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(SystemExit, match="--json"):
        Earlier(str(tmp_path / "old.json"), ABOUT)
