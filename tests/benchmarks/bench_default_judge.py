"""The figures of the default judge's card: agreement on files that its training never saw, beside its baselines.

    python tests/benchmarks/bench_default_judge.py --wordnet /usr/share/wordnet --json figures.json

Reads PROM_REWARD_DATA. For every file it prints the trained judge in both layouts, the untuned model, the response's
length and the word overlap with the reference, with 95 % bootstrap intervals over questions or documents; with
`--wordnet` what the judge gets right where truth is known by construction (`constructed_measures.py`); then what score
mode costs beside feedback mode. `--limit N` takes the first N rows of each file, `--adapter` another adapter than the
preset's, `--skip-files` and `--skip-cost` leave parts out.
"""

import argparse
import json
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from constructed_measures import constructed_figures

from prom_reward import PrometheusJudge, load_judge
from prom_reward.data.labels.human_labels import LabelColumns, read_labeled
from prom_reward.data.labels.labeled_rows import LabeledFile
from prom_reward.evaluation.agreement import Estimate
from prom_reward.evaluation.pairs import PairEvaluation, ScoredPair, evaluate_pairs
from prom_reward.evaluation.scores import Evaluation, ScoredRow, evaluate_scores, grade_all
from prom_reward.types import GradingRequest

DTYPE = "float32"
"""The dtype of all figures: "auto" differs between machines."""
JUDGES = {
    "smollm2-135m": {"layout": "response_last"},
    "smollm2-135m in Prometheus' layout": {"layout": "prometheus"},
    "smollm2-135m-untuned": {"layout": "response_last"},
}


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A file with the measure that it is known by."""

    path: str
    measure: str
    group: str | None = None


FILES = (
    LabelFile("dev/saf_unseen_answers.jsonl", "spearman"),
    LabelFile("dev/mtbench_gpt4.jsonl", "pearson"),
    LabelFile("prometheus/mt_bench_eval.jsonl", "pearson"),
    LabelFile("dev/summaries.jsonl", "spearman", group="rubric"),
    LabelFile("prometheus/hhh.jsonl", "accuracy", group="source"),
)


def evaluated_rows(judge: PrometheusJudge, labeled: LabeledFile, resamples: int) -> Evaluation:
    """Grade rows with scores and measure them."""
    judgments = grade_all(judge, [row.request for row in labeled.rows])
    scored = [ScoredRow(labeled=row, judgment=one) for row, one in zip(labeled.rows, judgments, strict=True)]
    return evaluate_scores(scored, resamples=resamples)


def evaluated_pairs(judge: PrometheusJudge, labeled: LabeledFile, resamples: int) -> PairEvaluation:
    """Grade preference pairs and measure them."""
    sides: list[GradingRequest] = [side for pair in labeled.pairs for side in (pair.chosen, pair.rejected)]
    judgments = grade_all(judge, sides)
    scored = [
        ScoredPair(labeled=pair, chosen=judgments[2 * at], rejected=judgments[2 * at + 1])
        for at, pair in enumerate(labeled.pairs)
    ]
    return evaluate_pairs(scored, resamples=resamples)


def shown(estimate: Estimate) -> str:
    """Return a value with its interval."""
    if estimate.value is None:
        return "undefined"
    interval = f" [{estimate.low:.2f}, {estimate.high:.2f}]" if estimate.low is not None else ""
    return f"{estimate.value:.3f}{interval}"


def lines(name: str, file: LabelFile, found: Evaluation | PairEvaluation) -> list[str]:
    """Return a judge's figures on a file as Markdown table rows: name, measure, expected, integer, baselines."""
    if isinstance(found, PairEvaluation):
        return [f"| {name} | pairwise accuracy | " + " | ".join(shown(one) for one in found.accuracy.values()) + " |"]
    kinds = ("expected", "integer", "length", "overlap")
    rows = {measure: found.measures[measure] for measure in dict.fromkeys((file.measure, "pearson", "mae"))}
    rows["pearson, length held"] = found.partial
    if found.groups:
        values = {kind: [one.measures[file.measure].get(kind) for one in found.groups.values()] for kind in kinds}
        rows[f"{file.measure}, mean over groups"] = {
            kind: Estimate(statistics.mean(one.value for one in ones))
            for kind, ones in values.items()
            if all(one is not None and one.value is not None for one in ones)
        }
    return [
        f"| {name} | {measure} | " + " | ".join(shown(ones[kind]) if kind in ones else "" for kind in kinds) + " |"
        for measure, ones in rows.items()
    ]


def opened(name: str, adapter: str | None) -> PrometheusJudge:
    """Return one of the judges in score mode, with another adapter if one is given and the judge has one."""
    other = {"adapter": adapter} if adapter and "untuned" not in name else {}
    return load_judge(name.partition(" ")[0], mode="score", dtype=DTYPE, **JUDGES[name], **other)


def cost_ratio(labeled: LabeledFile, num_requests: int = 8) -> float:
    """Return the time of score mode over that of feedback mode on the same requests."""
    requests = [row.request for row in labeled.rows[:num_requests]]
    seconds = []
    for mode in ("score", "feedback"):
        judge = load_judge("smollm2-135m", mode=mode, dtype=DTYPE, sampling={"seed": 0})
        judge.grade(requests[:1])
        start = time.perf_counter()
        judge.grade(requests)
        seconds.append(time.perf_counter() - start)
    return seconds[0] / seconds[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", action="append", choices=list(JUDGES), help="one of the judges; all by default")
    parser.add_argument("--file", action="append", help="one of the files; all by default")
    parser.add_argument("--adapter", help="a trained adapter to measure instead of the preset's")
    parser.add_argument("--wordnet", type=Path, help="WordNet's folder, for the constructed figures")
    parser.add_argument("--questions", type=int, default=60, help="held-out questions to construct")
    parser.add_argument("--skip-files", action="store_true")
    parser.add_argument("--skip-cost", action="store_true")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--json", help="write all figures to this file")
    options = parser.parse_args()
    folder = Path(os.environ["PROM_REWARD_DATA"])
    figures: dict[str, dict] = {}
    for file in () if options.skip_files else FILES:
        if options.file and file.path not in options.file:
            continue
        labeled = read_labeled(folder / file.path, columns=LabelColumns(group=file.group), limit=options.limit)
        print(f"\n{file.path}: {len(labeled.rows) or len(labeled.pairs)} rows\n")
        print("| | | expected | integer | length | overlap |\n|---|---|---|---|---|---|", flush=True)
        for name in options.judge or JUDGES:
            judge = opened(name, options.adapter)
            run = evaluated_pairs if labeled.pairs else evaluated_rows
            found = run(judge, labeled, options.resamples)
            figures.setdefault(file.path, {})[name] = found.to_dict()
            print("\n".join(lines(name, file, found)), flush=True)
    for name in (options.judge or JUDGES) if options.wordnet else ():
        judge = opened(name, options.adapter)
        found = constructed_figures(judge, options.wordnet, options.questions)
        figures.setdefault("constructed", {})[name] = {key: one.to_dict() for key, one in found.items()}
        print(f"\n{name}\n\n| | |\n|---|---|")
        print("\n".join(f"| {key} | {shown(one)} |" for key, one in found.items()), flush=True)
    ratio = None
    if not options.skip_cost:
        ratio = cost_ratio(read_labeled(folder / "prometheus/mt_bench_eval.jsonl"))
        print(f"\nscore mode takes {ratio:.3f} of the time of feedback mode")
    about = {
        "dtype": DTYPE,
        "threads": torch.get_num_threads(),
        "cpu": torch.cpu.get_capabilities().get("cpu_name"),
        "torch": torch.__version__,
    }
    print(json.dumps(about))
    if options.json:
        result = {"about": about, "score_over_feedback": ratio, "files": figures}
        Path(options.json).write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
