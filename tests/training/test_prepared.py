import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from prom_reward.errors import InputError
from prom_reward.training.checkpoints import examples_digest
from prom_reward.training.data import ExampleSets
from prom_reward.training.packing import pack_examples
from prom_reward.training.prepared import is_prepared, read_examples, tokenizer_digest, write_examples
from tests.tiny_models import tiny_judge
from tests.training.tiny_examples import example, shared_examples

STAMP = {"max_tokens": 1400, "layouts": [["response_last", 1.0]], "file 1 rubric": None}


@st.composite
def any_example(draw):
    ids = draw(st.lists(st.integers(0, 200_000), min_size=1, max_size=12))
    probs = draw(st.lists(st.floats(0, 1), min_size=1, max_size=6))
    family = draw(st.sampled_from(["a", ("b", 1), frozenset({2})]))
    return replace(
        example(ids, probs=probs, num_written=draw(st.integers(0, len(ids))), source=draw(st.sampled_from("xyé"))),
        family=family,
    )


def without_families(examples):
    return [replace(one, family=0) for one in examples]


@given(st.lists(any_example(), max_size=8), st.lists(any_example(), max_size=4), st.integers(0, 10**6))
def test_what_is_written_is_read_again(tmp_path_factory, training, validation, num_too_long):
    path = tmp_path_factory.mktemp("prepared") / "examples.npz"
    write_examples(path, ExampleSets(training, validation, num_too_long, 7), STAMP)
    sets = read_examples(path, STAMP)
    assert (sets.num_too_long, sets.num_rows) == (num_too_long, 7)
    for before, after in ((training, sets.training), (validation, sets.validation)):
        assert without_families(after) == without_families(before)
        assert examples_digest(after) == examples_digest(before)
        assert [[one.family == other.family for other in after] for one in after] == [
            [one.family == other.family for other in before] for one in before
        ]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "examples.npz"
    write_examples(path, ExampleSets(shared_examples(), shared_examples(1)[:2], 3), STAMP)
    return path


def test_the_packs_are_the_same(file):
    packs, again = (
        pack_examples(examples, max_tokens=100, seed=4)
        for examples in (shared_examples(), read_examples(file, STAMP).training)
    )
    assert len(packs) > 1
    assert [(pack.ids, pack.positions, pack.places) for pack in again] == [
        (pack.ids, pack.positions, pack.places) for pack in packs
    ]


def test_a_file_is_known_by_its_contents(file, tmp_path):
    np.savez(tmp_path / "other.npz", ids=[1])
    (tmp_path / "rows.jsonl").write_text("{}")
    names = ("examples.npz", "other.npz", "rows.jsonl", "missing", ".")
    assert [is_prepared(tmp_path / name) for name in names] == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"max_tokens": 1500}, "(max_tokens: 1400 there, 1500 here)"),
        ({"layouts": []}, '(layouts: [["response_last", 1.0]] there, [] here)'),
        ({"seed": 1}, "(seed: null there, 1 here)"),
        (dict.fromkeys("abcde", 1), "(a: null there, 1 here, b: null there, 1 here, c: null there, 1 here and 2 more)"),
    ],
)
def test_another_recipe_is_refused_with_its_differences(file, changes, told):
    with pytest.raises(InputError) as raised:
        read_examples(file, {**STAMP, **changes})
    assert str(raised.value) == (
        f"{file}: got examples of another recipe {told}; expected the same: prepare them again, or give the recipe "
        "that they were prepared with"
    )


@given(data=st.data())
def test_a_damaged_file_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "examples.npz"
    write_examples(path, ExampleSets(shared_examples()[:2], [], 0), STAMP)
    whole, expected = path.read_bytes(), read_examples(path, STAMP)
    if data.draw(st.booleans(), label="is cut"):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    else:
        at, value = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
        path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
    try:
        read = read_examples(path, STAMP)
    except InputError:
        return
    assert read == expected  # a byte that nobody reads, such as a date


def changed(path, **arrays):
    with np.load(path) as file:
        np.savez(path, **{**{name: file[name] for name in file.files}, **arrays})


def facts(**changes):
    made = {"stamp": STAMP, "sources": ["rows", "other"], "num_training": 6, "num_too_long": 3, **changes}
    return np.frombuffer(json.dumps(made).encode(), np.uint8)


@pytest.mark.parametrize(
    "arrays",
    [
        {"lengths": [1] * 8},
        {"num_labels": [0] * 8},
        {"families": [0] * 7},
        {"sources": [2] * 8},
        {"ids": np.array(1)},
        {"prom_reward_examples": np.frombuffer(b"[1]", np.uint8)},
        {"prom_reward_examples": np.frombuffer(b"{", np.uint8)},
        {"prom_reward_examples": facts(stamp=None)},
        {"prom_reward_examples": facts(num_training="6")},
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(file, arrays):
    changed(file, **arrays)
    with pytest.raises(
        InputError, match="not a whole file of examples; expected one of `prom-reward train-judge --pre"
    ):
        read_examples(file, STAMP)


def test_a_foreign_file_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", ids=[1])
    np.savez(tmp_path / "objects.npz", prom_reward_examples=np.array([{}], object))
    (tmp_path / "rows.jsonl").write_text("{}")
    for name in ("other.npz", "objects.npz", "rows.jsonl"):
        with pytest.raises(InputError, match=f"{name}: not a whole file of examples; expected one of"):
            read_examples(tmp_path / name, STAMP)
    for name, reason in (("missing", "No such file or directory"), (".", "Is a directory")):
        with pytest.raises(InputError, match=rf"cannot read the file \({reason}\); expected one of"):
            read_examples(tmp_path / name, STAMP)


def test_another_tokenizer_has_another_digest():
    tokenizer = tiny_judge("llama").tokenizer
    before = tokenizer_digest(tokenizer)
    assert tokenizer_digest(tiny_judge("llama").tokenizer) == before
    tokenizer.chat_template = "{{ messages[0].content }}"
    with_template = tokenizer_digest(tokenizer)
    tokenizer.add_tokens(["<new>"])
    assert len({before, with_template, tokenizer_digest(tokenizer)}) == 3
