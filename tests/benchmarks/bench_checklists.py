"""The cost of N criteria of one response beside one criterion and beside N calls; prints JSON.

    python tests/benchmarks/bench_checklists.py --judge smollm2-135m --counts 1 8 16 32 --repeats 3

Score mode and the compact text, a response of 300 words, criteria of about 25 tokens. Times are medians of runs that
take turns, so that other work on the machine touches all alike.
"""

import argparse
import json
import time
from statistics import median

import torch

from prom_reward import Checklist, Criterion, GradingRequest, load_judge
from prom_reward.judging.checklists import Expansion

TOPICS = ("yeast", "sugar", "gas", "dough", "heat", "salt", "water", "time", "flour", "crust", "steam", "hands")
RESPONSE = "Bread rises when its yeast eats sugar and gives off gas that warm dough holds while it is still. " * 16


def request(count: int, response: str = RESPONSE) -> GradingRequest:
    """A request by a checklist of so many criteria."""
    text = "The response explains in plain words what {} has to do with it and gives at least {} reasons for that."
    criteria = [Criterion(name=f"c{at}", text=text.format(TOPICS[at % len(TOPICS)], at + 1)) for at in range(count)]
    return GradingRequest(
        instruction="Why does bread rise?", response=response, rubric=Checklist(criteria=tuple(criteria))
    )


def seconds(judge, calls) -> float:
    start = time.perf_counter()
    for requests in calls:
        judge.grade(requests)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", default="smollm2-135m")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 8, 16, 32])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    judge = load_judge(options.judge, mode="score", criterion_text="compact")
    largest = max(options.counts)
    runs = {str(count): [[request(count)]] for count in options.counts}
    runs["one call each"] = [[one] for one in Expansion.of([request(largest)]).requests]
    seconds(judge, [[request(2)]])
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.repeats):
        for name, calls in runs.items():
            times[name].append(seconds(judge, calls))
    one = median(times["1"])
    group = judge.grade([request(16, f"{RESPONSE} Version {at}.") for at in range(8)])
    found = {
        "judge": options.judge,
        "cpu": torch.cpu.get_capabilities().get("cpu_name"),
        "threads": torch.get_num_threads(),
        "over_one": {name: round(median(times[name]) / one, 2) for name in times},
        f"one_call_each_over_one_call_at_{largest}": round(
            median(times["one call each"]) / median(times[str(largest)]), 2
        ),
        "computed_of_all_tokens_in_a_group_of_8_x_16": round(
            sum(one.num_computed_tokens for one in group) / sum(one.num_prompt_tokens for one in group), 3
        ),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
