"""Consoles, progress bars, quiet libraries and checks of output files, for all sub-commands."""

import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TimeRemainingColumn,
)
from rich.text import Text

from prom_reward.errors import InputError
from prom_reward.pages.text import visible

if TYPE_CHECKING:
    from prom_reward.judging.base import Judge


class _PlainConsole(Console):
    """Shows text of files, judges and users as it is: what hides or reorders it, or steers a terminal, as code points.

    Brackets and colons in it are no markup, nor emoji codes.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Return text to print, also of the cells and titles of tables."""
        return super().render_str(visible(text), **options)


stdout = _PlainConsole(markup=False, emoji=False)
stderr = _PlainConsole(markup=False, emoji=False, stderr=True)

_BLOCKS = " ▁▂▃▄▅▆▇█"
_LINE_S = 30.0  # between two lines of progress in a log


class _Description(ProgressColumn):
    """The task's name."""

    def render(self, task: Task) -> Text:
        """Return the description of a task."""
        return Text(visible(task.description))


class _Count(ProgressColumn):
    """Finished items, of how many if that is known."""

    def render(self, task: Task) -> Text:
        """Return the count of a task."""
        return Text(f"{task.completed:.0f}" if task.total is None else f"{task.completed:.0f}/{task.total:.0f}")


class _Rate(ProgressColumn):
    """Finished items a second, or seconds an item if that is slow."""

    def render(self, task: Task) -> Text:
        """Return the rate of a task."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("--/s")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f}s each")


class Reminder:
    """Prints lines on standard error every half minute, from a thread, while something goes on for long.

    Args:
        lines: Returns what there is to say now.
    """

    def __init__(self, lines: Callable[[], Iterable[str]]) -> None:
        self._lines = lines
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._remind, daemon=True)

    def __enter__(self) -> "Reminder":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()  # else its last line may come after those that follow

    def _remind(self) -> None:
        while not self._is_over.wait(_LINE_S):
            for line in self._lines():
                stderr.print(line, soft_wrap=True, highlight=False)


class _LoggedProgress(Progress):
    """Bars in a terminal; elsewhere, as in a log, a line at the start of each task and every half minute."""

    def __enter__(self) -> "_LoggedProgress":
        super().__enter__()
        self._reminder = None if self.console.is_terminal else Reminder(self._unfinished).__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        for task in self.tasks:
            if task.total is None and error[0] is None:
                self.update(task.id, total=task.completed)  # now it is known
        super().__exit__(*error)
        if self._reminder is not None:
            self._reminder.__exit__(*error)

    def add_task(self, description: str, *args: Any, **more: Any) -> TaskID:
        """Add a task, and print its line if nobody sees its bar."""
        added = super().add_task(description, *args, **more)
        if not self.console.is_terminal:
            self.console.print(_line(self.tasks[-1]), soft_wrap=True, highlight=False)
        return added

    def _unfinished(self) -> list[str]:
        return [_line(task) for task in self.tasks if not task.finished]


def _line(task: Task) -> str:
    """Return how far a task is, for a log; one of unknown length that begins has no count yet."""
    if not task.total:
        return f"{task.description}: {task.completed:.0f}" if task.completed else f"{task.description} ..."
    elapsed = f", for {task.elapsed:.0f} s" if task.elapsed and task.elapsed >= _LINE_S / 2 else ""
    return f"{task.description}: {task.completed:.0f} of {task.total:.0f}{elapsed}"


def progress_bar() -> Progress:
    """Return a progress bar on standard error, with rate and time left."""
    return _LoggedProgress(
        _Description(),
        BarColumn(),
        _Count(),
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
    """Switch off other libraries' progress bars and warnings, before or after they are imported."""
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS", "TRL_EXPERIMENTAL_SILENCE"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if "transformers" in sys.modules:
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        transformers_logging.set_verbosity_error()


def load_now(judge: "Judge", name: str | None = None) -> float:
    """Load a judge's weights, say so on standard error, and return the seconds that it took."""
    stderr.print(f"loading the judge {name or judge.name} ...", highlight=False, soft_wrap=True)
    start = time.perf_counter()
    with Reminder(lambda: [f"still loading, {time.perf_counter() - start:.0f} s so far"]):
        judge.load()
    seconds = time.perf_counter() - start
    if seconds >= 1:
        stderr.print(f"loaded in {seconds:.0f} s", highlight=False)
    return seconds


def plain_json(value: Any) -> Any:
    """Return a value that JSON can hold: numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    typer.echo(json.dumps(plain_json(value), default=str))


def check_writable(path: Path, *, force: bool, source: Path | None = None, option: str = "--out") -> None:
    """Fail before the work if the result cannot be written or would overwrite another file.

    Args:
        path: The file to write.
        force: Whether an existing file may be overwritten.
        source: The input file, which is never overwritten.
        option: The option that names the path, for messages.

    Raises:
        InputError: The file is `source` itself, or exists with content and `force` is off, or its folder is
            missing or read-only.
    """
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise InputError(f"{path}: got the input file as output; give another {option}")
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


def check_folder(out: Path) -> None:
    """Make the folder for the results, so that a mistyped one is refused before the work.

    Raises:
        InputError: It cannot be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror}); give an --out in a writable folder") from error
    check_writable(out / ".writable", force=True)
