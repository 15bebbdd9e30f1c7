import json

import pytest
from hypothesis import given, strategies as st

from prom_reward.errors import RubricError
from prom_reward.rubrics.checklists.checks import CHECKS, CodeCheck

TEXT = "# Bread\n\nYeast eats sugar. It makes gas!\n\n- one loaf\n- two loaves"


@pytest.mark.parametrize(
    ("check", "passes"),
    [
        ({"min_words": 11}, True),
        ({"min_words": 12}, False),
        ({"max_words": 11}, True),
        ({"max_words": 10}, False),
        ({"max_sentences": 2}, False),  # the list's end is a third
        ({"min_sentences": 3}, True),
        ({"num_paragraphs": 3}, True),
        ({"num_bullets": 2}, True),
        ({"max_chars": 10}, False),
        ({"contains": ["YEAST", "gas"]}, True),
        ({"contains": ["yeast", "salt"]}, False),
        ({"contains_any": ["salt", "gas"]}, True),
        ({"excludes": "oven"}, True),
        ({"excludes": ["oven", "sugar"]}, False),
        ({"starts_with": "# bread"}, True),
        ({"ends_with": "loaves"}, True),
        ("is_json", False),
        ("is_lowercase", False),
        ("is_uppercase", False),
        ("has_heading", True),
        ({"script": "latin"}, True),
        ({"script": "cyrillic"}, False),
    ],
)
def test_a_check_says_what_code_can_tell(check, passes):
    assert CodeCheck.parse(check)(TEXT) is passes


@given(st.text(), st.sampled_from(sorted(CHECKS)))
def test_every_check_takes_any_text(text, name):
    argument = {"count": 3, "nothing": None}.get(CHECKS[name][0], "a")
    assert CodeCheck(name, argument)(text) in (True, False)


@given(st.recursive(st.integers() | st.text(), st.lists))
def test_json_is_told(value):
    assert CodeCheck("is_json")(json.dumps(value))


def test_a_function_of_your_own_is_a_check():
    def is_short(response):
        return len(response) < 5

    check = CodeCheck.parse(is_short)
    assert (check.name, check("abc"), check("abcdef")) == ("is_short", True, False)


@pytest.mark.parametrize(
    "value",
    [{"max_words": "60"}, {"max_words": True}, {"max_words": -1}, {"contains": []}, {"contains": [3]},
     {"script": ["x"]}, {"is_json": "yes"}, "max_words"],
)  # fmt: skip
def test_an_argument_of_another_kind_is_refused_when_it_is_read(value):
    with pytest.raises(RubricError, match="got the argument"):
        CodeCheck.parse(value)


def test_a_check_of_your_own_by_name_is_imported_at_its_first_use():
    check = CodeCheck.parse("keyword:iskeyword")
    assert (check("for"), check("four")) == (True, False)
    for name, message in [("keyword:nothing", "has no .nothing"), ("no_such_module:x", "cannot be imported"),
                          ("keyword:kwlist", "got list")]:  # fmt: skip
        with pytest.raises(RubricError, match=message):
            CodeCheck(name).load()


def test_a_check_that_returns_no_bool_fails():
    with pytest.raises(TypeError, match=r"returned 0\.5"):
        CodeCheck.parse(lambda response: 0.5)("x")


@pytest.mark.parametrize("own", [str.isupper, "keyword:iskeyword"])
def test_a_function_of_your_own_has_no_written_form(own):
    with pytest.raises(RubricError, match="expected a built-in check"):
        CodeCheck.parse(own).to_value()


def test_an_unknown_check_names_the_near_miss():
    with pytest.raises(RubricError, match=r"unknown check 'max_word'.*'max_words'"):
        CodeCheck.parse({"max_word": 3})
    with pytest.raises(RubricError, match="got 7 as a check"):
        CodeCheck.parse(7)
