import json

import pytest
from hypothesis import given, strategies as st

from prom_reward.pages.text import json_escaped, shortened, visible

any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates too


@given(any_text)
def test_any_text_can_be_written_as_utf_8(text):
    assert visible(text).encode("utf-8").decode("utf-8") == visible(text)
    assert visible(visible(text)) == visible(text)


@given(st.text())
def test_json_stays_the_same_value_without_a_hidden_character(text):
    escaped = json_escaped(json.dumps(text, ensure_ascii=False))
    assert json.loads(escaped) == text
    assert visible(escaped) == escaped


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a\\u{202e}b"),
        ("\ud800", "\\u{d800}"),
        ("\x00\x1b", "\\u{0}\\u{1b}"),
        ("a\u200bb\ufeff\u2060\u200f", "a\\u{200b}b\\u{feff}\\u{2060}\\u{200f}"),
        ("x\u200dy\U000e0041", "x\\u{200d}y\\u{e0041}"),
        (
            "a\tb\r\nc – é 👍🏽 👩\u200d🔬 ❤️\u200d🔥 می\u200cخواهم",
            "a\tb\r\nc – é 👍🏽 👩\u200d🔬 ❤️\u200d🔥 می\u200cخواهم",
        ),
    ],
)
def test_only_what_hides_or_reorders_text_is_replaced(text, shown):
    assert visible(text) == shown


def test_a_cut_text_says_how_much_is_missing():
    assert shortened("abc", 3) == "abc"
    assert shortened("a" * 2_000, 5) == "aaaaa … [1,995 characters more]"
