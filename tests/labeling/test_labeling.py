import re
import subprocess
import sys
from pathlib import Path

import pytest

from prom_reward import Checklist, CodeCheck, Criterion, PrometheusJudge, ScriptedEngine
from prom_reward.engines.base import SamplingParams
from prom_reward.errors import InputError, RubricError, WorkError
from prom_reward.labeling.backends import ProcessBackend
from prom_reward.labeling.labeling import label
from tests.labeling.label_inputs import GOOD, pairs, scripted_judge, write_rows


def test_pairs_keep_their_columns_and_get_labels(labeled):
    rows, problems, found = labeled([{**GOOD, "id": "a", "margin": "mine"}], method="both")
    [row] = rows
    assert row.items() >= {"id": "a", "chosen": "Yes.", "rejected": "No.", "input_margin": "mine", "row": 0}.items()
    assert (row["chosen_outcome"], row["ranking_outcome"]) == ("scored", "scored")
    assert row["agreement"] in ("agrees", "disagrees", "tie")
    assert problems == []
    assert (found.kind, found.num_rows, found.num_labeled, found.outcomes["scored"]) == ("pair", 1, 1, 3)


def test_single_responses_are_labeled(labeled):
    [row], _, found = labeled([{"prompt": "Hi?", "completion": "Yes.", "score": 9}])
    assert (row["input_score"], row["outcome"], row["rubric_name"]) == (9, "scored", "helpfulness")
    assert row["unit_score"] == pytest.approx((row["expected_score"] - 1) / 4)
    assert found.agreement == {}


def test_of_several_responses_the_best_and_the_worst_are_told(labeled):
    def script(prompt):
        return "[RESULT] 5" if "good" in prompt.user else "[RESULT] 1" if "bad" in prompt.user else "[RESULT] 3"

    rows, _, _ = labeled(
        [
            {"prompt": "a?", "completions": ["so so", "a good one", "a bad one"]},
            {"prompt": "b?", "completions": ["the same", "the same"]},
        ],
        judge=scripted_judge(script),
    )
    assert [(row["best"], row["worst"]) for row in rows] == [(1, 2), (None, None)]
    assert [len(row["verdicts"]) for row in rows] == [3, 2]


def test_several_weighted_rubrics(labeled):
    rubrics = [{"rubric": "helpfulness", "weight": 0.7}, {"rubric": "honesty", "weight": 0.3}]
    [row], _, _ = labeled([GOOD], rubric=rubrics, method="both")
    assert row["rubric_name"] == "helpfulness + honesty"
    assert [one["rubric_name"] for one in row["chosen_judgments"]] == ["helpfulness", "honesty"]
    assert len(row["ranking_orders"]) == 2


def test_a_sampling_judge_without_a_seed_gets_one(labeled):
    seen = []

    class Spy(type(scripted_judge())):
        def grade(self, requests):
            seen.append(self.sampling.seed)
            return super().grade(requests)

    judge = Spy(scripted_judge().engine)
    labeled([GOOD], judge=judge)
    assert seen == [0]
    assert judge.sampling == SamplingParams()  # the caller's judge is as it was


# --- hub data sets ---


def test_a_hub_id_is_streamed(tmp_path, monkeypatch):
    import datasets

    asked = []

    monkeypatch.setattr("prom_reward.data.sources.hub_answers", lambda: True)

    def load_dataset(name, *, split, streaming):
        asked.append((name, split, streaming))
        return iter(pairs(3))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    found = label("owner/name", judge=scripted_judge(), out=tmp_path / "out", rubric="helpfulness", split="test")
    assert (found.num_labeled, asked) == (3, [("owner/name", "test", True)] * 2)


def test_a_hub_id_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr("prom_reward.data.sources.hub_answers", lambda: True)

    def load_dataset(name, **_):
        raise ConnectionError("offline\nmode")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(
        InputError,
        match=r"^owner/name: no such file, and the hub's data set cannot be opened \(ConnectionError: offline\); "
        r"give a file, a folder of `datasets`, or owner/name with --split$",
    ):
        label("owner/name", judge=scripted_judge(), out=tmp_path / "out", rubric="helpfulness")


def test_a_missing_file_with_a_folder_is_no_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^data/rows\.jsonl: no such file"):
        label("data/rows.jsonl", judge=scripted_judge(), out=tmp_path / "out", rubric="helpfulness")


# --- processes and size ---


def test_processes_give_the_bytes_of_one(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", pairs(40))
    options = {"judge": scripted_judge(), "rubric": "helpfulness", "method": "both", "shard_size": 8}
    label(source, out=tmp_path / "one", **options)
    label(source, out=tmp_path / "two", backend=ProcessBackend(2, gpus=["0", "1"], threads=1), **options)
    assert (tmp_path / "two/labels.jsonl").read_bytes() == (tmp_path / "one/labels.jsonl").read_bytes()
    names = [sorted(path.name for path in (tmp_path / out / "shards").iterdir()) for out in ("one", "two")]
    assert names[0] == names[1]


def dying(prompt):
    import os

    os._exit(9)


def test_a_process_that_dies_is_said(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", pairs(4))
    with pytest.raises(
        WorkError, match=r"^a judging process died \(out of memory\?\); finished shards are kept: run the"
    ):
        label(
            source, judge=scripted_judge(dying), out=tmp_path / "out", rubric="helpfulness", backend=ProcessBackend(1)
        )


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_rows_in_bounded_memory_killed_five_times(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from prom_reward import label; "
        "from tests.labeling.label_inputs import scripted_judge; "
        "label(sys.argv[2], judge=scripted_judge(), out=sys.argv[3], rubric='helpfulness'); "
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parents[2])]

    def peak_mb(source, out):
        done = subprocess.run([*command, str(source), str(out)], capture_output=True, text=True, check=True)
        return int(done.stdout) / 1024

    sources = {count: write_rows(tmp_path / f"{count}.jsonl", pairs(count)) for count in (1000, 100_000)}
    small = peak_mb(sources[1000], tmp_path / "small")
    for _ in range(5):
        child = subprocess.Popen([*command, str(sources[100_000]), str(tmp_path / "large")])
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=2)
        child.kill()
        child.wait()
    large = peak_mb(sources[100_000], tmp_path / "large")
    assert large < small + 20, f"{large:.0f} MB for 100,000 rows, {small:.0f} MB for 1,000"
    with (tmp_path / "large/labels.jsonl").open() as file:
        assert sum(1 for _ in file) == 100_000
    sys.stdout.write(f"{large:.1f} MB for 100,000 rows, {small:.1f} MB for 1,000")


@pytest.mark.parametrize(("taught", "method", "warns"), [(False, "both", 1), (False, "grade", 0), (True, "rank", 0)])
def test_ranking_with_a_judge_that_was_not_trained_for_it_warns_once(labeled, caplog, taught, method, warns):
    judge = scripted_judge()
    judge.taught_to_rank = taught
    labeled([GOOD, GOOD], judge=judge, method=method)
    assert ["not trained for pairwise ranking" in message for message in caplog.messages] == [True] * warns


def test_a_column_of_known_meaning_that_stays_unread_is_named_before_the_work(labeled, caplog):
    rows, _, _ = labeled([{"prompt": "Hi?", "question": "How are you?", "completion": "Yes.", "note": "x"}])
    [message] = caplog.messages
    assert "question" in message
    assert "note" not in message
    assert len(rows) == 1
    with pytest.raises(InputError, match="question"):
        labeled([{"prompt": "Hi?", "question": "How are you?", "completion": "Yes."}], strict=True)
    many = [{"prompt": f"Hi {at}?", "completion": "Yes."} for at in range(80)]
    with pytest.raises(InputError, match="line 81: the column question"):
        labeled([*many, {"prompt": "Hi?", "question": "How are you?", "completion": "Yes."}], strict=True)


def test_late_verdicts_that_count_the_answers_from_another_number_are_told(labeled):
    pairs = [{"prompt": f"Hi {at}?", "output_1": "Yes.", "output_2": f"No {at}.", "label": 1} for at in range(70)]
    rows, _, labeling = labeled([*pairs, {**pairs[0], "prompt": "Hi?", "label": 0}])
    [warning] = labeling.warnings
    assert "got label = 0, 1, which may be a scale, or count the answers from another number than output_1" in warning
    assert warning.endswith("the pairs that are labeled may be turned round")
    assert len(rows) == 70


def test_numbers_beside_a_named_verdict_are_not_told(labeled, caplog):
    pairs = [
        {"prompt": f"Hi {at}?", "output_1": "Yes.", "output_2": f"No {at}.", "preference": at % 6, "vote": "A"}
        for at in range(8)
    ]
    assert not labeled(pairs, columns={"winner": "vote"})[2].warnings
    assert "turned round" not in caplog.text


CHECKLIST = [
    {"criterion": "It is good and whole.", "points": 3},
    {"criterion": "It is rude somewhere.", "points": -2},
]


def met(prompt):
    """Whether the word of a criterion is in the response."""
    word = re.search(r"\[It is (\w+)", prompt.user)[1]
    response = prompt.user.partition("###Response to evaluate:\n")[2].partition("\n\n###")[0]
    return f"So. [RESULT] {int(word in response)}"


@pytest.mark.parametrize("method", ["grade", "rank", "both"])
def test_pairs_are_labeled_by_their_own_checklists(labeled, method):
    row = {"prompt": "Hi?", "chosen": "A good one.", "rejected": "A good, rude one.", "rubrics": CHECKLIST}
    judge = scripted_judge(met)
    [found], problems, _ = labeled(
        [row, {**row, "rubrics": [{"criterion": "x", "points": "?"}]}], judge=judge, method=method
    )
    assert found["agreement"] == "agrees"
    if method != "rank":
        assert found["chosen_unit_score"] > found["rejected_unit_score"] + 0.3
        assert [part["weight"] for part in found["rejected_parts"]] == [3, -2]
    assert "criterion 1" in problems[0]["problem"]


def test_both_orders_of_a_checklist_share_their_grades(labeled):
    judge = PrometheusJudge(ScriptedEngine(met))
    row = {"prompt": "Hi?", "chosen": "A good one.", "rejected": "A good, rude one.", "rubrics": CHECKLIST}
    [found], _, _ = labeled([row], judge=judge, method="rank")
    assert found["agreement"] == "agrees"
    assert len(judge.engine.prompts) == 2 * len(CHECKLIST)


def test_a_checklist_for_all_rows_is_kept_in_the_manifest(labeled):
    [row], _, _ = labeled([{"prompt": "Hi?", "completion": "A good one."}], judge=scripted_judge(met), rubric=CHECKLIST)
    assert row["unit_score"] == row["expected_score"] == pytest.approx((3 * 0.9 - 2 * 0.1) / 3)


def test_a_check_in_python_is_refused_before_the_work(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", [{"prompt": "Hi?", "completion": "Yes."}])
    own = Checklist(criteria=(Criterion(text="It is short.", check=CodeCheck.parse(str.isupper)),))
    with pytest.raises(RubricError, match="a function of your own"):
        label(source, judge=scripted_judge(), out=tmp_path / "out", rubric=own)
