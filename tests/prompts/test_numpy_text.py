import json

import numpy
import pytest

from prom_reward.errors import RowError
from prom_reward.prompts.content import parsed_text
from prom_reward.prompts.messages import answer_items, listed_messages
from prom_reward.prompts.numpy_text import check_no_numpy_text, is_numpy_text
from prom_reward.prompts.transcripts import transcript

ASK, YES = {"role": "user", "content": "It's \"so\"?\n}\n {'a': [1]}"}, {"role": "assistant", "content": "Yes."}


def printed(*entries):
    array = numpy.empty(len(entries), dtype=object)
    array[:] = entries
    return str(array)


@pytest.mark.parametrize(
    "text",
    [
        printed(ASK, YES),
        printed({"content": "Hi", "role": "user"}, *[YES] * 1100),
        printed({"messages": numpy.array([ASK, YES], dtype=object)}),
        str({"ground_truth": numpy.array(["7"], dtype=object)}),
        printed(numpy.array(["a", "b"], dtype=object), numpy.array(["c", "d"], dtype=object)),
        printed("8", "9", "10"),
        printed("It's", 'a "so"', 'it\'s "so"\n', None, "\\"),
        printed("a" * 80, "b" * 80),
        printed(*map(str, range(1100))),
        str(numpy.array(["a", "b"])),
        repr(numpy.array(["a text"], dtype=object)),
        repr(numpy.array([ASK, YES], dtype=object)),
        printed(["a", "b"]),
        printed(["a"], ["c"]),
    ],
)
def test_a_list_that_numpy_printed_is_refused_in_one_line(text):
    assert is_numpy_text(text)
    assert is_numpy_text(f"\n{text} ")
    with pytest.raises(RowError, match=r"^chosen: got a list as numpy prints it, .*; expected .*to_json\(.*lines=True"):
        check_no_numpy_text(text, "chosen")


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "[link](url)", "[1] See [2].", "[1] 'a' [2]", "['a', 'b']", '["a", "b"]', "[a b]", "[1 2]", "[ ]"),
        *('["a" "b"]', "['a']", "['a']['b']", "['a'] ['b']", "[x for x in 'a' 'b']", "['a' + 'b']", "{'a' 'b'}"),
        *("[{'a': 1}, {'a': 2}]", "[{'a': 1}\n, {'b': 2}]", "[{'a': \"}\\n {'b'\"}]", "[array([1, 2])]", "{'a': 1}"),
        *("array([1, 2])", "array(['a'], dtype='<U1')", "np.array(['a'], dtype=object)", "array([1], dtype=object)"),
        *(
            "[list(['a']).pop()]",
            "[list(x)]",
            "[don't {'a': it's} {'b': 1}]",
            "[{a: 1} {b: 2}]",
            "[[1, 2]\n [3, 4]]",
            "[It's \"so\" 'so']",
        ),
        *(json.dumps([ASK, YES]), str([ASK, YES]), str(YES), "['a' 'b'] are joined.", "It is ['a' 'b']"),
    ],
)
def test_other_texts_are_not(text):
    assert not is_numpy_text(text)
    check_no_numpy_text(text, "response")


def test_messages_as_numpy_prints_them_are_no_text():
    for read in (listed_messages, answer_items, lambda text: transcript(text, "So.")):
        with pytest.raises(RowError, match=r"^messages: got a list as numpy prints it"):
            read(printed(ASK, YES))
    assert transcript("Why?", printed(ASK, YES)) == ("Why?", printed(ASK, YES))  # a policy may write anything


@pytest.mark.parametrize("text", ["['a' 'b']", "['a'\n \"it's\"]", "{'a': ('b' r'c')}", "[['a' 'b']]", "'a''b'"])
def test_texts_without_a_comma_between_them_are_not_joined(text):
    assert parsed_text(text) is None


@pytest.mark.parametrize("value", [["a", "b"], ["' '", '"" ""', "it's"], {"a' 'b": ["\\", "' '"]}, "a"])
def test_texts_with_commas_are_read(value):
    assert parsed_text(str(value) if isinstance(value, list | dict) else repr(value)) == value


@pytest.mark.parametrize(
    "text", ["[" + "\\'" * 50_000 + "]", "['" + "\\'" * 50_000 + "]", "[array([1]) " * 9_000 + "]"]
)
def test_a_long_text_of_open_quotes_is_none(text):
    assert not is_numpy_text(text)  # a search that goes back at each of them would take minutes


def test_a_text_in_three_quotes_is_one():
    assert parsed_text("{'a': '''b''', 'c': ''}") == {"a": "b", "c": ""}
    assert parsed_text("['', '']") == ["", ""]
