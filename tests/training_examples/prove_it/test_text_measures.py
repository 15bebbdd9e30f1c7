import sys

import pytest
from hypothesis import given, strategies as st

from prom_reward.errors import MissingPackageError
from training_examples.prove_it import text_measures
from training_examples.prove_it.text_measures import measure_text, overlap


def test_overlap_is_the_f_score_of_character_runs():
    assert overlap("The same text.", "The same text.") == pytest.approx(100)
    assert overlap("zzz", "The same text.") == 0
    assert overlap("", "The same text.") == 0
    # Of "ab" all runs are in "abc": 2 letters of 3, 1 pair of 2. Precision and recall are means over lengths of runs.
    recall = (2 / 3 + 1 / 2) / 2
    assert overlap("ab", "abc") == pytest.approx(100 * 2 * recall / (1 + recall))


@given(st.text(alphabet="ab cd.", min_size=1), st.text(alphabet="ab cd.", min_size=1))
def test_recall_and_precision_count_alike(one, other):
    assert overlap(one, other) == pytest.approx(overlap(other, one))
    assert 0 <= overlap(one, other) <= 100 + 1e-9


def test_more_text_is_not_better_for_its_length():
    reference = "Rain fell on Tuesday in the north."
    assert overlap(f"{reference} Nobody knows what else the day may bring.", reference) < overlap(reference, reference)


def test_words_repetition_and_emptiness():
    plain = measure_text("One two three, one two four.", None)
    assert (plain.num_words, plain.repetition, plain.is_empty, plain.overlap) == (6, 0.0, False, None)
    looped = measure_text("So it goes. So it goes. So it goes.", "So it goes.")
    assert looped.num_words == 9
    assert looped.repetition == pytest.approx(1 - 3 / 7)  # seven runs of three words, three different ones
    assert looped.overlap == overlap("So it goes. So it goes. So it goes.", "So it goes.")
    assert measure_text("two words", None).repetition == 0
    assert all(measure_text(text, None).is_empty for text in ("", "  \n", "...!"))


def test_sentences_end_with_their_marks():
    counts = {"": 0, "...": 0, "One": 1, "One. Two? Three!": 3, "Wait... what?!": 2, "A U.S. ship sank.": 3}  # too many
    assert {text: measure_text(text, None).num_sentences for text in counts} == counts


def test_what_is_copied_stands_in_the_source():
    source = "Rain fell on Tuesday in the north of the country."
    assert measure_text("RAIN FELL ON TUESDAY!", None, source).copied == 1
    assert measure_text("Rain fell on Monday in the north.", None, source).copied == pytest.approx(2 / 5)
    assert measure_text("Nothing of it at all.", None, source).copied == 0
    assert measure_text("Rain fell", None, source).copied == 0  # no run of three words
    assert measure_text("Rain fell on Tuesday", None).copied is None


def test_without_sacrebleu_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.chrf", None)
    text_measures._chrf.cache_clear()
    with pytest.raises(
        MissingPackageError,
        match=r"^overlap needs sacrebleu, which is not installed; run: pip install '\.\[exam",
    ):
        measure_text("a", "b")
    assert measure_text("a", None).num_words == 1
    monkeypatch.undo()
    assert overlap("a", "a") > 0
