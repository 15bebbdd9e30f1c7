import json

import pytest

from prom_reward.data.formats import RowFormat
from prom_reward.data.labels.human_labels import (
    LabelColumns,
    collect_labeled,
    labeled_pairs,
    labeled_requests,
    read_labeled,
)
from prom_reward.data.rows import Row
from prom_reward.errors import InputError, RowError
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.types import Rubric, ScoreScale

HELPFUL = (Rubric.parse("helpfulness"),)
ROW = {"instruction": "Say hi.", "response": "Hi."}
PAIR = {"prompt": "Say hi.", "chosen": "Hi.", "rejected": "No."}


def read(values):
    return RowFormat(columns={}).example(values)


@pytest.mark.parametrize(
    ("columns", "scores", "feedback"),
    [
        ({"score": 4}, (4.0,), None),
        ({"score": "2.5", "feedback": "Short."}, (2.5,), "Short."),
        ({"gpt4_score": [4, 5, 5], "gpt4_feedback": ["Good.", "Fine.", "Yes."]}, (4.0, 5.0, 5.0), "Good."),
        ({"orig_score": "3", "orig_feedback": "So so.", "output": "Other. [RESULT] 1"}, (3.0,), "So so."),
        ({"output": "Feedback: Weak. [RESULT] 2"}, (2.0,), "Weak."),
    ],
)
def test_scores_and_feedback_stand_where_data_sets_keep_them(columns, scores, feedback):
    [found] = labeled_requests(read({**ROW, **columns}), HELPFUL)
    assert (found.scores, found.feedback) == (scores, feedback)
    assert found.mean_score == sum(scores) / len(scores)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "no score; got the columns instruction, response, expected one of gpt4_score, human_score"),
        ({"score": "good"}, "got 'good' as the score; expected a number or a list of numbers"),
        ({"score": []}, r"got \[\] as the score"),
        ({"score": 7}, "got the score 7; expected 1 to 5"),
        ({"score": float("nan")}, r"no score; got the columns instruction, response, score \(NaN\), expected"),
        ({"score": None}, r"no score; got the columns instruction, response, score \(null\), expected"),
        ({"score": 10**400}, "got 1000.* as the score; expected a number or a list of numbers"),
    ],
)
def test_a_row_without_a_label_on_the_scale_says_so(columns, message):
    with pytest.raises(RowError, match=message):
        labeled_requests(read({**ROW, **columns}), HELPFUL)


@pytest.mark.parametrize(
    ("feedbacks", "score"), [(["Good.", "Fine."], 4.0), (["Good."], None), ("Good.", None), ([], None)]
)
def test_the_first_of_as_many_feedbacks_as_scores_is_the_first_annotators(feedbacks, score):
    values = {"instruction": "i", "response": "r", "rubric": "honesty", "score": [4, 5], "feedback": feedbacks}
    assert labeled_requests(read(values))[0].feedback_score == score


def test_columns_without_a_known_name_are_told():
    row = {**ROW, "grade": 3, "topic": "greetings", "who": "a"}
    [found] = labeled_requests(read(row), HELPFUL, columns=LabelColumns(score="grade", cluster="who", group="topic"))
    assert (found.scores, found.cluster, found.group) == ((3.0,), "a", "greetings")
    [found] = labeled_requests(read(row), HELPFUL, columns=LabelColumns(score="grade", group="rubric"))
    assert (found.cluster, found.group) == ("Say hi.", HELPFUL[0].criteria)
    with pytest.raises(RowError, match="no column 'subject'; got grade, instruction, response, topic, who"):
        labeled_requests(read(row), HELPFUL, columns=LabelColumns(score="grade", group="subject"))


def test_a_pair_becomes_two_requests_by_one_rubric():
    [pair] = labeled_pairs(read({**PAIR, "source": "mine"}), HELPFUL, columns=LabelColumns(group="source"))
    assert (pair.chosen.response, pair.rejected.response) == ("Hi.", "No.")
    assert (pair.chosen.instruction, pair.cluster, pair.group) == ("Say hi.", "Say hi.", "mine")


def whole_prompt(instruction, response):
    rubric = "\n".join(["[Is it good?]", *(f"Score {score}: Level {score}." for score in range(1, 6))])
    sections = {
        "Task Description:": "Grade it.",
        "The instruction to evaluate:": instruction,
        "Response to evaluate:": response,
        "Reference Answer (Score 5):": "Ideal.",
        "Score Rubrics:": rubric,
        "Feedback:": "",
    }
    return "\n\n".join(f"###{header}\n{text}" for header, text in sections.items())


def test_a_pair_of_one_answer_prefers_neither():
    with pytest.raises(RowError, match=r"^got the same answer as chosen and rejected; expected two answers$"):
        labeled_pairs(read({**PAIR, "rejected": "Hi."}), HELPFUL)


def test_a_pair_may_be_two_whole_prompts_as_the_published_hhh_file_has_them():
    prompts = {f"{side}_instruction": whole_prompt("Why?", side) for side in ("chosen", "rejected")}
    values = {"source": "harmless", **prompts}
    assert read(values).kind == "pair"
    (pair,) = labeled_pairs(read(values), columns=LabelColumns(group="source"))
    assert (pair.chosen.instruction, pair.chosen.response, pair.rejected.response) == ("Why?", "chosen", "rejected")
    assert (pair.cluster, pair.group) == ("Why?", "harmless")
    assert pair.chosen.rubric.criteria == "Is it good?"


@pytest.mark.parametrize(
    ("old", "new", "part"), [("Why?", "How?", "instruction"), ("Is it good?", "Is it kind?", "rubric")]
)
def test_two_whole_prompts_that_ask_different_things_are_no_pair(old, new, part):
    chosen, rejected = (whole_prompt("Why?", side) for side in ("chosen", "rejected"))
    with pytest.raises(RowError, match=f"chosen_instruction and rejected_instruction differ in their {part}; expected"):
        read({"chosen_instruction": chosen, "rejected_instruction": rejected.replace(old, new)})


def test_whole_prompts_of_one_question_belong_together():
    rows = [{"instruction": whole_prompt("Why?", response), "score": 3} for response in ("One.", "Two.")]
    assert [one.cluster for row in rows for one in labeled_requests(read(row))] == ["Why?", "Why?"]


def test_a_file_keeps_its_good_rows_and_names_the_others(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{**ROW, "score": 4}, {**ROW}, PAIR]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    found = read_labeled(path, HELPFUL)
    assert (len(found.rows), len(found.pairs)) == (1, 1)
    assert [problem.partition(":")[0] for problem in found.problems] == ["line 2", "line 4"]
    assert not read_labeled(path, HELPFUL, limit=1).problems


def test_several_responses_in_a_row_are_told_how_to_be_written(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"instruction": "Q", "completions": [{"response": "A", "rating": 4}]}))
    with pytest.raises(InputError, match=r"got several responses in a row; .* write a row for each response, with its"):
        read_labeled(path, HELPFUL)


def test_a_file_without_labels_is_one_clear_error(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("")
    with pytest.raises(InputError, match="no labeled row; it has no rows"):
        read_labeled(path)
    path.write_text(json.dumps(ROW) + "\n")
    with pytest.raises(InputError, match="no labeled row of 1; line 1: no score"):
        read_labeled(path, HELPFUL)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "rows", "pairs"),
    [
        ("prometheus/mt_bench_eval", 80, 0),
        ("prometheus/mt_bench_train", 240, 0),
        ("prometheus/hhh", 0, 221),
        ("train/mtbench_gpt4", 2872, 0),
        ("train/saf", 1476, 0),
        ("train/summaries", 4688, 0),
        ("pairs/pandalm", 0, 894),
        ("pairs/llmbar_natural", 0, 100),
    ],
)
def test_the_labeled_data_is_read_whole(data_folder, name, rows, pairs):
    found = read_labeled(data_folder / f"{name}.jsonl", HELPFUL)
    assert (len(found.rows), len(found.pairs), found.problems) == (rows, pairs, [])


def test_verdicts_that_count_from_another_number_refuse_the_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": "Q?", "output_1": "a", "output_2": "b", "label": at} for at in (1, 0)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(InputError, match="label = 0, 1, which may be a scale, or count the answers from"):
        read_labeled(path, HELPFUL)


def test_scores_of_two_columns_are_no_label_until_one_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{**ROW, "gpt4_score": 3, "human_score": "3.0"}, {**ROW, "gpt4_score": 2, "human_score": 5}]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(InputError, match=r"rows\.jsonl, line 2: got gpt4_score=2 and human_score=5; choose one"):
        read_labeled(path, HELPFUL)
    scores = [row.scores for row in read_labeled(path, HELPFUL, columns=LabelColumns(score="human_score")).rows]
    assert scores == [(3,), (5,)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in [{**ROW, "gpt4_score": 2}, {**ROW, "human_score": 4}]))
    with pytest.raises(InputError, match=r"got scores in gpt4_score and human_score, some rows in each; .*--score-col"):
        read_labeled(path, HELPFUL)


def test_a_judges_score_is_not_taken_for_another_label_of_a_graded_row():
    row = {**ROW, **JUDGED, "human_score": 5}
    assert labeled_requests(read(row), HELPFUL)[0].scores == (5,)


JUDGED = {"score": 2, "rubric_name": "helpfulness", "outcome": "scored", "feedback": "The judge's."}
ESCAPED = {f"input_{name}": value for name, value in JUDGED.items()}
LOGGED = {"score": 2, "rubric": "helpfulness", "rubric_digest": rubric_digest(HELPFUL[0]), "outcome": "scored"}


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        (JUDGED, "NAME"),
        (LOGGED, "NAME"),
        ({**JUDGED, "input_score": 5}, "input_score"),
        ({**JUDGED, **ESCAPED}, "NAME"),  # graded twice
        ({**JUDGED, **ESCAPED, "input_input_score": 5}, "input_input_score"),
    ],
)
def test_a_judges_scores_are_no_labels_until_they_are_named(columns, named):
    row = {**ROW, **columns}
    expected = rf"got a judge's score, beside its outcome and .* --score-column {named}, or the judge's with"
    with pytest.raises(RowError, match=expected):
        labeled_requests(read(row), HELPFUL)
    assert labeled_requests(read(row), HELPFUL, columns=LabelColumns(score="score"))[0].scores == (2,)


@pytest.mark.parametrize(
    ("columns", "score", "feedback"),
    [
        ({}, "score", "The judge's."),
        ({"input_score": 5, "input_feedback": "People's."}, "input_score", "People's."),
        ({"human_score": 5, "input_feedback": "People's."}, "human_score", "People's."),
        ({"human_score": 5}, "human_score", None),
        ({"human_score": 5, "orig_feedback": "People's."}, "human_score", "People's."),
        ({**ESCAPED, "input_input_score": 5, "input_input_feedback": "People's."}, "input_input_score", "People's."),
    ],
)
def test_a_feedback_is_of_whoever_gave_the_score(columns, score, feedback):
    [found] = labeled_requests(read({**ROW, **JUDGED, **columns}), HELPFUL, columns=LabelColumns(score=score))
    assert found.feedback == feedback


def test_labels_off_the_scale_refuse_the_file_as_a_whole_or_are_mapped(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"instruction": f"Q{at}?", "response": f"A{at}.", "score": at} for at in range(1, 11)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(
        InputError, match=r"from 1 to 10, .* 1 to 5 in 5 rows \(the first line 6 with 6\);.*--label-scale"
    ):
        read_labeled(path, HELPFUL)
    found = read_labeled(path, HELPFUL, columns=LabelColumns(scale=ScoreScale(1, 10)))
    assert [row.scores[0] for row in found.rows] == pytest.approx([1 + 4 * at / 9 for at in range(10)])
    with pytest.raises(InputError, match=r"from 10 to 10, outside the scale 0 to 9 in 1 row \(line 10 with 10\);"):
        read_labeled(path, HELPFUL, columns=LabelColumns(scale=ScoreScale(0, 9)))


@pytest.mark.parametrize(
    ("values", "columns", "label"),
    [
        ({**ROW, "gpt4_score": 5, "human_score": 5}, LabelColumns(), "gpt4_score"),
        ({**ROW, "gpt4_score": 2, "human_score": 5}, LabelColumns(score="human_score"), "human_score"),
        ({**ROW, "output": "Good. [RESULT] 4"}, LabelColumns(), "output"),
        ({**ROW, "rubric": [{"criterion": "It agrees.", "points": 1}], "labels": [True]}, LabelColumns(), "labels"),
        ({**ROW, "rubric": [{"criterion": "It agrees.", "points": 1, "met": True}]}, LabelColumns(), "rubric"),
    ],
)
def test_the_column_of_the_labels_is_told(values, columns, label):
    found = collect_labeled([Row("row 1", values)], HELPFUL, columns=columns, where="rows")
    assert f"label from {label}" in str(found.recognition)
