"""The options that several sub-commands share, in their named groups, and rows from standard input."""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from prom_reward.data.columns import COLUMN_NAMES
from prom_reward.data.labels.row_labels import scale_of
from prom_reward.engines.model.source import DtypeName
from prom_reward.errors import InputError
from prom_reward.rubrics.scale import ScoreScale
from prom_reward.settings.checks import check_device, check_weights
from prom_reward.settings.composed import composed_config
from prom_reward.settings.resolution import judge_config

JUDGE = "Judge"
ROWS = "Rows"
OUTPUT = "Output"

JudgeName = Annotated[
    str | None,
    typer.Option(
        "--judge",
        help="A preset (`prom-reward judges`), a folder of `train-judge`, a model's folder, a hub id, a URL or a YAML "
        "file. Default: smollm2-135m, a small judge for trying things out.",
        show_default=False,
        rich_help_panel=JUDGE,
    ),
]
Mode = Annotated[
    Literal["feedback", "score"] | None,
    typer.Option(help="Write feedback, then the score; or read the score at once.", rich_help_panel=JUDGE),
]
Model = Annotated[str | None, typer.Option(help="The folder or hub id of the judge's weights.", rich_help_panel=JUDGE)]
Adapter = Annotated[str | None, typer.Option(help="A LoRA adapter on the judge's weights.", rich_help_panel=JUDGE)]
CalibrationFile = Annotated[
    str | None,
    typer.Option("--calibration", help="A file of `evaluate --fit-calibration`.", rich_help_panel=JUDGE),
]
Dtype = Annotated[
    DtypeName | None,
    typer.Option(help="The number format that the judge computes in.", rich_help_panel=JUDGE),
]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, cuda:1, mps... Default: the first GPU, else the CPU.", rich_help_panel=JUDGE),
]
Samples = Annotated[
    int | None,
    typer.Option(
        "--num-samples",
        min=1,
        help="Number of feedbacks for each response; their scores are aggregated.",
        rich_help_panel=JUDGE,
    ),
]
Truncation = Annotated[
    Literal["middle"] | None,
    typer.Option("--truncate-response", help="Cut responses that exceed the judge's context.", rich_help_panel=JUDGE),
]
RubricText = Annotated[
    str | None,
    typer.Option(
        "--rubric", help="For rows without one: a name, a YAML file (several, with weights) or a text.",
        rich_help_panel=ROWS,
    ),
]  # fmt: skip
Column = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="ROLE=PATH",
        help=f"Name a column, or a path such as messages[-1].content, for a role: {', '.join(COLUMN_NAMES)}.",
        rich_help_panel=ROWS,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Read all rows first, and refuse a file if a column of known meaning, or an image in messages, stays "
        "unread, if rows are read from several columns, or if a column prefers a pair's rejected answer.",
        rich_help_panel=ROWS,
    ),
]
LabelScale = Annotated[
    str | None,
    typer.Option(
        "--label-scale", metavar="LOW-HIGH", help="The scale of the labels, if not the rubric's.", rich_help_panel=ROWS
    ),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Read at most this many rows.", rich_help_panel=ROWS)]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files.", rich_help_panel=OUTPUT)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.", rich_help_panel=OUTPUT)]
Page = Annotated[Path | None, typer.Option(help="Write an HTML page to this file.", rich_help_panel=OUTPUT)]

DEFAULT_JUDGE = "smollm2-135m"


def given(**settings: Any) -> dict[str, Any]:
    """Return the settings that were given on the command line: those that are not None."""
    return {name: value for name, value in settings.items() if value is not None}


def check_judge(judge: Any, settings: Mapping[str, Any], *, runs_here: bool = True) -> None:
    """Check a judge before its rows are read: in a second, without torch.

    Args:
        judge: What `--judge` or a YAML file names.
        settings: The settings that win over the judge's own.
        runs_here: Whether its device is this machine's.

    Raises:
        ConfigError: A setting, a folder or the device is wrong.
    """
    if composed := composed_config(judge):
        for one in composed.judges:
            check_judge(one, {}, runs_here=runs_here)
        return
    config = judge_config(judge, **settings)
    check_weights(config)
    if runs_here:
        check_device(config.device)


def named_columns(pairs: Sequence[str] | None) -> dict[str, str]:
    """Return the columns of `--column ROLE=PATH` by role.

    Raises:
        InputError: One has another form.
    """
    columns = {}
    for one in pairs or ():
        role, is_given, name = one.partition("=")
        if not is_given or not name:
            raise InputError(f"got --column {one!r}; expected ROLE=NAME, for example --column chosen=better")
        columns[role] = name
    return columns


def label_scale(text: str | None) -> ScoreScale | None:
    """Return the scale that `--label-scale 1-10` states.

    Raises:
        InputError: It has another form.
    """
    return None if text is None else scale_of(text, "--label-scale")


@contextmanager
def rows_path(path: Path | None) -> Iterator[Path]:
    """Yield the path of a file of rows; `-` becomes a temporary file with standard input's JSON or JSON lines.

    Raises:
        InputError: Standard input is a terminal.
    """
    if path is None or str(path) != "-":
        yield path or Path()
        return
    if sys.stdin.isatty():
        raise InputError("got - and a terminal as standard input; pipe rows into the command")
    text = sys.stdin.read().removeprefix("\ufeff")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / ("stdin.json" if text.lstrip().startswith("[") else "stdin.jsonl")
        file.write_text(text, encoding="utf-8", errors="replace")
        yield file
