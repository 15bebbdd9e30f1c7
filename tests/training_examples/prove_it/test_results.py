import json
from dataclasses import asdict

import pytest

from prom_reward.errors import InputError, WorkError
from training_examples.prove_it.answers import Answer
from training_examples.prove_it.comparison import AnswerPair, compare_policies
from training_examples.prove_it.results import (
    comparison_table,
    keep_settings,
    load_agreement,
    load_answers,
    load_pairs,
    markdown_table,
    training_table,
    write_results,
)
from training_examples.prove_it.targets import Target


def comparison(names=("judge",), shift=1.0, *, ranked=False):
    pairs = [
        AnswerPair(
            prompt=str(at),
            before=dict.fromkeys(names, float(at)),
            after=dict.fromkeys(names, at + shift),
            prob_after={"audit": 0.75},
            prob_ranked={"audit": 0.5} if ranked else {},
            orders_agree={"audit": 0.25} if ranked else {},
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


def test_a_ranked_win_rate_has_the_share_of_agreeing_orders_beside_it():
    lines = comparison_table({"one": comparison(ranked=True), "two": comparison()}).splitlines()
    assert lines[0].endswith("| win rate, audit | ranked, audit |")
    assert lines[2].endswith("| 1.00 [1.00, 1.00] | 0.50 [0.50, 0.50], orders agree on 25% |")
    assert lines[3].endswith("| 1.00 [1.00, 1.00] | - |")


def test_answers_and_measures_are_read_as_they_were_written(tmp_path):
    answer = Answer(key="a", sample="greedy", text="ü", num_tokens=2, is_cut=True)
    pair = AnswerPair(prompt="a", before={"words": 1.0}, after={"words": None}, prob_after={"judge": 0.5})
    assert load_pairs(tmp_path) == {}
    for path, value in ((tmp_path / "answers/base.jsonl", answer), (tmp_path / "measures/x-0/measures.jsonl", pair)):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(asdict(value)))
    assert load_answers(tmp_path, "base") == [answer]
    assert load_pairs(tmp_path) == {"x-0": [pair]}


def test_agreement_with_people_is_taken_from_an_evaluation(tmp_path):
    path = tmp_path / "agreement.json"
    judge, length, held = ({"value": at, "low": 0.1, "high": 0.4} for at in (0.323, 0.2, 0.3))
    figures = {"pearson": {"expected": judge, "length": length}, "pearson_with_length_held": {"expected": held}}
    shown = {"Pearson's r": "0.32 [0.10, 0.40]", "of length": "0.20 [0.10, 0.40]"}
    shown |= {"with length held": "0.30 [0.10, 0.40]", "rows": "20"}
    path.write_text(json.dumps({**figures, "n": 20, "file": "rows.jsonl"}))
    assert load_agreement(path) == {"rows.jsonl": shown}
    groups = {"Is it brief?": {**figures, "n": 20}}
    path.write_text(json.dumps({**figures, "n": 40, "file": "rows.jsonl", "groups": groups}))
    said = {"Is it brief?": shown}
    assert load_agreement(path) == said  # not of all rows, whose rubrics' means differ
    write_results(tmp_path, compared={}, trained={}, targets=[], settings={}, agreement=said)
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "| Is it brief? | 0.32 [0.10, 0.40] | 0.20 [0.10, 0.40] | 0.30 [0.10, 0.40] | 20 |" in page
    assert "compare within a kind" not in page  # nothing was trained
    assert json.loads((tmp_path / "results.json").read_text())["agreement"] == said
    for content in ("{", "[]", '{"file": "x"}', '{"file": "x", "n": 2, "pearson": {}}'):
        path.write_text(content)
        with pytest.raises(
            InputError, match=r"agreement\.json: no agreement with labels \(\w+: .*\); expected the out"
        ):
            load_agreement(path)
    with pytest.raises(InputError, match="no agreement with labels"):
        load_agreement(tmp_path / "missing.json")


def test_a_line_a_training_and_a_column_a_figure():
    lines = training_table({"a": {"steps": 150.0}, "b": {"steps": 20.0, "judge_share": 0.16666}}).splitlines()
    assert lines == ["|  | steps | judge_share |", "| --- | --- | --- |", "| a | 150 | - |", "| b | 20 | 0.167 |"]


def test_no_text_ends_a_cell():
    assert markdown_table(["a|b"], [["c\nd|"]]).splitlines() == [r"| a\|b |", "| --- |", r"| c d\| |"]


def test_a_folder_keeps_its_settings(tmp_path):
    out = tmp_path / "made/here"
    for _ in range(2):
        keep_settings(out, {"steps": 2, "seeds": [0, 1]})
    with pytest.raises(InputError, match=r"here: got steps=3, the folder was made with 2; expected the same"):
        keep_settings(out, {"steps": 3, "seeds": [0, 1]})
    with pytest.raises(InputError, match=r"got seeds=None, the folder was made with \[0, 1\]; "):
        keep_settings(out, {"steps": 2})
    with pytest.raises(InputError, match="got judge=new, the folder was made with None; "):
        keep_settings(out, {"steps": 2, "seeds": [0, 1], "judge": "new"})


def test_the_files_hold_the_same(tmp_path):
    trained = {"one-0": {"steps": 2.0}}
    targets = [
        Target(name="it rises", is_met=True, figures="1 → 2"),
        Target(name="it costs little", is_met=False, figures="90 %"),
    ]
    write_results(tmp_path, compared={"one": comparison()}, trained=trained, targets=targets, settings={"steps": 2})
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["settings"] == {"steps": 2}
    assert (found["targets"], found["trained"]) == ([asdict(one) for one in targets], trained)
    assert found["compared"]["one"] == json.loads(json.dumps(comparison().to_dict()))
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert page.startswith("| target | met | figures |\n| --- | --- | --- |\n| it rises | yes | 1 → 2 |\n")
    assert "compare rewards and scores within a kind only" in page
    assert comparison_table({"one": comparison()}) in page
    assert training_table(trained) in page
    assert "\n- steps: 2\n- device: " in page
    assert found["machine"]["threads"] > 0
    with pytest.raises(WorkError, match=r"results\.json: cannot be written"):
        write_results(tmp_path / "nowhere", compared={}, trained={}, targets=[], settings={})
