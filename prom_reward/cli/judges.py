"""`prom-reward judges`: the known judges and rubrics."""

import json
from typing import Annotated

import typer
from rich.table import Table

from prom_reward.cli.console import stdout
from prom_reward.config import judge_config, judge_presets
from prom_reward.rubrics import builtin_names, builtin_rubric


def judges(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the known judges and the built-in rubrics.

    Example: `prom-reward judges`
    """
    configs = [judge_config(name) for name in judge_presets()]
    rubrics = [builtin_rubric(name) for name in builtin_names()]
    if as_json:
        shown = {
            "judges": [config.model_dump(exclude={"preset"}) for config in configs],
            "rubrics": [
                {"name": one.name, "criteria": one.criteria, "descriptions": one.descriptions} for one in rubrics
            ],
        }
        typer.echo(json.dumps(shown, indent=2))
        return
    table = Table(title="Judges", title_justify="left")
    for heading in ("name", "what it is", "weights", "mode"):
        table.add_column(heading, overflow="fold")
    for config in configs:
        table.add_row(config.name, config.description, config.model, config.mode)
    stdout.print(table)
    table = Table(title="Built-in rubrics", title_justify="left")
    for heading in ("name", "criteria"):
        table.add_column(heading, overflow="fold")
    for rubric in rubrics:
        table.add_row(rubric.name, rubric.criteria)
    stdout.print(table)
