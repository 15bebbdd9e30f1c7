"""The experiment of training_examples/prove_it.py with random models and few steps: stopped, killed, resumed."""

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import peft
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM

from prom_reward.offline.policy_comparison import AnswerPair, compare_policies
from prom_reward.rewards.judgment_log import JudgmentLog
from tests.offline.label_inputs import read_rows, write_rows

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "training_examples/prove_it.py"
SMALL = {
    "learning_rate": 0.1,
    "per_device_train_batch_size": 2,
    "num_generations": 2,
    "max_completion_length": 6,
    "save_steps": 1,
}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def rubric(criteria):
    return {"criteria": criteria, **{f"score{label}_description": f"Level {label}." for label in range(1, 6)}}


def rows_of(name, text="First sentence here. Second one there. Third."):
    """Three ratings of one article: two of content, one of which comes twice, and one of style."""
    shared = {
        "doc": name,
        "instruction": f"Summarize the article.\n\n{name}: {text}",
        "reference_answer": f"The gist of {name}.",
    }
    criteria = ("Are all facts of it right?", "Does the summary hold what matters?", "Are all facts of it right?")
    return [{**shared, "rubric": rubric(one), "score": 3} for one in (*criteria, "Is it easy to read?")]


@pytest.fixture(scope="module")
def prove_it():
    """The script as a module, with a tiny group and a checkpoint at every step."""
    spec = importlib.util.spec_from_file_location("prove_it", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.SETTINGS |= SMALL
    module.MAX_TOKENS = SMALL["max_completion_length"]
    module.compare_policies = partial(compare_policies, resamples=20)
    return module


@pytest.fixture(scope="module")
def inputs(tiny_judge_folder, tmp_path_factory):
    """Data, a judge that is an adapter on the tiny model, and the adapter of an audit judge."""
    folder = tmp_path_factory.mktemp("prove-it")
    for part, count in (("train", 8), ("dev", 2)):
        (folder / part).mkdir()
        write_rows(folder / part / "summaries.jsonl", [row for at in range(count) for row in rows_of(f"{part}{at}")])
    for seed, name in enumerate(("judge", "audit")):
        lora = peft.LoraConfig(r=2, init_lora_weights=False, target_modules=["q_proj"], task_type="CAUSAL_LM")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            peft.get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_judge_folder), lora).save_pretrained(
                folder / name
            )
    judge = {
        "model": str(tiny_judge_folder),
        "adapter": str(folder / "judge"),
        "mode": "score",
        "layout": "response_last",
    }
    (folder / "judge.yaml").write_text(yaml.safe_dump({**judge, "dtype": "float32"}))
    return folder


def arguments(inputs, model, out, *more):
    fixed = ["--data", inputs, "--audit-adapter", inputs / "audit", "--judge", inputs / "judge.yaml", "--policy", model]
    small = ["--out", out, "--dtype", "float32", "--steps", "2", "--seeds", "0", "--max-prompts", "3"]
    return [str(one) for one in ("prove_it.py", *fixed, *small, "--sample-seeds", "0", *more)]


def run(prove_it, monkeypatch, argv):
    monkeypatch.setattr(sys, "argv", argv)
    prove_it.main()


def test_articles_are_split_by_their_names_and_cut_to_whole_sentences(prove_it, inputs):
    training, held_out, unseen = prove_it.load_tasks(inputs, 30)
    assert set(unseen) == {"dev0", "dev1"}
    assert training and held_out
    assert not training.keys() & held_out.keys()
    assert {*training, *held_out} == {f"train{at}" for at in range(8)}
    task = unseen["dev0"]
    assert task.instruction == "Summarize the article in at most two sentences.\n\ndev0: First sentence here."
    assert task.reference_answer == "The gist of dev0."
    assert [(one["rubric"]["criteria"], one["weight"]) for one in task.rubric] == [
        ("Are all facts of it right?", 0.5),
        ("Does the summary hold what matters?", 0.5),
    ]
    whole = prove_it.task_of("x", rows_of("x"), 600)
    assert whole.instruction.endswith("x: First sentence here. Second one there. Third.")
    one_word = prove_it.task_of("x", rows_of("x", "y" * 50), 20)
    assert one_word.instruction.endswith("\n\nx: " + "y" * 17)  # no sentence ends in time
    other = prove_it.task_of("x", rows_of("x")[-1:], 600)
    assert [one["weight"] for one in other.rubric] == [1.0]  # no rubric of content: those that there are


def test_targets_are_met_or_missed_by_the_figures(prove_it):
    def compared(audit, overlap, words):
        gains = {"audit": audit, "overlap": overlap, "words": words}
        pairs = [
            AnswerPair(
                prompt=str(at),
                before=dict.fromkeys(gains, 2.0),
                after={name: 2.0 + gain * (1 + at / 10) for name, gain in gains.items()},
                prob_after={},
            )
            for at in range(5)
        ]
        return {"expected": compare_policies(pairs, resamples=100), "integer": compare_policies(pairs, resamples=100)}

    def trained(spread, share):
        runs = {"expected-0": spread, "first 20 steps of expected-0": 1.0, "integer-0": 0.2, "constant-0": 1.0}
        return {name: {"share_without_spread": one, "judge_share": share} for name, one in runs.items()}

    met = prove_it.targets(compared(0.1, 0.0, 0.5), trained(0.1, 0.25))
    assert len(met) == 5 and all(met.values())
    missed = prove_it.targets(compared(-0.1, -0.1, 1.5), trained(0.11, 0.26))
    assert missed.keys() == met.keys() and not any(missed.values())
    assert prove_it.targets({}, {}) == {}
    alone = {"expected": compared(0.1, 0.0, 0.5)["expected"]}
    assert len(prove_it.targets(alone, trained(0.1, 0.25))) == 4


@pytest.mark.data
def test_the_real_articles_have_rubrics_of_content_and_references(prove_it, data_folder):
    training, held_out, unseen = prove_it.load_tasks(data_folder, 600)
    assert (len(training) + len(held_out), len(unseen)) == (80, 16)
    assert 12 <= len(held_out) <= 28
    for task in {**training, **held_out, **unseen}.values():
        assert len(task.rubric) == 2
        assert task.reference_answer
        assert len(task.instruction) < 660


def test_stopped_and_resumed_it_ends_with_all_figures(
    prove_it, inputs, tiny_judge_folder, tmp_path, monkeypatch, capsys
):
    argv = arguments(inputs, tiny_judge_folder, tmp_path, "--runs", "expected,integer,generic,constant")
    append = JudgmentLog.append

    def stopping(log, records):
        records = list(records)
        append(log, records)
        if log.path.parent.name == "integer-0" and records and records[0]["step"] == 1:
            raise KeyboardInterrupt  # in the second step: the first has a checkpoint

    monkeypatch.setattr(JudgmentLog, "append", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(prove_it, monkeypatch, argv)
    monkeypatch.setattr(JudgmentLog, "append", append)
    runs = tmp_path / "runs"
    done = (runs / "expected-0/adapter/adapter_model.safetensors").stat().st_mtime_ns
    assert (runs / "integer-0/checkpoint-1").exists()
    assert not (runs / "integer-0/adapter").exists()
    run(prove_it, monkeypatch, argv)

    assert (runs / "expected-0/adapter/adapter_model.safetensors").stat().st_mtime_ns == done
    for kind, num_rubrics in (("expected", 2), ("integer", 2), ("generic", 1)):
        records = read_rows(runs / f"{kind}-0/judgments.jsonl")
        assert [record["step"] for record in records] == [0] * 2 * num_rubrics + [1] * 2 * num_rubrics
        assert all(("The gist of" in (record["reference_answer"] or "")) == (kind != "generic") for record in records)
    rewards = {record["reward"] for record in read_rows(runs / "integer-0/judgments.jsonl")}
    assert rewards <= {at / 8 for at in range(9)}  # two integers from 1 to 5
    asked = {record["instruction"] for record in read_rows(runs / "expected-0/judgments.jsonl")}
    answered = {row["key"] for row in read_rows(tmp_path / "answers/base.jsonl")}
    assert len(answered) == 3 and {"dev0", "dev1"} < answered
    assert not any(f"{key}:" in text for key in answered for text in asked)

    texts = {
        name: [row["text"] for row in read_rows(tmp_path / f"answers/{name}.jsonl")] for name in ("base", "expected-0")
    }
    assert len(texts["base"]) == 6
    assert texts["base"] != texts["expected-0"]  # what was trained is what answers

    found = json.loads((tmp_path / "results.json").read_text())
    assert set(found["trained"]) == {
        f"{early}{kind}-0" for kind in prove_it.KINDS for early in ("", "first 20 steps of ")
    }
    assert len(found["targets"]) == 5
    assert found["targets"]["at most half as many groups without spread as with integers"]
    figures = found["trained"]["expected-0"]
    assert figures["steps"] == 2
    assert 0 < figures["judge_share"] < 1
    assert {"share_without_spread", "audit_score_last", "length_last", "entropy_first"} <= figures.keys()
    assert "judge_s" not in found["trained"]["constant-0"]
    assert found["trained"]["constant-0"]["share_without_spread"] == 1
    compared = found["compared"]
    assert {"expected-0", "expected", "expected, unseen", "integer → expected", "generic → expected"} <= compared.keys()
    assert (compared["expected"]["pairs"], compared["expected"]["prompts"]) == (6, 3)
    assert compared["expected, unseen"]["prompts"] == 2
    assert compared["expected"]["win_rates"].keys() == {"judge", "audit"}
    measures = {"judge", "audit", "overlap", "words", "repetition", "empty", "cut off"}
    assert compared["expected"]["changes"].keys() == measures
    between = compared["integer → expected"]["changes"]["audit"]
    assert between["before"] == pytest.approx(compared["integer"]["changes"]["audit"]["after"])
    assert between["after"] == pytest.approx(compared["expected"]["changes"]["audit"]["after"])
    page = (runs / "expected-0/report.html").read_text(encoding="utf-8")
    assert "judge and audit judge" in page
    assert "What gained most" in page
    assert not (runs / "constant-0/report.html").exists()

    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("answers/*")}
    capsys.readouterr()
    run(prove_it, monkeypatch, [*argv, "--stages", "answer,page"])
    assert capsys.readouterr().out.startswith("answer: base\nanswer: expected-0\n")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("answers/*")} == written
    again = json.loads((tmp_path / "results.json").read_text())
    assert again == found


def test_the_settings_name_both_judges_by_their_adapters(prove_it, inputs):
    options = {"judge": inputs / "judge.yaml", "audit_adapter": inputs / "audit", "steps": 2, "policy": "p"}
    options |= {"dtype": "auto", "max_chars": 600, "max_prompts": None, "sample_seeds": [0]}
    made = prove_it.settings_of(argparse.Namespace(**options))
    assert json.loads(json.dumps(made)) == made  # as it is read again
    assert made["steps"] == 2
    assert str(inputs / "judge") in made["judge"]
    assert str(inputs / "audit") in made["audit"]


def test_unknown_stages_and_runs_are_named(prove_it, inputs, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(prove_it, monkeypatch, arguments(inputs, "policy", tmp_path, "--stages", "train,eat", "--runs", "best"))
    said = (
        "got eat, best; expected stages of train, answer, measure, page, runs of expected, integer, generic, constant"
    )
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.full
@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_all_figures(inputs, tiny_judge_folder, tmp_path):
    out = tmp_path / "out"
    argv = arguments(inputs, tiny_judge_folder, out, "--runs", "expected", "--dtype", "bfloat16")
    code = f"import runpy, sys; sys.argv = {argv!r}; module = runpy.run_path({str(SCRIPT)!r}, run_name='prove_it')\n"
    code += f"module['SETTINGS'].update({SMALL!r}); module['main']()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL)
    state = out / "runs/expected-0/checkpoint-1/trainer_state.json"
    deadline = time.monotonic() + 240
    while not state.exists() and started.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert state.exists()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.DEVNULL)
    found = json.loads((out / "results.json").read_text())
    assert found["trained"]["expected-0"]["steps"] == 2
    records = read_rows(out / "runs/expected-0/judgments.jsonl")
    assert [record["step"] for record in records] == [0] * 4 + [1] * 4
