"""Train a policy on a judge's yes-or-no criteria, and measure it by code that the judge never sees.

    python -m training_examples.prove_it.constraints --out constraints
    python -m training_examples.prove_it.constraints --out trial --steps 3 --rewards criteria --train 4 --held-out 4

Each prompt asks for a short text under two constraints that code can check. Rewards: `criteria` (the default judge
reads the constraints as a checklist), `code` (the checks themselves, an upper bound), `levels` (the judge by one rubric
of five levels) and `length` (words, which needs no judge). Every run measures the share of constraints that are truly
met on prompts that it was not trained on, of kinds of constraints that it was (`seen`) and was not (`unseen`) trained
on. OUT/results.json holds, for each run, means before and after, the gain with its interval, the share of the gain of
`code`, and judged beside true values for every step. OUT/seen.jsonl and unseen.jsonl hold the first policy's answers
with the code's verdicts: `prom-reward evaluate OUT/seen.jsonl --judge smollm2-135m` says how far the judge's agree.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from datasets import Dataset
from peft import LoraConfig
from trl import GRPOConfig, GRPOTrainer

from prom_reward import Judge, PrometheusReward, load_judge
from prom_reward.config import load_policy
from prom_reward.evaluation.agreement import estimate
from prom_reward.rubrics.checklists.checks import CodeCheck
from training_examples.prove_it.answers import generate_answers

TOPICS = (
    *("a walk in the rain", "learning to cook", "a lost key", "the first day at work", "a noisy neighbor", "old books"),
    *("a train that is late", "growing tomatoes", "a birthday", "moving house", "a broken cup", "the night sky"),
    *("a long queue", "teaching a dog", "a letter from a friend", "the smell of bread", "a closed museum", "spring"),
)
KINDS: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "length": (
        ("The text has at most 25 words.", {"max_words": 25}),
        ("The text has at least 40 words.", {"min_words": 40}),
    ),
    "sentences": (
        ("The text has at most two sentences.", {"max_sentences": 2}),
        ("The text has at least four sentences.", {"min_sentences": 4}),
    ),
    "word": (
        ("The text mentions a window.", {"contains": "window"}),
        ("The text mentions the color green.", {"contains": "green"}),
    ),
    "opening": (
        ("The text starts with the word 'Today'.", {"starts_with": "today"}),
        ("The text starts with the word 'Once'.", {"starts_with": "once"}),
    ),
}
"""Kinds of constraints to train on: what the judge reads, and the check."""
UNSEEN: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "question": (("The text asks a question.", {"contains": "?"}),),
    "excluded": (("The text does not contain the word 'and'.", {"excludes": [" and "]}),),
    "list": (("The text holds a list of three bullet points.", {"num_bullets": 3}),),
}
"""Kinds to measure on, never trained on."""
REWARDS = ("criteria", "code", "levels", "length")
RECIPE = yaml.safe_load((Path(__file__).parents[2] / "configs/prove_it.yaml").read_text(encoding="utf-8"))
Row = dict[str, Any]


def constraint_rows(kinds: Sequence[str], topics: Sequence[str], num_rows: int, seed: int) -> Iterator[Row]:
    """Yield rows for training or measuring: a prompt, its checklist without checks, and the checks by themselves."""
    draw, known = np.random.default_rng(seed), {**KINDS, **UNSEEN}
    for number in range(num_rows):
        ones = [known[kind] for kind in draw.permutation(list(kinds))[:2]]
        drawn = [one[draw.integers(len(one))] for one in ones]
        topic = topics[draw.integers(len(topics))]
        asked = " ".join(text for text, _ in drawn)
        yield {
            "key": f"{number}: {topic}",
            "prompt": [{"role": "user", "content": f"Write a short text about {topic}. {asked}"}],
            "rubric": {"name": "constraints", "criteria": [{"text": text} for text, _ in drawn]},
            "checks": json.dumps([check for _, check in drawn]),
        }


def verdicts(text: str, checks: str) -> list[bool]:
    """Return for each of a row's checks whether a text passes it."""
    return [bool(CodeCheck.parse(check)(text)) for check in json.loads(checks)]


def share_met(text: str, checks: str) -> float:
    """Return the share of a row's checks that a text passes."""
    return float(np.mean(verdicts(text, checks)))


def true_share(completions: Sequence[Any], checks: Sequence[str], **_: Any) -> list[float]:
    """Reward by code: the share of constraints that are truly met."""
    return [share_met(one[0]["content"], row) for one, row in zip(completions, checks, strict=True)]


def num_words(completions: Sequence[Any], **_: Any) -> list[float]:
    """Reward by length, which needs no judge."""
    return [len(one[0]["content"].split()) / 50 for one in completions]


def reward_of(kind: str, judge: Judge) -> Callable[..., Any]:
    """Return a kind's reward function."""
    if kind == "criteria":
        return PrometheusReward(judge, name="judged")
    if kind == "levels":
        return PrometheusReward(judge, name="judged", rubric="helpfulness")
    return true_share if kind == "code" else num_words


def run(kind: str, seed: int, sides: dict[str, list[Row]], options: argparse.Namespace) -> dict[str, Any]:
    """Train one policy and measure it before and after."""
    judge = load_judge(options.judge, mode="score", criterion_text="compact")
    policy, tokenizer = load_policy(options.policy)
    settings = {**RECIPE["trainer"], "max_steps": options.steps, "seed": seed, "save_strategy": "no"}
    reward, rows = reward_of(kind, judge), Dataset.from_list(sides["train"]).shuffle(seed=seed)
    trainer = GRPOTrainer(
        model=policy,
        processing_class=tokenizer,
        reward_funcs=[reward] if reward is true_share else [reward, true_share],
        train_dataset=rows.remove_columns("rubric") if kind == "levels" else rows,
        args=GRPOConfig(
            output_dir=str(options.out / f"{kind}-{seed}"),
            reward_weights=None if reward is true_share else [1.0, 0.0],
            **settings,
        ),
        peft_config=LoraConfig(**RECIPE["lora"]),
    )
    before, after = {}, {}
    for side in ("seen", "unseen"):
        answers = list(answered(trainer.model, tokenizer, sides[side]))
        before[side] = shares(answers)
        write_verdicts(options.out / f"{side}.jsonl", answers)
    trainer.train()
    for side in before:
        after[side] = shares(answered(trainer.model, tokenizer, sides[side]))
    return {
        "reward": kind,
        "seed": seed,
        **{side: gain(before[side], after[side]) for side in before},
        "steps": [
            {key: entry[key] for key in ("step", "reward", "rewards/true_share/mean") if key in entry}
            for entry in trainer.state.log_history
            if "reward" in entry
        ],
    }


def answered(policy: Any, tokenizer: Any, rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    """Yield a greedy and a sampled answer to each row's prompt, beside its row."""
    by_key = {row["key"]: row for row in rows}
    for one in generate_answers(policy, tokenizer, {key: row["prompt"] for key, row in by_key.items()}, seeds=(0,)):
        yield by_key[one.key], one.text


def shares(answers: Iterable[tuple[Row, str]]) -> list[float]:
    """Return for each row the mean share of constraints that its answers meet."""
    met: dict[str, list[float]] = {}
    for row, text in answers:
        met.setdefault(row["key"], []).append(share_met(text, row["checks"]))
    return [float(np.mean(values)) for values in met.values()]


def write_verdicts(path: Path, answers: Iterable[tuple[Row, str]]) -> None:
    """Write answers with the code's verdicts, as `prom-reward evaluate` reads them."""
    rows = (
        {"prompt": row["prompt"], "response": text, "rubric": row["rubric"], "met": verdicts(text, row["checks"])}
        for row, text in answers
    )
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def gain(before: Sequence[float], after: Sequence[float]) -> dict[str, Any]:
    """Return means and the gain with a 95 % interval over prompts."""
    change = np.array(after) - np.array(before)
    found = estimate(lambda at: float(change[at].mean()), [str(at) for at in range(len(change))])
    return {"before": float(np.mean(before)), "after": float(np.mean(after)), "gain": found.to_dict()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", default="smollm2-135m")
    parser.add_argument("--policy", default="smollm2-135m")
    parser.add_argument("--rewards", nargs="+", choices=REWARDS, default=list(REWARDS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--train", type=int, default=80, help="prompts to train on")
    parser.add_argument("--held-out", type=int, default=40, help="prompts of each side to measure on")
    parser.add_argument("--out", type=Path, default=Path("constraints"))
    options = parser.parse_args()
    half = len(TOPICS) // 2
    sides = {
        "train": list(constraint_rows(list(KINDS), TOPICS[:half], options.train, 0)),
        "seen": list(constraint_rows(list(KINDS), TOPICS[half:], options.held_out, 1)),
        "unseen": list(constraint_rows(list(UNSEEN), TOPICS[half:], options.held_out, 2)),
    }
    path = options.out / "results.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for kind in options.rewards:
            if not any((one["reward"], one["seed"]) == (kind, seed) for one in results):
                results.append(run(kind, seed, sides, options))
                path.write_text(json.dumps(with_shares(results), indent=2), encoding="utf-8")


def with_shares(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return results with each gain as a share of the gain of `code` with the same seed; None if that is not over 0."""
    bounds = {one["seed"]: one for one in results if one["reward"] == "code"}
    for one in results:
        for side in ("seen", "unseen"):
            bound = bounds.get(one["seed"], {}).get(side, {}).get("gain", {}).get("value")
            one[side]["share_of_code"] = one[side]["gain"]["value"] / bound if bound and bound > 0 else None
    return list(results)


if __name__ == "__main__":
    main()
