import json
import shutil
import subprocess

import pytest
from hypothesis import given, settings, strategies as st

from prom_reward.explorer.script import joined_script
from prom_reward.pages.packing import ALPHABET, encode, packed


def decoded(text):
    size, _, digits = text.partition(":")
    words = []
    for at in range(0, len(digits), 5):
        number = 0
        for digit in digits[at : at + 5]:
            number = number * 85 + ALPHABET.index(digit)
        words.append(number.to_bytes(4))
    return b"".join(words)[: int(size)]


@given(st.binary(max_size=200))
def test_any_bytes_come_back(data):
    assert decoded(encode(data)) == data


def test_no_digit_means_anything_in_html_or_javascript():
    assert len(set(ALPHABET)) == 85
    assert not set(ALPHABET) & set("<>&\"'`\\ \n")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
@settings(max_examples=20)
def test_texts_of_any_kind_stand_in_printable_ascii(texts):
    text = packed(texts)
    assert text.isascii()
    assert text.isprintable()


def test_a_packed_byte_costs_a_quarter_more():
    assert len(encode(bytes(range(256)) * 100)) <= 1.25 * 25_600 + 8


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_pages_script_reads_it():
    values = {"text": "</script> é 👍 \u0000", "numbers": [1.5, None]}
    code = f"{joined_script('data/packing.js')}\nconsole.log(JSON.stringify(await unpack({packed(values)!r})));"
    done = subprocess.run(["node", "--input-type=module", "-"], input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == values
