import json
import re
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file

from prom_reward import load_judge
from prom_reward.engines.model.adapter_stamp import read_stamp

ROWS = [
    {"instruction": f"Question {at % 6}?", "response": f"Answer {at}.", "score": 1 + at % 5, "feedback": "Clear."}
    for at in range(24)
]
TRAINER = {"save_steps": 1, "logging_steps": 1, "disable_tqdm": True, "gradient_accumulation_steps": 1}


@pytest.fixture
def recipe(tmp_path, tiny_judge_folder):
    """Writes a recipe without data and returns its path."""

    def make(**changes):
        path = tmp_path / "recipe.yaml"
        settings = {
            "judge": {"model": str(tiny_judge_folder), "dtype": "float32", "device": "cpu"},
            "validation_share": 0.3,
            "trainer": TRAINER,
        }
        path.write_text(yaml.safe_dump({**settings, **changes}))
        return path

    return make


def test_rows_become_an_adapter_that_loads(run, rows_file, recipe, tmp_path, tiny_judge_folder, request_of):
    out = tmp_path / "judge"
    options = ("--config", recipe(), "--rubric", "helpfulness", "--out", out, "--rank", "2", "--max-steps", "2")
    done = run("train-judge", rows_file(*ROWS), *options, "--json", "--learning-rate", "0.01")
    assert done.status == 0
    printed = json.loads(done.out.splitlines()[-1])
    assert printed["out"] == str(out)
    assert printed["training"] + printed["validation"] >= len(ROWS)
    assert "eval_pearson" in printed
    assert read_stamp(out)["data"] == [{"file": "rows.jsonl", "passes": 2.0}]
    judge = load_judge(str(tiny_judge_folder), adapter=str(out), mode="score", dtype="float32")
    [expected] = judge.grade([request_of("Paris.")])
    assert not load_judge(out).taught_to_rank
    [judgment] = load_judge(out, dtype="float32").grade([request_of("Paris.")])
    assert judgment.is_scored
    assert judgment.expected_score == pytest.approx(expected.expected_score, abs=1e-6)
    row = rows_file(*ROWS[:1])
    graded = json.loads(run("grade", row, "--judge", out, "--rubric", "helpfulness", "--json").out)
    assert graded["outcome"] == "scored"
    card = (out / "README.md").read_text()
    assert f"# {out.name}: a judge trained by prom_reward" in card
    assert str(tmp_path) not in card
    assert str(tiny_judge_folder) not in card


def test_ctrl_c_says_how_to_go_on(run, rows_file, recipe, tmp_path, monkeypatch):
    def stop(*rest, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("prom_reward.training.judge_training.JudgeTraining.train", stop)
    options = ("--config", recipe(), "--rubric", "helpfulness", "--out", tmp_path / "judge")
    done = run("train-judge", rows_file(*ROWS), *options)
    assert done.status == 130
    assert "run the same command again" in done.err


def test_a_dry_run_shows_what_would_be_trained_on(run, rows_file, recipe, tmp_path):
    out = tmp_path / "judge"
    options = ("--config", recipe(), "--rubric", "helpfulness", "--out", out, "--dry-run")
    path = rows_file(*ROWS, *({**row, "response": "long " * 1600} for row in ROWS[:6]))
    done = run("train-judge", path, *options, "--passes", "1", "--feedback", "1")
    assert done.status == 0
    assert "Training examples" in done.out
    assert "examples left out: longer than --max-tokens" in done.err
    counts = json.loads(run("train-judge", path, *options, "--json", "--patience", "1").out)
    assert set(counts) == {"training", "validation", "too_long", "tokens", "unique_tokens", "steps"}
    assert not out.exists()


def test_files_without_known_columns_are_told_theirs(run, rows_file, recipe, tmp_path, caplog):
    rows = [{"instruction": f"{at}?", "response": "a", "grade": 3, "topic": at % 6} for at in range(24)]
    options = ("--config", recipe(), "--rubric", "helpfulness", "--out", tmp_path / "judge", "--dry-run", "--json")
    columns = ("--score-column", "grade", "--cluster", "topic")
    done = run("train-judge", rows_file(*rows), *options, *columns, "--validation-share", "0.5", "--passes", "1")
    counts = json.loads(done.out)
    assert counts["training"] + counts["validation"] == len(rows)
    assert counts["validation"] % 4 == 0
    none = run("train-judge", rows_file(*rows), *options, *columns, "--validation-share", "0", "--passes", "1")
    assert json.loads(none.out)["validation"] == 0
    run("train-judge", rows_file(*rows), *options, "--score-column", "grade")
    assert "each of 24 rows counts as a question of its own" in caplog.text


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--passes", "1", "--rubric", "honesty"), "--passes, --rubric"),
        (("--feedback", "0"), "--feedback"),
        (("--cluster", "a", "--score-column", "b"), "--score-column, --cluster"),
    ],
)
def test_options_of_files_do_not_vanish_beside_a_recipes_data(run, recipe, options, names):
    done = run("train-judge", "--config", recipe(data=[{"path": "rows.jsonl"}]), *options)
    assert done.status == 2
    message = f"got {names} and a --config that names its own data; write it there, beside the path"
    assert message in " ".join(done.err.split())


@pytest.mark.parametrize(
    ("judge", "told"),
    [
        ("http://127.0.0.1:9/v1", "got a judge on a server; expected its weights"),
        ({"panel": {"judges": ["smollm2-135m", "smollm2-135m-untuned"]}}, "got several judges; expected the one"),
    ],
)
def test_what_has_no_weights_of_its_own_is_not_trained(run, rows_file, tmp_path, judge, told):
    path = tmp_path / "judge.yaml"
    path.write_text(yaml.safe_dump(judge))
    name = judge if isinstance(judge, str) else path
    done = run("train-judge", rows_file(*ROWS), "--rubric", "helpfulness", "--judge", name, "--out", tmp_path / "out")
    assert (done.status, told in done.err) == (2, True)


def test_a_step_that_takes_long_is_told(run, rows_file, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("prom_reward.cli.parts.console._LINE_S", 0.01)
    monkeypatch.setattr("prom_reward.cli.parts.training_lines.QUIET_S", 0.0)
    options = ("--config", recipe(), "--rubric", "helpfulness", "--out", tmp_path / "judge", "--max-steps", "1")
    done = run("train-judge", rows_file(*ROWS), *options)
    assert re.search(r"step 1 of 1 is running, \d+ s since the last figures", done.err)
    assert "the steps are done; measuring and writing the judge" in done.err


def test_few_steps_are_told_with_what_gives_more(run, rows_file, recipe, tmp_path):
    path = rows_file(*ROWS)
    options = ("--config", recipe(), "--rubric", "helpfulness", "--out", tmp_path / "judge", "--dry-run")
    cut = run("train-judge", path, *options, "--max-steps", "3")
    assert re.search(
        r"^3 of \d+ steps of about [\d,]+ tokens each; the first one shows how long", cut.out, re.MULTILINE
    )
    assert re.search(
        r"3 steps in all teach little; give a larger --max-steps: the passes have \d+, and another --out", cut.err
    )
    few = run("train-judge", rows_file(*ROWS[:4]), *options, "--validation-share", "0", "--passes", "1")
    assert re.search(r"^\d steps? in all teach little; give more rows, or more --passes", few.err, re.MULTILINE)
    more = run("train-judge", rows_file(*ROWS[:4]), *options, "--validation-share", "0", "--passes", "9")
    assert "teach little" not in more.err


def test_labels_of_another_scale_are_mapped(run, rows_file, recipe, tmp_path):
    path = rows_file(*({**row, "score": 7} for row in ROWS))
    options = ("--config", recipe(), "--rubric", "helpfulness", "--out", tmp_path / "judge", "--dry-run")
    refused = run("train-judge", path, *options)
    assert (refused.status, "map all with --label-scale LOW-HIGH" in refused.err) == (2, True)
    assert run("train-judge", path, *options, "--label-scale", "1-7").status == 0


def test_a_finished_training_is_run_again_to_its_end(run, rows_file, recipe, tmp_path):
    trainer = {**TRAINER, "max_steps": 2}
    options = ("--config", recipe(trainer=trainer), "--rubric", "helpfulness", "--out", tmp_path / "judge")
    first, again = (run("train-judge", rows_file(*ROWS), *options) for _ in range(2))
    assert (first.status, again.status) == (0, 0), again.err
    assert re.search(
        r"a judge trained on \d+% of \d+ examples \(\d+ rows times the passes\) in 2 steps, \d+\.\d min$",
        first.out,
        re.MULTILINE,
    )
    assert re.search(
        r"a judge trained on \d+% of \d+ examples \(\d+ rows times the passes\) in 2 steps; it had finished before$",
        again.out,
        re.MULTILINE,
    )
    assert "next: prom-reward evaluate" in again.out
    shutil.rmtree(tmp_path / "judge" / "checkpoints" / "checkpoint-2")
    resumed = run("train-judge", rows_file(*ROWS), *options)
    assert re.search(
        r"a judge trained on \d+% of \d+ examples \(\d+ rows times the passes\) in 2 steps, \d+\.\d min after step 1$",
        resumed.out,
        re.MULTILINE,
    )


def test_the_end_is_told_in_words(run, rows_file, recipe, tmp_path):
    options = ("--config", recipe(), "--rubric", "helpfulness", "--out", tmp_path / "judge", "--max-steps", "1")
    done = run("train-judge", rows_file(*ROWS), *options, "--gradient-checkpointing", "--seed", "3")
    assert done.status == 0
    assert re.search(
        r"judge: a judge trained on \d+% of \d+ examples \(\d+ rows times the passes\) in 1 step, \d+\.\d min", done.out
    )
    assert "step 1 of 1, " in done.err and "loss" not in done.out
    assert re.search(r"│ rows │ +(-|-?\d\.\d\d) │ +(-|-?\d\.\d\d) │", done.out)
    assert f"next: prom-reward evaluate LABELED_ROWS --judge {tmp_path / 'judge'}" in done.out


def test_examples_prepared_in_one_file_train_the_same_judge(run, rows_file, recipe, tmp_path):
    path, file = rows_file(*ROWS), tmp_path / "examples.npz"
    names = {
        "data": [{"path": path.name, "rubric": "helpfulness", "feedback": 0.5}],
        "trainer": {**TRAINER, "max_steps": 2},
    }
    options = ("--config", recipe(**names), "--out", tmp_path / "judge")
    done = run("train-judge", *options, "--data-dir", path.parent, "--prepare", file)
    assert done.status == 0
    assert not (tmp_path / "judge").exists()
    size, num_steps = file.stat().st_size, 2
    assert re.search(rf"examples\.npz: \d+ examples and \d+ held out, {size / 1e6:.1f} MB\n", done.out)
    assert re.search(rf"[\d,]+ tokens, [\d,]+ after packing; {num_steps} steps\n", done.out)
    command = done.out.partition("next: prom-reward ")[2].split()
    assert command == ["train-judge", *map(str, options), "--prepared", str(file)]
    assert run("train-judge", *options, "--data-dir", path.parent, "--max-steps", "2").status == 0
    from_data = (tmp_path / "judge").rename(tmp_path / "other")
    path.unlink()
    trained = run(*command)
    assert trained.status == 0
    assert "step 1 of 2, " in trained.err
    weights = [load_file(folder / "adapter_model.safetensors") for folder in (from_data, tmp_path / "judge")]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    recipes = [json.loads((one / "checkpoints/recipe.json").read_text()) for one in (from_data, tmp_path / "judge")]
    assert recipes[0] == recipes[1]
    again = run(*command)
    assert (again.status, "next: prom-reward evaluate" in again.out) == (0, True)


def test_files_of_the_command_line_are_prepared_and_not_read_again(run, rows_file, recipe, tmp_path):
    path, file = rows_file(*ROWS), tmp_path / "examples.npz"
    options = ("--config", recipe(), "--rubric", "helpfulness", "--json")
    made = json.loads(run("train-judge", path, *options, f"--prepare={file}").out)
    path.unlink()
    elsewhere = tmp_path / "elsewhere" / path.name
    shown = json.loads(run("train-judge", elsewhere, *options, "--prepared", file, "--dry-run").out)
    assert shown == {name: made[name] for name in shown}
    assert {"training", "steps", "unique_tokens"} <= set(shown)
    assert (made["prepared"], made["bytes"]) == (str(file), file.stat().st_size)
    assert made["unique_tokens"] < made["tokens"]
    done = run("train-judge", elsewhere, *options, "--prepared", file, "--out", tmp_path / "judge")
    assert f"training: {made['steps']} steps in all" in done.err


def test_a_prepared_file_of_another_recipe_is_refused_before_anything_is_trained(run, rows_file, recipe, tmp_path):
    path, file = rows_file(*ROWS), tmp_path / "examples.npz"
    options = ("--config", recipe(), "--rubric", "helpfulness")
    assert run("train-judge", path, *options, "--prepare", file).status == 0
    for changes, told in [
        (("--seed", "3"), "seed: 0 there, 3 here"),
        (("--passes", "3"), "file 1 passes: 2.0 there, 3.0 here"),
        (("--rubric", "honesty"), "file 1 rubric: ["),
        (("--max-tokens", "900"), "max_tokens: 1500 there, 900 here"),
        (("--validation-share", "0"), "validation_share: 0.3 there, 0.0 here"),
    ]:
        given = options[:2] if changes[0] == "--rubric" else options
        done = run("train-judge", path, *given, *changes, "--prepared", file, "--out", tmp_path / "judge")
        assert (done.status, done.err.count("error:")) == (2, 1)
        assert f"examples.npz: got examples of another recipe ({told}" in done.err
    done = run("train-judge", path.with_name("more.jsonl"), *options, "--prepared", file)
    assert 'file 1 path: "rows.jsonl" there, "more.jsonl" here' in done.err


def test_what_cannot_be_prepared_is_one_line(run, rows_file, recipe, tmp_path):
    path, file = rows_file(*ROWS), tmp_path / "examples.npz"
    options = ("--config", recipe(), "--rubric", "helpfulness")
    for given, told in [
        ((path, "--prepare", file, "--prepared", file), "got --prepare, which writes a file, and --prepared"),
        (("--prepared", file), "got --prepared alone; expected the --config or the files of --prepare, too"),
        ((path, "--prepared", file), "examples.npz: cannot read the file (No such file or directory); expected one of"),
        ((path, "--prepared", path), "rows.jsonl: not a whole file of examples; expected one of"),
        ((path, "--prepare", path), "rows.jsonl: exists, and --prepare did not write it; give another path"),
        (
            (path, "--prepare", tmp_path / "no/a.npz"),
            "cannot be written (No such file or directory); give another --pre",
        ),
    ]:
        done = run("train-judge", *given, *options)
        assert (done.status, done.err.count("error:"), told in done.err) == (2, 1, True), done.err
    assert len(path.read_text().splitlines()) == len(ROWS)
    assert run("train-judge", path, *options, "--prepare", file, "--dry-run").status == 0
    assert not file.exists()


def test_a_training_without_held_out_questions_warns(run, rows_file, recipe, tmp_path):
    options = ("--config", recipe(validation_share=0), "--rubric", "helpfulness", "--out", tmp_path / "judge")
    done = run("train-judge", rows_file(*ROWS), *options, "--max-steps", "1")
    assert done.status == 0
    assert "nothing was held out" in done.err
    assert "Nothing was held out" in (tmp_path / "judge/README.md").read_text()


def test_a_folder_that_cannot_be_written_is_refused_before_the_model_is_loaded(run, rows_file, recipe, tmp_path):
    (tmp_path / "file").write_text("")
    options = ("--config", recipe(), "--rubric", "helpfulness", "--out", tmp_path / "file/judge")
    done = run("train-judge", rows_file(*ROWS), *options)
    assert done.status == 2
    assert "file/judge: cannot be made (Not a directory); give an --out" in done.err
    assert "loading" not in done.err


def test_bad_input_is_one_line(run, rows_file, recipe, tmp_path):
    assert "got no data to train on; give labeled files" in run("train-judge").err
    named = recipe(data=[{"path": "rows.jsonl"}])
    done = run("train-judge", rows_file(*ROWS), "--config", named)
    assert (done.status, done.err.count("error:")) == (2, 1)
    assert "got data files and a --config that names its own; give either" in done.err
    wrong = recipe(lerning_rate=1)
    assert "unknown key 'lerning_rate'" in run("train-judge", rows_file(*ROWS), "--config", wrong).err
    pairs = rows_file({"prompt": "a", "chosen": "b", "rejected": "c", "rubric": "honesty"})
    done = run("train-judge", pairs, "--config", recipe(), "--out", tmp_path / "judge")
    assert "got preference pairs; expected responses with scores to train on" in done.err
