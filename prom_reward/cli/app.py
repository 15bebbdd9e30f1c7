"""The application: its sub-commands and the options that all share.

It does not know what a sub-command does.
"""

import logging
import warnings
from typing import Annotated

import typer

from prom_reward import __version__
from prom_reward.cli.audit import audit
from prom_reward.cli.demo import demo
from prom_reward.cli.evaluate import evaluate
from prom_reward.cli.grade import grade
from prom_reward.cli.judges import judges
from prom_reward.cli.label import label
from prom_reward.cli.report import report
from prom_reward.cli.train_judge import train_judge

app = typer.Typer(
    name="prom-reward",
    help="Write a rubric, get rewards: Prometheus evaluator LMs as reward functions for TRL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    add_completion=False,
)
app.command()(demo)
app.command()(grade)
app.command()(evaluate)
app.command()(label)
app.command()(report)
app.command()(audit)
app.command()(judges)
app.command("train-judge")(train_judge)


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
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("prom_reward").setLevel(logging.DEBUG if debug else logging.WARNING)
    if not debug:
        warnings.simplefilter("ignore")  # other libraries' deprecations are no news for a user of this command
