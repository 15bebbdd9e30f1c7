"""The application: its sub-commands, imported only when they run, and the options that all share."""

import logging
import warnings
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from prom_reward import __version__
from prom_reward.errors import InputError
from prom_reward.pages.text import visible

COMMANDS = {
    "demo": "Grade six answers of known quality, then train SmolLM2-135M with GRPO for a few steps, offline.",
    "grade": "Grade responses by a rubric, with or without a reference answer.",
    "label": "Label preference pairs, responses, or several responses per prompt; write what trainers take.",
    "report": "Write one self-contained HTML page to explore a labeling or a training's judgments.",
    "watch": "Serve the report of a training while it runs; new judgments appear step by step.",
    "rejudge": "Judge a log or labels again with another judge, rubric or guard, and show what changed.",
    "evaluate": "Measure how well a judge agrees with labels: scores, preference pairs, or verdicts on criteria.",
    "tune": "Try cheap changes to a judge: mode, layout, wordings, a head on hidden states, temperature, calibration.",
    "audit": "Attack a judge, probe it for bias, consistency and use of its scale, and give a verdict on each.",
    "build-training-data": "Build labeled rows whose truth code knows: facts, rubrics for aspects, and criteria.",
    "serve": "Serve one judge over HTTP to TRL's ranks, verl, OpenRLHF, slime, NeMo-Gym and others.",
    "train-judge": "Train a judge on labeled rows; run it again to resume after a stop.",
    "rubrics": "Check rubrics and checklists before a training pays for them: `prom-reward rubrics lint FILE`.",
    "judges": "List the known judges and the built-in rubrics, or check a server.",
}
"""The sub-commands with the first line of their help, so that `--help` imports none of them."""


def load_command(name: str) -> Any:
    """Return a sub-command: the function of the same name in its module, or the group of that name."""
    function = name.replace("-", "_")
    found = getattr(import_module(f"prom_reward.cli.commands.{function}"), function)
    if isinstance(found, typer.Typer):
        for one in found.registered_commands:
            one.cls = _OnceCommand
        return typer.main.get_command(found)
    single = typer.Typer(rich_markup_mode="markdown", add_completion=False)
    single.command(name, cls=_OnceCommand)(found)
    return typer.main.get_command(single)


class _OnceCommand(TyperCommand):
    """Refuses an option that is given twice and takes one value, of which Click would keep the last."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            given: list[Any] = self.make_parser(ctx).parse_args(list(args))[2]
            for option in given:
                is_single = option.param_type_name == "option" and not (option.multiple or option.is_flag)
                if is_single and given.count(option) > 1:
                    raise InputError(f"got {option.opts[0]} twice; expected it once: {option.help}")
        return super().parse_args(ctx, args)


class _LazyGroup(TyperGroup):
    """Lists commands from COMMANDS and imports the one that is run or completed."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: TyperCommand(name, help=line) for name, line in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else command, rest


app = typer.Typer(
    name="prom-reward",
    cls=_LazyGroup,
    help="Write a rubric, get rewards: Prometheus evaluator LMs as reward functions for TRL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"prom-reward {__version__}")
        raise typer.Exit


@app.callback()
def _shared(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug logs.")] = False,
) -> None:
    plain = logging.StreamHandler()
    plain.setFormatter(_PlainFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[plain])
    logging.getLogger("prom_reward").setLevel(logging.DEBUG if debug else logging.WARNING)
    if debug:
        return
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_news)
    warnings.simplefilter("ignore")  # other libraries' deprecations are no news for a user of this command


class _PlainFormatter(logging.Formatter):
    """Writes what hides or reorders text, or steers a terminal, as code points."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line."""
        return visible(super().format(record))


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log record is this package's, or another library's error."""
    return record.name.startswith("prom_reward") or record.levelno >= logging.ERROR
