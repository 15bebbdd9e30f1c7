import json
import subprocess
import sys
from pathlib import Path

import pytest

from prom_reward.engines.base import SamplingParams
from prom_reward.errors import ConfigError, InputError, WorkError
from prom_reward.labeling.labeling import label
from prom_reward.labeling.process_backend import ProcessBackend
from tests.labeling.label_inputs import pairs, read_rows, scripted_judge, verdict, write_rows

GOOD = {"prompt": "Hi?", "chosen": "Yes.", "rejected": "No."}


@pytest.fixture
def labeled(tmp_path):
    """Labels rows, or the bytes of a file, and returns the labels, the problems and what came of it."""

    def run(rows, *, name="rows.jsonl", judge=None, **options):
        path = tmp_path / name
        if isinstance(rows, bytes):
            path.write_bytes(rows)
        else:
            write_rows(path, rows)
        found = label(
            path, judge=judge or scripted_judge(), out=tmp_path / "out", **{"rubric": "helpfulness", **options}
        )
        return read_rows(found.labels), read_rows(tmp_path / "out/problems.jsonl"), found

    return run


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
    assert [len(row["labels"]) for row in rows] == [3, 2]


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


# --- bad input ---


def test_an_empty_file(labeled):
    with pytest.raises(InputError, match=r"rows\.jsonl: it has no rows; expected at least one$"):
        labeled([])


def test_an_unknown_format_says_what_was_seen_and_what_would_do(labeled):
    with pytest.raises(
        InputError,
        match=r"rows\.jsonl: no row can be label+ed; line 1: unknown format: got the columns text; expected chosen and "
        r"rejected, or prompt and completion, or prompt and completions; name others with --column ROLE=NAME, for "
        r"example --column chosen=better$",
    ):
        labeled([{"text": "a"}])


def test_mixed_formats_are_refused_with_their_places(labeled):
    with pytest.raises(
        InputError,
        match=r"rows\.jsonl: mixed formats: got preference pairs \(line 1\) and one response a row \(line 3\); "
        r"expected rows of one kind, give each its own file$",
    ):
        labeled([GOOD, GOOD, {"prompt": "Hi?", "completion": "Yes."}])


def test_a_row_of_another_kind_far_behind_is_a_problem_of_its_own(labeled):
    rows, [problem], _ = labeled([GOOD] * 70 + [{"prompt": "Hi?", "completion": "Yes."}])
    assert len(rows) == 70
    assert problem == {"place": "line 71", "problem": "got a row of another kind (response) than the first ones (pair)"}


def test_rows_without_a_rubric_are_refused_before_the_work(labeled):
    with pytest.raises(InputError, match=r"rows\.jsonl: no row can be label+ed; line 1: no rubric; give the row"):
        labeled([GOOD], rubric=None)


def test_broken_rows_are_named_and_the_others_labeled(labeled):
    lines = [
        json.dumps(GOOD).encode(),
        b"{broken",
        b'{"prompt": "caf\xe9", "chosen": "a", "rejected": "b"}',
        json.dumps({"prompt": "a", "rejected": "b"}).encode(),
        json.dumps({**GOOD, "rubric": {"criteria": None}}).encode(),
        json.dumps({**GOOD, "prompt": [{"role": None, "content": None}]}).encode(),
        json.dumps({**GOOD, "chosen": [{"role": "assistant", "content": None}], "rejected": []}).encode(),
        b"[1]",
        json.dumps(GOOD).encode(),
    ]
    rows, problems, found = labeled(b"\n".join(lines) + b"\n")
    assert [row["row"] for row in rows] == [0, 6, 8]  # nested nulls are empty texts
    assert [one["place"] for one in problems] == [f"line {number}" for number in (2, 3, 4, 5, 6, 8)]
    said = [one["problem"] for one in problems]
    assert said[0].startswith("not valid JSON (")
    assert said[1:3] == ["not UTF-8 text", "a pair without 'chosen'; expected a response beside 'rejected'"]
    assert (found.num_rows, found.num_labeled, found.num_problems) == (9, 3, 6)


def test_the_last_line_of_a_file_that_is_being_written_waits_for_a_later_run(labeled):
    whole = json.dumps({**GOOD, "prompt": "Later?"}).encode()
    first = json.dumps(GOOD).encode() + b"\n"
    rows, problems, found = labeled(first + whole[:20])
    assert (len(rows), problems) == (1, [])
    assert found.warnings == ("line 2 has no end, as if it were being written: left to a later run",)
    rows, problems, found = labeled(first + whole)
    assert ([row["prompt"] for row in rows], problems, found.warnings) == (["Hi?", "Later?"], [], ())


def test_repeated_ids_are_said_and_every_row_is_labeled(labeled):
    rows, _, found = labeled([{**GOOD, "id": "a"}, {**GOOD, "id": "a", "chosen": "Maybe."}, {**GOOD, "id": "b"}])
    assert len(rows) == 3
    assert found.warnings == ("1 rows have the id of an earlier row, the first is 'a' (line 2): all are labeled",)


def test_equal_sides_are_a_tie_and_judged_once(labeled):
    asked = []

    def script(prompt):
        asked.append(prompt)
        return verdict(prompt)

    [row], _, _ = labeled([{**GOOD, "rejected": "Yes."}], judge=scripted_judge(script))
    assert (row["agreement"], row["margin"], len(asked)) == ("tie", 0.0, 1)


def test_a_response_of_two_megabytes_is_too_long_and_loses_no_other(labeled):
    from prom_reward.engines.scripted_engine import ScriptedEngine
    from prom_reward.judging.judge import PrometheusJudge

    judge = PrometheusJudge(ScriptedEngine(verdict, context_length=2000))
    rows, problems, found = labeled([{**GOOD, "chosen": "word " * 400_000}, GOOD], judge=judge)
    assert [row["chosen_outcome"] for row in rows] == ["too_long", "scored"]
    assert "the context takes 2000" in rows[0]["chosen_error"]
    assert (rows[0]["agreement"], problems, found.agreement["unscored"]) == (None, [], 1)


def test_lone_surrogates_are_written_and_read_back(labeled):
    [row], _, _ = labeled(b'{"prompt": "a\\ud800", "chosen": "b", "rejected": "c"}\n')
    assert row["prompt"] == "a\ud800"


def test_only_pairs_can_be_ranked(labeled):
    with pytest.raises(
        InputError, match=r"got one response a row and method=rank; only preference pairs can be ranked$"
    ):
        labeled([{"prompt": "a", "completion": "b"}], method="rank")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "both sides"}, "got method='both sides'; expected grade, rank or both"),
        ({"shard_size": 0}, "got shard_size=0; expected at least 1"),
    ],
)
def test_wrong_options_are_refused(labeled, options, said):
    with pytest.raises(ConfigError) as error:
        labeled([GOOD], **options)
    assert str(error.value) == said


def test_a_folder_that_cannot_be_made(tmp_path):
    write_rows(tmp_path / "rows.jsonl", [GOOD])
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match=r"out: cannot be made \(Not a directory\); give an --out in a writable folder$"
    ):
        label(tmp_path / "rows.jsonl", judge=scripted_judge(), out=tmp_path / "file/out", rubric="helpfulness")


def test_an_input_that_changes_between_the_passes_is_said(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", pairs(4))

    def meddling(prompt):
        write_rows(source, [{**row, "chosen": "changed"} for row in pairs(4)])
        return verdict(prompt)

    with pytest.raises(InputError, match=r"out: the input changed while it was labeled; run the same command again$"):
        label(source, judge=scripted_judge(meddling), out=tmp_path / "out", rubric="helpfulness")


# --- hub data sets ---


def test_a_hub_id_is_streamed(tmp_path, monkeypatch):
    import datasets

    asked = []

    def load_dataset(name, *, split, streaming):
        asked.append((name, split, streaming))
        return iter(pairs(3))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    found = label("owner/name", judge=scripted_judge(), out=tmp_path / "out", rubric="helpfulness", split="test")
    assert (found.num_labeled, asked) == (3, [("owner/name", "test", True)] * 2)


def test_a_hub_id_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    import datasets

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
