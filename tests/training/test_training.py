import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from prom_reward.config import load_judge
from prom_reward.engines.adapter_stamp import adapter_digest, read_stamp
from prom_reward.errors import ConfigError, InputError
from prom_reward.runs import load_training
from prom_reward.settings import TrainingDataConfig, TrainingRun
from prom_reward.training.packing import make_pack, pack_examples
from prom_reward.training.trainer import pack_logits, packs_attention

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
    def make(**changes):
        data = TrainingDataConfig(path=str(data_file), passes=1.5, feedback=0.5, rubric="helpfulness")
        settings = {
            "judge": {"model": str(tiny_judge_folder), "dtype": "float32", "device": "cpu"},
            "data": [data],
            "validation_share": 0.3,
            "lora": {"r": 2},
            "trainer": QUICK,
        }
        return load_training(TrainingRun(**{**settings, **changes}), out=tmp_path / "adapter")

    return make


def test_a_pack_gives_the_logits_of_its_examples_one_by_one(training_of):
    training = training_of()
    loaded = training.load()
    examples = training.examples(loaded).training
    with torch.no_grad(), packs_attention(loaded.model) as shares:
        assert shares
        for pack in pack_examples(examples, max_tokens=2048, seed=0):
            together = pack_logits(loaded.model, pack, range(len(pack.ids)))
            assert len(pack.ids) <= pack.num_example_tokens
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


def test_training_writes_an_adapter_and_goes_on_after_a_stop(training_of, tmp_path, tiny_judge_folder):
    training = training_of(patience=5)
    loaded = training.load()
    measures = training.train(loaded, training.examples(loaded))
    assert {"eval_loss", "eval_pearson", "eval_rows_spearman", "seconds"} <= set(measures)
    out = tmp_path / "adapter"
    assert all(value.dtype == torch.bfloat16 for value in load_file(out / "adapter_model.safetensors").values())
    assert read_stamp(out)["layouts"] == {"prometheus": 1.0}
    judge = load_judge(tiny_judge_folder, adapter=str(out), dtype="float32", mode="score")
    assert judge.engine.runtime.loaded.model is not None
    longer = training_of(trainer={**QUICK, "max_steps": 3}, patience=5)
    loaded = longer.load()
    longer.train(loaded, longer.examples(loaded))
    state = json.loads((out / "checkpoints" / "checkpoint-3" / "trainer_state.json").read_text())
    assert [entry["step"] for entry in state["log_history"] if "loss" in entry] == [1, 2, 3]


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
    assert read_stamp(tmp_path / "adapter")["start"] == adapter_digest(out)
    with pytest.raises(ConfigError, match="to go on from, whose rank is given; leave lora out"):
        training_of(adapter=str(out))
    missing = training_of(adapter=str(tmp_path), lora={})
    loaded = missing.load()
    with pytest.raises(ConfigError, match=r"got no adapter_model\.safetensors"):
        missing.train(loaded, missing.examples(loaded))


def test_data_is_looked_for_in_the_data_folder_and_then_here(data_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = TrainingRun(data=[TrainingDataConfig(path=data_file.name)])
    assert [one.path for one in load_training(run, out="out", data_dir="elsewhere").sources] == [Path(data_file.name)]
    assert [one.path for one in load_training(run, out="out", data_dir=tmp_path).sources] == [data_file]


def test_tasks_give_examples_whose_labels_are_right_by_construction(training_of, tmp_path):
    path = tmp_path / "tasks.jsonl"
    tasks = [
        {"instruction": f"Task {at}", "reference_answer": "It is one. It was two. Then 3.", "rubric": "helpfulness"}
        for at in range(6)
    ]
    path.write_text("".join(json.dumps(task) + "\n" for task in tasks))
    training = training_of(data=[TrainingDataConfig(path=str(path), constructed=True)], validation_share=0)
    sets = training.examples(training.load())
    assert len(sets.training) == 48
    assert {0.0, 4.0} <= {round(example.target, 3) for example in sets.training}
    assert not sets.validation


def test_nothing_to_train_on_is_one_clear_error(training_of, tmp_path):
    with pytest.raises(ConfigError, match="no data to train on"):
        training_of(data=[])
    training = training_of(max_tokens=10)
    with pytest.raises(InputError, match="no example of at most 10 tokens"):
        training.examples(training.load())
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"prompt": "a", "chosen": "b", "rejected": "c"}) + "\n")
    training = training_of(data=[TrainingDataConfig(path=str(path), rubric="helpfulness")])
    with pytest.raises(InputError, match="got preference pairs; expected responses with scores"):
        training.examples(training.load())
