import json
import re
import runpy
import shutil
import sys
from dataclasses import fields
from pathlib import Path

import peft
import pytest
import torch
import yaml
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from trl import GRPOConfig

from prom_reward import PrometheusReward, load_judge, load_report, load_rubric
from prom_reward.data.rows import Row, read_rows
from prom_reward.engines.model.identity import folder_digest
from prom_reward.engines.server.source import ServerSource
from prom_reward.runs import load_grading_run, load_grpo_run, load_labeling_run, load_training, load_training_run
from prom_reward.training.sources import DataSource
from tests.integration.trainers import TRAINERS

ROOT = Path(__file__).parents[2]
LATER_LEGS = ("second", "third", "fourth", "fifth", "sixth", "eighth", "ninth", "tenth")  # the seventh was not kept
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_every_config_is_loaded_by_one_of_these_tests():
    names = {path.name for path in (ROOT / "configs").iterdir()}
    legs = {path.stem for path in (ROOT / "configs/default_judge").iterdir()}
    assert legs == {f"{leg}_leg" for leg in LATER_LEGS}
    assert names == {
        "README.md",
        "adapter_judge.yaml",
        "cascade_judge.yaml",
        "checklists.jsonl",
        "conduct_tasks.jsonl",
        "default_judge",
        "everyday_tasks.jsonl",
        "grade.yaml",
        "grpo.yaml",
        "label.yaml",
        "questions.jsonl",
        "responses.jsonl",
        "prove_it.yaml",
        "server_judge.yaml",
        "rubrics.yaml",
        "train_audit_judge.yaml",
        "train_judge.yaml",
        "train_judge_7b.yaml",
    }


def test_the_arguments_of_the_proofs_trainings_are_the_libraries(tmp_path):
    recipe = yaml.safe_load(Path("configs/prove_it.yaml").read_text(encoding="utf-8"))
    made = GRPOConfig(output_dir=str(tmp_path), use_cpu=True, **recipe["trainer"])
    assert (made.learning_rate, made.num_generations, made.bf16) == (2e-4, 8, False)
    assert LoraConfig(**recipe["lora"]).r == 16


@pytest.mark.parametrize("name", ["train_judge", "train_audit_judge", "train_judge_7b"])
def test_the_training_configs_are_recipes(name):
    run = load_training_run(f"configs/{name}.yaml")
    data = run.data or [DataSource(path=Path("rows.jsonl"))]
    training = load_training(run.model_copy(update={"data": data}), out="out")
    assert training.run.lora["r"] == 16
    assert training.model.adapter is None


@pytest.mark.parametrize("leg", LATER_LEGS)
def test_a_later_leg_goes_on_from_an_adapter(leg):
    run = load_training_run(f"configs/default_judge/{leg}_leg.yaml")
    training = load_training(run.model_copy(update={"adapter": "first-leg"}), out="out")
    assert training.model.adapter == "first-leg"
    assert training.sources[-1].path.exists()  # the tasks of configs/ are found from the repository


def test_the_audit_judge_has_none_of_the_default_judges_labels():
    audit = load_training_run("configs/train_audit_judge.yaml")
    for recipe in ("train_judge", *(f"default_judge/{leg}_leg" for leg in LATER_LEGS)):
        default = load_training_run(f"configs/{recipe}.yaml")
        labeled = [{data.path for data in run.data if not data.constructed} for run in (audit, default)]
        assert not labeled[0] & labeled[1]
    held_out = "dev/summaries.jsonl"  # of training_examples/prove_it/prove_it.py
    assert held_out not in {data.path for data in [*audit.data, *default.data]}


def test_the_grpo_config_makes_a_reward():
    run = load_grpo_run("configs/grpo.yaml")
    reward = PrometheusReward(load_judge(run.judge), rubric=load_rubric(run.rubric), **run.reward.model_dump())
    assert [(rubric.name, rubric.weight) for rubric in reward.rubrics] == [
        ("correctness", 0.7),
        ("brevity", 0.3),
    ]
    assert all(isinstance(row, Row) for row in read_rows(run.dataset))


def test_the_grading_config_names_files_that_exist():
    run = load_grading_run("configs/grade.yaml")
    assert len(list(read_rows(run.input))) == 3
    assert [rubric.name for rubric in load_rubric(run.rubric)] == ["helpfulness"]


def test_the_cascade_config_makes_a_judge_of_two():
    judge = load_judge("configs/cascade_judge.yaml")
    assert (judge.cheap.mode, judge.strong.mode) == ("score", "feedback")


@pytest.mark.slow
def test_the_adapter_config_puts_an_adapter_on_its_preset(smollm2_folder, tmp_path, request_of):
    model = AutoModelForCausalLM.from_pretrained(smollm2_folder)
    lora = peft.LoraConfig(r=2, init_lora_weights=False, target_modules=["q_proj"], task_type="CAUSAL_LM")
    peft.get_peft_model(model, lora).save_pretrained(tmp_path / "my-judge-adapter")
    settings = yaml.safe_load(Path("configs/adapter_judge.yaml").read_text())
    settings["adapter"] = str(tmp_path / settings["adapter"])
    with_adapter, without = load_judge(settings, dtype="float32"), load_judge("smollm2-135m", dtype="float32")
    [changed], [plain] = (judge.grade([request_of("Paris.")]) for judge in (with_adapter, without))
    assert changed.is_scored
    assert changed.expected_score != pytest.approx(plain.expected_score, abs=1e-3)


def test_the_server_config_names_every_setting_with_its_default(tmp_path):
    text = Path("configs/server_judge.yaml").read_text()
    settings = yaml.safe_load(text)
    shown = set(re.findall(r"^  (?:# )?(\w+): ", text, re.MULTILINE))
    assert shown == {field.name for field in fields(ServerSource)} - {"url"}
    assert ServerSource(url="http://a", **settings["server"]) == ServerSource(url="http://a")
    judge = load_judge({**settings, "cache": str(tmp_path / settings["cache"])})
    assert judge.engine.source.url == settings["url"]
    judge.cache.close()


def check_saved(out: Path, *, has_steps: bool = True) -> None:
    """Check that a training left its policy, and its state and judgments for one report."""
    assert list(out.glob("*model.safetensors"))
    data = load_report(out)
    assert data.has_steps == has_steps
    assert data.curves


@pytest.mark.parametrize("is_tiny", [True, pytest.param(False, marks=[pytest.mark.full, pytest.mark.slow])])
def test_the_grpo_example_trains(is_tiny, tiny_judge_folder, tmp_path, monkeypatch, capsys):
    config = yaml.safe_load(Path("configs/grpo.yaml").read_text())
    if is_tiny:
        tiny = str(tiny_judge_folder)
        config |= {"policy": tiny, "judge": {"model": tiny, "mode": "score"}}
    config["trainer"] |= {
        "output_dir": str(tmp_path),
        "max_completion_length": 8,
        "num_generations": 2,
        "per_device_train_batch_size": 2,
    }
    path = tmp_path / "grpo.yaml"
    path.write_text(yaml.safe_dump(config))
    out = tmp_path / "out"
    arguments = ["grpo.py", "--config", str(path), "--rubric", "helpfulness", "--max-steps", "2", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path("training_examples/grpo.py", run_name="__main__")
    assert "reward by step: 0." in capsys.readouterr().out
    assert len((out / "judgments.jsonl").read_text().splitlines()) == 4
    check_saved(out)


@pytest.mark.full
@pytest.mark.slow
def test_the_reward_hack_example_shows_both_runs_on_one_page(smollm2_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["reward_hack.py", "--steps", "2", "--out", str(tmp_path)])
    for is_again in (False, True):
        runpy.run_path(str(ROOT / "training_examples/reward_hack.py"), run_name="__main__")
        out = capsys.readouterr().out
        assert out.count("trained judge: 0.") == out.count("honest judge: 0.") == 2
        assert out.count(": kept") == 2 * is_again
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(text in html for text in ("guards off", "guards on", "the honest judge", "pose as the judge"))
    for name in ("guards_off", "guards_on"):
        run = json.loads((tmp_path / f"{name}.json").read_text())
        assert [point["step"] for point in run["points"]] == [1, 2]
        assert len(run["posing"]) == 2
        assert len((tmp_path / f"{name}.jsonl").read_text().splitlines()) == 16


@pytest.fixture(scope="module")
def tiny_adapter_judge(tiny_judge_folder, tmp_path_factory) -> Path:
    """A YAML file with a judge that is an adapter on the tiny model."""
    folder = tmp_path_factory.mktemp("adapter-judge")
    model = AutoModelForCausalLM.from_pretrained(tiny_judge_folder)
    lora = peft.LoraConfig(r=2, init_lora_weights=False, target_modules=["q_proj"], task_type="CAUSAL_LM")
    peft.get_peft_model(model, lora).save_pretrained(folder / "adapter")
    settings = {"model": str(tiny_judge_folder), "adapter": str(folder / "adapter"), "mode": "score"}
    (folder / "judge.yaml").write_text(yaml.safe_dump(settings))
    return folder / "judge.yaml"


@pytest.mark.parametrize("name", ["rloo", "online_dpo", "grpo_lora_shared_judge", "ppo"])
def test_the_other_examples_train(name, tiny_judge_folder, tiny_adapter_judge, tmp_path, monkeypatch, capsys):
    arguments = [f"{name}.py", "--dataset", "configs/questions.jsonl", "--max-steps", "2"]
    arguments += ["--policy", str(tiny_judge_folder), "--judge", str(tiny_adapter_judge)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--out", str(tmp_path)])
    if name == "ppo" and not TRAINERS["PPO"].exists:
        with pytest.raises(
            SystemExit, match=r"^error: this TRL has no PPOTrainer; run: pip install '\.\[ppo\]' in the clone$"
        ):
            runpy.run_path(f"training_examples/{name}.py", run_name="__main__")
        return
    runpy.run_path(f"training_examples/{name}.py", run_name="__main__")
    rewards = capsys.readouterr().out.partition("reward by step: ")[2].splitlines()[0].split()
    assert len(rewards) == 2
    assert all(-1 < float(value) < 1 for value in rewards)
    check_saved(tmp_path, has_steps=name != "ppo")  # a reward model is not told the step


def test_the_checklist_example_trains_on_pitfalls_and_a_gate(
    tiny_judge_folder, tiny_adapter_judge, tmp_path, monkeypatch, capsys
):
    arguments = ["grpo_checklists.py", "--dataset", "configs/checklists.jsonl", "--max-steps", "2"]
    arguments += ["--policy", str(tiny_judge_folder), "--judge", str(tiny_adapter_judge)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--out", str(tmp_path)])
    runpy.run_path("training_examples/grpo_checklists.py", run_name="__main__")
    said = capsys.readouterr().out
    assert "error: value" in said
    assert "reward by step: 0." in said
    assert f"next: prom-reward report {tmp_path}" in said
    check_saved(tmp_path)
    records = [json.loads(line) for line in (tmp_path / "judgments.jsonl").read_text().splitlines()]
    assert len(records) == 16
    for record in records:
        assert {part["name"]: part["weight"] for part in record["parts"]} == {
            **{"brief": 1, "fact": 3},
            **{"to_the_point": 1, "error": -2},
        }
        gate, *judged = record["parts"]
        assert (gate["source"], gate["value"] in (0, 1)) == ("code", True)
        assert {part["source"] for part in judged} == {"judge" if gate["value"] else "nobody"}
        assert 0 <= record["reward"] <= 1


def test_the_group_example_sends_one_of_two_groups_to_the_strong_judge(
    tiny_judge_folder, tiny_adapter_judge, tmp_path, monkeypatch, capsys
):
    arguments = ["grpo_groups.py", "--dataset", "configs/questions.jsonl", "--max-steps", "1"]
    arguments += ["--policy", str(tiny_judge_folder), "--cheap", str(tiny_judge_folder)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--strong", str(tiny_adapter_judge), "--out", str(tmp_path)])
    runpy.run_path("training_examples/grpo_groups.py", run_name="__main__")
    said = capsys.readouterr().out
    assert "judged by: cheap 4, strong 4" in said
    assert all(float(value) > 0 for value in said.partition("by step: ")[2].splitlines()[0].split())
    check_saved(tmp_path)
    records = [json.loads(line) for line in (tmp_path / "judgments.jsonl").read_text().splitlines()]
    judges: dict[tuple, set] = {}
    for record in records:
        judges.setdefault((record["step"], record["group"]), set()).add(record["given_by"])
    assert sorted(map(sorted, judges.values())) == [["cheap"], ["strong"]]


def test_every_example_is_run_by_one_of_these_tests():
    names = {path.stem for path in (ROOT / "training_examples").iterdir() if path.suffix == ".py"}
    labelings = {"label_then_dpo", "label_then_reward_model"}
    tools = {"average_adapters"}
    trainings = {
        "grpo",
        "grpo_checklists",
        "grpo_groups",
        "rloo",
        "online_dpo",
        "grpo_lora_shared_judge",
        "ppo",
        "reward_hack",
    }
    assert names == trainings | labelings | tools
    folders = {path.name for path in (ROOT / "training_examples").iterdir() if (path / "__main__.py").exists()}
    assert folders == {path.name for path in (ROOT / "tests/training_examples").iterdir() if path.is_dir()}


def test_the_labeling_config_names_weighted_rubrics():
    run = load_labeling_run("configs/label.yaml")
    assert [(rubric.name, rubric.weight) for rubric in load_rubric(run.rubric)] == [
        ("helpfulness", 0.7),
        ("honesty", 0.3),
    ]
    assert (run.method, run.shard_size, run.out) == ("grade", 64, "labels")


@pytest.mark.parametrize(("name", "model"), [("label_then_dpo", "--policy"), ("label_then_reward_model", "--base")])
def test_the_labeling_examples_train(tiny_judge_folder, tmp_path, monkeypatch, capsys, name, model):
    judge = tmp_path / "judge.yaml"
    judge.write_text(yaml.safe_dump({"model": str(tiny_judge_folder), "mode": "score", "dtype": "float32"}))
    data = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"Question {at}?", "chosen": f"Answer {at}.", "rejected": "No idea."} for at in range(8)]
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    arguments = [f"{name}.py", "--dataset", str(data), "--out", str(tmp_path / "out"), "--judge", str(judge)]
    arguments += [model, str(tiny_judge_folder), "--max-steps", "2"]
    monkeypatch.setattr(sys, "argv", arguments + (["--min-margin", "0"] if name == "label_then_dpo" else []))
    runpy.run_path(f"training_examples/{name}.py", run_name="__main__")
    assert "loss by step: 0." in capsys.readouterr().out
    assert len((tmp_path / "out/labels/labels.jsonl").read_text().splitlines()) == 8


@pytest.fixture
def two_adapters(tmp_path):
    """Two adapters of one form, the second with a stamp; the others differ from the first in one thing each."""
    for name, rank, alpha, value in (
        ("first", 2, 4, 1.0),
        ("second", 2, 4, 3.0),
        ("other", 4, 4, 1.0),
        ("scaled", 2, 8, 1.0),
    ):
        (tmp_path / name).mkdir()
        save_file({"lora_A": torch.full((rank, 3), value)}, tmp_path / name / "adapter_model.safetensors")
        (tmp_path / name / "adapter_config.json").write_text(json.dumps({"r": rank, "lora_alpha": alpha}))
    shutil.copytree(tmp_path / "first", tmp_path / "broken")
    (tmp_path / "broken/adapter_config.json").write_text("{")
    (tmp_path / "second/prom_reward.json").write_text('{"seed": 5}')
    for name in ("modules", "layout"):
        shutil.copytree(tmp_path / "first", tmp_path / name)
    config = {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    (tmp_path / "modules/adapter_config.json").write_text(json.dumps(config))
    stamp = {"judge": {"model": "base", "layout": "response_last"}}
    (tmp_path / "layout/prom_reward.json").write_text(json.dumps(stamp))
    return tmp_path


def average_adapters(monkeypatch, folder, *arguments):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["average_adapters.py", *arguments, "--out", "mean"])
    runpy.run_path(str(ROOT / "training_examples/average_adapters.py"), run_name="__main__")


def test_the_average_of_adapters_is_the_weighted_mean_of_their_tensors(two_adapters, monkeypatch):
    average_adapters(monkeypatch, two_adapters, "first", "second", "--weights", "0.25", "0.75")
    [mean] = load_file(two_adapters / "mean/adapter_model.safetensors").values()
    assert torch.equal(mean, torch.full((2, 3), 2.5))
    assert json.loads((two_adapters / "mean/adapter_config.json").read_text()) == {"r": 2, "lora_alpha": 4}
    stamp = json.loads((two_adapters / "mean/prom_reward.json").read_text())
    assert stamp["seed"] == 5
    assert stamp["mean_of"] == {folder_digest("first"): 0.25, folder_digest("second"): 0.75}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["first", "other"], "other: has another base, rank or form than first; expected the same"),
        (["first", "second", "--weights", "1", "1"], "expected 2 numbers from 0 to 1 with the sum 1"),
        (["first", "second", "--weights", "1"], "expected 2 numbers from 0 to 1 with the sum 1"),
        (["first", "second", "--weights", "nan", "nan"], "expected 2 numbers from 0 to 1 with the sum 1"),
        (["first", "second", "--weights", "2", "-1"], "expected 2 numbers from 0 to 1 with the sum 1"),
        (["first", "first"], "got one adapter, or one of them twice; expected two or more"),
        (["first", "broken"], "cannot be averaged: "),
        *((["first", name], f"{name}: has another base, rank or form than first") for name in ("scaled", "modules")),
        (["first", "layout"], "layout: has another base, rank or form than first"),
        (["first", "nowhere"], "nowhere: holds no adapter_model.safetensors"),
    ],
)
def test_adapters_that_have_no_mean_are_refused(two_adapters, monkeypatch, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        average_adapters(monkeypatch, two_adapters, *arguments)
    assert message in f"{stop.value}{capsys.readouterr().err}"
    assert not (two_adapters / "mean").exists()


def test_examples_stay_short():
    experiments = {"reward_hack": 135}  # not a pattern to copy
    for path in (ROOT / "training_examples").glob("*.py"):
        assert len(path.read_text().splitlines()) < experiments.get(path.stem, 80), path
