import pytest

from prom_reward.data.formats import RowFormat
from prom_reward.data.recognition import Recognition
from prom_reward.errors import InputError
from prom_reward.rubrics.rubric import parse_rubrics


def recognized(*rows):
    found = Recognition("rows.jsonl")
    for row in rows:
        example = RowFormat(columns={}).example(row)
        example.requests(parse_rubrics("helpfulness"))
        found.note(example)
    return found


def test_what_was_recognized_is_one_line():
    rows = [{"question": "Hi?", "output": "Yes."}, {"question": "Hi?", "output": "No.", "rubric": "honesty"}]
    shown = "one response per row: prompt from question, response from output, rubric from rubric"
    assert str(recognized(*rows)) == shown


def test_columns_of_known_meaning_that_stay_unread_are_a_warning_once_or_an_error(caplog):
    rows = [{"prompt": "Hi?", "response": "Yes.", "answer": str(at)} for at in range(3)]
    found = recognized(*rows)
    assert str(found).endswith("; unread: answer")
    found.check()
    assert len(caplog.messages) == 1
    assert "the columns answer stay unread" in caplog.text
    with pytest.raises(InputError, match="the columns answer stay unread"):
        found.check(strict=True)


def test_a_file_without_unread_columns_is_silent(caplog):
    recognized({"prompt": "Hi?", "response": "Yes.", "source": "x"}).check(strict=True)
    assert not caplog.messages
