import json
import re
import sys

import pytest

from prom_reward import PrometheusJudge, ScriptedEngine
from prom_reward.cli.main import main

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
RESPONSES = ["complete", "short", "vague", "wrong", "off topic", "empty"]


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["prom-reward", "demo", *arguments])
    main()


@pytest.mark.slow
@pytest.mark.usefixtures("smollm2_folder")
def test_the_demo_grades_and_trains(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "160")
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, "--steps", "1")
    assert end.value.code == 0
    shown = capsys.readouterr().out
    rows = [line for line in shown.splitlines() if re.match(r"│ (complete|short|vague|wrong|off topic|empty)\b", line)]
    assert len(rows) == 6
    assert len({re.search(r"│ ([1-5]\.\d\d) ", line)[1] for line in rows}) > 3
    assert all(re.search(r"│ [1-5]\.\d\d +│ 1.{5}5 │ 0\.\d\d +│ (rightly|WRONGLY) +│", line) for line in rows)
    wrong = [name for name, line in zip(RESPONSES, rows, strict=True) if line.endswith("│ WRONGLY │")]
    assert re.search(r"The good one got more in \d of 8 pairs", shown)
    assert f"Judged wrongly: {', '.join(wrong)}." in shown
    assert re.search(r"│ +1 │ +0\.\d{3} │ +0\.\d{3} │", shown)


def test_the_demo_in_json_without_training(monkeypatch, capsys):
    judge = PrometheusJudge(ScriptedEngine([f"[RESULT] {score}" for score in (4, 2, 2, 3, 1, 1)]))
    monkeypatch.setattr("prom_reward.cli.commands.demo.load_prometheus_judge", lambda name: judge)
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, "--steps", "0", "--json")
    assert end.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert [row["answer"] for row in printed["graded"]] == RESPONSES
    assert all(row["reward"] == pytest.approx((row["score"] - 1) / 4) for row in printed["graded"])
    assert [row["score"] > 3 for row in printed["graded"]] == [True] + [False] * 5
    assert [row["is_judged_right"] for row in printed["graded"]] == [True, False, True, True, True, True]
    assert printed["trained"] == []
