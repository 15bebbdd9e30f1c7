import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.errors import InputError, ServerGoneError, WorkError
from prom_reward.judging.composed.cascade import CascadeJudge
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.labeling.labeling import label
from tests.labeling.label_inputs import pairs, read_rows, scripted_judge, verdict, write_rows

HARNESS = Path(__file__).with_name("kill_harness.py")


@pytest.fixture
def source(tmp_path):
    return write_rows(tmp_path / "rows.jsonl", pairs(60))


def run(source, out, judge=None, **options):
    settings = {"rubric": "helpfulness", "method": "both", "shard_size": 8, **options}
    return label(source, judge=judge or scripted_judge(), out=out, **settings)


def killed(source, out, *how, expected=None):
    command = [sys.executable, str(HARNESS), str(source), str(out), *map(str, how)]
    environment = {**os.environ, "EXPECTED": str(expected)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def same_bytes(one, other):
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in ("labels.jsonl", "problems.jsonl"))


class Counting:
    """A script that counts what it is asked, and stops the work at a chosen question."""

    def __init__(self, stop_at=None, error=KeyboardInterrupt):
        self.asked = []
        self.stop_at = stop_at
        self.error = error

    def __call__(self, prompt):
        if len(self.asked) == self.stop_at:
            self.stop_at = None
            raise self.error
        self.asked.append(prompt.user)
        return verdict(prompt)


@pytest.mark.parametrize("kills", [30])
def test_killed_at_random_and_resumed_it_ends_with_the_same_bytes(source, tmp_path, kills):
    run(source, tmp_path / "whole")
    done = killed(source, tmp_path / "killed", "random", kills, 1)
    assert done["killed"] == kills
    assert same_bytes(tmp_path / "whole", tmp_path / "killed")
    assert not list((tmp_path / "killed").rglob("*.tmp"))


def test_what_a_killed_run_left_is_deleted_and_an_export_that_is_being_written_is_not(source, tmp_path):
    run(source, tmp_path / "out", limit=8)
    for name in ("labels.jsonl.0123abcd.tmp", "manifest.json.0123abcd.tmp", "shards/x.jsonl.0123abcd.tmp"):
        (tmp_path / "out" / name).touch()
    (tmp_path / "out/dpo.jsonl.0123abcd.tmp").touch()
    run(source, tmp_path / "out", limit=8)
    assert [path.name for path in (tmp_path / "out").rglob("*.tmp")] == ["dpo.jsonl.0123abcd.tmp"]


@pytest.mark.full
def test_killed_in_front_of_every_change_of_the_disk_it_ends_with_the_same_bytes(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", pairs(20))
    run(source, tmp_path / "whole")
    done = killed(source, tmp_path / "killed", "every", expected=tmp_path / "whole/labels.jsonl")
    assert done["killed"] > 20


def test_a_second_run_judges_nothing_again(source, tmp_path):
    run(source, tmp_path / "out")
    before = (tmp_path / "out/labels.jsonl").read_bytes()
    script = Counting()
    progress = []
    run(source, tmp_path / "out", scripted_judge(script), accept_changes=True, on_progress=progress.append)
    assert script.asked == []
    assert (tmp_path / "out/labels.jsonl").read_bytes() == before
    assert [(one.num_rows, one.is_new) for one in progress] == [(8, False)] * 7 + [(4, False)]


def test_ctrl_c_keeps_the_finished_shards_and_the_next_run_goes_on(source, tmp_path):
    script = Counting(stop_at=100)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out", scripted_judge(script))
    shards = sorted((tmp_path / "out/shards").iterdir())
    assert 0 < len(shards) < 8
    asked = len(script.asked)
    run(source, tmp_path / "out", scripted_judge(script))
    whole = Counting()
    run(source, tmp_path / "whole", scripted_judge(whole))
    assert asked < len(whole.asked) <= len(script.asked) < asked + len(whole.asked)
    assert same_bytes(tmp_path / "out", tmp_path / "whole")


def test_equal_requests_are_judged_once(source, tmp_path):
    script = Counting()
    run(source, tmp_path / "out", scripted_judge(script))
    assert len(script.asked) == len(set(script.asked))
    assert len(read_rows(tmp_path / "out/labels.jsonl")) == 60


def test_appended_rows_are_labeled_without_redoing_the_rest(source, tmp_path):
    run(source, tmp_path / "out")
    first = (tmp_path / "out/labels.jsonl").read_bytes()
    write_rows(source, pairs(75))
    script = Counting()
    found = run(source, tmp_path / "out", scripted_judge(script), accept_changes=True)
    assert found.num_labeled == 75
    assert (tmp_path / "out/labels.jsonl").read_bytes().startswith(first)
    assert all(f"{number}" in prompt for prompt, number in zip(script.asked[:1], (60,), strict=True))
    run(source, tmp_path / "whole")
    assert same_bytes(tmp_path / "out", tmp_path / "whole")  # this judge does not care for batches


def test_a_limit_can_be_raised_later(source, tmp_path):
    assert run(source, tmp_path / "out", limit=10).num_labeled == 10
    assert run(source, tmp_path / "out", limit=30).num_labeled == 30
    assert run(source, tmp_path / "out").num_labeled == 60
    run(source, tmp_path / "whole")
    assert same_bytes(tmp_path / "out", tmp_path / "whole")


def test_fewer_rows_than_are_labeled_are_refused(source, tmp_path):
    run(source, tmp_path / "out")
    with pytest.raises(
        InputError,
        match=r"out: has 60 labeled rows, got 12 from .*rows\.jsonl; expected",
    ):
        run(source, tmp_path / "out", limit=12)


def test_other_rows_are_refused_with_their_place(source, tmp_path):
    run(source, tmp_path / "out")
    rows = pairs(60)
    rows[20]["chosen"] = "Something else."
    write_rows(source, rows)
    with pytest.raises(InputError, match=r"rows 17 to 24 are not those that .*out was labeled from; expected the same"):
        run(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shard_size": 9}, "shard_size 8, got 9"),
        ({"rubric": "honesty"}, r"rubrics helpfulness, got honesty"),
        ({"method": "grade"}, "method 'both', got 'grade'"),
        ({"columns": {"chosen": "chosen"}}, "columns chosen=None, got chosen='chosen'"),
        ({"reference_answer": "x"}, "reference_answer None, got 'x'"),
        ({"judge": scripted_judge(guard=False)}, r"judge 'guard=\d+', got 'guard=off'"),
    ],
)
def test_a_resume_with_other_options_is_refused_with_the_difference(source, tmp_path, options, said):
    run(source, tmp_path / "out", limit=10)
    with pytest.raises(InputError, match=rf"out: was labeled with {said}; expected the same, .*another --out$"):
        run(source, tmp_path / "out", **options)


def test_another_judge_is_accepted_by_choice_and_both_stay_known(source, tmp_path):
    run(source, tmp_path / "out", limit=10)
    judge = scripted_judge(guard=False)
    with pytest.raises(InputError, match="--accept-changes"):
        run(source, tmp_path / "out", judge)
    run(source, tmp_path / "out", judge, accept_changes=True)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert "guard=off" in manifest["judge"]
    assert manifest["earlier"] == [{"judge": scripted_judge(sampling=judge_sampling()).fingerprint}]


def test_a_judge_that_judges_no_shard_is_not_recorded(source, tmp_path):
    run(source, tmp_path / "out")
    before = (tmp_path / "out/manifest.json").read_bytes()
    for changes in ({"judge": scripted_judge(guard=False)}, {"shard_size": 3}, {"retry_failed": True}):
        run(source, tmp_path / "out", **{"judge": scripted_judge(guard=False), **changes}, accept_changes=True)
    assert (tmp_path / "out/manifest.json").read_bytes() == before


def test_smaller_shards_are_accepted_by_choice(source, tmp_path):
    run(source, tmp_path / "out", limit=10)
    run(source, tmp_path / "out", shard_size=3, accept_changes=True)
    run(source, tmp_path / "whole")
    assert same_bytes(tmp_path / "out", tmp_path / "whole")
    assert len(list((tmp_path / "out/shards").iterdir())) == 2 + 17


def judge_sampling():
    from prom_reward.engines.base import SamplingParams

    return SamplingParams(seed=0)


def test_failed_shards_are_judged_again_where_that_is_asked_for(source, tmp_path):
    def down(prompt):
        return RuntimeError("the server is down") if "Reply 3." in prompt.user else verdict(prompt)

    down.__qualname__ = verdict.__qualname__
    failed = run(source, tmp_path / "out", scripted_judge(down))
    assert failed.outcomes["engine_failed"] == 2  # the response, and the ranking
    assert run(source, tmp_path / "out").outcomes["engine_failed"] == 2
    assert run(source, tmp_path / "out", retry_failed=True).outcomes["engine_failed"] == 0
    run(source, tmp_path / "whole")
    assert same_bytes(tmp_path / "out", tmp_path / "whole")


def test_groups_on_which_a_cascades_strong_judge_failed_are_judged_again(source, tmp_path):
    def down(prompt):
        raise ServerGoneError("no answer for 60 s")

    down.__qualname__ = verdict.__qualname__

    def with_strong(script):
        strong = scripted_judge(script, name="strong")
        return CascadeJudge(scripted_judge(name="cheap"), strong, budget=1)

    options = {"method": "grade", "limit": 3}
    run(source, tmp_path / "out", with_strong(down), **options)
    assert "the cheap answer stands" in (tmp_path / "out/labels.jsonl").read_text()
    run(source, tmp_path / "out", with_strong(verdict), retry_failed=True, **options)
    run(source, tmp_path / "whole", with_strong(verdict), **options)
    assert same_bytes(tmp_path / "out", tmp_path / "whole")
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "out/shards").iterdir())
    run(source, tmp_path / "out", with_strong(verdict), retry_failed=True, **options)
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "out/shards").iterdir()) == before


def test_two_runs_in_one_folder_are_refused(source, tmp_path):
    from prom_reward.labeling.shards import LabelFolder

    with (
        LabelFolder(tmp_path / "out").lock(),
        pytest.raises(
            WorkError, match=r"out: another run labels into this folder; wait for it, or give another --out$"
        ),
    ):
        run(source, tmp_path / "out")


def test_a_full_disk_is_said_and_nothing_is_lost(source, tmp_path, monkeypatch):
    from prom_reward import files

    run(source, tmp_path / "out", limit=16)
    fsync = os.fsync

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(
        WorkError,
        match=r"jsonl: cannot be written \(No space left on device\); nothing written before is lost: make room",
    ):
        run(source, tmp_path / "out", limit=60)
    assert not list((tmp_path / "out").rglob("*.tmp"))
    monkeypatch.setattr(files.os, "fsync", fsync)
    assert run(source, tmp_path / "out").num_labeled == 60


def test_a_damaged_shard_is_named(source, tmp_path):
    run(source, tmp_path / "out")
    (tmp_path / "out/shards/000000008-000000016.jsonl").write_text("{")
    with pytest.raises(WorkError, match=r"000000008-000000016\.jsonl: not a shard of labels .*; delete it"):
        run(source, tmp_path / "out")
    (tmp_path / "out/shards/000000008-000000016.jsonl").unlink()
    assert run(source, tmp_path / "out").num_labeled == 60


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_real_judge_killed_five_times_ends_with_the_same_bytes(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", pairs(24))
    program = (
        "import sys; from prom_reward import label, load_judge; "
        "label(sys.argv[1], judge=load_judge('smollm2-135m'), out=sys.argv[2], rubric='helpfulness', shard_size=4)"
    )
    command = [sys.executable, "-c", program, str(source)]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    shards, draw = tmp_path / "killed/shards", random.Random(0)
    for kills in range(5):
        child = subprocess.Popen([*command, str(tmp_path / "killed")])
        while len(list(shards.glob("*.jsonl"))) <= kills:  # each gets a shard further, and dies inside of the next
            assert child.poll() is None
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 0.3))
        child.kill()
        child.wait()
    subprocess.run([*command, str(tmp_path / "killed")], check=True)
    assert same_bytes(tmp_path / "whole", tmp_path / "killed")


def test_other_weights_under_the_same_name_are_refused(source, tmp_path):
    """An engine's fingerprint digests its folder, so other weights in it are another judge."""

    def judge_of(weights):
        class Engine(ScriptedEngine):
            fingerprint = f"folder:{weights}"

        return PrometheusJudge(Engine(verdict, keeps_prompts=False), name="my-judge")

    run(source, tmp_path / "out", judge_of("first weights"), limit=10)
    with pytest.raises(InputError, match=r"judge '.*first.*', got '.*other.*'.*--accept-changes"):
        run(source, tmp_path / "out", judge_of("other weights"))
    assert run(source, tmp_path / "out", judge_of("first weights")).num_labeled == 60
