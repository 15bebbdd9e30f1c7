"""Writes the examples of a training into one file, and reads them from it where the data and the time are missing."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prom_reward.errors import InputError
from prom_reward.files import replacing_bytes
from prom_reward.training.checkpoints import differences
from prom_reward.training.data import ExampleSets
from prom_reward.training.examples import TrainingExample

_STAMP = "prom_reward_examples"
_MOST_SHOWN = 3
_DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, EOFError),
    *(ValueError, LookupError, TypeError, AttributeError, RuntimeError),
)
_SAMPLE = "###Score: naïve “quotes”, 12345 + 6.7e8\n\n\tdef f(x): return [RESULT] 5 日本語 🙂"


def write_examples(path: Path, sets: ExampleSets, stamp: Mapping[str, Any]) -> None:
    """Write examples into one file that appears whole.

    Args:
        path: The file; what it held is replaced.
        sets: The examples.
        stamp: What they depend on: names and JSON values.

    Raises:
        WorkError: The disk is full or cannot be written.
    """
    examples = [*sets.training, *sets.validation]
    sources, families = _numbers(one.source for one in examples), _numbers(one.family for one in examples)
    facts = {
        "stamp": stamp,
        "sources": list(sources),
        "num_training": len(sets.training),
        "num_too_long": sets.num_too_long,
        "num_rows": sets.num_rows,
    }
    arrays: dict[str, Any] = {
        _STAMP: np.frombuffer(json.dumps(facts).encode(), np.uint8),
        "ids": _small(number for one in examples for number in one.ids),
        "lengths": _small(len(one.ids) for one in examples),
        "prompt_lengths": _small(one.prompt_length for one in examples),
        "label_ids": _small(number for one in examples for number in one.label_ids),
        "label_probs": np.array([prob for one in examples for prob in one.label_probs], np.float64),
        "num_labels": _small(len(one.label_ids) for one in examples),
        "sources": _small(sources[one.source] for one in examples),
        "families": _small(families[one.family] for one in examples),
    }
    with replacing_bytes(path) as file:
        np.savez_compressed(file, **arrays)


def read_examples(path: Path, stamp: Mapping[str, Any]) -> ExampleSets:
    """Read what `write_examples` wrote: the same examples in the same order, whose families are numbers.

    Args:
        path: The file.
        stamp: What the examples have to depend on.

    Raises:
        InputError: The file cannot be read, is damaged, or its examples depend on something else.
    """
    expected = "expected one of `prom-reward train-judge --prepare`"
    try:
        facts, arrays = _read(path)
        before = dict(facts["stamp"])
        differing = differences(before, json.loads(json.dumps(stamp)))
        sets = None if differing else _sets(facts, arrays)
    except OSError as error:
        raise InputError(f"{path}: cannot read the file ({error.strerror}); {expected}") from error
    except _DAMAGES as error:
        raise InputError(f"{path}: not a whole file of examples; {expected}, so prepare it again") from error
    if sets is None:
        more = f" and {len(differing) - _MOST_SHOWN} more" if len(differing) > _MOST_SHOWN else ""
        raise InputError(
            f"{path}: got examples of another recipe ({', '.join(differing[:_MOST_SHOWN])}{more}); expected the same: "
            "prepare them again, or give the recipe that they were prepared with"
        )
    return sets


def is_prepared(path: Path) -> bool:
    """Whether a file is one of `write_examples`, by its table of contents."""
    try:
        with zipfile.ZipFile(path) as file:
            return f"{_STAMP}.npy" in file.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def tokenizer_digest(tokenizer: Any) -> str:
    """Return a digest of a tokenizer's vocabulary, chat template and work on a sample, wherever its files lie."""
    parts = [
        sorted(tokenizer.get_vocab().items()),
        getattr(tokenizer, "chat_template", None),
        tokenizer(_SAMPLE, add_special_tokens=False)["input_ids"],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    with zipfile.ZipFile(path) as file:
        if file.testzip() is not None:
            raise ValueError("a checksum is wrong")
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(arrays.pop(_STAMP).tobytes()), arrays


def _sets(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> ExampleSets:
    """Return the examples of a file; ValueError or LookupError if its arrays do not fit together."""
    num_labels = arrays["num_labels"].tolist()
    columns = {
        "ids": _parts(arrays["ids"], arrays["lengths"].tolist()),
        "prompt_length": arrays["prompt_lengths"].tolist(),
        "label_ids": map(tuple, _parts(arrays["label_ids"], num_labels)),
        "label_probs": map(tuple, _parts(arrays["label_probs"], num_labels)),
        "source": [facts["sources"][number] for number in arrays["sources"].tolist()],
        "family": arrays["families"].tolist(),
    }
    examples = [
        TrainingExample(**dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)
    ]
    num_training = facts["num_training"]
    return ExampleSets(examples[:num_training], examples[num_training:], facts["num_too_long"], facts.get("num_rows"))


def _numbers(values: Iterable[Any]) -> dict[Any, int]:
    """Return a number for each different value, in order."""
    return {value: number for number, value in enumerate(dict.fromkeys(values))}


def _small(numbers: Iterable[int]) -> NDArray[Any]:
    """Return natural numbers in the smallest type that holds them."""
    array = np.fromiter(numbers, np.int64)
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))


def _parts(array: NDArray[Any], lengths: Sequence[int]) -> list[list[Any]]:
    """Cut an array into lists of these lengths."""
    ends = [0, *accumulate(lengths)]
    if ends[-1] != array.size:
        raise ValueError("an array has another length than its parts")
    values = array.tolist()
    return [values[start:end] for start, end in pairwise(ends)]
