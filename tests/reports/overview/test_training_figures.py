import json

import pytest

from prom_reward.reports.data import load_report
from prom_reward.reports.overview.training_figures import share_without_spread, training_figures
from prom_reward.reports.page import report_figures_json, report_page
from prom_reward.reports.training_folder import BeforeAfter, write_before_after
from prom_reward.rewards.judgment_log import JudgmentLog, judgment_record
from tests.labeling.label_inputs import scripted_judge
from tests.reports.test_page import HOSTILE

TITLES = ["Length over steps", "Entropy over steps", "Groups without spread"]
STEPS = [1, 2, 3, 4, 5, 6]


@pytest.fixture
def folder(tmp_path, request_of):
    """A training of 6 steps with one prompt and 4 rollouts each, all judged twice; every third group has no spread."""
    log = JudgmentLog(tmp_path / "judgments.jsonl")
    for step in range(6):
        requests = [request_of("x" * (10 + step), instruction=f"Prompt {step}") for _ in range(4)]
        for row, (request, judged) in enumerate(zip(requests, scripted_judge().grade(requests), strict=True)):
            record = {"step": step, "row": row, **judgment_record(request, judged), "reward": row * (step % 3) / 10}
            log.append([record, record])
    return tmp_path


def logged(folder):
    history = [
        {
            "step": step,
            "entropy": 1.0,
            "audit/score": 0.3,
            "audit/gap": step / 10,
            "step_time": 8.0,
            "judge/seconds": 2.0,
        }
        for step in range(1, 7)
    ]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    return history


def test_a_log_alone_has_length_entropy_and_spread(folder):
    for source in (folder, folder / "judgments.jsonl"):
        drawn = training_figures(load_report(source))
        assert [figure.title for figure in drawn] == ["Reward over steps", *TITLES]
    by_title = {figure.title: figure for figure in drawn}
    [line] = by_title["Length over steps"].plot.marks
    assert (list(line.x), line.y) == (STEPS, [10, 11, 12, 13, 14, 15])
    assert "10 in the first step, 15 in the last" in by_title["Length over steps"].note
    assert by_title["Groups without spread"].plot.marks[0].y == [100, 0, 0, 100, 0, 0]
    assert by_title["Groups without spread"].note.startswith("33.3% of all groups")
    assert by_title["Reward over steps"].plot.y.limits == (0, 1)
    assert load_report(folder).title == folder.name


@pytest.mark.parametrize(
    ("num_prompts", "last", "is_other"),
    [(1, 0, False), (1, 1, True), (4, 1, False), (4, 2, True), (32, 32, False)],
    ids=["the same", "another", "most the same", "most others", "many others"],
)
def test_a_reward_over_other_prompts_is_named(tmp_path, request_of, num_prompts, last, is_other):
    log = JudgmentLog(tmp_path / "judgments.jsonl")
    for step, start in enumerate((0, 0, last)):
        requests = [request_of("x", instruction=f"{'y' * 100_000} {start + at}") for at in range(num_prompts)]
        for row, (request, judged) in enumerate(zip(requests, scripted_judge().grade(requests), strict=True)):
            log.append([{"step": step, "row": row, **judgment_record(request, judged), "reward": step / 10}])
    data = load_report(tmp_path)
    [reward, *_] = training_figures(data)
    assert ("The last steps asked other prompts than the first" in reward.note) == is_other
    assert ("+0.200 against the first, on other prompts" in report_page(data)) == is_other


def test_the_trainers_log_adds_both_judges_and_seconds(folder):
    history = logged(folder)
    data = load_report(folder)
    drawn = {figure.title: figure for figure in training_figures(data)}
    assert list(drawn) == ["Reward over steps", "Reward's judge and audit judge", *TITLES, "Seconds for each step"]
    own, audit = drawn["Reward's judge and audit judge"].plot.marks
    assert (own.name, audit.name) == ("reward's judge", "audit judge")
    assert own.y == pytest.approx([0.3 + entry["audit/gap"] for entry in history])
    assert audit.y == pytest.approx([0.3] * 6)
    assert drawn["Seconds for each step"].note == "The judge takes 25.0% of the steps' time."
    lines = {mark.name: list(mark.x) for mark in drawn["Entropy over steps"].plot.marks}
    assert lines == {"judge, per score": STEPS, "policy, per token": STEPS}
    found = report_figures_json(data)["training"]
    assert (found["steps"], found["judge_share"]) == (6, 0.25)
    page = report_page(data)
    assert page.count("<svg") == page.count('<div class="plot"') > 6
    assert "Before and after" not in page


def test_an_audit_judges_time_is_not_a_steps(folder):
    history = [{"step": step, "step_time": 10.0, "judge/seconds": 2.0, "audit/seconds": 2.0} for step in range(1, 7)]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    data = load_report(folder)
    drawn = next(figure for figure in training_figures(data) if figure.title == "Seconds for each step")
    assert drawn.note == "The judge takes 25.0% of the steps' time (without the audit judge)."
    assert set(drawn.plot.marks[0].y) == {8}
    assert report_figures_json(data)["training"]["judge_share"] == 0.25


def test_long_curves_are_smoothed(folder):
    history = [{"step": step, "step_time": 8.0 + step % 2, "judge/seconds": 2.0} for step in range(1, 151)]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    points, line, *_ = next(
        figure for figure in training_figures(load_report(folder)) if figure.title == "Seconds for each step"
    ).plot.marks
    assert set(points.y) == {8, 9}
    assert all(8.4 < value < 8.6 for value in line.y[10:-10])


def test_answers_before_and_after_stand_on_the_page_as_text(folder):
    answers = [
        BeforeAfter(
            prompt=f"Prompt {at}",
            before="old",
            after="new",
            before_score=2.0,
            after_score=2.0 + at,
            after_feedback="Fine.",
            rubric="Is it <brief>?",
        )
        for at in range(12)
    ]
    hostile = BeforeAfter(
        prompt=HOSTILE, before=HOSTILE, after="", before_score=4.0, after_score=1.0, before_feedback=HOSTILE
    )
    write_before_after(folder, [*answers, hostile])
    page = report_page(load_report(folder))
    shown = page[page.index('id="before-after"') : page.index('id="groups"')]
    gained, lost = shown.split("Smallest gains, or losses")
    assert [part.partition(" ·")[0] for part in gained.split("<summary>")[1:]] == [
        f"2.00 → {2 + at:.2f}" for at in (11, 10, 9, 8, 7)
    ]
    assert [part.partition(" ·")[0] for part in lost.split("<summary>")[1:]] == [
        "4.00 → 1.00",
        *(f"2.00 → {2 + at:.2f}" for at in range(4)),
    ]
    assert HOSTILE not in page
    assert "<script>document" not in page
    assert "(empty response)" in lost
    assert gained.count("<h4>Feedback</h4>") == 5
    assert gained.count("Is it &lt;brief&gt;?</pre>") == 5


def test_one_answer_alone_is_shown_once(folder):
    write_before_after(folder, [BeforeAfter(prompt="Only", before="old", after="new")])
    page = report_page(load_report(folder))
    assert page.count("<summary>– → – · Only</summary>") == 1
    assert "Smallest gains" not in page


def test_groups_of_one_say_nothing_of_spread():
    assert share_without_spread(
        {(0, "a"): {(0, 0): 0.5}, (1, "a"): {(0, 0): 0.5, (1, 0): 0.5}, (1, "b"): {(0, 2): 0.1, (0, 3): 0.2}}
    ) == {1: 0.5}


def test_labels_have_no_training_figures(tmp_path):
    from prom_reward.labeling.labeling import label
    from tests.labeling.label_inputs import pairs, write_rows

    source = write_rows(tmp_path / "rows.jsonl", pairs(3))
    label(source, judge=scripted_judge(), out=tmp_path / "out", rubric="helpfulness")
    data = load_report(tmp_path / "out")
    assert training_figures(data) == []
    assert report_figures_json(data)["training"] == {}


def test_the_header_names_judge_policy_rubric_and_steps(folder):
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "some/policy"}')
    log = folder / "judgments.jsonl"
    lines = [{**json.loads(line), "judge": "my judge"} for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    facts = load_report(folder).facts
    assert {name: facts[name] for name in ("judge", "policy", "rubric", "steps")} == {
        "judge": "my judge",
        "policy": "some/policy",
        "rubric": lines[0]["rubric"],
        "steps": "6",
    }
    assert facts["date"].startswith("20")


def test_what_is_missing_is_said(folder):
    data = load_report(folder)
    assert [text.partition(":")[0] for text in data.missing] == ["a log without copies", "trainer_state.json"]
    assert "trainer.save_state()" in report_page(data)
    assert report_figures_json(data)["missing"] == data.missing
    logged(folder)
    assert [text.partition(":")[0] for text in load_report(folder).missing] == ["a log without copies"]


def test_other_ranks_logs_are_read_too(folder):
    log = folder / "judgments.jsonl"
    (folder / "judgments.rank1.jsonl").write_text(log.read_text())
    data = load_report(folder)
    assert data.num_judgments == 2 * 48
    assert [len(found) for (step, _), found in data.group_rewards.items() if step == 1] == [8]


def test_unscored_judgments_are_shown_over_the_steps(folder):
    log = folder / "judgments.jsonl"
    lost = dict.fromkeys(("score", "expected_score", "score_probs", "entropy", "reward"))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    lines[0] |= {**lost, "outcome": "no_result"}
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    drawn = {figure.title: figure for figure in training_figures(load_report(folder))}
    figure = drawn["Forced and unscored judgments over steps"]
    [unscored] = figure.plot.marks
    assert [box.top - box.bottom for box in unscored.boxes] == [1, 0, 0, 0, 0, 0]
    assert "1 of 48 judgments" in figure.note


def test_a_trainers_evaluations_are_no_steps(folder):
    log = folder / "judgments.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    with log.open("a") as file:
        for line in lines[:8]:
            file.write(json.dumps({**line, "mode": "eval", "reward": 1.0}) + "\n")
    data = load_report(folder)
    assert data.num_judgments == 48
    assert data.facts["evaluations"] == "8 judgments, left out"
    log.write_text("".join(json.dumps({**line, "reward": None}) + "\n" for line in lines))
    assert "no training step" in report_page(load_report(folder))


def test_a_response_under_several_rubrics_counts_once(tmp_path, request_of):
    log = JudgmentLog(tmp_path / "judgments.jsonl")
    request = request_of("s4")
    for row, (length, num_rubrics, reward) in enumerate([(2, 1, 1.0), (8, 3, 0.0)]):
        [judged] = scripted_judge().grade([request])
        record = {"step": 0, "row": row, **judgment_record(request, judged), "reward": reward}
        log.append([{**record, "response": "x" * length, "rubric": f"r{at}"} for at in range(num_rubrics)])
    data = load_report(tmp_path)
    assert (data.rewards, data.step_lengths) == ({1: [1.0, 0.0]}, {1: [2, 8]})
