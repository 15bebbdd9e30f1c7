import inspect

import pytest

from prom_reward import errors
from prom_reward.errors import InputError, PromRewardError, WorkError, near_miss

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
