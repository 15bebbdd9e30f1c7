"""Prove it: train a policy on a judge's rewards, and measure it by what that judge does not say.

    prom-reward train-judge --config configs/train_audit_judge.yaml --data-dir DATA --out audit-judge
    python training_examples/prove_it.py --data DATA --audit-adapter audit-judge --out prove-it

Run it again to go on after a stop: a training goes on from its last checkpoint, and what is in OUT is not done twice.
OUT/results.md and results.json hold the figures, OUT/runs/*/report.html a page each.

The task is to summarize the beginning of a news article in at most two sentences (DATA/train/summaries.jsonl and
dev/summaries.jsonl: SummEval, Newsroom). A small policy has all that it needs before its eyes; the judge learned from
many rated summaries of one article, and so to tell the rollouts of a group apart; and overlap with a reference means
something. The short answers of SAF are to 18 questions alone, too few to hold any out; most BiGGen tasks are beyond a
policy of 135M, and 64 tokens end in the middle of an answer to them.

Held out are the articles of dev/, which neither judge was trained on, and a quarter of those of train/ by the hash of
their name, which the policy never sees; figures of the former alone stand beside those of all.

Compared on equal steps are the expected score as reward, the integer, and a generic rubric without reference instead
of each row's own; a constant reward shows what a step costs without a judge. Greedy and sampled answers are measured
by the rewards' judge, by an audit judge (another seed, other labels) and without a model.
"""

import argparse
import json
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from trl import GRPOConfig, GRPOTrainer

from prom_reward import AuditJudge, PrometheusJudge, PrometheusReward, PromRewardError, load_judge
from prom_reward.config import load_policy
from prom_reward.engines.loading import resolve_device, resolve_dtype
from prom_reward.offline.answers import Answer, generate_answers
from prom_reward.offline.policy_comparison import AnswerPair, PolicyComparison, compare_policies
from prom_reward.offline.policy_measures import PolicyTask, before_and_after, measure_policies
from prom_reward.offline.policy_results import keep_settings, write_results
from prom_reward.offline.report import report_page
from prom_reward.offline.report_data import load_report
from prom_reward.offline.rows import read_values
from prom_reward.offline.shards import write_lines
from prom_reward.offline.training_folder import (
    LOG_FILE,
    last_checkpoint,
    load_curves,
    summarize_curves,
    write_before_after,
)

KINDS: dict[str, dict[str, str]] = {
    "expected": {"score": "expected"},
    "integer": {"score": "integer"},
    "generic": {"rubric": "helpfulness"},
    "constant": {},
}
"""What is compared: arguments of PrometheusReward. A generic rubric takes the place of the rows' own and references."""
CONTENT = ("Are all facts", "Does the summary hold", "Does the summary capture")
"""How the rubrics of what a summary says begin; the others are of how it is written."""
HELD_OUT_SHARE = 0.25
CONSTANT_STEPS = 20
MAX_TOKENS = 64
LORA = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
SETTINGS = {
    "per_device_train_batch_size": 8,
    "num_generations": 8,
    "max_completion_length": MAX_TOKENS,
    "learning_rate": 1e-4,
    "logging_steps": 1,
    "save_steps": 10,
    "save_total_limit": 2,
    "report_to": "none",
    "bf16": False,
    "gradient_checkpointing": False,
}
Tasks = dict[str, PolicyTask]


def load_tasks(data: Path, max_chars: int) -> tuple[Tasks, Tasks, Tasks]:
    """Return the articles of the training, those held out from the policy alone, and those no judge has seen either."""
    parts: tuple[Tasks, Tasks, Tasks] = ({}, {}, {})
    for name in ("train", "dev"):
        articles: dict[str, list[dict[str, Any]]] = {}
        for row in read_values(data / name / "summaries.jsonl"):
            articles.setdefault(row["doc"], []).append(row)
        for key in sorted(articles, key=lambda key: sha256(key.encode()).hexdigest()):
            is_held_out = int(sha256(key.encode()).hexdigest()[:8], 16) < HELD_OUT_SHARE * 2**32
            parts[2 if name == "dev" else int(is_held_out)][key] = task_of(key, articles[key], max_chars)
    return parts


def task_of(key: str, rows: list[dict[str, Any]], max_chars: int) -> PolicyTask:
    """Return the task of an article: its first whole sentences, its reference, its rubrics of content."""
    article = rows[0]["instruction"].partition("\n\n")[2]
    lead = article[:max_chars]
    end = max(lead.rfind(mark) for mark in (". ", "? ", "! ")) + 1
    lead = lead[:end] if end and len(article) > max_chars else lead
    rubrics = list({json.dumps(row["rubric"]): row["rubric"] for row in rows}.values())
    rubrics = [rubric for rubric in rubrics if rubric["criteria"].startswith(CONTENT)] or rubrics
    return PolicyTask(
        key=key,
        instruction=f"Summarize the article in at most two sentences.\n\n{lead}",
        rubric=[{"rubric": rubric, "weight": 1 / len(rubrics)} for rubric in rubrics],
        reference_answer=rows[0]["reference_answer"],
    )


def constant(completions: list[Any], **_: Any) -> list[float]:
    return [0.5] * len(completions)


def judge_of(options: argparse.Namespace, role: str, **settings: Any) -> PrometheusJudge:
    """Return the rewards' judge, or the audit judge: the same with another adapter."""
    adapter = {"adapter": str(options.audit_adapter)} if role == "audit" else {}
    return load_judge(options.judge, **adapter, **settings)


def load(options: argparse.Namespace, adapter: Path | None = None) -> tuple[Any, Any]:
    """Load the policy, in bf16 where that is fast; the adapter that is trained on it is in fp32."""
    policy, tokenizer = load_policy(options.policy)
    device = resolve_device(None)
    policy = policy.to(device, resolve_dtype(options.dtype, device))
    return (PeftModel.from_pretrained(policy, adapter) if adapter else policy), tokenizer


def train(options: argparse.Namespace, tasks: Tasks, name: str) -> None:
    """Train a run, or go on with it: its adapter appears when it is done."""
    kind, seed = name.rsplit("-", 1)
    folder = options.out / "runs" / name
    if (folder / "adapter").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    last = last_checkpoint(folder)
    steps = min(options.steps, CONSTANT_STEPS) if kind == "constant" else options.steps
    rows = [{"prompt": [{"role": "user", "content": task.instruction}]} for task in tasks.values()]
    if kind in ("expected", "integer"):
        given = ({"reference_answer": task.reference_answer, "rubric": task.rubric} for task in tasks.values())
        rows = [{**row, **columns} for row, columns in zip(rows, given, strict=True)]
    reward: Any = constant
    if kind != "constant":
        audit, log = AuditJudge(judge=judge_of(options, "audit")), folder / LOG_FILE
        reward = PrometheusReward(judge_of(options, "judge"), **KINDS[kind], audit=audit, log_path=log)
        reward.log.forget_from(int(last.name.rpartition("-")[2]) if last else 0)
    torch.manual_seed(int(seed))  # the adapter's first weights
    policy, tokenizer = load(options)
    trainer = GRPOTrainer(
        model=policy,
        processing_class=tokenizer,
        reward_funcs=reward,
        peft_config=LoraConfig(**LORA),
        train_dataset=Dataset.from_list(rows),
        args=GRPOConfig(output_dir=str(folder), max_steps=steps, seed=int(seed), **SETTINGS),
    )
    if kind != "constant":
        reward.share_policy(trainer)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    trainer.save_state()
    trainer.save_model(str(folder / "adapter.tmp"))
    (folder / "adapter.tmp").rename(folder / "adapter")


def answer(options: argparse.Namespace, tasks: Tasks, name: str) -> None:
    path = options.out / "answers" / f"{name}.jsonl"
    if path.exists():
        return
    path.parent.mkdir(exist_ok=True)
    policy, tokenizer = load(options, None if name == "base" else options.out / "runs" / name / "adapter")
    prompts = {key: [{"role": "user", "content": task.instruction}] for key, task in tasks.items()}
    seeds = options.sample_seeds
    write_lines(path, map(asdict, generate_answers(policy, tokenizer, prompts, seeds=seeds, max_new_tokens=MAX_TOKENS)))


def answers(options: argparse.Namespace, name: str) -> list[Answer]:
    return [Answer(**row) for row in read_values(options.out / "answers" / f"{name}.jsonl")]


def measure(options: argparse.Namespace, tasks: Tasks, name: str) -> None:
    folder = options.out / "measures" / name
    kept = {role: str(options.out / f"{role}.sqlite") for role in ("judge", "audit")}  # the base is judged once
    judges = {role: judge_of(options, role, cache=path) for role, path in kept.items()}
    before, after = answers(options, "base"), answers(options, name)
    found = measure_policies(list(tasks.values()), before, after, judges=judges, out=folder)
    write_lines(folder / "measures.jsonl", map(asdict, found))


def pairs_of(options: argparse.Namespace, name: str) -> list[AnswerPair]:
    return [AnswerPair(**row) for row in read_values(options.out / "measures" / name / "measures.jsonl")]


def page(options: argparse.Namespace, tasks: Tasks, name: str) -> None:
    """Write a run's page, with the judge's feedback on the greedy answers that gained and lost most by its score."""
    folder = options.out / "runs" / name
    sampling, cache = {"seed": 0, "max_new_tokens": 120}, str(options.out / "judge.sqlite")
    judge = judge_of(options, "judge", mode="feedback", sampling=sampling, cache=cache)
    before, after, pairs = answers(options, "base"), answers(options, name), pairs_of(options, name)
    examples = before_and_after(list(tasks.values()), before, after, pairs=pairs, judge=judge, measure="judge")
    write_before_after(folder, examples)
    (folder / "report.html").write_text(report_page(load_report(folder)), encoding="utf-8")


def results(options: argparse.Namespace, unseen: Tasks, names: list[str]) -> None:
    """Write the results: every run, the seeds of a kind together, and kinds against each other."""
    runs = {name: pairs_of(options, name) for name in names}
    kinds: dict[str, list[AnswerPair]] = {}
    for name, found in runs.items():
        kinds.setdefault(name.rsplit("-", 1)[0], []).extend(found)
    new = {f"{kind}, unseen": [pair for pair in kinds[kind] if pair.prompt in unseen] for kind in kinds}
    against = {
        f"{kind} → expected": [
            replace(pair, before=other.after, prob_after={})
            for pair, other in zip(kinds["expected"], kinds[kind], strict=True)
        ]
        for kind in kinds
        if kind != "expected" and "expected" in kinds
    }
    compared = {label: compare_policies(part) for label, part in {**runs, **kinds, **new, **against}.items() if part}
    done = sorted(path.parent for path in (options.out / "runs").glob("*/adapter"))
    trained = {path.name: summarize_curves(load_curves(path)) for path in done}
    early = f"first {CONSTANT_STEPS} steps of"
    trained |= {f"{early} {path.name}": summarize_curves(load_curves(path), last_step=CONSTANT_STEPS) for path in done}
    met = targets(compared, trained)
    write_results(options.out, compared=compared, trained=trained, targets=met, settings=settings_of(options))


def targets(compared: dict[str, PolicyComparison], trained: dict[str, dict[str, float]]) -> dict[str, bool]:
    """Return what is aimed at, and whether it came true; what was not measured is not there."""

    def mean(kind: str, figure: str) -> float:
        return fmean(figures[figure] for name, figures in trained.items() if name.rsplit("-", 1)[0] == kind)

    if "expected" not in compared:
        return {}
    changes = compared["expected"].changes
    found = {
        "the audit judge's score rises, at 95 %": (changes["audit"].change.low or 0.0) > 0,
        "overlap with the reference does not fall": changes["overlap"].after >= changes["overlap"].before,
        "words at most 1.5 times the base's": changes["words"].after <= 1.5 * changes["words"].before,
        "the judge takes at most 25 % of a step": mean("expected", "judge_share") <= 0.25,
    }
    if "integer" in compared:
        spread = mean("expected", "share_without_spread") <= mean("integer", "share_without_spread") / 2
        found["at most half as many groups without spread as with integers"] = spread
    return found


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return what all of OUT is made with."""
    names = ("steps", "policy", "dtype", "max_chars", "max_prompts", "sample_seeds")
    judges = {role: judge_of(options, role).fingerprint for role in ("judge", "audit")}
    return {name: getattr(options, name) for name in names} | judges


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with train/ and dev/summaries.jsonl")
    parser.add_argument("--audit-adapter", type=Path, required=True, help="of configs/train_audit_judge.yaml")
    parser.add_argument("--out", type=Path, default=Path("prove-it"))
    parser.add_argument("--judge", default="smollm2-135m", help="a preset, or a YAML file")
    parser.add_argument("--policy", default="smollm2-135m", help="a preset or a folder: the judge's base")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"), help="of the policy")
    parser.add_argument("--steps", type=int, default=150, help="of each run; the constant reward's has 20 at most")
    parser.add_argument("--runs", default=",".join(KINDS), help="kinds of rewards, separated by commas")
    parser.add_argument("--seeds", default="0,1", help="of the trainings, separated by commas")
    parser.add_argument("--stages", default="train,answer,measure,page", help="what to do, separated by commas")
    parser.add_argument("--max-chars", type=int, default=600, help="of an article")
    parser.add_argument("--max-prompts", type=int, help="held-out articles at most")
    parser.add_argument("--sample-seeds", type=int, nargs="*", default=[0, 1, 2], help="of the sampled answers")
    parser.add_argument("--quick", action="store_true", help="10 steps, one seed, 6 articles: to see it run")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.seeds, options.max_prompts, options.sample_seeds = 10, "0", 6, [0]
    stages = {"train": train, "answer": answer, "measure": measure, "page": page}
    wanted, kinds, seeds = (text.split(",") for text in (options.stages, options.runs, options.seeds))
    if unknown := [*(set(wanted) - stages.keys()), *(set(kinds) - KINDS.keys())]:
        parser.error(f"got {', '.join(unknown)}; expected stages of {', '.join(stages)}, runs of {', '.join(KINDS)}")

    keep_settings(options.out, settings_of(options))
    training, held_out, unseen = load_tasks(options.data, options.max_chars)
    measured = dict([*unseen.items(), *held_out.items()][: options.max_prompts])
    names = [f"{kind}-{seed}" for seed in seeds for kind in kinds if kind != "constant"]
    also = {"train": [f"constant-{seeds[0]}"] if "constant" in kinds else [], "answer": ["base"]}
    for stage in (stage for stage in stages if stage in wanted):
        for name in [*also.get(stage, []), *names]:
            print(f"{stage}: {name}", flush=True)
            stages[stage](options, training if stage == "train" else measured, name)
    if "page" in wanted:
        results(options, unseen, names)
        print(f"{options.out / 'results.md'}, and {options.out / 'runs'}/*/report.html")


if __name__ == "__main__":
    try:
        main()
    except PromRewardError as error:
        raise SystemExit(f"error: {error}") from None
