import csv
import gzip
import json
import re

import pyarrow
import pyarrow.parquet
import pytest
from datasets import Dataset, DatasetDict
from hypothesis import given, strategies as st

from prom_reward.data.rows import BrokenRow, Row, count_rows, read_prompts, read_rows, read_values
from prom_reward.errors import InputError, RowError

ROWS = [
    {"instruction": "Capital of France?", "response": "Paris, “of course”.\nWhat else?", "reference_answer": "Paris."},
    {"instruction": 'Say "hi", please', "response": "", "reference_answer": None},
    {"instruction": "Ünïcödé 🙂", "response": "ok", "reference_answer": "x"},
]
ENDINGS = ".jsonl, .ndjson, .json, .csv, .tsv, .parquet"
NO_ROW = "expected an object with columns"


def write_jsonl(path):
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")


def write_json(path):
    path.write_text(json.dumps(ROWS, ensure_ascii=False), encoding="utf-8")


def write_csv(path):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ROWS[0])
        writer.writeheader()
        writer.writerows(ROWS)


def write_parquet(path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)


def write_folder(path):
    Dataset.from_list(ROWS).save_to_disk(path)


def packed(write):
    def write_packed(path):
        write(path)
        path.write_bytes(gzip.compress(path.read_bytes()))

    return write_packed


WRITERS = {
    "rows.jsonl": write_jsonl,
    "rows.ndjson": write_jsonl,
    "ROWS.JSONL": write_jsonl,
    "rows.json": write_json,
    "wrapped.json": lambda path: path.write_text(json.dumps({"version": 1, "data": ROWS})),
    "rows.jsonl.gz": packed(write_jsonl),
    "rows.json.gz": packed(write_json),
    "rows.csv.GZ": packed(write_csv),
    "rows.csv": write_csv,
    "rows.parquet": write_parquet,
    "folder": write_folder,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_rows(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    assert [dict(row.values) for row in read_rows(path)] == ROWS
    assert [dict(row.values) for row in read_rows(str(path))] == ROWS


@pytest.mark.parametrize(
    ("lists", "named"),
    [
        ({"data": ROWS, "test": ROWS}, "'data', 'test'"),
        ({"version": 2, "data": [], "validation": ROWS, "test": ROWS}, "'data', 'validation', 'test'"),
        ({"train": ROWS, "test": ROWS}, "'train', 'test'"),
    ],
)
def test_several_lists_in_one_file_are_named_and_none_is_dropped(tmp_path, lists, named):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(lists))
    with pytest.raises(InputError) as caught:
        list(read_rows(path))
    assert str(caught.value) == (
        f"{path}: got several lists of objects, perhaps the splits of a data set: {named}; expected one list: write "
        "the one to read to a file of its own"
    )


def test_facts_beside_the_rows_are_no_rows(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(
        json.dumps({"version": "1.1", "date": 2, "data": ROWS, "tags": ["qa"], "by": {"name": "x"}, "c": []})
    )
    assert [dict(row.values) for row in read_rows(path)] == ROWS


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("rows.jsonl", ["line 1", "line 2", "line 3"]),
        ("rows.json", ["row 1", "row 2", "row 3"]),
        ("rows.csv", ["line 2", "line 4", "line 5"]),  # the header, and a row of two lines
        ("rows.parquet", ["row 1", "row 2", "row 3"]),
        ("folder", ["row 1", "row 2", "row 3"]),
    ],
)
def test_every_row_knows_its_place(tmp_path, name, places):
    path = tmp_path / name
    WRITERS[name](path)
    assert [row.place for row in read_rows(path)] == places


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("rows.jsonl", 3),
        ("rows.jsonl.gz", 3),
        ("rows.parquet", 3),
        ("rows.csv", None),
        ("rows.json", None),
        ("folder", None),
    ],
)
def test_rows_are_counted_where_it_is_cheap(tmp_path, name, count):
    path = tmp_path / name
    WRITERS[name](path)
    assert count_rows(path) == count


def test_a_missing_file_has_no_count(tmp_path):
    assert count_rows(tmp_path / "no.jsonl") is None
    assert count_rows(tmp_path / "no.parquet") is None


def test_json_lines_may_end_in_json(tmp_path):
    (tmp_path / "rows.json").write_text('\n{"a": 1}\n[2\n{"a": 3}\n')
    assert list(read_rows(tmp_path / "rows.json")) == [
        Row("line 2", {"a": 1}),
        BrokenRow("line 3", "not valid JSON (Expecting ',' delimiter at column 3)"),
        Row("line 4", {"a": 3}),
    ]


def jsonl(tmp_path, content):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    return list(read_rows(path))


def test_a_broken_line_is_named_and_the_others_are_read(tmp_path):
    rows = jsonl(tmp_path, b'{"a": 1}\n{"a": 2,\n\n   \n{"a": 3}\n{"a": 4} {"a": 5}\n')
    assert rows == [
        Row("line 1", {"a": 1}),
        BrokenRow("line 2", "not valid JSON (Expecting property name enclosed in double quotes at column 9)"),
        Row("line 5", {"a": 3}),
        BrokenRow("line 6", "not valid JSON (Extra data at column 10)"),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"[1, 2]", f"got list, {NO_ROW}"),
        (b'"text"', f"got str, {NO_ROW}"),
        (b"null", f"got NoneType, {NO_ROW}"),
        (b'{"a": "\xff"}', "not UTF-8 text: save the file as UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8 text: save the file as UTF-8"),
        (b'{"a": 1, x}', "not valid JSON (Expecting property name enclosed in double quotes at column 10)"),
        (b'{"a": "\x01"}', "not valid JSON (Invalid control character at column 8)"),
        (b"[" * 100_000, "not valid JSON (nested too deeply)"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not valid JSON (nested too deeply)"),
    ],
)
def test_a_line_that_is_no_row_is_broken_and_the_next_is_read(tmp_path, line, problem):
    assert jsonl(tmp_path, line + b'\n{"a": 1}') == [BrokenRow("line 1", problem), Row("line 2", {"a": 1})]


def test_an_integer_of_too_many_digits_breaks_its_line_alone(tmp_path):
    broken, row = jsonl(tmp_path, b'{"a": ' + b"1" * 5000 + b'}\n{"a": 1}')
    assert broken.place == "line 1"
    assert broken.problem.startswith("not valid JSON (Exceeds the limit (4300 digits)")
    assert row.values == {"a": 1}


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    assert jsonl(tmp_path, b'\xef\xbb\xbf{"a": 1}\r\n') == [Row("line 1", {"a": 1})]
    for name, content in {"rows.json": b'\xef\xbb\xbf[{"a": "1"}]', "rows.csv": b"\xef\xbb\xbfa\r\n1\r\n"}.items():
        (tmp_path / name).write_bytes(content)
        assert [row.values for row in read_rows(tmp_path / name)] == [{"a": "1"}]


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=5))
def test_no_line_raises_and_every_line_with_text_is_told_of(tmp_path_factory, lines):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(b"\n".join(lines))
    places = [row.place for row in read_rows(path)]
    assert places == [f"line {number}" for number, line in enumerate(lines, start=1) if line.strip()]
    assert count_rows(path) == len(places)


def test_a_csv_row_of_another_length_is_broken_and_the_others_are_read(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("instruction,response\nQ1,A1\nQ2\nQ3,A3,more\n\nQ4,\n,A5\n", encoding="utf-8")
    assert list(read_rows(path)) == [
        Row("line 2", {"instruction": "Q1", "response": "A1"}),
        BrokenRow("line 3", "expected 2 cells as in the header, got 1; one with a ',' in it needs quotes"),
        BrokenRow("line 4", "expected 2 cells as in the header, got 3; one with a ',' in it needs quotes"),
        Row("line 6", {"instruction": "Q4", "response": ""}),
        Row("line 7", {"instruction": None, "response": "A5"}),
    ]


@pytest.mark.parametrize("column", ["response", "completion", "orig_response"])
def test_an_empty_csv_cell_is_absent_but_an_empty_response_is_a_response(tmp_path, column):
    path = tmp_path / "rows.csv"
    path.write_text(f"prompt,{column},rubric\nQ,,\n", encoding="utf-8")
    assert [row.values for row in read_rows(path)] == [{"prompt": "Q", column: "", "rubric": None}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", "prompt;response\nQ;1,5\n"),  # as spreadsheets write it if decimals have commas
        ("rows.csv", "prompt\tresponse\nQ\t1,5\n"),
        ("rows.tsv", "prompt\tresponse\nQ\t1,5\n"),
        ("rows.csv", 'prompt,response\nQ,"1,5"\n'),
    ],
)
def test_a_csv_may_part_its_cells_by_other_marks(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8-sig")
    assert list(read_rows(tmp_path / name)) == [Row("line 2", {"prompt": "Q", "response": "1,5"})]


@pytest.mark.parametrize(("name", "mark"), [("rows.csv", ","), ("rows.tsv", "\t")])
def test_other_marks_in_a_header_part_nothing(tmp_path, name, mark):
    (tmp_path / name).write_text(f"a;b{mark}c\n1{mark}2\n", encoding="utf-8")
    assert list(read_rows(tmp_path / name)) == [Row("line 2", {"a;b": "1", "c": "2"})]


def test_a_csv_cell_may_be_long(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("response\n" + "x" * 300_000 + "\n", encoding="utf-8")
    assert [len(row.values["response"]) for row in read_rows(path)] == [300_000]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "rows.json",
            b'{"a": 1, "data": 2}',
            "got an object with the keys 'a', 'data'; expected a list of objects, or",
        ),
        ("rows.json", b"5", "got int; expected a list of objects"),
        ("rows.jsonl.gz", b"{}", "not a whole gzip file (Not a gzipped file"),
        (
            "rows.jsonl.gz",
            gzip.compress(b'{"a": 1}' * 9, mtime=0)[:-9],
            "not a whole gzip file (Compressed file ended before",
        ),
        ("rows.json.gz", gzip.compress(b"[]", mtime=0)[:9], "not a whole gzip file (Compressed file ended before"),
        ("rows.csv.gz", gzip.compress(b"a", mtime=0)[:10] + b"\xff\xff\xff", "not a whole gzip file (Error -3"),
        ("rows.json", b"[{]", "not a valid JSON file (Expecting property name enclosed in double quotes: line 1 "),
        ("rows.json", b'["\xff"]', "not a valid JSON file ('utf-8' codec can't decode byte 0xff"),
        ("rows.json", b"[" * 100_000, "not a valid JSON file (maximum recursion depth exceeded"),
        ("rows.parquet", b"no parquet at all", "not a valid Parquet file (Parquet magic bytes not found"),
        ("rows.txt", b"x", f"got the ending '.txt'; expected one of {ENDINGS} (also with .gz) or a folder"),
        ("rows", b"x", f"got the ending ''; expected one of {ENDINGS} (also with .gz) or a folder"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {message}')}"):
        list(read_rows(path))


def test_a_json_list_may_hold_items_that_are_no_rows(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('[{"a": 1}, 2, {"a": 3}]', encoding="utf-8")
    assert list(read_rows(path)) == [
        Row("row 1", {"a": 1}),
        BrokenRow("row 2", f"got int, {NO_ROW}"),
        Row("row 3", {"a": 3}),
    ]


@pytest.mark.parametrize(("name", "content"), [("e.jsonl", ""), ("e.csv", ""), ("e.csv", "a,b\n"), ("e.json", "[]")])
def test_an_empty_file_has_no_rows(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert list(read_rows(tmp_path / name)) == []


def test_a_missing_file_is_refused(tmp_path):
    path = tmp_path / "no.jsonl"
    message = f"{path}: no such file; expected a JSONL, JSON, CSV or Parquet file, or a datasets folder"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read_rows(path)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(InputError, match=f"^{re.escape(f'{tmp_path}: not a folder written by Dataset.save_to_disk')}$"):
        list(read_rows(tmp_path))


def test_a_folder_of_splits_names_one_to_give(tmp_path):
    path = tmp_path / "splits"
    DatasetDict({"train": Dataset.from_list(ROWS), "test": Dataset.from_list(ROWS[:1])}).save_to_disk(path)
    message = f"{path}: got the splits train, test; give one of them, for example {path}/train"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        list(read_rows(path))
    assert len(list(read_rows(path / "train"))) == 3


def test_a_broken_csv_is_read_up_to_the_break(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b'a\n1\n"x"y\n2\n')
    problem = "not valid CSV (',' expected after '\"'), and nothing after it can be read"
    assert list(read_rows(path)) == [Row("line 2", {"a": "1"}), BrokenRow("line 3", problem)]


def test_a_csv_in_another_encoding_is_read_up_to_its_first_other_letter(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("a\n1\ncafé\n".encode("latin-1"))
    problem = "not UTF-8 text: save the file as UTF-8, and nothing after it can be read"
    assert list(read_rows(path)) == [Row("line 2", {"a": "1"}), BrokenRow("line 3", problem)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_blank_lines_may_stand_before_a_header(tmp_path, end, mark):
    path = tmp_path / "rows.csv"
    path.write_bytes(("\ufeff" + end.join(["", "", f"a{mark}b", f"1{mark}2", ""])).encode())
    assert list(read_rows(path)) == [Row("line 4", {"a": "1", "b": "2"})]


def test_data_that_must_be_whole_names_its_first_broken_row(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n')
    assert read_values(path) == [{"a": 1}]
    path.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(RowError, match=f"^{re.escape(f'{path}, line 2: not valid JSON (')}"):
        read_values(path)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"prompt": "a"}, {"question": "b"}], "row 2: got the columns question; expected `prompt`"),
        ([{"prompt": 3}], "row 1: got the columns prompt; expected `prompt`, a text or a list of messages"),
        (
            [{"prompt": "a"}, {"prompt": [{"role": "user", "content": "b"}]}],
            "row 2: got messages as the prompt, and a text",
        ),
    ],
)
def test_rows_for_a_trainer_have_prompts_of_one_kind(tmp_path, rows, problem):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RowError, match=re.escape(problem)):
        read_prompts(path)
    path.write_text(json.dumps({"prompt": "a", "rubric": "honesty"}))
    assert read_prompts(path) == [{"prompt": "a", "rubric": "honesty"}]


def test_a_row_that_is_nested_too_deeply_is_broken_and_the_next_is_read(tmp_path):
    deep = f'{{"rubric": {"[" * 150}1{"]" * 150}}}'
    found = jsonl(tmp_path, f'{deep}\n{{"a": 1}}\n'.encode())
    assert found == [BrokenRow("line 1", "nested too deeply"), Row("line 2", {"a": 1})]


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_parquet_file_that_breaks_off_is_one_line_and_has_no_count(tmp_path, kept):
    path = tmp_path / "rows.parquet"
    write_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)] + whole[-8:])
    assert count_rows(path) is None
    with pytest.raises(InputError, match="not a valid Parquet file"):
        list(read_rows(path))


def test_a_column_that_a_parquet_file_has_twice_is_refused(tmp_path):
    table = pyarrow.Table.from_arrays([pyarrow.array([one]) for one in "qab"], ["prompt", "response", "response"])
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="the column 'response' twice"):
        list(read_rows(tmp_path / "rows.parquet"))


def test_a_column_that_a_csv_has_twice_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("instruction,response,response\nq,good,bad\n")
    with pytest.raises(InputError, match="'response' twice"):
        list(read_rows(path))


def test_a_parquet_date_that_python_has_not_is_one_line(tmp_path):
    path = tmp_path / "rows.parquet"
    dates = pyarrow.array([2**60], pyarrow.timestamp("us"))
    pyarrow.parquet.write_table(pyarrow.table({"response": ["a"], "at": dates}), path)
    with pytest.raises(InputError, match="not a valid Parquet file"):
        list(read_rows(path))


def test_a_folder_whose_state_is_empty_is_refused(tmp_path):
    for name in ("state.json", "dataset_info.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match="not a folder written by"):
        list(read_rows(tmp_path))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_a_key_twice_is_refused_instead_of_taking_the_last(tmp_path, name):
    row = '{"prompt": "a", "response": "b", "meta": {"c": 1}, "response": "d"}'
    inner = '{"prompt": "a", "response": "b", "meta": {"c": 1, "c": 1}}'
    path = tmp_path / name
    path.write_text(f"{row}\n{inner}\n" if name.endswith("l") else f"[{row}]")
    if name.endswith("l"):
        assert [one.problem for one in read_rows(path)] == [
            f"not valid JSON (the key {key!r} twice; expected it once)" for key in ("response", "c")
        ]
    else:
        with pytest.raises(InputError, match="the key 'response' twice"):
            list(read_rows(path))
