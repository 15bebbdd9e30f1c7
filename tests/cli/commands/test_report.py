import json

import pytest

from prom_reward.rewards.judgment_log import JudgmentLog, judgment_record
from tests.labeling.label_inputs import scripted_judge


@pytest.fixture
def folder(tmp_path, request_of):
    """A trainer's output folder with a judgment log of one step."""
    request = request_of("Paris.")
    [judgment] = scripted_judge().grade([request])
    log = JudgmentLog(tmp_path / "judgments.jsonl")
    log.append({"step": 0, "row": row, **judgment_record(request, judgment), "reward": 0.5} for row in (0, 1))
    history = [{"step": 1, "reward": 0.5, "frac_reward_zero_std": 1.0}]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    return tmp_path


def test_a_trainings_folder_has_its_page_inside(run, folder):
    done = run("report", folder)
    assert done.status == 0
    assert done.out.startswith(f"{folder / 'report.html'}: 2 judgments (2 scored), 2 of them with their texts")
    assert "Groups without spread" in (folder / "report.html").read_text()


def test_its_figures_for_machines(run, folder):
    found = json.loads(run("report", folder, "--json").out)
    assert found["judgments"] == 2
    assert found["training"] == {"steps": 1, "reward_first": 0.5, "reward_last": 0.5, "share_without_spread": 1}


def test_a_column_of_labels_is_refused_for_a_training(run, folder):
    done = run("report", folder, "--group", "source")
    assert (done.status, "got --group source and a training; expected labels" in done.err) == (2, True)


def test_a_broken_state_is_one_line(run, folder):
    (folder / "trainer_state.json").write_text("{")
    done = run("report", folder)
    assert done.status == 2
    assert "trainer_state.json: not a trainer's state (JSONDecodeError" in done.err
    assert not (folder / "report.html").exists()


def test_a_folder_without_the_trainers_state_says_what_is_missing(run, folder):
    (folder / "trainer_state.json").unlink()
    done = run("report", folder)
    assert done.status == 0
    assert "missing: trainer_state.json" in done.out
    assert "Reward over steps" in (folder / "report.html").read_text()


def test_steps_of_a_training_stand_beside_each_other(run, tmp_path, request_of):
    log = tmp_path / "judgments.jsonl"
    for step in range(4):
        requests = [request_of(f"Answer {step}.")]
        [judgment] = scripted_judge().grade(requests)
        JudgmentLog(log).append([{"step": step, "row": 0, **judgment_record(requests[0], judgment), "reward": 0.5}])
    done = run("report", log, "--since", 2)
    assert done.status == 0, done.err
    assert "A: steps to 2, B: later steps" in log.with_suffix(".html").read_text()
    assert "compared: 2 judgments of 1 prompt, steps to 2 beside later steps\n" in done.out
    counts = {"judgments": 2, "prompts": 1, "prompts_alone": 0}
    assert json.loads(run("report", log, "--since", 2, "--json").out)["compared"] == counts
    assert "compared: 4 judgments beside those of judgments.jsonl\n" in run("report", log, "--against", log).out
    late = run("report", log, "--since", 4)
    assert (late.status, late.err.count("\n")) == (2, 1)
    assert "got the step 4 to compare since, and judgments of the steps 1 to 4; expected one with steps" in late.err
    done = run("report", log, "--since", 2, "--against", log)
    assert done.status == 2
    assert "got both --against and --since" in done.err


@pytest.mark.parametrize(("limit", "prompts"), [(2, 1), (24, 2), (60, 5)])
def test_steps_are_compared_on_whole_prompts_within_a_limit(run, tmp_path, request_of, limit, prompts):
    log = tmp_path / "judgments.jsonl"
    for step in range(6):
        requests = [request_of(f"Answer {step}.{at}.", instruction=f"Question {at // 2}") for at in range(10)]
        judged = zip(requests, scripted_judge().grade(requests), strict=True)
        JudgmentLog(log).append({"step": step, "row": at, **judgment_record(*one)} for at, one in enumerate(judged))
    done = run("report", log, "--since", 3, "--limit", limit)
    assert (done.status, done.err) == (0, "")
    shown = f"{prompts} prompt{'s' if prompts > 1 else ''}"
    assert f"compared: {4 * prompts} judgments of {shown}, steps to 3 beside later steps\n" in done.out


def test_calls_without_a_trainer_have_no_steps_to_compare(run, tmp_path, request_of):
    log = tmp_path / "judgments.jsonl"
    [judgment] = scripted_judge().grade([request_of("Yes.")])
    JudgmentLog(log).append([{"step": None, "call": "a", "row": 0, **judgment_record(request_of("Yes."), judgment)}])
    done = run("report", log, "--since", 2)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "got the step 2 to compare since, and calls without a trainer, which have no steps" in done.err
    assert not log.with_suffix(".html").exists()
