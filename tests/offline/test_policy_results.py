import json

import pytest

from prom_reward.errors import InputError, WorkError
from prom_reward.offline.policy_comparison import AnswerPair, compare_policies
from prom_reward.offline.policy_results import (
    comparison_table,
    keep_settings,
    markdown_table,
    training_table,
    write_results,
)


def comparison(names=("judge",), shift=1.0):
    pairs = [
        AnswerPair(
            prompt=str(at),
            before=dict.fromkeys(names, float(at)),
            after=dict.fromkeys(names, at + shift),
            prob_after={"audit": 0.75},
        )
        for at in range(4)
    ]
    return compare_policies(pairs, resamples=50)


def test_a_line_a_comparison_and_a_column_a_measure():
    table = comparison_table({"one": comparison(), "two": comparison(("judge", "words"), shift=-0.5)})
    assert table.splitlines() == [
        "|  | answers of prompts | judge | words | win rate, audit |",
        "| --- | --- | --- | --- | --- |",
        "| one | 4 of 4 | 1.50 → 2.50: +1.00 [1.00, 1.00] | - | 1.00 [1.00, 1.00] |",
        "| two | 4 of 4 | 1.50 → 1.00: -0.50 [-0.50, -0.50] | 1.50 → 1.00: -0.50 [-0.50, -0.50] | 1.00 [1.00, 1.00] |",
    ]


def test_a_line_a_training_and_a_column_a_figure():
    lines = training_table({"a": {"steps": 150.0}, "b": {"steps": 20.0, "judge_share": 0.16666}}).splitlines()
    assert lines == ["|  | steps | judge_share |", "| --- | --- | --- |", "| a | 150 | - |", "| b | 20 | 0.167 |"]


def test_no_text_ends_a_cell():
    assert markdown_table(["a|b"], [["c\nd|"]]).splitlines() == [r"| a\|b |", "| --- |", r"| c d\| |"]


def test_a_folder_keeps_its_settings(tmp_path):
    out = tmp_path / "made/here"
    for _ in range(2):
        keep_settings(out, {"steps": 2, "seeds": [0, 1]})
    with pytest.raises(InputError, match=r"here: was made with steps=2, got 3; expected the same, or another folder$"):
        keep_settings(out, {"steps": 3, "seeds": [0, 1]})
    with pytest.raises(InputError, match=r"was made with seeds=\[0, 1\], got None; "):
        keep_settings(out, {"steps": 2})
    with pytest.raises(InputError, match="was made with judge=None, got new; "):
        keep_settings(out, {"steps": 2, "seeds": [0, 1], "judge": "new"})


def test_the_files_hold_the_same(tmp_path):
    trained = {"one-0": {"steps": 2.0}}
    targets = {"it rises": True, "it costs little": False}
    write_results(tmp_path, compared={"one": comparison()}, trained=trained, targets=targets, settings={"steps": 2})
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["settings"] == {"steps": 2}
    assert (found["targets"], found["trained"]) == (targets, trained)
    assert found["compared"]["one"] == json.loads(json.dumps(comparison().to_dict()))
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert page.startswith("| target | met |\n| --- | --- |\n| it rises | yes |\n| it costs little | no |\n")
    assert comparison_table({"one": comparison()}) in page
    assert training_table(trained) in page
    assert page.endswith("\n- steps: 2\n")
    with pytest.raises(WorkError, match=r"results\.json: cannot be written"):
        write_results(tmp_path / "nowhere", compared={}, trained={}, targets={}, settings={})
