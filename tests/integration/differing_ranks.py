"""A training of two processes whose batches differ in every way that could change what is logged."""

import json
import os
from pathlib import Path

from datasets import Dataset
from transformers import AutoTokenizer

from prom_reward import AuditJudge, Canaries, Judge, Judgment, Outcome, PrometheusReward
from tests.integration.trainers import STANDARD, make

RANK = int(os.environ.get("RANK", "0"))


class ByRank(Judge):
    """On rank 0 all scores are equal; on rank 1 they vary, are flagged, and one response is unscored."""

    fingerprint = "by rank"

    def __init__(self, name):
        self.name = name

    def grade(self, requests):
        return [self.judgment(request, at) for at, request in enumerate(requests)]

    def judgment(self, request, at):
        feedback = f"{self.name} on {request.instruction}"
        if RANK == 1 and at == 3:
            return Judgment(outcome=Outcome.NO_RESULT, feedback=feedback)
        score = 3.0 if RANK == 0 else min(5.0, 3.0 + at / 2)
        flags = ("empty",) if RANK == 1 else ()
        outcome = Outcome.FORCED if RANK == 1 else Outcome.SCORED
        return Judgment(outcome=outcome, score=3, expected_score=score, feedback=feedback, flags=flags, entropy=0.5)


class FailsOnOneRank(ByRank):
    def grade(self, requests):
        if RANK == 1:
            raise ConnectionError("gone")
        return super().grade(requests)


def train_differing_ranks(folder: str, out: Path) -> None:
    """Train on this rank, and write what was logged to `logged.json`."""
    rows = [{**row, "rubric": rubric} for row, rubric in zip(STANDARD, ("helpfulness", "reasoning"), strict=True)]
    rewards = [
        PrometheusReward(
            ByRank(name),
            "helpfulness",
            observers=[Canaries(share=1.0), AuditJudge(judge=FailsOnOneRank("audit"), share=1.0)],
            log_path=out / f"{name}.jsonl",
            name=name,
        )
        for name in ("one", "two")
    ]
    trainer = make(
        "GRPO",
        folder,
        AutoTokenizer.from_pretrained(folder),
        [rewards[0], rewards[1].as_async()],
        rows,
        out,
        per_device_train_batch_size=4,
        num_generations=4,
        max_steps=2,
        ddp_backend="gloo",
        ddp_timeout=60,
        log_completions=True,
    )
    trainer.train()
    if trainer.accelerator.is_main_process:
        history = [entry for entry in trainer.state.log_history if "reward" in entry]
        tables = [Dataset.from_parquet(str(path)).to_list() for path in sorted(out.rglob("completions_*.parquet"))]
        (out / "logged.json").write_text(json.dumps({"history": history, "tables": tables}, default=str))
