"""The workloads of `bench_judge`: real answers to real questions, as a GRPO step or an offline job grades them.

(a) a GRPO step: 8 questions with 8 answers each, one rubric, score mode
(b) the same with three rubrics
(c) 16 answers, feedback mode, 128 tokens each
(d) 100 rows in file order, score mode
(e) as (a), in the layout `response_last`
(f) as (a), with 64 questions: 512 prompts, always of constructed texts

Without PROM_REWARD_DATA all texts are constructed: random words, as long as the real ones.
"""

import json
import os
import random
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from prom_reward import GradingRequest, Rubric

FEEDBACK_TOKENS = 128
CONSTRUCTED_CHARS = (304, 2500)
"""Shortest and longest constructed answer; the real ones are from 304 to 2,498 characters long."""
_RUBRICS = ("helpfulness", "factual_validity", "reasoning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is graded, and how."""

    name: str
    requests: list[GradingRequest]
    layout: str
    writes_feedback: bool = False


def workload(name: str, *, is_quick: bool) -> Workload:
    """Return a workload; `is_quick` takes 2 questions with 4 answers, 4 feedbacks or 12 rows."""
    groups = _constructed() if name == "f" or texts() == "constructed" else _groups()
    questions, answers = (2, 4) if is_quick else (64 if name == "f" else 8, 8)
    layout = "response_last" if name == "e" else "prometheus"
    chosen = [rows[:answers] for rows in groups.values() if len(rows) >= answers][:questions]
    if name == "c":
        rows = [row for rows in islice(zip(*chosen, strict=True), 2) for row in rows][: 4 if is_quick else 16]
    elif name == "d":
        rows = [row for rows in zip(*list(groups.values())[:50], strict=False) for row in rows][
            : 12 if is_quick else 100
        ]
    else:
        rows = [row for rows in chosen for row in rows]
    rubrics = _RUBRICS if name == "b" else _RUBRICS[:1]
    requests = [
        GradingRequest(
            instruction=row["instruction"],
            response=row["response"],
            reference_answer=row["reference_answer"],
            rubric=Rubric.parse(rubric),
        )
        for row in rows
        for rubric in rubrics
    ]
    return Workload(name=name, requests=requests, layout=layout, writes_feedback=name == "c")


def texts() -> str:
    """Return where the texts come from."""
    return "MT-Bench" if "PROM_REWARD_DATA" in os.environ else "constructed"


def _constructed() -> dict[str, list[dict]]:
    """Return 64 questions with 8 answers each, with the lengths of the real ones."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 8))) for _ in range(3000)]

    def text(low: int, high: int) -> str:
        return " ".join(draw.choices(words, k=draw.randint(low, high) // 6))  # 6 characters a word, on average

    questions = [text(126, 292) for _ in range(64)]
    return {
        question: [
            {"instruction": question, "response": text(*CONSTRUCTED_CHARS), "reference_answer": None} for _ in range(8)
        ]
        for question in questions
    }


def _groups() -> dict[str, list[dict]]:
    path = Path(os.environ["PROM_REWARD_DATA"]) / "train/mtbench_gpt4.jsonl"
    groups = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if len(row["instruction"]) < 1500 and len(row["response"]) < 2500:
            groups[row["instruction"]].append(row)
    return groups
