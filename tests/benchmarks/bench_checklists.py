"""What N criteria of one response cost beside one, and what they share; prints JSON.

    python tests/benchmarks/bench_checklists.py --judge smollm2-135m --repeats 3

Score mode. Ratios of one run: the time of N criteria of about 25 tokens on one response of 300 tokens beside the time
of one, with the compact text and with the judge's own, and beside N single calls; and the tokens that a GRPO group of 8
with 16 shared criteria computes beside its unique ones.
"""

import argparse
import json
import time

import torch

from prom_reward import load_judge
from prom_reward.judging.checklists import ChecklistGrading, grade_checklists
from prom_reward.rubrics.checklist import Checklist, Criterion

WORDS = "bread rises when the yeast in it eats sugar and gives off gas that the dough holds while it is warm and still"
    "bread rises when the yeast in it eats sugar and gives off a gas that the dough holds while it is warm and still"
)
TOPICS = ("yeast", "sugar", "gas", "dough", "heat", "salt", "water", "time", "oven", "flour", "crust", "crumb", "steam")
    "yeast",
    "sugar",
    "gas",
    "dough",
    "heat",
    "salt",
    "water",
    "time",
    "oven",
    "flour",
    "crust",
    "crumb",
    "steam",
    "hands",
    "bowl",
    "cloth",
]


def response_of(tokens: int, seed: int = 0) -> str:
    words = WORDS.split()
    return " ".join(words[(at * (seed + 1) + seed) % len(words)] for at in range(tokens)) + "."


def checklist_of(count: int) -> Checklist:
    return Checklist(
        criteria=tuple(
            Criterion(
                name=f"c{at}",
                text=f"The response explains in plain words what {TOPICS[at % len(TOPICS)]} has to do with it and "
                f"gives at least {at + 1} reasons for it.",
            )
            for at in range(count)
        )
    )


def gradings(count: int, responses: int = 1) -> list[ChecklistGrading]:
    return [
        ChecklistGrading.of(checklist_of(count), instruction="Why does bread rise?", response=response_of(300, seed))
        for seed in range(responses)
    ]


def seconds(judge, asked) -> float:
    start = time.perf_counter()
    grade_checklists(judge, asked)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", default="smollm2-135m")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    cpu = torch.cpu.get_capabilities().get("cpu_name")
    found: dict[str, object] = {"cpu": cpu, "judge": options.judge, "threads": torch.get_num_threads()}
        "cpu": torch.cpu.get_capabilities().get("cpu_name"),
        "judge": options.judge,
        "threads": torch.get_num_threads(),
    }
    for text in ("compact", "rubric"):
        judge = load_judge(options.judge, mode="score", criterion_text=text, layout="prometheus")
        seconds(judge, gradings(2))
        rows = {}
        for count in (1, 8, 16, 32):
            rows[count] = min(seconds(judge, gradings(count)) for _ in range(options.repeats))
        [asked] = gradings(16)
        alone = min(sum(seconds_alone(judge, request) for request in asked.requests) for _ in range(options.repeats))
        judgments = judge.grade([request for one in gradings(16, 8) for request in one.requests])
        found[text] = {
            "over_one": {count: round(rows[count] / rows[1], 2) for count in rows},
            "calls_over_one_call_at_16": round(alone / rows[16], 2),
            "group_of_8_seconds": round(min(seconds(judge, gradings(16, 8)) for _ in range(options.repeats)), 2),
            "computed_of_all_tokens": round(
                sum(one.num_computed_tokens for one in judgments) / sum(one.num_prompt_tokens for one in judgments), 3
            ),
        }
    print(json.dumps(found, indent=2))


def seconds_alone(judge, request) -> float:
    start = time.perf_counter()
    judge.grade([request])
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
