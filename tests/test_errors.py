import inspect
import re
from pathlib import Path

import pytest

from prom_reward import errors
from prom_reward.errors import InputError, PromRewardError, WorkError, near_miss, number_of

INPUT = {"RubricError", "ConfigError", "RowError"}
WORK = {"MissingPackageError", "ModelLoadError", "ServerGoneError", "UnscoredError"}


def _defined() -> dict[str, type]:
    classes = inspect.getmembers(errors, inspect.isclass)
    return {name: item for name, item in classes if item.__module__ == errors.__name__}


def test_every_error_has_the_base_that_gives_its_exit_status():
    children = {name: item.__bases__ for name, item in _defined().items()}
    assert children == {
        "PromRewardError": (Exception,),
        "InputError": (PromRewardError,),
        "WorkError": (PromRewardError,),
        **dict.fromkeys(INPUT, (InputError,)),
        **dict.fromkeys(WORK, (WorkError,)),
    }


def test_the_tree_in_the_docstring_shows_every_error():
    assert all(name in errors.__doc__ for name in _defined())


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("helpfulnes", ["honesty", "helpfulness"], " Did you mean 'helpfulness'?"),
        ("temprature", ("temperature", "top_p"), " Did you mean 'temperature'?"),
        ("zzz", ["honesty"], ""),
        ("honesty", [], ""),
        ("", ["honesty"], ""),
    ],
)
def test_near_miss_names_the_closest_known_name_or_nothing(name, known, expected):
    assert near_miss(name, iter(known)) == expected


@pytest.mark.parametrize(
    ("count", "nouns", "expected"),
    [
        (0, ("row",), "0 rows"),
        (1, ("row",), "1 row"),
        (1234, ("held-out label",), "1,234 held-out labels"),
        (1.0, ("pass", "passes"), "1 pass"),
        (2.5, ("pass", "passes"), "2.5 passes"),
    ],
)
def test_a_noun_goes_with_its_number(count, nouns, expected):
    assert number_of(count, *nouns) == expected


def test_no_command_counts_one_rows():
    nouns = "answers|examples|groups|judgments|labels|pairs|responses|rows|verdicts"
    counted = re.compile(rf"[^A-Z]\}} (?:more )?(?:{nouns})\b")
    files = Path(errors.__file__).parent.glob("cli/**/*.py")
    assert [line for file in files for line in file.read_text().splitlines() if counted.search(line)] == []
