import json
import re

import pytest

from prom_reward import PrometheusJudge, ScriptedEngine

SCORES = (1, 2, 3, 4)
ROWS = [
    {"instruction": f"Question {at}?", "response": f"quality {score}", "rubric": "helpfulness", "score": score}
    for at in range(3)
    for score in SCORES
]


def reads_quality(prompt):
    """Grade by the quality that a response says, and prefer the response that says more."""
    first, *others = (int(one) for one in re.findall(r"quality (\d)", prompt.user))
    if others:
        return f"Seen. [RESULT] {'A' if first > others[0] else 'B'}"
    return f"Seen. [RESULT] {first}"


def judge(name, script=reads_quality):
    return PrometheusJudge(ScriptedEngine(script, confidence=0.8), name=name)


def test_grades_and_comparisons_side_by_side(run, judged_by, rows_file):
    judged_by(judge("good"), command="parts.group_tables")
    done = run("evaluate", rows_file(*ROWS), "--groups", "4", "--resamples", "20", "--json")
    assert done.status == 0
    figures = json.loads(done.out)
    assert (figures["n"], figures["answers"], figures["deserves"]) == (3, 12, "pointwise")
    assert figures["methods"]["round_robin"]["tau"]["value"] == 1
    assert figures["methods"]["round_robin"]["num_prompts"] == 16
    shown = run("evaluate", rows_file(*ROWS), "--groups", "4", "--resamples", "20")
    assert "good: 3 groups, 12 answers" in shown.out
    assert "take PrometheusReward" in shown.out


def test_a_cascade_at_several_budgets(run, judged_by, rows_file):
    constant = judge("constant", lambda _: "Seen. [RESULT] 3")
    judged_by(constant, judge("good"), command="parts.group_tables")
    done = run("evaluate", rows_file(*ROWS), "--cascade", "--against", "smollm2-135m", "--json")
    figures = json.loads(done.out)
    assert (figures["judge"], figures["strong"]) == ("constant", "good")
    curve = figures["curves"]["group_margin"]
    assert [point["tau"] for point in curve][::5] == [0, 1]
    assert curve[4]["share"] == pytest.approx(1 / 3)


def test_a_second_judge_beside_the_first_and_both_together(run, judged_by, rows_file):
    constant = judge("constant", lambda prompt: f"Seen. [RESULT] {prompt.labels[len(prompt.labels) // 2]}")
    judged_by(constant, judge("good"), command="parts.group_tables")
    done = run("evaluate", rows_file(*ROWS), "--groups", "4", "--against", "smollm2-135m", "--json")
    methods = json.loads(done.out)["methods"]
    assert (methods["pointwise"]["tau"]["value"], methods["good alone"]["tau"]["value"]) == (0, 1)
    assert methods["panel, mean"]["tau"]["value"] == 1
    assert 0 <= methods["cascade of 30%"]["tau"]["value"] < 1
    costs = [methods[name]["num_prompts"] for name in ("pointwise", "panel, mean", "cascade of 30%")]
    assert costs == [4, 8, 4]  # none of three groups fits into 30 %


def test_a_cascade_is_replayed_from_logged_judgments(run, judged_by, rows_file, tmp_path):
    files = []
    for one in (judge("cheap", lambda _: "Seen. [RESULT] 3"), judge("strong")):
        judged_by(one)
        files.append(str(tmp_path / f"{one.name}.jsonl"))
        assert run("grade", rows_file(*ROWS), "--out", files[-1]).status == 0
    done = run("evaluate", rows_file(*ROWS), "--cascade", "--judge", files[0], "--against", files[1], "--json")
    figures = json.loads(done.out)
    assert (figures["judge"], figures["strong"]) == ("cheap", "strong")
    assert [point["tau"] for point in figures["curves"]["entropy"]][::5] == [0, 1]
    more = {**ROWS[0], "response": "quality 9"}
    done = run("evaluate", rows_file(*ROWS, more), "--cascade", "--judge", files[0], "--against", files[1])
    assert done.status == 2
    assert "got judgments of 12 of 13 answers" in done.err


def test_pairs_by_a_checklist_are_measured_by_any_judge_and_from_logs(run, judged_by, rows_file, tmp_path):
    by = {"rubric": ["It is right.", "It is clear."]}
    pairs = [{"prompt": f"Question {at}?", "chosen": "right", "rejected": "wrong, but longer", **by} for at in range(3)]
    says = PrometheusJudge(ScriptedEngine(lambda one: f"So. [RESULT] {int('wrong' not in one.user)}", confidence=0.8))
    judged_by(says, command="parts.group_tables")
    log = tmp_path / "log.jsonl"
    done = run("evaluate", rows_file(*pairs), "--groups", "2", "--json")
    assert json.loads(done.out)["methods"]["pointwise"]["tau"]["value"] == 1
    judged_by(says)
    answers = [
        {"prompt": one["prompt"], "response": one[side], **by} for one in pairs for side in ("chosen", "rejected")
    ]
    assert run("grade", rows_file(*answers), "--out", log).status == 0
    logged = run("evaluate", rows_file(*pairs), "--cascade", "--judge", log, "--against", log, "--json")
    assert [json.loads(logged.out)["curves"]["random"][at]["tau"] for at in (0, -1)] == [1, 1]


def test_answers_that_belong_to_no_group_are_counted(run, judged_by, rows_file):
    judged_by(judge("good"), command="parts.group_tables")
    alone = [{**ROWS[0], "instruction": "Alone?"}, *({**one, "instruction": "Alike?", "score": 2} for one in ROWS[:2])]
    done = run("evaluate", rows_file(*ROWS, *alone), "--groups", "4", "--resamples", "20")
    assert "good: 3 groups, 12 answers" in done.out
    assert "3 answers left out: alone to a prompt, or in a group of one label" in done.err


@pytest.mark.parametrize(("options", "figures"), [(["--groups", "4"], " - "), (["--cascade"], "100%")])
def test_groups_that_no_judge_scores_are_counted_and_fail(run, judged_by, rows_file, options, figures):
    judged_by(judge("mute", lambda _: "Hm."), judge("mute", lambda _: "Hm."), command="parts.group_tables")
    done = run("evaluate", rows_file(*ROWS), *options, "--against", "smollm2-135m")
    assert (done.status, figures in done.out, "0.000" in done.out) == (1, True, False)
    assert "3 groups left out: no two answers of different labels were scored" in done.out
    assert "no group could be scored" in done.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--cascade"], "expected --against"),
        (["--judge", "logged.jsonl"], "expected it with --groups or --cascade"),
        (["--groups", "4", "--judge", "gone.jsonl"], "gone.jsonl"),
        (["--groups", "4", "--judge", "gone.jsonl", "--mode", "score"], "got mode for logged judgments"),
        (["--groups", "4", "--page", "x.html"], "single answers"),
        (["--groups", "1"], "groups"),
    ],
)
def test_options_that_do_not_fit_are_refused(run, rows_file, options, told):
    done = run("evaluate", rows_file(*ROWS), *options)
    assert done.status == 2
    assert told in done.err


def test_rows_without_groups_are_refused(run, judged_by, rows_file):
    judged_by(judge("good"), command="parts.group_tables")
    done = run("evaluate", rows_file(ROWS[0], ROWS[5]), "--groups", "4")
    assert done.status == 2
    assert "several answers to each prompt" in done.err


@pytest.mark.parametrize("more", [("--groups", "4"), ("--cascade", "--against", "smollm2-135m")])
def test_rows_that_are_left_out_of_all_groups_are_counted(run, judged_by, rows_file, more):
    judged_by(*[judge("good")] * 8, command="parts.group_tables")
    command = ("evaluate", rows_file(*ROWS, "{"), "--resamples", "0", *more)
    assert json.loads(run(*command, "--json").out)["left_out"] == 1
    shown = run(*command, "--strict")
    assert (shown.status, "1 row left out, in none of these figures" in shown.out) == (1, True)
