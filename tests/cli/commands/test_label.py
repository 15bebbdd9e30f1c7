import json
import re

import pytest
import yaml

from prom_reward.errors import ConfigError, InputError
from prom_reward.judging.composed.panel import PanelJudge
from prom_reward.labeling.labeling import label
from prom_reward.settings.resolution import judge_config
from tests.labeling.label_inputs import pairs, read_rows, scripted_judge, verdict, write_rows
from tests.serving.served_thread import served_url


@pytest.fixture
def judged(monkeypatch):
    """Puts a scripted judge in the place of the one that `prom-reward label` would load."""

    def place(script=verdict):
        monkeypatch.setattr(
            "prom_reward.cli.commands.label.load_judge",
            lambda *settings, **overrides: scripted_judge(script),
        )

    place()
    return place


@pytest.fixture
def source(tmp_path):
    return write_rows(tmp_path / "rows.jsonl", pairs(20))


def options(tmp_path, *more):
    return ("--rubric", "helpfulness", "--out", tmp_path / "out", *more)


def test_a_file_is_labeled_and_exported(run, judged, source, tmp_path):
    done = run("label", source, *options(tmp_path, "--export", "dpo", "--export", "kto", "--on-disagreement", "swap"))
    assert done.status == 0
    assert f"{tmp_path}/out/labels.jsonl: 20 of 20 rows (preference pairs) in " in done.out
    assert "seconds; responses and rankings: 40 scored" in done.out
    assert re.search(r"labeling \(judgments: \d+ scored, 0 forced, 0 failed\)", done.err)
    assert "the judge against the given order: agrees" in done.out
    rows = read_rows(tmp_path / "out/dpo.jsonl")
    assert f"out/dpo.jsonl: {len(rows)} rows, " in done.out
    assert len(read_rows(tmp_path / "out/kto.jsonl")) == 2 * len(rows)


def test_a_panel_labels_and_resumes(run, monkeypatch, source, tmp_path):
    panel = PanelJudge([scripted_judge(), scripted_judge(lambda prompt: "Fine. [RESULT] 3", name="second")])
    monkeypatch.setattr("prom_reward.cli.commands.label.load_judge", lambda *settings, **overrides: panel)
    assert run("label", source, *options(tmp_path, "--limit", "8", "--shard-size", "4")).status == 0
    done = run("label", source, *options(tmp_path, "--shard-size", "4"))
    assert (done.status, "20 of 20 rows" in done.out) == (0, True)
    dry = run("label", source, *options(tmp_path, "--dry-run", "--json"))
    assert json.loads(dry.out)["rows"] == 20


def test_a_served_judge_labels_and_is_evaluated(run, source, tmp_path):
    with served_url() as (url, _):
        assert run("label", source, *options(tmp_path, "--judge", url, "--limit", "4")).status == 0
        done = run("evaluate", source, "--rubric", "helpfulness", "--judge", url, "--json", "--resamples", "0")
    assert json.loads(done.out)["judge"] == "scripted"
    assert len(read_rows(tmp_path / "out/labels.jsonl")) == 4


def test_a_hub_id_without_the_hub_is_one_line_before_the_judge_is_loaded(run, monkeypatch, tmp_path):
    monkeypatch.setattr("prom_reward.data.sources.hub_answers", lambda: False)
    monkeypatch.setattr("prom_reward.cli.commands.label.load_now", lambda judge: pytest.fail("loaded"))
    done = run("label", "owner/name", *options(tmp_path))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "owner/name: no such file, and the hub, which may have" in done.err
    assert not (tmp_path / "out").exists()


def test_ray_that_is_not_installed_is_named_at_once(run, source, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None)
    done = run("label", source, *options(tmp_path, "--ray"))
    assert "ray is not installed; run: pip install '.[ray]'" in done.err


def test_limits_of_an_export_without_one_are_refused(run, source, tmp_path):
    done = run("label", source, *options(tmp_path, "--min-margin", "0.5"))
    assert (done.status, "got --min-margin or --max-entropy and no --export" in done.err) == (2, True)


def test_gpus_without_processes_are_refused(run, source, tmp_path):
    done = run("label", source, *options(tmp_path, "--gpus", "0,1"))
    assert (done.status, "got --gpus 0,1, which spreads --processes over GPUs" in done.err) == (2, True)


def test_json_for_machines(run, judged, source, tmp_path):
    done = run("label", source, *options(tmp_path, "--json", "--export", "reward", "--limit", "12"))
    found = json.loads(done.out)
    assert (found["rows"], found["labeled"], found["problems"], found["kind"]) == (12, 12, 0, "pair")
    assert sum(found["agreement"].values()) == 12
    [export] = found["exports"].values()
    assert export["written"] + sum(export["dropped"].values()) == 12


def test_the_page_is_made_of_the_folder(run, judged, source, tmp_path):
    run("label", source, *options(tmp_path))
    done = run("report", tmp_path / "out")
    assert done.status == 0
    assert "Pairs in the given order, ties as half" in done.out
    assert f"{tmp_path}/out/report.html: 40 judgments (40 scored), 40 of them with their texts" in done.out
    again = run("report", tmp_path / "out", "--json", "--page", tmp_path / "other.html")
    found = json.loads(again.out)
    assert found["pairwise_accuracy"]["all"]["n"] == 20
    assert (tmp_path / "other.html").read_text() == (tmp_path / "out/report.html").read_text()
    refused = run("report", tmp_path / "out", "--page", tmp_path / "other.html")
    assert (refused.status, "the file exists" in refused.err) == (2, True)


def test_a_dry_run_shows_everything_and_writes_nothing(run, tiny, source, tmp_path):
    done = run("label", source, *options(tmp_path, "--dry-run"), *tiny)
    assert done.status == 0
    assert "preference pairs" in done.out
    assert "a prompt, as the judge sees it" in done.out
    assert "###Task Description:" in done.out
    assert "20, of which 0 would be left out" in done.out
    assert "loading the judge" in done.err
    assert not (tmp_path / "out").exists()
    found = json.loads(run("label", source, *options(tmp_path, "--dry-run", "--json"), *tiny).out)
    assert (found["rows"], found["requests"] + found["repeated"]) == (20, 40)
    assert "###Feedback:" in found["prompt"]
    assert found["requests"] == 38  # "The same." three times
    assert found["seconds"] > 0
    assert 100 * found["requests"] < found["prompt_tokens"] < 1000 * found["requests"]


@pytest.mark.parametrize("name", ["labels", "problems", "dpo"])
def test_files_that_no_labeling_wrote_are_kept(run, judged, source, tmp_path, name):
    own = tmp_path / "out" / f"{name}.jsonl"
    own.parent.mkdir()
    own.write_text("mine\n")
    done = run("label", source, "--rubric", "honesty", "--out", own.parent, "--export", "dpo")
    assert (done.status, own.read_text()) == (2, "mine\n")
    assert f"{own}: the file exists and no labeling wrote it; give another --out" in done.err
    assert list(own.parent.iterdir()) == [own]
    if name != "dpo":
        with pytest.raises(InputError, match="the file exists and no labeling wrote it"):
            label(source, judge=scripted_judge(), out=own.parent, rubric="honesty")


@pytest.mark.parametrize("name", ["labels", "problems", "dpo"])
def test_the_input_is_never_overwritten(run, judged, source, tmp_path, name):
    assert run("label", source, "--rubric", "honesty", "--out", tmp_path / "out").status == 0
    own = tmp_path / "out" / f"{name}.jsonl"
    own.write_bytes(source.read_bytes())
    done = run("label", own, "--rubric", "honesty", "--out", own.parent, "--export", "dpo")
    assert (done.status, own.read_bytes()) == (2, source.read_bytes())
    assert f"{own}: got the input file as output; give another --out" in done.err


def test_a_folder_that_cannot_be_made_is_refused_before_the_judge_is_loaded(run, source, tmp_path, monkeypatch):
    monkeypatch.setattr("prom_reward.cli.commands.label.load_judge", refuse_to_load)
    (tmp_path / "file").write_text("a file")
    done = run("label", source, "--rubric", "helpfulness", "--out", tmp_path / "file/labels")
    assert done.status == 2
    assert "file/labels: cannot be made" in done.err


def test_a_dry_run_on_a_device_that_is_not_here_is_refused_before_the_judge_is_loaded(run, source, monkeypatch):
    monkeypatch.setattr("prom_reward.cli.commands.label.load_judge", refuse_to_load)
    monkeypatch.setattr("prom_reward.cli.parts.options.check_device", refuse_the_device)
    done = run("label", source, "--rubric", "helpfulness", "--device", "cuda", "--dry-run")
    assert (done.status, "no cuda here" in done.err) == (2, True)


def refuse_the_device(device):
    raise ConfigError(f"no {device} here")


def refuse_to_load(*_args, **_options):
    raise AssertionError("the judge was loaded")


def test_a_dry_run_of_a_ranking_shows_both_responses(run, tiny, source, tmp_path):
    done = run("label", source, *options(tmp_path, "--dry-run", "--method", "rank", "--json"), *tiny)
    prompt = json.loads(done.out)["prompt"]
    assert "###Response A:" in prompt and "###Response B:" in prompt


def test_a_dry_run_names_rows_that_would_be_left_out(run, tiny, tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", [*pairs(2), {"prompt": "a", "rejected": "b"}])
    done = run("label", source, *options(tmp_path, "--dry-run"), *tiny)
    assert "line 3: a pair without 'chosen'; expected a response beside 'rejected'; would be left out" in done.err


def test_a_real_engine_labels_and_resumes(run, tiny, source, tmp_path):
    first = run("label", source, *options(tmp_path, "--limit", "6", "--shard-size", "3"), *tiny)
    assert "6 of 6 rows (preference pairs)" in first.out
    assert "loading the judge" in first.err
    second = run("label", source, *options(tmp_path, "--limit", "8", "--shard-size", "3"), *tiny)
    assert "8 of 8 rows" in second.out
    assert "loading the judge" in second.err
    again = run("label", source, *options(tmp_path, "--limit", "8", "--shard-size", "3", "--export", "dpo"), *tiny)
    assert (tmp_path / "out/dpo.jsonl").exists() and again.status == 0
    assert "loading the judge" not in again.err, "nothing was left to judge"
    refused = run("label", source, *options(tmp_path, "--limit", "8"), *tiny)
    assert refused.status == 2
    assert "out: was labeled with shard_size 3, got 64; expected the same" in refused.err
    assert "labeling" not in refused.err.partition("error:")[0], "no bar before the checks"
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["machine"]["threads"] >= 1
    assert "float32" in manifest["judge"]


def test_everything_can_stand_in_yaml(run, judged, tmp_path):
    rows = [{"q": row["prompt"], "better": row["chosen"], "worse": row["rejected"]} for row in pairs(5)]
    settings = {
        "input": str(write_rows(tmp_path / "rows.jsonl", rows)),
        "out": str(tmp_path / "out"),
        "rubric": [{"rubric": "helpfulness", "weight": 0.7}, {"rubric": "honesty", "weight": 0.3}],
        "columns": {"prompt": "q", "chosen": "better", "rejected": "worse"},
        "method": "both",
    }
    (tmp_path / "label.yaml").write_text(yaml.safe_dump(settings))
    done = run("label", "--config", tmp_path / "label.yaml")
    assert "5 of 5 rows" in done.out
    assert read_rows(tmp_path / "out/labels.jsonl")[0]["rubric_name"] == "helpfulness + honesty"


def test_columns_are_mapped_by_options(run, judged, tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", [{"q": "Hi?", "better": "a", "worse": "b"}])
    named = [part for pair in ("prompt=q", "chosen=better", "rejected=worse") for part in ("--column", pair)]
    assert run("label", source, *options(tmp_path), *named).status == 0


def test_rows_with_problems_end_in_status_1(run, judged, tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", [*pairs(3), {"prompt": "a", "rejected": "b"}])
    done = run("label", source, *options(tmp_path))
    assert done.status == 1
    assert "line 4: a pair without 'chosen'" in done.err
    assert f"1 row left out, see {tmp_path}/out/problems.jsonl" in done.err


def test_votes_are_pairs_and_ties_are_left_out(run, judged, tmp_path):
    judged(lambda prompt: f"Seen. [RESULT] {5 if 'First.' in prompt.user else 2}")
    votes = {"model_a": (1, 0, 0), "model_b": (0, 1, 0), "tie": (0, 0, 1)}
    rows = [
        {
            "prompt": json.dumps([f"Question {at}?"]),
            "response_a": json.dumps(["First."]),
            "response_b": json.dumps(["Second."]),
            **dict(zip(("winner_model_a", "winner_model_b", "winner_tie"), votes[vote], strict=True)),
        }
        for at, vote in enumerate(["model_a", "model_b", "tie"])
    ]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    done = run("label", source, *options(tmp_path, "--export", "dpo", "--on-disagreement", "keep"))
    assert done.status == 1
    assert "pair from response_a + response_b, winner from winner_model_a + winner_model_b" in done.err
    assert "line 3: got winner_model_a=0 and winner_model_b=0: a tie, which is no pair" in done.err
    assert "1 row left out" in done.err
    exported = [(row["prompt"], row["chosen"], row["rejected"]) for row in read_rows(tmp_path / "out/dpo.jsonl")]
    assert exported == [("Question 0?", "First.", "Second."), ("Question 1?", "Second.", "First.")]


@pytest.mark.parametrize("column", ["prompt", "messages"])
def test_prompts_alone_are_told_what_is_missing(run, judged, tmp_path, column):
    source = write_rows(tmp_path / "rows.jsonl", [{column: [{"role": "user", "content": "Hi?"}]}] * 2)
    done = run("label", source, *options(tmp_path))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert f"no response; got the columns {column}, expected one of " in done.err
    assert (
        ", or several in responses, or chosen and rejected; a policy's responses to prompts are to be generated"
        in done.err
    )
    graded = run("grade", source, "--rubric", "helpfulness", "--dry-run")
    assert graded.status == 2
    assert "messages with the answer last; a policy's responses to prompts are to be generated first" in graded.err


def test_several_lists_of_rows_in_a_file_are_refused(run, judged, tmp_path):
    source = tmp_path / "rows.json"
    source.write_text(json.dumps({"data": pairs(2), "test": pairs(2)}))
    done = run("label", source, *options(tmp_path))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "got several lists of objects, perhaps the splits of a data set: 'data', 'test'" in done.err


def test_ctrl_c_says_how_to_go_on(run, judged, source, tmp_path):
    asked = []

    def script(prompt):
        asked.append(prompt)
        if len(asked) == 30:
            raise KeyboardInterrupt
        return verdict(prompt)

    judged(script)
    done = run("label", source, *options(tmp_path, "--shard-size", "5"))
    assert done.status == 130
    assert f"stopped; 15 rows labeled in {tmp_path}/out: run the same command again to resume" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "got no input; give a file, a folder of `datasets` or a hub id"),
        (("rows.jsonl",), "got no --out; give a folder for the labels"),
        (
            ("rows.jsonl", "--column", "chosen"),
            "got --column 'chosen'; expected ROLE=NAME, for example --column chosen=better",
        ),
        (
            ("rows.jsonl", "--out", "out", "--export", "ppo"),
            "unknown export 'ppo'; expected one of reward, dpo, kto, sft, grpo.",
        ),
        (("none.jsonl", "--out", "out"), "none.jsonl: no such file; expected a JSONL, JSON, CSV or Parquet file"),
    ],
)
def test_bad_options_are_one_line_and_status_2(run, judged, source, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    done = run("label", *arguments)
    assert done.status == 2
    assert done.err.strip().splitlines()[-1].startswith(f"error: {said}")


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
def test_ray_gives_the_bytes_of_one_process(run, judged, tmp_path):
    ray = pytest.importorskip("ray")
    source = write_rows(tmp_path / "rows.jsonl", pairs(60))
    more = ("--rubric", "helpfulness", "--method", "both", "--shard-size", "8")
    run("label", source, "--out", tmp_path / "one", *more)
    try:
        run("label", source, "--out", tmp_path / "ray", "--limit", "20", *more)  # what is done is not sent again
        done = run("label", source, "--out", tmp_path / "ray", "--ray", "--processes", "2", *more)
        assert done.status == 0, done.err
    finally:
        ray.shutdown()
    one, other = ((tmp_path / name / "labels.jsonl").read_bytes() for name in ("one", "ray"))
    assert one == other
    assert not list((tmp_path / "ray/scratch").iterdir())


def test_an_export_that_the_rows_cannot_become_is_refused_before_the_work(run, judged, tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", [{"prompt": "Hi?", "completion": "Yes."}])
    done = run("label", source, *options(tmp_path, "--export", "dpo"))
    assert (done.status, (tmp_path / "out").exists()) == (2, False)
    assert "the export dpo; it needs pairs or several responses" in done.err


def test_what_was_recognized_is_shown_before_the_work_and_strict_refuses_what_stays_unread(run, judged, tmp_path):
    row = {"prompt": "Hi?", "question": "How are you?", "chosen": "Yes.", "rejected": "No."}
    source = write_rows(tmp_path / "rows.jsonl", [row])
    done = run("label", source, *options(tmp_path))
    assert "prompt from prompt, chosen from chosen, rejected from rejected; unread: question" in done.err
    refused = run("label", source, *options(tmp_path, "--strict"))
    assert (refused.status, "question" in refused.err) == (2, True)


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_strict_refuses_what_a_late_row_leaves_unread_before_the_judge_is_loaded(run, monkeypatch, tmp_path, more):
    rows = [*pairs(80), {**pairs(1)[0], "question": "How are you?"}]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    monkeypatch.setattr("prom_reward.cli.commands.label.load_judge", lambda *_, **__: pytest.fail("loaded"))
    refused = run("label", source, *options(tmp_path, "--strict", *more))
    assert refused.status == 2
    assert f"error: {source}, line 81: the column question stays unread" in refused.err
    assert not (tmp_path / "out").exists()


def test_what_a_late_row_leaves_unread_is_told_at_the_end(run, judged, tmp_path):
    rows = [*pairs(80), {**pairs(1)[0], "question": "How are you?"}]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    done = run("label", source, *options(tmp_path))
    assert (done.status, done.err.count(f"{source}, line 81: the column question stays unread")) == (0, 1)


def test_pairs_whose_scores_prefer_the_rejected_answer_are_counted_or_refused(run, judged, tmp_path):
    against = {"score_chosen": 1, "score_rejected": 2}
    source = write_rows(tmp_path / "rows.jsonl", [{**row, **against} for row in pairs(80)])
    done = run("label", source, *options(tmp_path))
    assert (done.status, f"{source}: 80 pairs with a column that prefers the rejected answer" in done.err) == (0, True)
    refused = run("label", source, *options(tmp_path, "--strict"))
    assert (refused.status, "the first in line 1: got score_chosen=1 under" in refused.err) == (2, True)


@pytest.mark.parametrize(("options", "seed"), [((), 7), (("--seed", 3), 3)])
def test_a_judges_own_seed_holds_unless_another_is_given(run, monkeypatch, source, tmp_path, options, seed):
    judge = {"preset": "smollm2-135m", "sampling": {"seed": 7}}
    (tmp_path / "judge.yaml").write_text(yaml.safe_dump(judge))
    asked = []

    def load(judge, **overrides):
        asked.append(judge_config(judge, **overrides).sampling.seed)
        return scripted_judge()

    monkeypatch.setattr("prom_reward.cli.commands.label.load_judge", load)
    judge = ("--judge", tmp_path / "judge.yaml")
    done = run("label", source, "--rubric", "helpfulness", "--out", tmp_path / "out", *judge, *options)
    assert done.status == 0
    assert asked == [seed]
