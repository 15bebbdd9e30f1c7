"""The experiment of prove_it.py with random models and few steps: stopped, killed, resumed."""

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
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from prom_reward.engines.model.identity import folder_digest
from prom_reward.reports.training_folder import LOG_FILE
from prom_reward.rewards.judgment_log import JudgmentLog
from tests.labeling.label_inputs import read_rows, write_rows
from training_examples.prove_it.runs import compare_runs

ROOT = Path(__file__).parents[3]
MATTERS = "Does the summary hold what matters?"
SMALL = {
    "learning_rate": 0.1,
    "warmup_steps": 0,
    "per_device_train_batch_size": 2,
    "num_generations": 2,
    "max_completion_length": 6,
    "save_steps": 1,
}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def rubric(criteria):
    return {"criteria": criteria, **{f"score{label}_description": f"Level {label}." for label in range(1, 6)}}


def rows_of(name, text="First sentence here. Second one there. Third."):
    """Ratings of one article: of its facts, twice of its content, and of its style."""
    shared = {
        "doc": name,
        "instruction": f"Summarize the article.\n\n{name}: {text}",
        "reference_answer": f"The gist of {name}.",
    }
    criteria = ("Are all facts of it right?", *[MATTERS] * 2, "Is it easy to read?")
    return [{**shared, "rubric": rubric(one), "score": 3} for one in criteria]


@pytest.fixture(scope="module")
def prove_it():
    """The script as a module, with a tiny group and a checkpoint at every step."""
    spec = importlib.util.find_spec("training_examples.prove_it.prove_it")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.SETTINGS |= SMALL
    module.TRAINED_TOKENS, module.MEASURED_TOKENS = SMALL["max_completion_length"], 10
    module.FEEDBACK = {"seed": 0, "max_new_tokens": 4}
    module.compare_runs = partial(compare_runs, resamples=5)
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
    assert task.instruction == f"{prove_it.PROMPT}\n\ndev0: First sentence here."
    assert (task.reference_answer, task.rubric["criteria"]) == ("The gist of dev0.", MATTERS)
    whole = prove_it.task_of("x", rows_of("x"), 600)
    assert whole.instruction.endswith("x: First sentence here. Second one there. Third.")
    one_word = prove_it.task_of("x", rows_of("x", "y" * 50), 20)
    assert one_word.instruction.endswith("\n\nx: " + "y" * 17)  # no sentence ends in time
    other = prove_it.task_of("x", rows_of("x")[-1:], 600)
    assert other.rubric["criteria"] == "Is it easy to read?"  # no rubric of content: the first that there is


def test_every_step_has_a_row_in_passes_that_are_each_shuffled_anew(prove_it, inputs):
    training, *_ = prove_it.load_tasks(inputs, 600)
    size = len(training)
    rows = list(prove_it.rows_of(training, steps=3 * size + 1, seed=1, with_rubric=True))
    passes = [[row["reference_answer"] for row in rows[at : at + size]] for at in range(0, len(rows), size)]
    assert [len(one) for one in passes] == [size, size, size, 1]
    assert all(set(one) == {task.reference_answer for task in training.values()} for one in passes[:3])
    assert len({tuple(one) for one in passes[:3]}) > 1
    assert all(row["rubric"]["criteria"] == MATTERS for row in rows)
    again, other = (prove_it.rows_of(training, steps=size, seed=seed, with_rubric=False) for seed in (1, 2))
    assert [row["prompt"] for row in again] == [row["prompt"] for row in rows[:size]]
    assert [row["prompt"] for row in again] != [row["prompt"] for row in other]
    assert again.column_names == ["prompt"]


@pytest.mark.data
def test_the_real_articles_have_rubrics_of_content_and_references(prove_it, data_folder):
    training, held_out, unseen = prove_it.load_tasks(data_folder, 1000)
    assert (len(training) + len(held_out), len(unseen)) == (80, 16)
    assert 12 <= len(held_out) <= 28
    for task in {**training, **held_out, **unseen}.values():
        assert task.rubric["criteria"].startswith(prove_it.CONTENT)
        assert task.reference_answer
        assert len(task.instruction) < 1060


def test_stopped_and_resumed_it_ends_with_all_figures(
    prove_it, inputs, tiny_judge_folder, tmp_path, monkeypatch, capsys
):
    argv = arguments(inputs, tiny_judge_folder, tmp_path, "--runs", "expected,integer,generic,overlap,constant")
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
    early = json.loads((tmp_path / "results.json").read_text())
    assert {"lead", "expected-0"} <= early["compared"].keys()  # the results of what was done
    assert set(early["trained"]) == {"expected-0", "first 20 steps of expected-0"}
    done = written(tmp_path)
    assert (runs / "integer-0/checkpoint-1").exists() and not (runs / "integer-0/checkpoint-2").exists()
    run(prove_it, monkeypatch, argv)
    assert {path: at for path, at in written(tmp_path).items() if path in done} == done

    for kind in ("expected", "integer", "generic"):
        records = read_rows(runs / f"{kind}-0/judgments.jsonl")
        assert [record["step"] for record in records] == [0] * 2 + [1] * 2
        assert all(("The gist of" in (record["reference_answer"] or "")) == (kind != "generic") for record in records)
        assert all(1 <= record["audit_score"] <= 5 for record in records)
    rewards = {record["reward"] for record in read_rows(runs / "integer-0/judgments.jsonl")}
    assert rewards <= {at / 4 for at in range(5)}  # an integer from 1 to 5
    asked = {record["instruction"] for record in read_rows(runs / "expected-0/judgments.jsonl")}
    answered = {row["key"] for row in read_rows(tmp_path / "answers/base.jsonl")}
    assert len(answered) == 3 and {"dev0", "dev1"} < answered
    assert not any(f"{key}:" in text for key in answered for text in asked)

    base, trained, lead = (read_rows(tmp_path / f"answers/{name}.jsonl") for name in ("base", "expected-0", "lead"))
    assert len(base) == 6
    assert [row["text"] for row in base] != [row["text"] for row in trained]  # what was trained is what answers
    assert {row["text"] for row in lead} == {f"{key}: First sentence here." for key in answered}

    found = json.loads((tmp_path / "results.json").read_text())
    assert set(found["trained"]) == {
        f"{early}{kind}-0" for kind in (*prove_it.KINDS, *prove_it.UNJUDGED) for early in ("", "first 20 steps of ")
    }
    assert len(found["targets"]) == 7
    figures = found["trained"]["expected-0"]
    assert figures["steps"] == 2
    assert 0 < figures["judge_share"] < 1
    logged = {"share_without_spread", "audit_score_last", "length_last", "entropy_first", "kl_last", "cut_share_last"}
    assert logged | {"expected_sd", "integer_sd", "audit_rank_correlation"} <= figures.keys()
    assert "judge_s" not in found["trained"]["constant-0"]
    assert found["trained"]["constant-0"]["share_without_spread"] == 1
    assert "a step takes " in next(one["figures"] for one in found["targets"] if "of a step" in one["name"])
    assert 0 < found["trained"]["overlap-0"]["reward_last"] < 1  # of random answers: a letter here and there
    compared = found["compared"]
    labels = {"lead", "expected-0", "expected", "expected, greedy", "expected, sampled", "expected, unseen"}
    others = {f"{kind}{seed} → expected{seed}" for kind in ("integer", "generic", "overlap") for seed in ("", "-0")}
    assert labels | others | {"lead → expected", "lead → expected-0"} <= compared.keys()
    assert (compared["expected"]["pairs"], compared["expected"]["prompts"]) == (6, 3)
    judges = {"judge", "audit", "audit, generic rubric"}
    assert compared["expected"]["win_rates"].keys() == judges
    assert compared["expected"]["ranked_win_rates"].keys() == {"judge", "audit"}
    measures = judges | {"overlap", "words", "sentences", "repetition", "copied", "empty", "cut off"}
    assert compared["expected"]["changes"].keys() == measures | {"over 6 tokens"}
    assert compared["expected"]["words_held"].keys() == judges
    assert found["machine"].keys() >= {"device", "threads", "torch", "trl"}
    page = (runs / "expected-0/report.html").read_text(encoding="utf-8")
    assert "judge and audit judge" in page
    assert f"{MATTERS}</pre>" in page
    assert not (runs / "constant-0/report.html").exists() and not (runs / "overlap-0/report.html").exists()

    capsys.readouterr()
    done = written(tmp_path)
    run(prove_it, monkeypatch, argv)
    assert capsys.readouterr().out.startswith("lead\nexpected-0\ninteger-0\n")
    assert written(tmp_path) == done
    assert json.loads((tmp_path / "results.json").read_text()) == found

    never_stopped = argparse.Namespace(**options_of(inputs, tiny_judge_folder, tmp_path / "again"))
    prove_it.train(never_stopped, prove_it.load_tasks(inputs, 1000)[0], "integer-0")
    again = tmp_path / "again/runs/integer-0"
    assert read_rows(again / LOG_FILE) == read_rows(runs / "integer-0" / LOG_FILE)
    weights = [load_file(folder / "checkpoint-2/adapter_model.safetensors") for folder in (again, runs / "integer-0")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def written(out):
    """When answers, measures and checkpoints were written."""
    patterns = ("answers/*", "measures/*/measures.jsonl", "runs/*/checkpoint-2/*")
    return {path: path.stat().st_mtime_ns for pattern in patterns for path in out.glob(pattern)}


def options_of(inputs, model, out):
    judges = {"judge": inputs / "judge.yaml", "audit_adapter": inputs / "audit"}
    made = {"steps": 2, "policy": str(model), "dtype": "float32", "max_chars": 1000, "max_prompts": None}
    return {**judges, **made, "out": out, "sample_seeds": [0]}


def test_the_settings_hold_all_that_a_tuner_changes(prove_it, inputs, monkeypatch):
    options = argparse.Namespace(**options_of(inputs, "p", Path("out")))
    parts = prove_it.load_tasks(inputs, 1000)
    made = prove_it.settings_of(options, parts)
    assert json.loads(json.dumps(made)) == made  # as it is read again
    assert (made["steps"], made["trainer.beta"], made["lora.r"], made["measured_tokens"]) == (2, 0.02, 16, 10)
    assert folder_digest(inputs / "judge") in made["judge"]
    assert folder_digest(inputs / "audit") in made["audit"]
    fewer = prove_it.load_tasks(inputs, 30)
    assert prove_it.settings_of(options, fewer)["tasks_sha256"] != made["tasks_sha256"]
    monkeypatch.setitem(prove_it.SETTINGS, "learning_rate", 0.5)
    assert prove_it.settings_of(options, parts)["trainer.learning_rate"] == 0.5


def test_unknown_runs_are_named(prove_it, inputs, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(prove_it, monkeypatch, arguments(inputs, "policy", tmp_path, "--runs", "best,integer"))
    assert "got best; expected runs of expected, integer, generic, overlap, constant" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.full
@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_all_figures(inputs, tiny_judge_folder, tmp_path):
    out = tmp_path / "out"
    argv = arguments(inputs, tiny_judge_folder, out, "--runs", "expected", "--dtype", "bfloat16")
    code = f"import sys; from training_examples.prove_it import prove_it; sys.argv = {argv!r}\n"
    code += f"prove_it.SETTINGS |= {SMALL!r}; "
    code += "prove_it.MEASURED_TOKENS = prove_it.FEEDBACK['max_new_tokens'] = 6; prove_it.main()"
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
    assert [record["step"] for record in records] == [0] * 2 + [1] * 2
