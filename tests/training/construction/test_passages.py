import json
import random
import re

import pytest

from prom_reward.errors import InputError
from prom_reward.training.construction.passages import draw_passage, read_texts

SENTENCES = (
    *(
        "the doctor gave him a clean bill of health",
        "she was refreshingly free from shyness",
        "News hot off the press!",
    ),
    *("the gleaming brass on the altar", "is this hotel room bugged?", "we had to take a detour"),
)


def test_a_passage_has_up_to_eight_sentences_in_several_forms():
    draw = random.Random(2)
    texts = [draw_passage(SENTENCES, draw) for _ in range(200)]
    assert any(text == text.upper() for text in texts)
    assert any(text.startswith("- ") for text in texts)
    assert any("\n\n" in text for text in texts)
    assert max(len(re.findall(r"[.!?](?=[\s\"]|$)", text)) for text in texts) >= 8


def test_an_ending_is_the_end_and_names_keep_their_capitals():
    draw = random.Random(4)
    texts = [draw_passage(("Tom and Dick left",), draw) for _ in range(200)]
    assert any(re.search(r'left, [a-z ]+[.]"$', text) for text in texts)
    assert not any(re.search(r"\btom\b|\.,", text) for text in texts)


def test_the_number_of_sentences_does_not_follow_from_the_length():
    draw = random.Random(5)
    texts = [draw_passage(("a cat sat there",), draw) for _ in range(300)]
    lengths = [len(text.split()) for text in texts if len(re.findall(r"[.!?](?=[\s\"]|$)", text)) == 1]
    assert min(lengths) <= 4
    assert max(lengths) >= 12


def test_half_of_the_passages_are_runs_of_a_written_text():
    draw, written = random.Random(6), [["One is here.", "Two is next.", "Three is last."], ["Alone it stands."]]
    texts = [draw_passage(("a cat sat there",), draw, written).casefold() for _ in range(300)]
    runs = [re.findall("one is here|two is next|three is last|alone it stands", text) for text in texts]
    whole = ["one is here", "two is next", "three is last"]
    assert 100 < sum(map(bool, runs)) < 200
    assert all(found == whole[whole.index(found[0]) :][: len(found)] for found in runs if found and found[0] in whole)


def test_the_prose_of_answers_is_read_and_no_code_or_list(tmp_path, caplog):
    quoted = "He said \u201cgo\u201d twice. See 'this one' too. It ends in \"x.\""
    prose = f"It rains. Take a coat! {quoted}\n- a list.\n```python\nprint(1).\n```\nAll is well."
    rows = [
        {"instruction": "Why?", "response": prose},
        {"instruction": "Why?", "response": prose},
        {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "It is good."}]},
        {"instruction": "Why?", "response": None},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert read_texts(path) == [["It rains.", "Take a coat!", "All is well."], ["It is good."]]
    assert "1 row without a response" in caplog.text


def test_a_file_without_prose_is_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"instruction": "Why?", "response": "x = 1"}))
    with pytest.raises(InputError, match="expected answers in prose"):
        read_texts(path)
