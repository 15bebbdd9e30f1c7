import json

import pytest

from prom_reward.explorer.table import advantages, table_of
from tests.explorer.judged import UNSCORED, judged


def test_columns_hold_what_the_judgments_hold():
    rows = [
        judged(member=1, score=4.25, reward=0.8, flags=("a", "b"), feedback="Good."),
        judged(member=2, score=2.0, reward=0.2),
        judged(step=2, **UNSCORED, outcome="no_result"),
    ]
    found = table_of(rows, is_training=True)
    numbers, categories = found.columns["numbers"], found.columns["categories"]
    assert (numbers["step"], numbers["group"], numbers["size"]) == ([1, 1, 2], [1, 1, 2], [2, 2, 1])
    assert (numbers["score"], numbers["integer"]) == ([4.25, 2.0, None], [4.0, 2.0, None])
    assert numbers["advantage"] == [pytest.approx(0.3), pytest.approx(-0.3), None]
    assert "margin" not in numbers
    assert [categories["flag"]["names"][code] for code in categories["flag"]["codes"]] == ["a, b", "", ""]
    assert found.columns["probs"] == [[0, 0, 0, 1000, 0], [0, 1000, 0, 0, 0], None]
    json.dumps(found.columns, allow_nan=False)


def test_a_text_that_stands_several_times_is_packed_once():
    rows = [judged(member=member, rubric=rubric) for member in (1, 2) for rubric in ("a", "b")]
    found = table_of(rows, is_training=True)
    assert found.chunks == [["Prompt 1", "Response 1", "Response 2", ""]]
    assert found.columns["texts"] == {
        "prompt": [0] * 4,
        "response": [1, 1, 2, 2],
        "feedback": [3] * 4,
        "reference": [3] * 4,
        "other_feedback": [3] * 4,
        "details": [3] * 4,
        "criteria": [3] * 4,
    }


def test_long_texts_are_cut_into_chunks():
    rows = [judged(member=member, response=str(member) * 400_000) for member in range(6)]
    found = table_of(rows, is_training=True)
    assert [len(chunk) for chunk in found.chunks] == [4, 3, 1]


def test_a_prompt_in_several_groups_is_counted():
    rows = [judged(step=step, prompt="same") for step in (1, 2)] + [judged(step=3)]
    assert table_of(rows, is_training=True).columns["numbers"]["seen"] == [2, 2, 1]


def test_texts_stay_as_they_are_and_names_show_hidden_characters():
    found = table_of([judged(prompt="a\u202eb", rubric="\ud800", response="\u200b\ud800")], is_training=False)
    assert found.chunks[0][:2] == ["a\u202eb", "\u200b\\u{d800}"]  # the page's script writes out the others
    assert found.columns["categories"]["rubric"]["names"] == ["\\u{d800}"]
    assert found.columns["numbers"]["row"] == [2]


def test_an_advantage_is_of_responses_and_not_of_rubrics():
    rows = [judged(member=1, rubric="a", reward=1.0), judged(member=1, rubric="b", reward=1.0)]
    rows += [judged(member=2, rubric="a", reward=0.4), judged(member=3, rubric="a")]
    assert advantages(rows) == [pytest.approx(0.3), pytest.approx(0.3), pytest.approx(-0.3), None]
    assert advantages([judged(reward=0.5)]) == [None]  # alone in its group
    sides = [judged(member=f"{side} {at}", source=side, reward=reward) for side, at, reward in
             (("A", 1, 0.2), ("A", 2, 0.4), ("B", 1, 0.8), ("B", 2, 0.6))]  # fmt: skip
    assert advantages(sides) == [pytest.approx(value) for value in (-0.1, 0.1, 0.1, -0.1)]
