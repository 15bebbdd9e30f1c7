import pytest

from prom_reward.data.doubts.lone_entries import LoneEntries
from prom_reward.data.formats import RowFormat
from prom_reward.data.recognition import Recognition
from prom_reward.data.rows import read_rows

SENTENCE = "['It is a sentence.']"


def problem(*rows, **named):
    found = LoneEntries()
    for at, row in enumerate(rows, 1):
        found.note(RowFormat(columns=named).example(row), f"line {at}")
    return found.problem("rows.csv")


def graded(response, prompt="Why?"):
    return {"prompt": prompt, "response": response}


@pytest.mark.parametrize(
    "row",
    [
        graded(SENTENCE),
        graded('["It is a sentence."]'),
        graded(f" {SENTENCE}\n"),
        {"prompt": "Why?", "chosen": "So.", "rejected": SENTENCE},
        {"prompt": "Why?", "completions": ["So.", SENTENCE]},
    ],
)
def test_a_sentence_in_a_list_of_its_own_is_told(row):
    assert "rows.csv: 1 row with a list of one text as an answer, whose" in problem(graded("So."), row)
    assert "the first in line 2: got " in problem(graded("So."), row)


@pytest.mark.parametrize(
    "row",
    [
        graded("['Rome']"),
        graded("['Rome is old.', 'Oslo is not.']"),
        graded(SENTENCE, "Give me a JSON array of sentences."),
        graded('["Apple Computer Company"]', "Extract the company, in brackets."),
        graded(SENTENCE, "What does this JavaScript print?"),
        graded("[It is a sentence.]"),
        graded("['It is', a sentence]"),
        graded("[3]"),
        graded([{"role": "assistant", "content": SENTENCE}]),
        graded("So.", [{"role": "user", "content": SENTENCE}]),
    ],
)
def test_other_lists_are_none(row):
    assert problem(row) == ""


def test_short_ones_are_told_if_most_rows_have_them():
    rows = [graded(f"['{word}']") for word in "abcdefghij"]
    assert problem(*rows[:7]) == ""
    assert "10 rows with a list of one text as an answer" in problem(*rows, graded("So."))
    assert problem(*rows, *[graded("So.")] * 5) == ""
    asked = [graded('["spam"]', "Return a JSON array of labels.")] * 10
    assert problem(*asked) == problem(*asked, *rows[:7]) == ""
    assert "rows.csv: 10 rows with a list" in problem(*asked, *rows)


def test_one_that_the_caller_names_is_meant():
    assert problem(graded(SENTENCE), response="response") == ""


def test_a_file_is_told_once(tmp_path, caplog):
    path = tmp_path / "rows.csv"
    path.write_text(f'prompt,response\nWhy?,So.\nWhy?,"{SENTENCE}"\nWhy?,"{SENTENCE}"\n')
    found = Recognition("rows.csv")
    for row in read_rows(path):
        found.note(RowFormat(columns={}).example(row.values), row.place)
    found.check(strict=True)
    assert caplog.messages == [
        "rows.csv: 2 rows with a list of one text as an answer, whose brackets and quotes the judge reads, the first "
        "in line 3: got \"['It is a sentence.']\"; if the answer is the entry, write it alone, or name it with "
        "--column ROLE=NAME[0]"
    ]
    named = RowFormat(columns={"response": "response[0]"})
    assert named.example(graded(SENTENCE)).texts() == [("Why?", "It is a sentence.")]
