"""Train a policy on a judge's rewards, and measure it by means other than that judge.

    prom-reward train-judge --config configs/train_audit_judge.yaml --data-dir DATA --out audit-judge
    python -m training_examples.prove_it --data DATA --audit-adapter audit-judge --out prove-it

Run it again to continue after a stop: a training resumes from its last checkpoint, and nothing in OUT is done twice.
OUT/results.md and results.json hold the figures so far and are rewritten after each run; OUT/runs/*/report.html is a
page for each run. `--steps 5 --seeds 0 --max-prompts 4 --sample-seeds 0` is a quick trial. The README beside this file
describes the task, the comparisons and the results.
"""

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
import yaml
from datasets import Dataset, concatenate_datasets
from peft import LoraConfig, PeftModel
from trl import GRPOConfig, GRPOTrainer

from prom_reward import AuditJudge, PrometheusJudge, PrometheusReward, load_judge
from prom_reward.config import load_policy
from prom_reward.data.rows import read_values
from prom_reward.engines.model.devices import resolve_device, resolve_dtype
from prom_reward.files import write_lines
from prom_reward.reports.data import load_report
from prom_reward.reports.page import report_page
from prom_reward.reports.training_folder import (
    LOG_FILE,
    checkpoint_step,
    last_checkpoint,
    write_before_after,
)
from training_examples.prove_it.answers import Answer, generate_answers
from training_examples.prove_it.groups import forget_records_from, summarize_training
from training_examples.prove_it.measures import PolicyTask, before_and_after, measure_policies
from training_examples.prove_it.results import keep_settings, load_agreement, load_answers, load_pairs, write_results
from training_examples.prove_it.runs import compare_runs, kind_of
from training_examples.prove_it.targets import check_targets
from training_examples.prove_it.text_measures import overlap

GENERIC = "helpfulness"
KINDS: dict[str, dict[str, str]] = {
    "expected": {"score": "expected"},
    "integer": {"score": "integer"},
    "generic": {"rubric": GENERIC},
}
"""Arguments of PrometheusReward. A generic rubric replaces the rows' own rubrics and references."""
BASELINE = "lead"
PROMPT = "Summarize the article in two short sentences."
CONTENT = "Does the summary hold what matters"
"""The beginning of the rubric of a summary's content."""
HELD_OUT_SHARE = 0.25
CONSTANT_STEPS = 20
MEASURED_TOKENS = 128
FEEDBACK = {"seed": 0, "max_new_tokens": 120}
RECIPE = yaml.safe_load((Path(__file__).parents[2] / "configs/prove_it.yaml").read_text(encoding="utf-8"))
LORA, SETTINGS = RECIPE["lora"], RECIPE["trainer"]
TRAINED_TOKENS = SETTINGS["max_completion_length"]
Tasks = dict[str, PolicyTask]


def load_tasks(data: Path, max_chars: int) -> tuple[Tasks, Tasks, Tasks]:
    """Return the training articles, those held out from the policy only, and those that no judge has seen either."""
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
    """Return the task of an article: its first whole sentences, its reference, its rubric of content."""
    article = rows[0]["instruction"].partition("\n\n")[2]
    start = article[:max_chars]
    end = max(start.rfind(mark) for mark in (". ", "? ", "! ")) + 1
    start = start[:end] if end and len(article) > max_chars else start
    rubrics = [row["rubric"] for row in rows]
    rubric = next((one for one in rubrics if one["criteria"].startswith(CONTENT)), rubrics[0])
    reference = rows[0]["reference_answer"]
    return PolicyTask(key=key, instruction=f"{PROMPT}\n\n{start}", rubric=rubric, reference_answer=reference)


def rows_of(tasks: Tasks, *, steps: int, seed: int, with_rubric: bool) -> Dataset:
    """Return one row for each step, from shuffled passes over all tasks: a run is one epoch."""
    rows = []
    for task in tasks.values():
        own = {"rubric": task.rubric, "reference_answer": task.reference_answer} if with_rubric else {}
        rows.append({"prompt": [{"role": "user", "content": task.instruction}], **own})
    passes = [Dataset.from_list(rows).shuffle(seed=1000 * seed + at) for at in range(steps // len(rows) + 1)]
    return concatenate_datasets(passes).select(range(steps))


def overlaps(completions: list[Any], reference_answer: list[str], **_: Any) -> list[float]:
    return [overlap(one[0]["content"], it) / 100 for one, it in zip(completions, reference_answer, strict=True)]


def constant(completions: list[Any], **_: Any) -> list[float]:
    return [0.5] * len(completions)


UNJUDGED = {"overlap": overlaps, "constant": constant}


def judge_of(options: argparse.Namespace, role: str, **settings: Any) -> PrometheusJudge:
    """Return the rewards' judge, or the audit judge: the same base with another adapter."""
    adapter = {"adapter": str(options.audit_adapter)} if role == "audit" else {}
    return load_judge(options.judge, **adapter, **settings)


def load(options: argparse.Namespace, adapter: Path | None = None) -> tuple[Any, Any]:
    """Load the policy, in bf16 if that is fast; the adapter to train is in fp32."""
    policy, tokenizer = load_policy(options.policy)
    device = resolve_device(None)
    policy = policy.to(device, resolve_dtype(options.dtype, device))
    return (PeftModel.from_pretrained(policy, adapter) if adapter else policy), tokenizer


def steps_of(options: argparse.Namespace, name: str) -> int:
    return min(options.steps, CONSTANT_STEPS) if kind_of(name) == "constant" else options.steps


def train(options: argparse.Namespace, tasks: Tasks, name: str) -> None:
    """Train a run, or resume it; it is done when there is a checkpoint of its last step."""
    kind, seed = kind_of(name), int(name.rpartition("-")[2])
    folder, steps = options.out / "runs" / name, steps_of(options, name)
    last = last_checkpoint(folder)
    if checkpoint_step(last) >= steps:
        return
    folder.mkdir(parents=True, exist_ok=True)
    reward: Any = UNJUDGED.get(kind)
    if kind in KINDS:
        audit, log = AuditJudge(judge=judge_of(options, "audit"), share=1.0), folder / LOG_FILE
        reward = PrometheusReward(judge_of(options, "judge"), **KINDS[kind], observers=[audit], log_path=log)
        forget_records_from(reward.log.path, checkpoint_step(last))
    torch.manual_seed(seed)  # seeds the adapter's first weights
    policy, tokenizer = load(options)
    trainer = GRPOTrainer(
        model=policy,
        processing_class=tokenizer,
        reward_funcs=reward,
        peft_config=LoraConfig(**LORA),
        train_dataset=rows_of(tasks, steps=steps, seed=seed, with_rubric=kind != "generic"),
        args=GRPOConfig(output_dir=str(folder), max_steps=steps, seed=seed, **SETTINGS),
    )
    if kind in KINDS:
        reward.share_policy(trainer)
    trainer.train(resume_from_checkpoint=str(last) if last else None)


def answer(options: argparse.Namespace, tasks: Tasks, name: str) -> None:
    """Write a policy's answers, or the baseline's: the first sentence for every sample."""
    path = options.out / "answers" / f"{name}.jsonl"
    if path.exists():
        return
    path.parent.mkdir(exist_ok=True)
    policy, tokenizer = load(options, last_checkpoint(options.out / "runs" / name))
    prompts = {key: [{"role": "user", "content": task.instruction}] for key, task in tasks.items()}
    found = generate_answers(policy, tokenizer, prompts, seeds=options.sample_seeds, max_new_tokens=MEASURED_TOKENS)
    if name == BASELINE:
        found = (lead_of(tasks[one.key], one.sample, tokenizer) for one in load_answers(options.out, "base"))
    write_lines(path, map(asdict, found))


def lead_of(task: PolicyTask, sample: str, tokenizer: Any) -> Answer:
    text = re.split(r"(?<=[^A-Z][.?!])\s+", task.instruction.partition("\n\n")[2])[0]
    num_tokens = len(tokenizer(text).input_ids) + 1  # with an EOS
    return Answer(key=task.key, sample=sample, text=text, num_tokens=num_tokens, is_cut=False)


def measure(options: argparse.Namespace, tasks: Tasks, name: str) -> None:
    folder = options.out / "measures" / name
    if (folder / "measures.jsonl").exists():
        return
    kept = {role: str(options.out / f"{role}.sqlite") for role in ("judge", "audit")}  # the base policy is judged once
    found = measure_policies(
        list(tasks.values()),
        load_answers(options.out, "base"),
        load_answers(options.out, name),
        judges={role: judge_of(options, role, cache=path) for role, path in kept.items()},
        out=folder,
        generic_rubrics={"audit": GENERIC},
        short_tokens=TRAINED_TOKENS,
    )
    write_lines(folder / "measures.jsonl", map(asdict, found))


def page(options: argparse.Namespace, tasks: Tasks, name: str) -> None:
    """Write a run's page, with the judge's feedback on the greedy answers whose scores rose and fell most."""
    folder = options.out / "runs" / name
    cache = str(options.out / "judge.sqlite")
    judge = judge_of(options, "judge", cache=cache)
    writer = judge_of(options, "judge", mode="feedback", sampling=FEEDBACK, cache=cache)
    before, after = load_answers(options.out, "base"), load_answers(options.out, name)
    write_before_after(folder, before_and_after(list(tasks.values()), before, after, judge=judge, writer=writer))
    (folder / "report.html").write_text(report_page(load_report(folder)), encoding="utf-8")


def results(options: argparse.Namespace, unseen: Tasks, settings: dict[str, Any]) -> None:
    """Write the results of all finished runs."""
    runs = sorted((options.out / "runs").glob("*"))
    done = [run for run in runs if checkpoint_step(last_checkpoint(run)) >= steps_of(options, run.name)]
    trained = {run.name: summarize_training(run) for run in done}
    for run in done:
        trained[f"first {CONSTANT_STEPS} steps of {run.name}"] = summarize_training(run, last_step=CONSTANT_STEPS)
    compared = compare_runs(load_pairs(options.out), main="expected", unseen=unseen)
    targets = check_targets(compared, trained)
    shown = {"settings": settings, "agreement": load_agreement(options.agreement) if options.agreement else {}}
    write_results(options.out, compared=compared, trained=trained, targets=targets, **shown)


def settings_of(options: argparse.Namespace, parts: Sequence[Tasks]) -> dict[str, Any]:
    """Return the settings that all of OUT shares."""
    names = ("steps", "policy", "dtype", "max_chars", "max_prompts", "sample_seeds")
    made = {name: getattr(options, name) for name in names}
    made |= {"prompt": PROMPT, "held_out_share": HELD_OUT_SHARE, "measured_tokens": MEASURED_TOKENS}
    tasks = json.dumps([[asdict(task) for task in part.values()] for part in parts])
    made |= {"tasks_sha256": sha256(tasks.encode()).hexdigest(), "generic": GENERIC}
    made |= {f"lora.{name}": value for name, value in LORA.items()}
    made |= {f"trainer.{name}": value for name, value in SETTINGS.items()}
    return made | {role: judge_of(options, role).fingerprint for role in ("judge", "audit")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with train/ and dev/summaries.jsonl")
    parser.add_argument("--audit-adapter", type=Path, required=True, help="trained by configs/train_audit_judge.yaml")
    parser.add_argument("--out", type=Path, default=Path("prove-it"))
    parser.add_argument("--judge", default="smollm2-135m", help="a preset, or a YAML file")
    parser.add_argument("--policy", default="smollm2-135m", help="a preset or a folder: the judge's base")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"), help="the policy's dtype")
    parser.add_argument("--steps", type=int, default=150, help="steps of each run (constant: at most 20)")
    parser.add_argument("--runs", default=",".join([*KINDS, *UNJUDGED]), help="kinds of rewards, separated by commas")
    parser.add_argument("--seeds", default="0,1", help="seeds of the trainings, separated by commas")
    parser.add_argument("--max-chars", type=int, default=1000, help="characters of an article")
    parser.add_argument("--max-prompts", type=int, help="at most so many held-out articles")
    parser.add_argument("--sample-seeds", type=int, nargs="*", default=[0, 1, 2], help="seeds of the sampled answers")
    parser.add_argument("--agreement", type=Path, help="the audit judge's `prom-reward evaluate --json`")
    options = parser.parse_args()
    kinds, seeds = options.runs.split(","), options.seeds.split(",")
    if unknown := [kind for kind in kinds if kind not in {*KINDS, *UNJUDGED}]:
        parser.error(f"got {', '.join(unknown)}; expected runs of {', '.join([*KINDS, *UNJUDGED])}")

    parts = training, held_out, unseen = load_tasks(options.data, options.max_chars)
    settings = settings_of(options, parts)
    keep_settings(options.out, settings)
    measured = dict([*unseen.items(), *held_out.items()][: options.max_prompts])
    runs = [f"{kind}-{seed}" for seed in seeds for kind in kinds if kind != "constant" or seed == seeds[0]]
    answer(options, measured, "base")
    for name in (BASELINE, *runs):
        print(name, flush=True)
        if name != BASELINE:
            train(options, training, name)
        if kind_of(name) != "constant":
            answer(options, measured, name)
            measure(options, measured, name)
        if kind_of(name) in KINDS:
            page(options, measured, name)
        results(options, unseen, settings)
    print(f"{options.out / 'results.md'}, and {options.out / 'runs'}/*/report.html")
