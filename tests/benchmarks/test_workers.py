import sys
from pathlib import Path

import pytest

from tests.benchmarks.workers import Worker, checkout_worker

ROOT = Path(__file__).parents[2]
ECHO = "import sys\nfor line in sys.stdin:\n    print(line, end='', flush=True)\n"


def test_a_worker_answers_one_line_with_one(tmp_path):
    script = tmp_path / "echo.py"
    script.write_text(ECHO)
    with Worker([sys.executable, str(script)], {"dtype": "float32"}, {}) as worker:
        assert worker.about == {"dtype": "float32"}
        assert worker.ask({"run": "engine"}) == {"run": "engine"}


def test_a_worker_that_ends_is_told_in_one_line(tmp_path):
    script = tmp_path / "ends.py"
    script.write_text("raise SystemExit(1)")
    with pytest.raises(SystemExit, match=r"ends\.py ended; see its messages above"):
        Worker([sys.executable, str(script)], {"dtype": "float32"}, {})


@pytest.mark.full
@pytest.mark.slow
def test_a_checkout_is_timed_in_its_own_process(monkeypatch):
    monkeypatch.delenv("PROM_REWARD_DATA", raising=False)
    with checkout_worker(ROOT, "float32", "cpu") as before:
        assert before.ask({"workload": "a", "is_quick": True})["total_chars"] > 1000
        assert before.ask({"run": "engine"})["seconds"] > 0
