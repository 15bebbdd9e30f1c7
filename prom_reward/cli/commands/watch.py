"""`prom-reward watch`: the report of a training while it runs."""

from pathlib import Path
from typing import Annotated

import typer

from prom_reward.cli.parts.console import stderr
from prom_reward.config import load_rubric
from prom_reward.errors import InputError, MissingPackageError
from prom_reward.reports.training_folder import LOG_FILE


def watch(
    source: Annotated[Path, typer.Argument(help="A training's folder, or its judgment log; it may be missing yet.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8101,
    rubric: Annotated[
        str | None, typer.Option("--rubric", help="The rubrics of the log, a YAML file: shown beside labels.")
    ] = None,
) -> None:
    """Serve the report of a training while it runs; new judgments appear step by step.

    The page is `prom-reward report`'s, at http://127.0.0.1:8101, for this machine alone. Its figures are those of the
    moment when it was loaded; groups, judgments, filters and labels go on.

    Example: `prom-reward watch grpo-output`
    """
    try:
        import uvicorn

        from prom_reward.reports.live.app import make_app
        from prom_reward.reports.live.tail import LogTail
        from prom_reward.serving.server import listen
    except ImportError as error:
        raise MissingPackageError('watch needs starlette and uvicorn; pip install ".[serve]"') from error
    if not source.exists() and not source.resolve().parent.is_dir():
        raise InputError(f"{source}: got no folder {source.parent} for it; expected the training's folder, or make it")
    log = source if source.is_file() or source.suffix == ".jsonl" else source / LOG_FILE
    rubrics = load_rubric(rubric) if rubric is not None else ()
    if log.exists():
        LogTail(log).poll()  # a file that is no log is refused now
    with listen("127.0.0.1", port) as listening:
        taken = listening.getsockname()[1]
        if not log.exists():
            is_folder_missing = log != source and not source.exists()
            missing = f"{source}: the folder does not exist yet" if is_folder_missing else f"{log}: not there yet"
            text = f"{missing}; waiting for its first judgments"
            stderr.print(text, highlight=False, soft_wrap=True)
        stderr.print(f"watching {log} at http://127.0.0.1:{taken} (Ctrl-C to stop)", highlight=False, soft_wrap=True)
        app = make_app(source, log, rubrics=rubrics)
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listening])
