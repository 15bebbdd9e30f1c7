"""The cost of N criteria of one response beside one criterion and beside N calls; prints JSON.

    python tests/benchmarks/bench_checklists.py --judge smollm2-135m --counts 1 8 16 32 --repeats 3
    python tests/benchmarks/bench_checklists.py --orders

Score mode and the compact text, a response of 300 words, criteria of about 25 tokens. Times are medians of runs that
take turns, so that other work on the machine touches all alike. With `--orders` only tokens are counted, and no weights
are loaded: those to compute for a group of responses with the criterion last (`compact`) and with it first.
"""

import argparse
import json
import random
import sys
import time
from statistics import median

import torch

from prom_reward import Checklist, Criterion, GradingRequest, PrometheusJudge, ScriptedEngine, load_judge
from prom_reward.config import judge_config, model_source, prompt_renderer
from prom_reward.engines.model.loading import load_tokenizer
from prom_reward.engines.prefix.plan import plan_prefixes
from prom_reward.judging.checklists import Expansion

TOPICS = ("yeast", "sugar", "gas", "dough", "heat", "salt", "water", "time", "flour", "crust", "steam", "hands")
SHAPES = {  # responses, words of one, criteria, words of one, words of the instruction
    "8 answers of a few words, 16 criteria": (8, (4, 16), 16, (20, 48), 300),
    "8 answers of a few words, 16 short criteria": (8, (4, 16), 16, (8, 16), 300),
    "16 answers of a sentence, 8 criteria": (16, (15, 30), 8, (20, 48), 100),
    "8 answers of two sentences, 16 criteria": (8, (30, 60), 16, (20, 48), 100),
    "8 answers of a paragraph, 16 criteria": (8, (80, 120), 16, (20, 48), 100),
    "8 answers of a page, 16 criteria": (8, (250, 350), 16, (20, 48), 100),
    "1 answer of a few words, 16 criteria": (1, (4, 16), 16, (20, 48), 300),
}
RESPONSE = "Bread rises when its yeast eats sugar and gives off gas that warm dough holds while it is still. " * 16


def request(count: int, response: str = RESPONSE) -> GradingRequest:
    """A request by a checklist of so many criteria."""
    text = "The response explains in plain words what {} has to do with it and gives at least {} reasons for that."
    criteria = [Criterion(name=f"c{at}", text=text.format(TOPICS[at % len(TOPICS)], at + 1)) for at in range(count)]
    return GradingRequest(
        instruction="Why does bread rise?", response=response, rubric=Checklist(criteria=tuple(criteria))
    )


def group_requests(shape: tuple, seed: int = 0) -> list[GradingRequest]:
    """A group's requests of random words: responses to one instruction, by one checklist."""
    num_responses, response, num_criteria, criterion, instruction = shape
    draw = random.Random(seed)

    def text(shortest: int, longest: int) -> str:
        return " ".join(draw.choice(TOPICS) for _ in range(draw.randint(shortest, longest)))

    asked = text(instruction, instruction)
    checklist = Checklist(criteria=tuple(Criterion(name=f"c{at}", text=text(*criterion)) for at in range(num_criteria)))
    return [GradingRequest(instruction=asked, response=text(*response), rubric=checklist) for _ in range(num_responses)]


def compare_orders(name: str) -> list[dict[str, object]]:
    """Return the tokens to compute for each shape with the criterion last and first."""
    render, tokenizer = prompt_renderer(name), load_tokenizer(model_source(judge_config(name)))
    table: list[dict[str, object]] = []
    for shape, sizes in SHAPES.items():
        requests = Expansion.of(group_requests(sizes)).requests
        row: dict[str, object] = {"shape": shape}
        for order in ("compact", "criterion_first"):
            judge = PrometheusJudge(ScriptedEngine([]), mode="score", criterion_text=order)
            prompts = [tokenizer(render(judge.grading_prompt(one)))["input_ids"] for one in requests]
            row[order] = sum(one.num_tokens for one in plan_prefixes(prompts, token_budget=sys.maxsize).segments)
        ratio = row["criterion_first"] / row["compact"]
        table.append({**row, "ratio": round(ratio, 2), "cheaper": "criterion_first" if ratio < 1 else "compact"})
    return table


def seconds(judge, calls) -> tuple[float, float]:
    """Return the time of calls by the clock, and the processor time of all threads."""
    start, processor = time.perf_counter(), time.process_time()
    for requests in calls:
        judge.grade(requests)
    return time.perf_counter() - start, time.process_time() - processor


def over_one(times: dict[str, list[float]]) -> dict[str, float]:
    """Return the medians over that of one criterion."""
    return {name: round(median(found) / median(times["1"]), 2) for name, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", default="smollm2-135m")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 8, 16, 32])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--orders", action="store_true", help="count the tokens of both orders, and nothing else")
    options = parser.parse_args()
    if options.orders:
        print(json.dumps(compare_orders(options.judge), indent=2))
        return
    judge = load_judge(options.judge, mode="score", criterion_text="compact")
    largest = max(options.counts)
    runs = {str(count): [[request(count)]] for count in options.counts}
    runs["one call each"] = [[one] for one in Expansion.of([request(largest)]).requests]
    seconds(judge, [[request(2)]])
    times: dict[str, list[float]] = {name: [] for name in runs}
    processor: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.repeats):
        for name, calls in runs.items():
            by_clock, by_processor = seconds(judge, calls)
            times[name].append(by_clock)
            processor[name].append(by_processor)
    group = judge.grade([request(16, f"{RESPONSE} Version {at}.") for at in range(8)])
    found = {
        "judge": options.judge,
        "cpu": torch.cpu.get_capabilities().get("cpu_name"),
        "threads": torch.get_num_threads(),
        "over_one": over_one(times),
        "processor_time_over_one": over_one(processor),
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
