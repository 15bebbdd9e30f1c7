import pytest

from prom_reward.data.formats import RowFormat
from prom_reward.data.recognition import Recognition
from prom_reward.data.rows import BrokenRow, Row
from prom_reward.errors import InputError
from prom_reward.rubrics.rubric import parse_rubrics

ASK, YES = [{"role": "user", "content": "Hi?"}], [{"role": "assistant", "content": "Yes."}]
HELPFUL = parse_rubrics("helpfulness")


def example(values):
    return RowFormat(columns={}).example(values)


def recognized(*rows):
    found = Recognition("rows.jsonl")
    for at, row in enumerate(rows, 1):
        read = example(row)
        read.requests(HELPFUL)
        found.note(read, f"line {at}")
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
    assert "the column answer stays unread" in caplog.text
    with pytest.raises(InputError, match="the column answer stays unread"):
        found.check(strict=True)


def test_a_models_words_beside_a_sure_answer_are_a_warning_or_an_error(caplog):
    row = {"messages": [*ASK, *YES], "model": "gpt-4o", "gpt-4o": "No."}
    found = recognized(row, {**row, "pred": "Maybe."})
    assert str(found).endswith("; unread: gpt-4o, pred")
    found.check()
    assert "rows.jsonl, line 1: the columns gpt-4o, pred stay unread although their meaning is known" in caplog.text
    with pytest.raises(InputError, match="stay unread"):
        found.check(strict=True)
    assert not recognized({"prompt": "Hi?", "chosen": "Yes.", "rejected": "No.", "pred": "Maybe."}).unread


def test_a_file_without_unread_columns_is_silent(caplog):
    recognized({"prompt": "Hi?", "response": "Yes.", "source": "x"}).check(strict=True)
    assert not caplog.messages


@pytest.mark.parametrize("side", ["prompt", "response"])
def test_images_inside_of_messages_are_told_and_refused_if_asked_for(side):
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "https://x"}}]
    texts = {"prompt": [{"role": "user", "content": "Draw."}], "response": [{"role": "assistant", "content": "A cat."}]}
    texts[side] = [{**texts[side][0], "content": content}]
    found = recognized(texts)
    assert str(found).endswith("; unread: [image] in messages")
    found.check()
    with pytest.raises(
        InputError,
        match=r"^rows\.jsonl, line 1: messages hold media \(image\) that no judge sees; leave these rows out$",
    ):
        found.check(strict=True)


@pytest.mark.parametrize("form", [dict, str, lambda value: repr(value).replace("'", '"')])
def test_a_path_reaches_into_what_is_stored_as_text(form):
    found = example({"prompt": "1 + 1?", "response": "2", "reward_model": form({"ground_truth": "2"})})
    assert found.reference_answer == "2"
    assert example({"prompt": "Q", "response": "A", "summaries": "no list"}).kind == "response"


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ({"answer": "No."}, "the column answer stays unread"),
        ({"response": None, "output": "Yes."}, "got a row with response from output, after rows with response from re"),
        ({"prompt": None, "response": None, "messages": [*ASK, *YES]}, "got a row with messages, after rows with prom"),
        ({"prompt": [{"role": "user", "content": ["Hi?", {"type": "image"}]}]}, "messages hold media (image) that no"),
        ({"reference_answer": "Yes.", "rubric": "honesty", "system": "Be kind."}, None),
        ({"id": 7, "response": ""}, None),
    ],
)
def test_a_later_row_of_another_form_is_refused_with_its_place_if_asked_for(later, said):
    row = {"prompt": "Hi?", "response": "Yes."}
    later = {name: value for name, value in {**row, **later}.items() if value is not None}
    found = recognized(*[row] * 99, later)
    found.check()
    if said is None:
        found.check(strict=True)
        return
    with pytest.raises(InputError) as caught:
        found.check(strict=True)
    assert str(caught.value).startswith(f"rows.jsonl, line 100: {said}")


def test_rows_of_several_kinds_are_refused_if_asked_for():
    found = recognized({"prompt": "Hi?", "response": "Yes."}, {"prompt": "Hi?", "chosen": "Yes.", "rejected": "No."})
    with pytest.raises(
        InputError, match=r"mixed formats: got one response per row \(line 1\) and preference pairs \(l"
    ):
        found.check(strict=True)


def test_all_rows_are_noted_without_those_that_are_left_out():
    rows = [
        Row("line 1", {"prompt": "Hi?", "response": "Yes."}),
        BrokenRow("line 2", "no row"),
        Row("line 3", {"a": 1}),
    ]
    found = Recognition("rows.jsonl")
    found.note_all([*rows, Row("line 4", {**rows[0].values, "answer": "No."})], RowFormat(columns={}), HELPFUL)
    assert (found.kinds, found.unread) == ({"response": "line 1"}, {"answer": "line 4"})


def test_all_rows_are_looked_at_for_verdicts_that_count_from_another_number():
    rows = [Row(f"line {at}", {"prompt": "Q", "response_1": "a", "response_2": "b", "label": 1}) for at in range(99)]
    odd = Row("line 99", {**rows[0].values, "label": 3})
    with pytest.raises(InputError, match="which may be a scale, or count the answers from another number"):
        Recognition("rows.jsonl").note_all([*rows, odd], RowFormat(columns={}), HELPFUL)


def test_a_warning_comes_again_only_with_more_in_it(caplog):
    found = recognized({"prompt": "Hi?", "response": "Yes.", "answer": "1"})
    found.check()
    found.check()
    assert len(caplog.messages) == 1
    found.note(example({"prompt": "Hi?", "response": "Yes.", "tools": ["search"]}), "line 2")
    found.check()
    assert [message.partition(" stay")[0] for message in caplog.messages] == [
        "rows.jsonl, line 1: the column answer",
        "rows.jsonl, line 1: the columns answer, tools",
    ]


def test_pairs_with_a_column_that_prefers_the_rejected_answer_are_counted_and_refused_if_asked_for(caplog):
    row = {"prompt": "Hi?", "chosen": "Yes.", "rejected": "No.", "score_chosen": 5, "score_rejected": 2}
    found = recognized(row, {**row, "score_chosen": 1}, {**row, "score_chosen": 0}, row)
    said = (
        "rows.jsonl: 2 pairs with a column that prefers the rejected answer, the first in line 2: got score_chosen=1 "
        "under score_rejected=2; the pair is used as chosen and rejected (or the verdict) say; correct one of the two, "
        "or leave these rows out"
    )
    found.check()
    assert caplog.messages == [said]
    with pytest.raises(InputError) as caught:
        found.check(strict=True)
    assert str(caught.value) == said
    recognized(row, row).check(strict=True)


def test_dialogues_that_are_read_as_one_text_are_told_and_never_refused(caplog):
    row = {"prompt": "User: Hi?\nBot: Yes?\nUser: Why?", "response": "So."}
    found = recognized({"prompt": "Hi?", "response": "Yes."}, row, row)
    found.check(strict=True)
    assert caplog.messages == [
        "rows.jsonl: 2 rows with a text that looks like a dialogue and is judged as one text, the first in line 2: got "
        "User: and Bot:; if it is one, write messages, or Human: and Assistant: with a blank line before each"
    ]


def test_an_answer_that_may_be_the_reference_is_told_once(caplog):
    rows = [{"question": "2 + 2?", "answer": "It is 4."}, {"question": "2 + 3?", "answer": "It is 5."}]
    found = recognized(*rows)
    found.check()
    found.check(strict=True)  # it may be meant as it is
    [told] = caplog.messages
    assert told.startswith(
        "rows.jsonl, line 1: the response is read from 'answer', which is the reference in many data"
    )
    assert "--column response=answer" in told


def test_a_label_that_is_the_score_is_read():
    found = Recognition("rows.csv")
    values = {"prompt": "Hi?", "response": "Yes.", "label": "40"}
    found.note(example(values), "line 2", label="label")
    assert found.unseen == []
    found.note(example(values), "line 2")
    assert found.unseen == ["label"]


def test_a_number_of_rows_that_has_grown_makes_no_new_warning():
    found = Recognition("rows.jsonl")
    row = example({"prompt": "Hi?", "response": "User: Hi\nBot: Yes\nUser: Bye"})
    found.note(row, "line 1")
    assert len(found.new_warnings()) == 1
    found.note(row, "line 2")
    assert "2 rows with a text" in found.warnings()[0]
    assert found.new_warnings() == []


def test_a_long_name_is_no_models():
    row = example({"instruction": "Hi?", "output": "Yes.", "_chat_gpt" * 40: "No, never."})
    assert [text for _, text in row.texts()] == ["Yes."]
