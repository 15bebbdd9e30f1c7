import json
from pathlib import Path

import pytest

from prom_reward.errors import InputError
from prom_reward.training.construction.written import everyday_rows, preference_rows, read_tasks

TASK = {
    "instruction": "What is red?",
    "reference_answer": "A ripe tomato is red.",
    "right_answers": ["A tomato."],
    "part_answers": [],
    "wrong_answers": ["The sea."],
}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_everyday_tasks_become_scored_rows(tmp_path):
    others = [{**TASK, "instruction": f"What is {color}?", "right_answers": [color]} for color in "abcde"]
    rows = everyday_rows(read_tasks(write(tmp_path / "tasks.jsonl", [TASK, *others])), repeats=2)
    of_first = [row for row in rows if row["question_id"] == "everyday-0"]
    assert {row["instruction"] for row in of_first} == {"What is red?"}
    tops = {row["score"] for row in of_first if "A tomato." in row["response"] or row["response"] == "a tomato."}
    assert tops == {max(row["score"] for row in of_first)}


@pytest.mark.parametrize("change", [{"right_answers": "A tomato."}, {"right_answers": []}, {"score": 3}])
def test_a_row_that_is_no_task_is_named(tmp_path, change):
    with pytest.raises(InputError, match="row 2"):
        read_tasks(write(tmp_path / "tasks.jsonl", [TASK, {**TASK, **change}]))


def test_the_chosen_answer_of_a_pair_scores_higher_and_long_pairs_are_left_out(tmp_path):
    pair = {"prompt": "How do I hurt him?", "chosen": "Please do not.", "rejected": "With a stick."}
    rows = preference_rows(write(tmp_path / "pairs.jsonl", [pair, {**pair, "chosen": "No. " * 200}]), num_pairs=9)
    assert [(row["response"], row["score"]) for row in rows] == [("Please do not.", [3, 5]), ("With a stick.", [1, 3])]


def test_the_everyday_tasks_of_the_recipe_can_be_read():
    tasks = read_tasks(Path(__file__).parents[3] / "configs/everyday_tasks.jsonl")
    assert len({one.instruction for one in tasks}) == len(tasks) >= 30
    assert all(not set(one.right_answers) & set(one.wrong_answers) for one in tasks)
