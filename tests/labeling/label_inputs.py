"""Rows and a scripted judge that the tests of labeling share; the judge pickles, so that processes can have it."""

import json
import zlib

from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.judging.judge import PrometheusJudge


def verdict(prompt):
    """A verdict that depends on the whole prompt, for grading and for ranking."""
    number = zlib.crc32(prompt.user.encode())
    return f"Feedback {number % 97}. [RESULT] {prompt.labels[number % len(prompt.labels)]}"


def scripted_judge(script=verdict, **changes):
    return PrometheusJudge(ScriptedEngine(script, keeps_prompts=False), **changes)


def pairs(count):
    """Preference pairs of which every seventh repeats an earlier response."""
    return [
        {"id": f"row-{at}", "prompt": f"Question {at}?", "chosen": f"Answer {at % 7}.", "rejected": f"Reply {at}."}
        if at % 7
        else {"id": f"row-{at}", "prompt": "The same question?", "chosen": "The same.", "rejected": f"Reply {at}."}
        for at in range(count)
    ]


def write_rows(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def read_rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
