"""The exception tree: every error that this package raises on purpose.

    PromRewardError
    ├── InputError               the caller's input cannot be used (exit status 2)
    │   ├── RubricError          no rubric, or one that contradicts itself
    │   ├── ConfigError          a name, key or value in a configuration
    │   └── RowError             a row of a data set lacks what grading needs
    └── WorkError                the input is right, the work failed (exit status 1)
        ├── MissingPackageError  an optional package is not installed
        ├── ModelLoadError       weights or tokenizer cannot be loaded
        ├── ServerGoneError      a judge's server has not answered for too long
        └── UnscoredError        something could not be scored and `on_unscored="raise"`

`prom_reward.cli` turns one into a line and an exit status.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class PromRewardError(Exception):
    """Base of all errors that this package raises on purpose."""


class InputError(PromRewardError):
    """The caller's input cannot be used; the message says got, expected and what to do."""


class RubricError(InputError):
    """A rubric is missing, unknown or contradicts itself."""


class ConfigError(InputError):
    """A name, key or value in a configuration is wrong."""


class RowError(InputError):
    """A row of a data set lacks what grading needs, or holds it in an unknown form."""


class WorkError(PromRewardError):
    """The input was right, but the work failed."""


class MissingPackageError(WorkError):
    """An optional package is not installed; the message holds the pip command."""


class ModelLoadError(WorkError):
    """A model's weights or tokenizer cannot be loaded, and the caller's files are not to blame."""


class ServerGoneError(WorkError):
    """A judge's server has not answered for too long."""


class UnscoredError(WorkError):
    """A response could not be scored and the caller asked for an error."""


def near_miss(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Return ` Did you mean 'x'?` for the known name closest to `name`, or an empty string.

    Args:
        name: The name.
        known: The names that are known.
        cutoff: The least likeness from 0 to 1; 0.8 is a slip of the pen.
    """
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def number_of(count: float, noun: str, plural: str = "") -> str:
    """Return a count with its noun, which gets an s unless the count is 1 or another plural is given: `1 row`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}".replace(".0 ", " ")


def check_flags(**flags: object) -> None:
    """Raise ConfigError for a flag that is no boolean, such as the text "false", which Python takes as true."""
    for name, value in flags.items():
        if isinstance(value, str) or value not in (True, False):
            raise ConfigError(f"got {name}={value!r:.40}; expected True or False")


def check_unquoted(where: str, values: Mapping[str, Any]) -> None:
    """Raise ConfigError for a boolean that stands in quotes among arguments of others, who take every text as true."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            check_unquoted(f"{where}.{name}", value)
        elif isinstance(value, str) and value.strip().lower() in ("true", "false"):
            unquoted = value.strip().lower()
            raise ConfigError(f"{where}: got {name}={value!r}, a text; expected {unquoted} without quotes")
