import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from prom_reward.config import load_judge
from prom_reward.engines.model.adapter_stamp import read_stamp
from prom_reward.engines.model.identity import folder_digest
from prom_reward.errors import ConfigError, InputError
from prom_reward.runs import load_training
from prom_reward.settings.runs import TrainingRun
from prom_reward.training.data import read_source
from prom_reward.training.packing import make_pack, pack_examples
from prom_reward.training.sources import DataSource
from prom_reward.training.trainer import pack_logits, packs_attention
from tests.training.tiny_examples import rows_of, write_rows

QUICK = {"max_steps": 2, "save_steps": 1, "logging_steps": 1, "disable_tqdm": True, "gradient_accumulation_steps": 1}


@pytest.fixture
def data_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [
        {
            "instruction": f"Question {at % 6}?",
            "response": f"Answer {at}.",
            "score": 1 + at % 5,
            "feedback": "Clear and short.",
            "question_id": at % 6,
        }
        for at in range(24)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def training_of(tiny_judge_folder, data_file, tmp_path):
    def make(out=tmp_path / "adapter", **changes):
        data = DataSource(path=(data_file), passes=1.5, feedback=0.5, rubric="helpfulness")
        settings = {
            "judge": {"model": str(tiny_judge_folder), "dtype": "float32", "device": "cpu"},
            "data": [data],
            "validation_share": 0.3,
            "lora": {"r": 2},
            "trainer": QUICK,
        }
        return load_training(TrainingRun(**{**settings, **changes}), out=out)

    return make


def trained(training, **options):
    loaded = training.load()
    return training.train(loaded, training.examples(loaded), **options)


def test_a_pack_gives_the_logits_of_its_examples_one_by_one(training_of):
    training = training_of()
    loaded = training.load()
    examples = training.examples(loaded).training
    with torch.no_grad(), packs_attention(loaded.model) as shares:
        assert shares
        pack, *_ = pack_examples(examples, max_tokens=1500, seed=0)
        together = pack_logits(loaded.model, pack, range(len(pack.ids)))
        assert len(pack.examples) > 2
        assert len(pack.ids) < sum(len(one.ids) for one in pack.examples)
        for example, places in zip(pack.examples, pack.places, strict=True):
            assert [pack.ids[place] for place in places] == example.ids
            assert [pack.positions[place] for place in places] == list(range(len(example.ids)))
            alone = make_pack([example])
            plain = pack_logits(loaded.model, alone, range(len(alone.ids)))
            assert torch.allclose(together[places], plain, atol=1e-4)


def test_packs_hold_every_example_once_and_keep_to_their_size(training_of):
    training = training_of()
    examples = training.examples(training.load()).training
    packs = pack_examples(examples, max_tokens=900, seed=1)
    assert sorted(id(one) for pack in packs for one in pack.examples) == sorted(map(id, examples))
    assert all(len(pack.ids) <= 900 or len(pack.examples) == 1 for pack in packs)
    assert all(len(pack.examples) == 1 for pack in pack_examples(examples, max_tokens=900, seed=1, shares=False))


def test_held_out_questions_are_not_trained_on(training_of):
    training = training_of(layouts={"response_last": 0.5, "prometheus": 0.5})
    loaded = training.load()
    sets = training.examples(loaded)
    questions = [
        {loaded.tokenizer.decode(example.ids).split("Question ")[1][0] for example in part}
        for part in (sets.training, sets.validation)
    ]
    assert questions[0] and questions[1] and not questions[0] & questions[1]
    assert not any(example.has_feedback for example in sets.validation)
    assert any(example.has_feedback for example in sets.training)


def test_rows_are_counted_once_and_only_if_an_example_of_them_fits(training_of, data_file):
    data = DataSource(path=data_file, passes=2, rubric="helpfulness")
    training = training_of(data=[data], validation_share=0)
    sets = training.examples(training.load())
    assert (len(sets.training), sets.num_rows) == (48, 24)
    shortest = min(len(one.ids) for one in sets.training)
    few = training_of(data=[data], validation_share=0, max_tokens=shortest)
    sets = few.examples(few.load())
    assert len(sets.training) == 2 * sets.num_rows < 48


@pytest.mark.parametrize(("seconds", "kept"), [(0, {"checkpoint-1", "checkpoint-2"}), (600, {"checkpoint-2"})])
def test_a_checkpoint_is_written_by_time_if_steps_are_slow(training_of, tmp_path, monkeypatch, seconds, kept):
    monkeypatch.setattr("prom_reward.training.trainer.SAVE_SECONDS", seconds)
    measures = trained(training_of(trainer={**QUICK, "save_steps": 50}))
    assert {path.name for path in (tmp_path / "adapter/checkpoints").glob("checkpoint-*")} == kept
    assert "eval_loss" in measures


def test_training_writes_an_adapter(training_of, tmp_path, tiny_judge_folder):
    measures = trained(training_of(patience=5))
    assert {"eval_loss", "eval_pearson", "eval_rows_spearman", "seconds"} <= set(measures)
    assert measures["eval_selection"] == measures["eval_pearson"]
    out = tmp_path / "adapter"
    assert all(value.dtype == torch.bfloat16 for value in load_file(out / "adapter_model.safetensors").values())
    assert read_stamp(out)["layouts"] == {"prometheus": 1.0}
    judge = load_judge(tiny_judge_folder, adapter=str(out), dtype="float32", mode="score")
    assert judge.engine.loaded.model is not None


def test_training_goes_on_after_a_stop_and_ends_where_it_would_have(training_of, tmp_path, caplog):
    changes = {"trainer": {**QUICK, "max_steps": 3, "save_total_limit": 5}}
    out = tmp_path / "adapter"
    trained(training_of(**changes))
    first = load_file(out / "adapter_model.safetensors")
    assert not caplog.messages
    shutil.rmtree(out / "checkpoints" / "checkpoint-3")
    trained(training_of(**changes))
    assert caplog.messages == [f"{out}/checkpoints/checkpoint-2: resuming from step 2"]
    state = json.loads((out / "checkpoints" / "checkpoint-3" / "trainer_state.json").read_text())
    assert [entry["step"] for entry in state["log_history"] if "loss" in entry] == [1, 2, 3]
    (out / "adapter_model.safetensors").unlink()
    caplog.clear()
    trained(training_of(**changes))
    assert caplog.messages == [
        f"{out}/checkpoints/checkpoint-3: the training had finished at step 3; writing its adapter"
    ]
    assert not (out / "checkpoints" / "checkpoint-4").exists()
    last = load_file(out / "adapter_model.safetensors")
    assert all(torch.allclose(first[name].float(), last[name].float(), atol=1e-4) for name in first)


@pytest.fixture
def interruptible():
    """A process that SIGINT interrupts; under nohup it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupting(TrainerCallback):
    """Sends SIGINT at the beginning of a step."""

    def __init__(self, *steps):
        self.steps = steps

    def on_step_begin(self, args, state, control, **_):
        for _ in range(self.steps.count(state.global_step)):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("interruptible")
def test_sigint_writes_a_checkpoint_after_the_step_and_training_goes_on_from_it(training_of, tmp_path, caplog):
    changes = {"trainer": {**QUICK, "max_steps": 3, "save_steps": 50}}
    training = training_of(**changes, out=tmp_path / "whole")
    trained(training)
    training = training_of(**changes)
    with pytest.raises(KeyboardInterrupt):
        trained(training, callbacks=[Interrupting(1)])
    out = tmp_path / "adapter"
    assert [path.name for path in (out / "checkpoints").glob("checkpoint-*")] == ["checkpoint-2"]
    assert not (out / "adapter_model.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert "stopping with a checkpoint after this step" in caplog.text
    trained(training_of(**changes))
    first, again = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "adapter"))
    assert all(torch.allclose(first[name].float(), again[name].float(), atol=1e-4) for name in first)


def test_an_ignored_sigint_stays_ignored(training_of, interruptible):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert trained(training_of(), callbacks=[Interrupting(0, 0)])["steps"] == QUICK["max_steps"]


@pytest.mark.usefixtures("interruptible")
def test_a_second_sigint_stops_at_once(training_of, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trained(training_of(), callbacks=[Interrupting(0, 0)])
    assert not list((tmp_path / "adapter/checkpoints").glob("checkpoint-*"))


def test_checkpoints_of_another_recipe_are_refused(training_of, tmp_path):
    trained(training_of())
    out = re.escape(str(tmp_path / "adapter"))
    for changes, message in [
        ({"trainer": {**QUICK, "learning_rate": 0.01}}, "learning_rate: 0.0004 there, 0.01 here"),
        ({"trainer": {**QUICK, "max_steps": 3}}, "max_steps: 2 there, 3 here"),
        ({"lora": {"r": 4}}, "lora.r: 2 there, 4 here"),
        ({"seed": 1}, "seed: 0 there, 1 here.*examples: "),
        ({"layouts": {"response_last": 1.0}}, 'layouts: {"prometheus": 1.0} there, {"response_last": 1.0} here'),
    ]:
        with pytest.raises(
            InputError, match=rf"^{out}: got checkpoints of another run \(.*{message}.*\); expected the "
        ):
            trained(training_of(**changes))


@pytest.mark.parametrize("left", [None, "", "[]"])
def test_checkpoints_without_a_recipe_are_gone_on_from(training_of, tmp_path, left):
    trained(training_of())
    checkpoints = tmp_path / "adapter" / "checkpoints"
    (checkpoints / "recipe.json").unlink()
    if left is not None:
        (checkpoints / "recipe.json").write_text(left)
    trained(training_of(trainer={**QUICK, "max_steps": 3}))
    state = json.loads((checkpoints / "checkpoint-3" / "trainer_state.json").read_text())
    assert [entry["step"] for entry in state["log_history"] if "loss" in entry] == [1, 2, 3]
    assert json.loads((checkpoints / "recipe.json").read_text())["max_steps"] == 3


def test_a_stop_does_not_begin_the_patience_again(training_of, tmp_path, caplog):
    trainer = {**QUICK, "max_steps": 6, "learning_rate": 0.0, "save_total_limit": 9}
    checkpoints = tmp_path / "adapter" / "checkpoints"
    trained(training_of(trainer=trainer, patience=2))
    assert (checkpoints / "checkpoint-3").is_dir()
    shutil.rmtree(checkpoints / "checkpoint-3")
    trained(training_of(trainer=trainer, patience=2))
    trained(training_of(trainer=trainer, patience=2))
    assert caplog.messages[-1].endswith("checkpoint-3: the training had finished at step 3; writing its adapter")
    assert not (checkpoints / "checkpoint-4").exists()


def test_where_labels_do_not_vary_the_loss_chooses(training_of, data_file, tmp_path):
    write_rows(data_file, rows_of(12, scores=(3,)))
    measures = trained(training_of())
    assert measures["eval_selection"] == -measures["eval_loss"]
    assert not [name for name in measures if "pearson" in name or "spearman" in name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"trainer": {"lerning_rate": 1}},
            "trainer: unknown key 'lerning_rate' of TrainingArguments. Did you mean 'learn",
        ),
        (
            {"trainer": {"learning_rate": "4e-4"}},
            "trainer: got learning_rate='4e-4'; expected a number (for YAML 4.0e-4",
        ),
        ({"trainer": {"use_cpu": "yes"}}, "trainer: got use_cpu='yes'; expected true or false"),
        ({"trainer": {"lr_scheduler_type": "x"}}, "trainer: x is not a valid SchedulerType"),
        (
            {"trainer": {"eval_steps": 1, "output_dir": "x"}},
            "trainer: got eval_steps, output_dir, which train-judge sets",
        ),
        ({"lora": {"rank": 1}}, "lora: unknown key 'rank' of LoraConfig."),
        ({"lora": {"r": "x"}}, "lora: got r='x'; expected a number"),
        ({"lora": {"task_type": "x"}}, "lora: Invalid task type: 'x'"),
        ({"lora": {}, "adapter": "."}, ".: got no adapter_model.safetensors; expected a LoRA adapter saved by peft"),
    ],
)
def test_what_is_wrong_with_the_recipe_is_said_before_anything_is_loaded(training_of, changes, message):
    training = training_of(**{"judge": {"model": "no such model", "device": "cpu"}, **changes})
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        training.load()


def test_lora_that_does_not_fit_the_model_is_one_clear_error(training_of):
    with pytest.raises(ConfigError, match=r"^lora: .*no_such_module"):
        trained(training_of(lora={"target_modules": ["no_such_module"]}))


def test_training_goes_on_from_an_adapter(training_of, tmp_path):
    first = training_of()
    loaded = first.load()
    first.train(loaded, first.examples(loaded))
    out = (tmp_path / "adapter").rename(tmp_path / "first")
    still = {"learning_rate": 0.0, "max_steps": 1, "save_steps": 1, "disable_tqdm": True}
    second = training_of(adapter=str(out), lora={}, trainer=still)
    loaded = second.load()
    second.train(loaded, second.examples(loaded))
    before, after = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("first", "adapter"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert read_stamp(tmp_path / "adapter")["start"] == folder_digest(out)
    with pytest.raises(ConfigError, match="to go on from, whose rank is given; leave lora out"):
        training_of(adapter=str(out))
    missing = training_of(adapter=str(tmp_path), lora={})
    with pytest.raises(ConfigError, match=r"got no adapter_model\.safetensors"):
        missing.load()


def test_frozen_layers_that_leave_nothing_to_train_are_refused(training_of):
    with pytest.raises(ConfigError, match="frozen_layers=1"):
        trained(training_of(frozen_layers=1))


def test_criteria_are_asked_in_the_checklists_text(training_of, tmp_path):
    criterion = {"criteria": "Is it short?", "score0_description": "no", "score1_description": "yes", "scale": [0, 1]}
    rows = [{**row, "rubric": criterion, "score": number % 2} for number, row in enumerate(rows_of(6))]
    training = training_of(data=[DataSource(path=write_rows(tmp_path / "criteria.jsonl", rows), criteria=True)])
    loaded = training.load()
    sets = training.examples(loaded)
    for one in [*sets.training, *sets.validation]:
        text = loaded.tokenizer.decode(one.ids)
        assert "Does the response meet the criterion?" in text
        assert text.index("###Response") < text.index("Is it short?")
        assert len(one.label_ids) == 2


def test_verdicts_on_a_checklist_are_one_example_for_each_yes_or_no_criterion(training_of, tmp_path):
    checklist = [
        {"text": "It is short.", "name": "short", "weight": 1},
        {"text": "How warm is it?", "name": "warm", "weight": 1, "options": ["cold", "mild", "warm"]},
        {"text": "It is rude.", "name": "rude", "weight": -1},
    ]
    verdicts = {"short": True, "warm": True, "rude": [False, False, True]}
    rows = [{**row, "rubric": checklist, "labels": verdicts} for row in rows_of(6)]
    training = training_of(data=[DataSource(path=write_rows(tmp_path / "rows.jsonl", rows))])
    loaded = training.load()
    sets = training.examples(loaded)
    texts = {loaded.tokenizer.decode(one.ids): one for one in [*sets.training, *sets.validation]}
    assert all("Does the response meet the criterion?" in text for text in texts)
    targets = {
        name: {round(one.target, 3) for text, one in texts.items() if name in text} for name in ("short.", "rude.")
    }
    assert targets == {"short.": {1.0}, "rude.": {0.333}}
    assert not any("warm" in text for text in texts)


def test_criteria_with_options_are_left_out_with_a_word(tmp_path, caplog):
    warm = {"text": "How warm is it?", "weight": 1, "options": ["cold", "mild", "warm"]}
    rows = [{**row, "rubric": [warm, {"text": "It is short.", "weight": 1}], "labels": [1, 0]} for row in rows_of(6)]
    found = read_source(DataSource(path=write_rows(tmp_path / "rows.jsonl", rows)))
    assert {one.request.rubric.criteria for one in found} == {"It is short."}
    assert f"left out: {len(rows)} verdicts on criteria with options" in caplog.text


def test_data_is_looked_for_in_the_data_folder_and_then_here(data_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = TrainingRun(data=[DataSource(path=Path(data_file.name), rubric="helpfulness")])
    (tmp_path / "other").mkdir()
    write_rows(tmp_path / "other" / data_file.name, rows_of(4))
    found = [len(load_training(run, out="out", data_dir=folder).read()[0]) for folder in ("elsewhere", "other")]
    assert found == [24, 12]


def test_tasks_give_examples_whose_labels_are_right_by_construction(training_of, tmp_path):
    path = tmp_path / "tasks.jsonl"
    tasks = [
        {"instruction": f"Task {at}", "reference_answer": "It is one. It was two. Then 3.", "rubric": "helpfulness"}
        for at in range(6)
    ]
    path.write_text("".join(json.dumps(task) + "\n" for task in tasks))
    training = training_of(data=[DataSource(path=(path), constructed=True)], validation_share=0)
    sets = training.examples(training.load())
    assert len(sets.training) == 48
    assert {0.0, 4.0} <= {round(example.target, 3) for example in sets.training}
    assert not sets.validation


def test_nothing_to_train_on_is_one_clear_error(training_of, tmp_path, data_file):
    few = DataSource(path=(data_file), passes=0.01, rubric="helpfulness")
    tasks = DataSource(path=(data_file), constructed=True, rubric="helpfulness")
    with pytest.raises(ConfigError, match="no data to train on"):
        training_of(data=[])
    for changes, message in [
        ({"max_tokens": 10}, r"got no example of at most 10 tokens: the shortest of \d+ has \d+; raise max_tokens"),
        (
            {"validation_share": 0.999},
            "got 24 labeled rows, all held out",
        ),
        ({"data": [few]}, r"got passes so low that none of \d+ labeled rows is taken"),
        ({"data": [tasks]}, "rows.jsonl: got no usable task in 24 rows; expected a reference_answer of two sentences"),
    ]:
        training = training_of(**changes)
        with pytest.raises(InputError, match=message):
            training.examples(training.load())
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"prompt": "a", "chosen": "b", "rejected": "c"}) + "\n")
    training = training_of(data=[DataSource(path=(path), rubric="helpfulness")])
    with pytest.raises(InputError, match="got preference pairs; expected responses with scores"):
        training.examples(training.load())


@pytest.mark.parametrize("option", [{"feedback": 0.1}, {"score_column": "grade"}, {"label_scale": "1-7"}])
def test_constructed_labels_take_no_option_of_written_ones(option):
    message = "rows.jsonl: got feedback, score_column or label_scale with constructed: true; leave them out"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        DataSource(path=Path("rows.jsonl"), constructed=True, **option)


@pytest.mark.parametrize(("num_rows", "is_odd"), [(21, True), (20, False)])
def test_rows_that_share_no_question_are_told(tmp_path, caplog, num_rows, is_odd):
    path = write_rows(tmp_path / "rows.jsonl", rows_of(num_rows, scores=(3,)))
    read_source(DataSource(path=path, rubric="helpfulness"))
    told = f"{path}: each of {num_rows} rows counts as a question of its own; if rows share questions"
    assert [message.startswith(told) for message in caplog.messages] == [True] * is_odd


def test_labels_of_another_scale_are_refused_or_mapped(tmp_path):
    path = write_rows(tmp_path / "rows.jsonl", rows_of(6, scores=(1, 7)))
    with pytest.raises(InputError, match=r"labels from 1 to 7, outside the scale 1 to 5.*label_scale in a recipe"):
        read_source(DataSource(path=path, rubric="helpfulness"))
    mapped = read_source(DataSource(path=path, rubric="helpfulness", label_scale="1-7"))
    assert {one.scores for one in mapped} == {(1.0,), (5.0,)}
    with pytest.raises(InputError, match=r"rows\.jsonl: label_scale 'seven'; expected LOW-HIGH, for example 1-10"):
        DataSource(path=path, label_scale="seven")
