import json

import pytest

from prom_reward import label
from prom_reward.data.labels.human_labels import LabelColumns, read_labeled
from prom_reward.data.pairs.spreading import spread_pairs
from prom_reward.data.rows import BrokenRow, Row
from prom_reward.rubrics.rubric import parse_rubrics
from tests.labeling.label_inputs import read_rows, scripted_judge

SEVERAL = {
    "id": 7,
    "prompt": "Why does bread rise?",
    "chosen": ["Yeast."],
    "rejected": ["The oven.", "Magic.", "Salt."],
}
HELPFULNESS = parse_rubrics("helpfulness")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (SEVERAL, {**SEVERAL, "id": 8, "rejected": ["Salt."]})))
    return path


def test_each_chosen_answer_stands_beside_each_rejected_one():
    several = {**SEVERAL, "chosen": ["Yeast.", "Gas."]}
    found = list(spread_pairs([Row("line 1", several)], {}))
    assert [(row.values["chosen"], row.values["rejected"]) for row in found] == [
        (chosen, rejected) for chosen in several["chosen"] for rejected in several["rejected"]
    ]
    assert [row.values["id"] for row in found] == [f"7, pair {number}" for number in range(1, 7)]
    assert [row.place for row in found] == [f"line 1, pair {number}" for number in range(1, 7)]
    assert {row.values["prompt"] for row in found} == {"Why does bread rise?"}


def test_answers_that_are_conversations_are_spread_alike():
    ask = {"role": "user", "content": "Why?"}
    sides = {name: [[ask, {"role": "assistant", "content": text}] for text in name] for name in ("chosen", "rejected")}
    found = list(spread_pairs([Row("line 1", sides)], {}))
    assert len(found) == len("chosen") * len("rejected")
    assert found[0].values["chosen"] == sides["chosen"][0]
    assert found[-1].values["rejected"] == sides["rejected"][-1]


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        {"prompt": "a", "chosen": ["b"], "rejected": ["c"]},
        {"prompt": "a", "chosen": ["b"], "rejected": []},
        {"prompt": "a", "chosen": [{"role": "assistant", "content": "b"}], "rejected": ["c", "d"]},
        {"prompt": "a", "chosen": [1, 2], "rejected": ["c", "d"]},
        {"prompt": "a", "response": "b"},
    ],
)
def test_other_rows_stay_as_they_are(values):
    rows = [Row("line 1", values), BrokenRow("line 2", "broken")]
    assert list(spread_pairs(rows, {})) == rows


def test_a_side_that_is_named_is_taken_as_it_is(file):
    columns = LabelColumns(named={"rejected": "rejected[0]"})
    [first, second] = read_labeled(file, HELPFULNESS, columns=columns).pairs
    assert (first.rejected.response, second.rejected.response) == ("The oven.", "Salt.")


def test_evaluation_and_labels_have_a_pair_for_each(file, tmp_path):
    pairs = read_labeled(file, HELPFULNESS).pairs
    assert [pair.rejected.response for pair in pairs] == ["The oven.", "Magic.", "Salt.", "Salt."]
    assert {pair.chosen.response for pair in pairs} == {"Yeast."}
    assert len(read_labeled(file, HELPFULNESS, limit=1).pairs) == 3
    done = label(file, judge=scripted_judge(), rubric="helpfulness", out=tmp_path / "labels")
    rows = read_rows(tmp_path / "labels/labels.jsonl")
    assert done.num_rows == len(rows) == 4
    assert [row["rejected"] for row in rows] == ["The oven.", "Magic.", "Salt.", ["Salt."]]
