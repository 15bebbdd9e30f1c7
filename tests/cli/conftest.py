"""Runs the command line in this process, as a user's shell would."""

import io
import itertools
import json
import logging
import sys
from types import SimpleNamespace

import pytest

from prom_reward.rewards.judgment_log import JudgmentLog, judgment_record
from tests.labeling.label_inputs import scripted_judge


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs `prom-reward` with arguments; returns its exit status, standard output and standard error."""
    from transformers.utils import logging as transformers_logging

    from prom_reward.cli.main import main
    from prom_reward.cli.parts.console import stderr, stdout

    verbosity = transformers_logging.get_verbosity()
    level = logging.getLogger("prom_reward").level
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for console in (stdout, stderr):
        monkeypatch.setattr(console, "width", 200)

    def call(*arguments, stdin=None):
        monkeypatch.setattr(sys, "argv", ["prom-reward", *map(str, arguments)])
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return SimpleNamespace(status=end.value.code or 0, out=captured.out, err=captured.err)

    yield call
    transformers_logging.set_verbosity(verbosity)
    transformers_logging.enable_progress_bar()
    logging.getLogger("prom_reward").setLevel(level)


@pytest.fixture
def judged_by(monkeypatch):
    """Puts judges of the test's own, in turn, in the place of those that a command would load."""

    def place(*judges, command="commands.grade"):
        turns = itertools.cycle(judges)
        loader = "load_prometheus_judge" if command == "commands.tune" else "load_judge"
        monkeypatch.setattr(f"prom_reward.cli.{command}.{loader}", lambda *settings, **overrides: next(turns))

    return place


@pytest.fixture
def tiny(tiny_judge_folder):
    """Options of a judge that loads in milliseconds."""
    return ("--judge", tiny_judge_folder, "--mode", "score", "--dtype", "float32")


@pytest.fixture
def rows_file(tmp_path):
    """Writes rows as JSONL and returns the path."""

    def make(*lines):
        path = tmp_path / "rows.jsonl"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return path

    return make


@pytest.fixture
def log(tmp_path, request_of):
    """A judgment log of four responses, all with a 1."""
    requests = [request_of(f"Answer {number}.") for number in range(4)]
    judged = zip(requests, scripted_judge(lambda prompt: "Bad. [RESULT] 1").grade(requests), strict=True)
    path = tmp_path / "judgments.jsonl"
    JudgmentLog(path).append({"step": 0, "row": at, **judgment_record(*one)} for at, one in enumerate(judged))
    return path
