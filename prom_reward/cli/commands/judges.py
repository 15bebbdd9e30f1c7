"""`prom-reward judges`: the known judges and rubrics, and what a server can do as a judge."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from prom_reward.cli.parts.console import stderr, stdout
from prom_reward.engines.server.source import ServerSource
from prom_reward.errors import ConfigError, InputError
from prom_reward.judging.served_judge import ServedJudge, served_judge
from prom_reward.rubrics.rubric import builtin_names, builtin_rubric
from prom_reward.settings.resolution import judge_config, judge_presets

if TYPE_CHECKING:
    from prom_reward.engines.server.probe import EndpointAbilities, ServerAbilities


def judges(
    check: Annotated[
        str | None, typer.Option("--check", metavar="URL", help="Ask an OpenAI-compatible server what it can do.")
    ] = None,
    served_model: Annotated[
        str | None, typer.Option(help="With --check: the model's name there; by default its only one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the known judges and the built-in rubrics, or check a server.

    Example: `prom-reward judges`

    Example: `prom-reward judges --check http://127.0.0.1:8000/v1`
    """
    if served_model is not None and check is None:
        raise InputError(f"got --served-model {served_model} and no --check; expected both: the server that serves it")
    if check is not None:
        source = ServerSource(url=check, model=served_model, max_retries=0, first_answer_s=5)
        stderr.print(f"asking {source.url} ...", soft_wrap=True, highlight=False)
        served = served_judge(source)
        if served is not None:
            _show_served(served, as_json)
        else:
            _check_server(source, as_json)
    else:
        _list_known(as_json)


def _list_known(as_json: bool) -> None:
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
    table = Table(title="Judges", title_justify="left", caption="all settings: --json", caption_justify="left")
    table.add_column("name", no_wrap=True)
    for heading in ("description", "mode"):
        table.add_column(heading)
    for config in configs:
        table.add_row(config.name, config.description, config.mode)
    stdout.print(table)
    table = Table(title="Built-in rubrics", title_justify="left")
    for heading in ("name", "criteria"):
        table.add_column(heading, overflow="fold")
    for rubric in rubrics:
        table.add_row(rubric.name, rubric.criteria)
    stdout.print(table)


def _check_server(source: ServerSource, as_json: bool) -> None:
    """Show what a server can do: completions, decision protocols, or both."""
    from prom_reward.engines.server.decisions.decision_engine import decision_apis
    from prom_reward.engines.server.openai_engine import server_abilities

    try:
        abilities, problem = server_abilities(source), None
    except ConfigError as error:
        abilities, problem = None, error
    decisions = decision_apis(source)
    if problem is not None and not decisions:
        raise problem
    if as_json:
        facts = {} if abilities is None else asdict(abilities)
        typer.echo(json.dumps({"url": source.url, **facts, "decisions": decisions}, indent=2, default=sorted))
        return
    if abilities is not None:
        _show_abilities(source.url, abilities)
    for api, model in decisions.items():
        name = f" of {model}" if model else ""
        stdout.print(f"{api}{name} at {source.url}/{api}: load_judge({source.url!r}, api={api!r})", soft_wrap=True)


def _show_abilities(url: str, abilities: "ServerAbilities") -> None:
    table = Table(title=f"{abilities.model} at {url}", title_justify="left")
    for heading in ("ability", "text completions", "chat completions"):
        table.add_column(heading, overflow="fold")
    both = (abilities.completions, abilities.chat)
    for name, show in _SHOWN.items():
        table.add_row(name, *("-" if endpoint is None else show(endpoint) for endpoint in both))
    stdout.print(table)
    length = abilities.context_length
    stdout.print(f"context: {length} tokens" if length else "context: the server does not say; give context_length")


def _show_served(judge: ServedJudge, as_json: bool) -> None:
    if as_json:
        facts = {"name": judge.name, "fingerprint": judge.fingerprint, "guard": judge.guard}
        typer.echo(json.dumps({"url": judge.source.url, "served_judge": facts}, indent=2))
        return
    stdout.print(f"{judge.name} of a `prom-reward serve` at {judge.source.url}; it grades and compares whole requests")
    guard = "on" if judge.guard else "off"
    stdout.print(f"guard: {guard}; all settings that can change a judgment: `fingerprint` with --json", soft_wrap=True)


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _distribution(endpoint: "EndpointAbilities") -> str:
    if endpoint.reads_token_ids:
        return "exact, at the labels' token ids"
    if endpoint.top_logprobs:
        return f"labels among the {endpoint.top_logprobs} likeliest tokens"
    return "none: integers only"


_SHOWN: "dict[str, Callable[[EndpointAbilities], str]]" = {
    "feedback mode": lambda endpoint: "yes",
    "score mode, forced verdicts": lambda endpoint: _yes(endpoint.continues_answer),
    "score distribution": _distribution,
    "prompts as token ids": lambda endpoint: _yes(endpoint.takes_token_ids),
    "several prompts a request": lambda endpoint: _yes(endpoint.takes_several),
    "repetition penalty": lambda endpoint: _yes(endpoint.takes_penalty),
}
