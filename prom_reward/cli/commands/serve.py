"""`prom-reward serve`: one judge for every RL framework, over HTTP."""

import importlib.util
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from prom_reward.cli.parts import options
from prom_reward.cli.parts.console import load_now, quiet_libraries, stderr
from prom_reward.cli.parts.options import given
from prom_reward.config import load_judge, load_rubric
from prom_reward.engines.server.source import is_loopback
from prom_reward.errors import MissingPackageError, PromRewardError
from prom_reward.rewards.batch import RowReader
from prom_reward.rewards.judgment_log import JudgmentLog
from prom_reward.rewards.normalizers import resolve_normalizer
from prom_reward.rewards.observers.audit_judge import AuditJudge
from prom_reward.rewards.reward_rule import RewardRule, ScoreKind

if TYPE_CHECKING:
    from prom_reward.serving.service import JudgeService

logger = logging.getLogger(__name__)

KEY_VARIABLE = "PROM_REWARD_SERVE_KEY"

_SERVER = "Server"
_REWARD = "Reward"


def serve(
    judge: Annotated[
        str, typer.Argument(help="A preset (`prom-reward judges`), a folder, a hub id, a URL or a YAML file.")
    ] = options.DEFAULT_JUDGE,
    rubric: Annotated[
        str | None,
        typer.Option(help="For requests without one: a name, a YAML file (several, with weights) or a text."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.", rich_help_panel=_SERVER)] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.", rich_help_panel=_SERVER)
    ] = 8100,
    max_wait_ms: Annotated[
        float,
        typer.Option(min=0, help="How long a batch waits for others if the judge is free.", rich_help_panel=_SERVER),
    ] = 20.0,
    max_batch: Annotated[int, typer.Option(min=1, help="Responses judged together.", rich_help_panel=_SERVER)] = 256,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Responses that may wait; more get status 429.", rich_help_panel=_SERVER)
    ] = 4096,
    parallel: Annotated[
        int,
        typer.Option(min=1, help="Batches at once; more than 1 for a judge on a server.", rich_help_panel=_SERVER),
    ] = 1,
    max_group_wait: Annotated[
        float,
        typer.Option(
            min=1, help="Seconds that a group with comparisons waits for all its members.", rich_help_panel=_SERVER
        ),
    ] = 300.0,
    max_body_mb: Annotated[int, typer.Option(min=1, help="The largest request.", rich_help_panel=_SERVER)] = 32,
    normalizer: Annotated[
        Literal["unit", "centered", "identity"],
        typer.Option(help="Rewards from 0 to 1, from -1 to 1, or the score itself.", rich_help_panel=_REWARD),
    ] = "unit",
    score: Annotated[
        ScoreKind, typer.Option(help="The distribution's mean, or the sampled integers'.", rich_help_panel=_REWARD)
    ] = "expected",
    include_reasoning: Annotated[
        bool, typer.Option("--include-reasoning", help="Show the judge a policy's thoughts.", rich_help_panel=_REWARD)
    ] = False,
    opens_thoughts: Annotated[
        bool,
        typer.Option(
            "--opens-thoughts",
            help="The policy's chat template opens its thoughts: without a closing mark there is no answer.",
            rich_help_panel=_REWARD,
        ),
    ] = False,
    log: Annotated[
        Path | None, typer.Option(help="Append every judgment to this JSONL file.", rich_help_panel=options.OUTPUT)
    ] = None,
    cache: Annotated[
        str | None, typer.Option(help="An SQLite file; nothing is judged twice.", rich_help_panel=options.JUDGE)
    ] = None,
    audit_judge: Annotated[
        str | None,
        typer.Option(help="A second judge that scores a sample of the responses.", rich_help_panel=options.JUDGE),
    ] = None,
    mode: options.Mode = None,
    num_samples: options.Samples = None,
    model: options.Model = None,
    adapter: options.Adapter = None,
    calibration: options.CalibrationFile = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    truncate_response: options.Truncation = None,
) -> None:
    """Serve one judge over HTTP to TRL's ranks, verl, OpenRLHF, slime, NeMo-Gym and others.

    Requests that arrive together are judged as one batch. A response that cannot be scored is an error or a null in
    the words of each framework, never a number. SIGTERM ends the server after all requests that it took; SIGHUP reads
    the rubric file again. The environment variable `PROM_REWARD_SERVE_KEY` sets a key that callers must send.

    Example: `prom-reward serve smollm2-135m --rubric helpfulness --port 8100`

    Example: `prom-reward serve prometheus-7b-v2.0 --rubric rubrics.yaml --log judgments.jsonl`
    """
    _require_packages()
    quiet_libraries()
    from prom_reward.serving.app import make_app
    from prom_reward.serving.batcher import BatchLimits
    from prom_reward.serving.server import listen, run_server
    from prom_reward.serving.service import JudgeService

    overrides: dict[str, Any] = given(
        mode=mode, num_samples=num_samples, model=model, adapter=adapter, calibration=calibration, dtype=dtype,
        device=device, truncate_response=truncate_response, cache=cache,
    )  # fmt: skip
    key = os.environ.get(KEY_VARIABLE, "").strip() or None
    rubrics = load_rubric(rubric) if rubric is not None else ()
    options.check_judge(judge, overrides)  # before the port is taken
    if audit_judge is not None:
        options.check_judge(audit_judge, {})
    limits = BatchLimits(
        max_wait_s=max_wait_ms / 1000,
        max_batch=min(max_batch, max_queue),
        max_queued=max_queue,
        max_parallel=parallel,
        max_group_wait_s=max_group_wait,
    )
    loaded = load_judge(judge, **overrides)
    second = [load_judge(audit_judge)] if audit_judge is not None else []
    with listen(host, port) as listening:
        if log is not None:
            JudgmentLog(log)  # one that cannot be written is refused before the judge is loaded
        for one in (loaded, *second):
            load_now(one)
        service = JudgeService(
            loaded,
            rows=RowReader(rubrics=rubrics, include_reasoning=include_reasoning, opens_thoughts=opens_thoughts),
            rule=RewardRule(normalizer=resolve_normalizer(normalizer), score=score),
            limits=limits,
            observers=[AuditJudge(judge=one) for one in second],
            log_path=log,
            read_rubrics=None if rubric is None else lambda: load_rubric(rubric),
        )
        address, taken = listening.getsockname()[:2]
        if key is None and not is_loopback(str(address)):
            stderr.print(f"warning: {address} is open to other machines without a key; set {KEY_VARIABLE}")
        stderr.print(f"serving {loaded.name} at http://{host}:{taken} (Ctrl-C to stop)", soft_wrap=True)
        run_server(
            make_app(service, key=key, max_body_bytes=max_body_mb << 20),
            listening,
            on_hang_up=lambda: _reload(service),
            on_stop=service.release_groups,
        )
    stderr.print("stopped; every request that was taken is answered")


def _reload(service: "JudgeService") -> None:
    """Read the rubrics again; keep the old ones if they cannot be read."""
    try:
        rubrics = service.reload_rubrics()
    except PromRewardError as error:
        logger.warning("the rubrics stay as they were: %s", error)
    else:
        stderr.print(f"read {', '.join(one.name for one in rubrics)} again", soft_wrap=True)


def _require_packages() -> None:
    missing = [name for name in ("starlette", "uvicorn", "prometheus_client") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            f"serving needs {', '.join(missing)}, which is not installed; run: pip install '.[serve]' in the clone"
        )
