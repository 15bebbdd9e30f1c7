import json
import re
from dataclasses import replace

import pytest

from prom_reward import PrometheusJudge, ScriptedEngine
from prom_reward.cli.parts.console import stdout
from prom_reward.judging.calibration import Calibration
from prom_reward.judging.composed.cascade import CascadeJudge
from prom_reward.judging.composed.panel import PanelJudge


def reads_quality(prompt):
    """Score a response that says its own quality, one too low at 5."""
    said = re.search(r"quality (\d)", prompt.user)
    return f"Seen. [RESULT] {min(4, int(said[1]))}" if said else "I cannot tell."


@pytest.fixture
def good():
    return PrometheusJudge(ScriptedEngine(reads_quality, confidence=0.8), name="good")


@pytest.fixture
def constant():
    return PrometheusJudge(ScriptedEngine(["Seen. [RESULT] 3"]), name="constant")


def row(at, score, **more):
    return {
        "instruction": f"Question {at // 5}?",
        "response": "words " * (at % 3) + f"quality {score}",
        "reference_answer": "quality words",
        "rubric": "helpfulness",
        "score": score,
        **more,
    }


ROWS = [row(at, 1 + at % 5, part="even" if at % 2 == 0 else "odd") for at in range(20)]
PAIRS = [
    {"prompt": f"Question {at}?", "chosen": "A quality 4", "rejected": f"quality {worse}", "rubric": "honesty"}
    for at, worse in enumerate([1, 2, 3, 4])
]


def test_json_holds_every_measure_with_its_interval(run, judged_by, good, rows_file):
    judged_by(good, command="commands.evaluate")
    done = run("evaluate", rows_file(*ROWS), "--json", "--resamples", "50")
    assert done.status == 0
    figures = json.loads(done.out)
    assert (figures["n"], figures["judge"], figures["left_out"]) == (20, "good", 0)
    for measure in ("pearson", "spearman", "kendall", "mae", "accuracy"):
        for kind in ("expected", "integer"):
            assert set(figures[measure][kind]) == {"value", "low", "high", "warning"}  # four questions
    assert figures["mae"]["integer"]["value"] == pytest.approx(4 / 20)  # one too low at 5
    assert set(figures["pearson"]) == {"expected", "integer", "length", "overlap"}


def test_several_judges_are_measured_as_one(run, judged_by, good, constant, rows_file, tmp_path):
    panel, cascade = PanelJudge([good, constant]), CascadeJudge(constant, good, budget=1)
    judged_by(panel, cascade, command="commands.evaluate")
    done = run("evaluate", rows_file(*ROWS), "--against", "smollm2-135m", "--json", "--resamples", "20")
    figures = json.loads(done.out)
    assert (figures["judge"], figures["against"]["judge"]) == ("panel", "cascade")
    assert figures["mae"]["expected"]["value"] > figures["against"]["mae"]["expected"]["value"]
    done = run("evaluate", rows_file(*ROWS), "--fit-calibration", tmp_path / "fit.json")
    assert (done.status, "the judge 'panel'; expected a judge of one model" in done.err) == (2, True)


def test_a_group_and_a_judge_are_named_as_they_are(run, judged_by, rows_file):
    judged_by(PrometheusJudge(ScriptedEngine(reads_quality), name="a [/b]"), command="commands.evaluate")
    rows = [row(at, 1 + at % 5, part="[/INST]" if at % 2 else "[red]x") for at in range(10)]
    done = run("evaluate", rows_file(*rows), "--group", "part", "--resamples", "0")
    assert done.status == 0
    for text in ("a [/b]: 10 rows", "[/INST]", "[red]x"):
        assert text in done.out
    assert "grading with a [/b]" in done.err


def test_the_tables_show_baselines_and_groups(run, judged_by, good, rows_file):
    judged_by(good, command="commands.evaluate")
    done = run("evaluate", rows_file(*ROWS), "--group", "part", "--resamples", "20", "--limit", "10")
    assert done.status == 0
    assert "good: 10 rows" in done.out
    assert "pearson, length held" in done.out
    assert "overlap" in done.out
    assert re.search(r"│ even +│ 5 ", done.out)


def test_a_narrow_window_has_each_interval_below_its_value(run, judged_by, good, rows_file, monkeypatch):
    judged_by(good, command="commands.evaluate")
    monkeypatch.setattr(stdout, "width", 80)
    shown = run("evaluate", rows_file(*ROWS), "--group", "part", "--resamples", "20").out
    assert max(map(len, shown.splitlines())) <= 80
    assert re.search(r"^spearman( +\.?[0-9.]+)+ *\n +\[[-.0-9]+, [-.0-9]+\]", shown, re.MULTILINE)


def test_rows_that_cannot_be_scored_are_named(run, judged_by, good, rows_file):
    judged_by(good, command="commands.evaluate")
    broken = {**row(0, 1), "score": "none"}
    done = run("evaluate", rows_file(*ROWS, {**row(0, 1), "response": "nothing"}, broken, "{"), "--resamples", "0")
    assert done.status == 0
    assert "1 row unscored: no_result" in done.out
    assert "line 22: got 'none' as the score" in done.err
    assert "line 23: not valid JSON" in done.err


def test_two_judges_stand_side_by_side(run, judged_by, good, constant, rows_file):
    judged_by(good, constant, command="commands.evaluate")
    path = rows_file(*ROWS)
    done = run("evaluate", path, "--against", "smollm2-135m-untuned", "--json", "--resamples", "50")
    figures = json.loads(done.out)
    assert figures["against"]["judge"] == "constant"
    assert figures["against"]["pearson"]["integer"]["value"] is None
    assert figures["against"]["difference"]["mae"]["value"] < 0
    shown = run("evaluate", path, "--against", "smollm2-135m-untuned", "--resamples", "20").out
    assert "good minus constant, expected score" in shown
    assert "undefined (" in shown


def test_pairs_give_accuracy_with_ties_as_half(run, judged_by, good, constant, rows_file):
    judged_by(good, constant, command="commands.evaluate")
    path = rows_file(*PAIRS)
    done = run("evaluate", path, "--against", "smollm2-135m-untuned", "--json", "--resamples", "20")
    figures = json.loads(done.out)
    assert figures["pairwise_accuracy"]["expected"]["value"] == pytest.approx(3.5 / 4)
    assert figures["against"]["difference"]["pairwise_accuracy"]["value"] == pytest.approx(1.5 / 4)
    shown = run("evaluate", path, "--against", "smollm2-135m-untuned", "--resamples", "20", "--group", "rubric").out
    assert "good: 4 pairs, accuracy (ties half)" in shown
    assert "good minus constant" in shown


def test_two_verdicts_on_a_pair_are_to_be_chosen_from(run, judged_by, good, rows_file):
    judged_by(good, command="commands.evaluate")
    sides = {"response_0": "quality 4", "response_1": "quality 1", "rubric": "honesty"}
    verdicts = {"better_response_id": 0, "safer_response_id": 1}
    path = rows_file(*({"prompt": f"Question {at}?", **sides, **verdicts} for at in range(3)))
    refused = run("evaluate", path)
    assert refused.status == 2
    assert "choose one: --column winner=better_response_id or --column winner=safer_response_id" in refused.err
    for column, accuracy in (("better_response_id", 1), ("safer_response_id", 0)):
        done = run("evaluate", path, "--column", f"winner={column}", "--resamples", "0", "--json")
        assert f"pair from response_0 + response_1, winner from {column}" in done.err
        assert json.loads(done.out)["pairwise_accuracy"]["expected"]["value"] == accuracy


def test_unscored_pairs_are_counted(run, judged_by, good, rows_file):
    judged_by(good, command="commands.evaluate")
    done = run("evaluate", rows_file(*PAIRS, {**PAIRS[0], "chosen": "nothing"}), "--resamples", "0")
    assert "1 pair unscored" in done.out


def test_a_calibration_is_fitted_and_its_effect_shown(run, judged_by, good, rows_file, tmp_path):
    judged_by(good, command="commands.evaluate")
    path, target = rows_file(*ROWS), tmp_path / "calibration.json"
    done = run("evaluate", path, "--fit-calibration", target, "--json", "--resamples", "0")
    effect = json.loads(done.out)["calibration"]
    assert effect["mae_after"] < effect["mae_before"]
    fitted = Calibration.load(target)
    assert fitted.judge == good.scores_identity
    scores = [fitted.score(score) for score in (1.5, 2.5, 3.5)]
    assert scores == sorted(set(scores))
    again = run("evaluate", path, "--fit-calibration", target)
    assert again.status == 2
    assert "the file exists" in again.err
    shown = run("evaluate", path, "--fit-calibration", target, "--force", "--resamples", "0").out
    assert "on held-out questions" in shown


def test_a_page_with_the_plots_is_written(run, judged_by, good, rows_file, tmp_path):
    judged_by(good, command="commands.evaluate")
    page = tmp_path / "judge.html"
    done = run("evaluate", rows_file(*ROWS), "--page", page, "--resamples", "0")
    assert (done.status, f"{page}: the page" in done.err) == (0, True)
    shown = page.read_text(encoding="utf-8")
    assert "rows.jsonl" in shown
    assert "Evaluation of a judge" in shown
    assert run("evaluate", rows_file(*PAIRS), "--page", page, "--force", "--resamples", "0").status == 0
    assert "of pairs in the right order" in page.read_text(encoding="utf-8")


def test_the_paper_protocol_asks_for_three_feedbacks(run, monkeypatch, good, rows_file):
    asked = {}
    monkeypatch.setattr(
        "prom_reward.cli.commands.evaluate.load_judge",
        lambda *names, **settings: asked.update(settings) or good,
    )
    assert run("evaluate", rows_file(*ROWS[:3]), "--protocol", "paper", "--seed", "7", "--resamples", "0").status == 0
    assert asked == {"mode": "feedback", "num_samples": 3, "sampling": {"temperature": 1.0}}
    assert good.sampling.seed == 7


@pytest.mark.parametrize(("own", "expected"), [(9, 9), (None, 0)])
def test_a_judge_samples_with_its_own_seed_unless_one_is_given(run, judged_by, good, rows_file, own, expected):
    good.sampling = replace(good.sampling, seed=own)
    judged_by(good, command="commands.evaluate")
    assert run("evaluate", rows_file(*ROWS[:3]), "--resamples", "0").status == 0
    assert good.sampling.seed == expected


def test_score_mode_has_no_paper_protocol(run, rows_file):
    done = run("evaluate", rows_file(*ROWS[:3]), "--protocol", "paper", "--mode", "score")
    assert done.status == 2
    assert "got --mode score with --protocol paper, which samples feedback; expected one of them" in done.err


def test_a_real_model_is_evaluated(run, tiny_judge_folder, rows_file):
    options = ("--judge", tiny_judge_folder, "--mode", "score", "--layout", "response_last", "--resamples", "0")
    figures = json.loads(run("evaluate", rows_file(*ROWS[:6]), *options, "--json").out)
    assert figures["n"] == 6
    assert 1 < figures["mae"]["expected"]["value"] + 1 < 5


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([], (), "row; it has no rows"),
        ([{"instruction": "a", "response": "b", "rubric": "honesty"}], (), "no score; got the columns"),
        ([*ROWS[:2], *PAIRS], (), "got rows with scores (2) and preference pairs (4); expected one kind"),
        (PAIRS, ("--fit-calibration", "c.json"), "got preference pairs; --fit-calibration needs rows with scores"),
        (ROWS[:3], ("--fit-calibration", "c.json"), "got 3 rows to calibrate on; expected at least 10"),
        (ROWS[:3], ("--group", "nowhere"), "no column 'nowhere'"),
        (ROWS[:3], ("--cluster", "nowhere"), "no column 'nowhere'"),
        (ROWS[:3], ("--score-column", "stars"), "expected one of stars"),
        ([{**ROWS[0], "rubric": "helpfullness"}], (), "unknown rubric 'helpfullness'"),
    ],
)
def test_bad_input_is_one_line(run, judged_by, good, rows_file, tmp_path, monkeypatch, rows, options, message):
    monkeypatch.chdir(tmp_path)
    judged_by(good, command="commands.evaluate")
    done = run("evaluate", rows_file(*rows), *options)
    assert done.status == 2
    assert message in done.err
    assert len(re.findall("^error:", done.err, re.MULTILINE)) == 1


def test_rubrics_on_several_scales_are_refused_before_grading(run, judged_by, good, rows_file):
    judged_by(good, command="commands.evaluate")
    short = {"criteria": "Good?", "scale": [1, 4], **{f"score{at}_description": str(at) for at in range(1, 5)}}
    done = run("evaluate", rows_file(*ROWS[:4], {**ROWS[0], "rubric": short}))
    assert done.status == 2
    assert "got rubrics on the scales 1 to 4 and 1 to 5; expected one scale" in done.err
    assert "grading" not in done.err


def test_what_cannot_be_calibrated_loses_no_figures(run, judged_by, constant, rows_file, tmp_path):
    judged_by(constant, command="commands.evaluate")
    target = tmp_path / "c.json"
    done = run("evaluate", rows_file(*ROWS), "--fit-calibration", target, "--json", "--resamples", "0")
    assert done.status == 2
    assert json.loads(done.out)["n"] == len(ROWS)
    assert f"{target}: not written; got the score 3 alone to calibrate on; expected different scores" in done.err
    assert not target.exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[:4], "got 4 rows to calibrate on; expected at least 10, with different labels"),
        ([{**one, "score": 2} for one in ROWS], " with the label 2 alone to calibrate on; expected at least 10"),
    ],
)
def test_labels_that_no_calibration_fits_are_refused_before_grading(run, rows_file, tmp_path, rows, message):
    done = run("evaluate", rows_file(*rows), "--judge", "smollm2-135m", "--fit-calibration", tmp_path / "c.json")
    assert done.status == 2
    assert message in done.err
    assert "loading" not in done.err


def test_a_fit_on_one_question_has_no_held_out_error(run, judged_by, good, rows_file, tmp_path):
    judged_by(good, command="commands.evaluate")
    rows = [{**row, "instruction": "The one question?"} for row in ROWS]
    done = run("evaluate", rows_file(*rows), "--fit-calibration", tmp_path / "c.json", "--resamples", "0")
    assert "-> undefined (too few questions)" in done.out


def test_a_calibrated_judge_is_not_fitted_again(run, judged_by, good, rows_file, tmp_path):
    good.calibration = Calibration(low_slope=1.0, high_slope=2.0, shift=0.0)
    judged_by(good, command="commands.evaluate")
    done = run("evaluate", rows_file(*ROWS), "--fit-calibration", tmp_path / "c.json")
    assert done.status == 2
    assert "got a judge with a calibration; expected one without" in done.err


def test_the_written_files_are_two(run, rows_file, tmp_path):
    done = run("evaluate", rows_file(*ROWS), "--fit-calibration", tmp_path / "c", "--page", tmp_path / "c")
    assert done.status == 2
    assert "got one file for --fit-calibration and --page; expected two" in done.err


def test_nothing_scored_is_a_failure(run, judged_by, good, rows_file):
    judged_by(good, command="commands.evaluate")
    done = run("evaluate", rows_file({**ROWS[0], "response": "nothing"}), "--resamples", "0")
    assert done.status == 1
    assert "no response could be scored" in done.err


def test_an_interval_from_few_questions_is_named(run, judged_by, good, rows_file):
    judged_by(good, command="commands.evaluate")
    assert "warning: interval from 4 questions" in run("evaluate", rows_file(*ROWS), "--resamples", "20").out


def test_a_note_explains_only_what_the_table_shows(run, judged_by, good, constant, rows_file):
    judged_by(good, constant, command="commands.evaluate")
    asked = [{**one, "instruction": "One question?"} for one in ROWS]
    alone = run("evaluate", rows_file(*asked)).out
    assert "\nno interval: all rows are of one question" in alone
    assert "- is undefined" not in alone
    assert " - " not in alone
    flat = run("evaluate", rows_file(*ROWS), "--resamples", "0").out
    assert re.search(r"pearson +│ +- +│", flat)
    assert "\n- is undefined (all scores, or all labels, are the same)" in flat


def test_rows_without_an_answer_are_shown_apart(run, judged_by, good, rows_file):
    judged_by(good, command="commands.evaluate")
    done = run("evaluate", rows_file(*ROWS, {**ROWS[0], "response": "N/A"}), "--resamples", "0")
    assert "good: 20 rows" in done.out
    assert "no interval" not in done.out  # none was asked for
    assert (
        "empty or placeholder answers, in no other figure: 1 of 21 rows, 0 scored; mean absolute error undefined"
        in done.out
    )  # the judge cannot tell


def test_the_file_is_checked_before_the_judge_is_loaded(run, monkeypatch, rows_file):
    monkeypatch.setattr(
        "prom_reward.cli.commands.evaluate.load_judge", lambda *names, **settings: pytest.fail("loaded")
    )
    done = run("evaluate", rows_file({"instruction": "a", "response": "b", "rubric": "honesty"}))
    assert done.status == 2
    assert "no score" in done.err


def test_labels_on_another_scale_are_refused_or_mapped(run, judged_by, good, rows_file):
    judged_by(good, command="commands.evaluate")
    path = rows_file(*({**one, "score": 2 * one["score"]} for one in ROWS))
    refused = run("evaluate", path, "--resamples", "0")
    assert refused.status == 2
    assert "outside the scale 1 to 5 in" in refused.err
    assert run("evaluate", path, "--resamples", "0", "--label-scale", "0-10").status == 0
    assert "expected LOW-HIGH" in run("evaluate", path, "--label-scale", "ten").err


def test_several_rubrics_are_said_to_be_compared_by_themselves(run, judged_by, good, rows_file, tmp_path):
    judged_by(good, command="commands.evaluate")
    rubrics = tmp_path / "rubrics.yaml"
    rubrics.write_text("- {rubric: helpfulness, weight: 2}\n- {rubric: honesty, weight: 1}\n")
    rows = [{name: value for name, value in row.items() if name != "rubric"} for row in ROWS]
    done = run("evaluate", rows_file(*rows), "--rubric", rubrics, "--resamples", "0")
    assert (
        "2 rubrics: each rubric's scores are compared with the labels by themselves; weights do not count" in done.err
    )


def test_strict_refuses_pairs_whose_verdict_names_the_rejected_answer(run, judged_by, good, rows_file, caplog):
    judged_by(good, command="commands.evaluate")
    path = rows_file(*PAIRS[:3], {**PAIRS[3], "winner": "rejected"})
    assert run("evaluate", path, "--resamples", "0").status == 0
    assert "1 pair with a column that prefers the rejected answer, the first in line 4" in caplog.text
    refused = run("evaluate", path, "--strict")
    assert (refused.status, "got winner='rejected'; the pair is used as chosen and rejected" in refused.err) == (
        2,
        True,
    )


@pytest.mark.parametrize(("strict", "status"), [((), 0), (("--strict",), 1)])
def test_rows_that_are_left_out_are_counted_below_the_figures_and_fail_a_strict_run(
    run, judged_by, good, rows_file, strict, status
):
    judged_by(good, command="commands.evaluate")
    path = rows_file(*ROWS, "{", {"instruction": "Q", "score": 3})
    done = run("evaluate", path, "--resamples", "0", *strict)
    assert done.status == status
    assert "good: 20 rows" in done.out
    assert done.out.rstrip().endswith("2 rows left out, in none of these figures")
    assert (f"{path}: 2 rows left out, as --strict allows none" in done.err) == bool(strict)
    told = run("evaluate", path, "--resamples", "0", "--json", *strict)
    figures = json.loads(told.out)
    assert (told.status, figures["n"], figures["left_out"]) == (status, 20, 2)
    whole = run("evaluate", rows_file(*ROWS), "--resamples", "0", *strict)
    assert (whole.status, "left out" in whole.out) == (0, False)
