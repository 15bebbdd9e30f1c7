"""What all sub-commands print with.

It does not know judges.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from prom_reward.errors import InputError

# What is printed comes from files, judges and users: brackets and colons in it are no markup, nor emoji codes.
stdout = Console(markup=False, emoji=False)
stderr = Console(markup=False, emoji=False, stderr=True)

_BLOCKS = " ▁▂▃▄▅▆▇█"


class _Rate(ProgressColumn):
    """Finished items a second, or seconds an item where that is slow."""

    def render(self, task: Task) -> Text:
        """Return the rate of a task."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("--/s")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f}s each")


def progress_bar() -> Progress:
    """Return a progress bar on standard error, with rate and time left."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=stderr,
    )


def distribution_bar(probs: Mapping[int, float] | None) -> str:
    """Return a distribution over scores as one block a score, with the ends labeled: `1▂▁▁▃█5`."""
    if not probs:
        return ""
    blocks = "".join(_BLOCKS[round(prob * (len(_BLOCKS) - 1))] for _, prob in sorted(probs.items()))
    return f"{min(probs)}{blocks}{max(probs)}"


def quiet_libraries() -> None:
    """Switch off the other libraries' progress bars, which would tear the tables."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def check_writable(path: Path, *, force: bool, source: Path | None = None, option: str = "--out") -> None:
    """Fail before the work where the result could not be written, or would overwrite another.

    Args:
        path: Where the result of `option` is to be written.
        force: Whether what is there may be overwritten.
        source: The input.
        option: The option that names the path, for messages.

    Raises:
        InputError: The file is `source` itself, or exists with content and `force` is off, or its folder is
            missing or read-only.
    """
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise InputError(f"{path}: this is the input, which would be lost; give another {option}")
    if path.exists() and path.is_file() and path.stat().st_size and not force:
        raise InputError(f"{path}: the file exists; give another {option}, or --force to overwrite it")
    existed = path.exists()
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        reason = f"cannot be written ({error.strerror})"
        raise InputError(f"{path}: {reason}; give another {option}, in a writable folder") from error
    if not existed:
        with suppress(OSError):
            path.unlink()
