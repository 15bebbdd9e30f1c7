import pytest

from prom_reward.errors import InputError
from prom_reward.training.construction.wordnet import read_definitions


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
