import pytest

from prom_reward.errors import InputError
from prom_reward.training.construction.wordnet import read_definitions, read_sentences


def test_a_word_has_its_definition_its_synonyms_and_its_siblings(wordnet):
    definitions = {one.word: one for one in read_definitions(wordnet)}
    one = definitions["xabb"]
    assert one.gloss == "a small abbish thing that people keep near the abbwater"
    assert one.synonyms == ("abb two",)
    assert {f"a small ab{letter}ish thing that people keep near the ab{letter}water" for letter in "acdefghij"} == set(
        one.siblings
    )


def test_examples_and_names_are_left_out(wordnet):
    found = read_definitions(wordnet)
    assert len(found) == 100
    assert not any('"' in one.gloss or one.word[0].isupper() for one in found)


def test_a_folder_without_wordnet_is_named(tmp_path):
    with pytest.raises(InputError, match=r"data\.noun; expected WordNet"):
        read_definitions(tmp_path)


def test_examples_of_use_are_read_from_all_files(tmp_path):
    (tmp_path / "data.noun").write_text('1 | a gloss; "we had to take a detour"; "too short"\n', encoding="utf-8")
    (tmp_path / "data.verb").write_text('1 | a gloss; "She gave 12 of them to her sister"; "is it here or there?"\n')
    assert read_sentences(tmp_path) == ["is it here or there?", "we had to take a detour"]


def test_files_without_examples_are_named(tmp_path):
    with pytest.raises(InputError, match="got no examples of use; expected WordNet"):
        read_sentences(tmp_path)
