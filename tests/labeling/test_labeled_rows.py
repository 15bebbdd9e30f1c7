import json
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, strategies as st

from prom_reward.data.formats import Kind
from prom_reward.data.grading import batch_rows, grade_batch, graded_rows
from prom_reward.data.rows import read_rows as read_from
from prom_reward.errors import InputError
from prom_reward.labeling.exports import export_labels
from prom_reward.labeling.labeled_rows import ADDED_COLUMNS, input_values, labeled_values, read_labels
from prom_reward.labeling.labeling import label
from prom_reward.rewards.reward_function import PrometheusReward
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.rubrics.rubric import Rubric, parse_rubrics
from tests.labeling.label_inputs import pairs, read_rows, scripted_judge, write_rows

KINDS = get_args(Kind)
NAMES = st.sampled_from(sorted({name for names in ADDED_COLUMNS.values() for name in names} | {"prompt", "input", "x"}))
COLUMNS = st.dictionaries(
    st.builds("{}{}".format, st.sampled_from(["", "input_", "input_input_"]), NAMES), st.integers()
)


@pytest.mark.parametrize("kind", KINDS)
@given(values=COLUMNS)
def test_every_input_column_is_kept_and_read_back_whatever_its_name(kind, values):
    columns = dict.fromkeys(ADDED_COLUMNS[kind], "added")
    row = labeled_values(values, kind, columns)
    assert len(row) == len(values) + len(columns)
    assert all(row[name] == "added" for name in columns)
    assert input_values(row, kind) == values


def test_labels_can_be_labeled_again(tmp_path):
    first = label(
        write_rows(tmp_path / "rows.jsonl", pairs(4)), judge=scripted_judge(), out=tmp_path / "1", rubric="honesty"
    )
    second = label(first.labels, judge=scripted_judge(), out=tmp_path / "2", rubric="helpfulness")
    rows = read_rows(second.labels)
    assert [row["rubric_name"] for row in rows] == ["helpfulness"] * 4
    assert [row["input_rubric_name"] for row in rows] == ["honesty"] * 4
    assert [row.example.prompt for row in read_labels(tmp_path / "2")] == [row["prompt"] for row in pairs(4)]


def test_a_log_can_be_labeled_and_graded_by_its_own_rubric_alone(tmp_path):
    """Its rows have the name of the rubric, which may be a built-in one's, and the digest of its text."""
    mine = replace(Rubric.parse("helpfulness"), criteria="Is it kind?")
    reward = PrometheusReward(scripted_judge(), mine, log_path=tmp_path / "log.jsonl")
    reward(prompts=["Hi?"] * 2, completions=["Yes. s4", "No. s1"])
    source = tmp_path / "log.jsonl"
    for out in (tmp_path / "1", tmp_path / "2"):  # the log, then its labels
        with pytest.raises(InputError, match=r"the digest .* of a text that is not here"):
            label(source, judge=scripted_judge(), out=tmp_path / f"not-{out.name}", rubric="honesty")
        source = label(source, judge=scripted_judge(), out=out, rubric=mine).labels
    assert [row["score"] for row in read_rows(source)] == [
        row["score"] for row in read_rows(tmp_path / "1/labels.jsonl")
    ]


def test_what_grading_knows_of_a_row_is_escaped_beside_a_label(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": "q", "completion": "a"}])
    [batch] = batch_rows(read_from(rows), parse_rubrics("helpfulness"))
    graded = write_rows(tmp_path / "graded.jsonl", graded_rows(batch, grade_batch(scripted_judge(), batch)))
    [row] = read_rows(label(graded, judge=scripted_judge(), out=tmp_path / "out", rubric="honesty").labels)
    assert row["rubric_name"] == "honesty"
    assert {"rubric_digest", "rubric_weight", "num_prompt_tokens"}.isdisjoint(row)
    assert row["input_rubric_digest"] == rubric_digest(Rubric.parse("helpfulness"))


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("pair", {"prompt": "q", "chosen": "a", "rejected": "b"}),
        ("response", {"prompt": "q", "completion": "a"}),
        ("responses", {"prompt": "q", "completions": ["a", "b", "c"]}),
    ],
)
def test_a_row_gives_a_verdict_for_each_response(tmp_path, kind, row):
    label(write_rows(tmp_path / "rows.jsonl", [row]), judge=scripted_judge(), out=tmp_path / "out", rubric="honesty")
    [read] = read_labels(tmp_path / "out")
    assert (read.example.kind, len(read.texts)) == (kind, 1 + len(read.verdicts))
    assert {verdict["outcome"] for verdict in read.verdicts} == {"scored"}


@pytest.mark.parametrize(("line", "said"), [("{", "a line that is not JSON"), ("[1]", "a JSON list")])
def test_a_damaged_file_is_named(tmp_path, line, said):
    label(write_rows(tmp_path / "rows.jsonl", pairs(1)), judge=scripted_judge(), out=tmp_path / "out", rubric="honesty")
    (tmp_path / "out/labels.jsonl").write_text(line)
    with pytest.raises(InputError, match=rf"labels\.jsonl: holds {said}"):
        list(read_labels(tmp_path / "out"))


@pytest.mark.parametrize("change", [lambda text: text + text, lambda text: text.replace('"row": 1', '"row": 0')])
def test_two_labelings_in_one_file_are_refused(tmp_path, change):
    label(write_rows(tmp_path / "rows.jsonl", pairs(3)), judge=scripted_judge(), out=tmp_path / "out", rubric="honesty")
    path = tmp_path / "out/labels.jsonl"
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=r"labels\.jsonl: holds row 0 after row \d, as if two labelings were in one"):
        list(read_labels(tmp_path / "out"))


def test_a_row_of_another_file_is_refused(tmp_path):
    label(write_rows(tmp_path / "rows.jsonl", pairs(1)), judge=scripted_judge(), out=tmp_path / "out", rubric="honesty")
    write_rows(tmp_path / "out/labels.jsonl", pairs(1))
    with pytest.raises(InputError, match="holds a row without its number"):
        list(read_labels(tmp_path / "out"))


def test_every_written_column_is_a_known_one(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", pairs(3))
    found = label(
        source, judge=scripted_judge(), out=tmp_path / "out", rubric=["honesty", "helpfulness"], method="both"
    )
    of_others = {f"{side}_{name}" for side in ("chosen", "rejected") for name in ("given_by", "judge_scores", "parts")}
    known = (ADDED_COLUMNS["pair"] - of_others) | set(pairs(1)[0])
    assert {name for row in read_rows(found.labels) for name in row} == known
    assert json.loads((tmp_path / "out/manifest.json").read_text())["rubrics"][0]["scale"] == [1, 5]


SHAREGPT = [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "<think>Well.</think>Yes."}]
CALL = [
    {"from": "human", "value": "Hi?"},
    {"from": "function_call", "value": '{"name": "greet", "arguments": {"who": "you"}}'},
    {"from": "observation", "value": "Greeted."},
    {"from": "gpt", "value": "Done."},
]


@pytest.mark.parametrize("messages", [SHAREGPT, CALL], ids=["sharegpt", "a call"])
def test_messages_become_those_that_trainers_read(tmp_path, messages):
    source = write_rows(tmp_path / "rows.jsonl", [{"conversations": messages}])
    label(source, judge=scripted_judge(), out=tmp_path / "out", rubric="honesty")
    [row] = read_labels(tmp_path / "out")
    prompt, response = row.texts
    assert [set(message) for message in [*prompt, *response]] == [{"role", "content"}] * len(messages)
    assert [response[-1]["content"]] == [messages[-1]["value"]]
    [export] = export_labels(tmp_path / "out", "grpo")
    is_call = messages is CALL
    assert (export.num_written, export.dropped["tool calls in another layout"]) == (int(not is_call), int(is_call))


@pytest.mark.parametrize("content", [{"content": None}, {}, {"content": ""}], ids=["null", "none", "empty"])
def test_a_message_that_only_calls_tools_is_exported_whatever_its_content(tmp_path, content):
    call = {"id": "c1", "type": "function", "function": {"name": "greet", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Hi?"},
        {"role": "assistant", **content, "tool_calls": [call]},
        {"role": "tool", "content": "Greeted.", "tool_call_id": "c1"},
        {"role": "assistant", "content": "Done."},
    ]
    label(
        write_rows(tmp_path / "rows.jsonl", [{"messages": messages}]),
        judge=scripted_judge(),
        out=tmp_path / "out",
        rubric="honesty",
    )
    [export] = export_labels(tmp_path / "out", "sft", threshold=0.0)
    [row] = read_rows(export.path)
    assert [*row["prompt"], *row["completion"]] == [*messages[:1], {**messages[1], "content": ""}, *messages[2:]]


@pytest.mark.parametrize("kept", [{"content": "", "refusal": "No."}, {"content": [], "text": "No."}])
def test_words_outside_of_a_messages_content_are_trained_on_too(tmp_path, kept):
    messages = [{"role": "user", "content": "Hi?"}, {"role": "assistant", **kept}]
    source = write_rows(tmp_path / "rows.jsonl", [{"messages": messages}])
    label(source, judge=scripted_judge(), out=tmp_path / "out", rubric="honesty")
    [row] = read_labels(tmp_path / "out")
    assert row.texts == [messages[:1], [{"role": "assistant", "content": "No."}]]
