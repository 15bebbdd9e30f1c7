import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from prom_reward.config import load_judge
from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.errors import ConfigError
from prom_reward.judging.calibration import Calibration, fit_calibration
from prom_reward.judging.fitted_on import FittedOn
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.rubrics.checklists.forms import parse_checklist
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import ScoreScale

SCALE = ScoreScale()
ON = FittedOn(SCALE)
FIT = {"low_slope": 1, "high_slope": 1, "shift": 0, "scale": [1, 5], "rubrics": []}
calibrations = st.builds(
    Calibration,
    low_slope=st.floats(0.01, 20),
    high_slope=st.floats(0.01, 20),
    shift=st.floats(-5, 5),
)


@given(calibrations, st.lists(st.floats(1, 5), min_size=2, max_size=20))
def test_calibrated_scores_keep_their_order_and_stay_on_the_scale(calibration, scores):
    mapped = [calibration.score(score) for score in sorted(scores)]
    assert mapped == sorted(mapped)
    assert all(SCALE.low <= score <= SCALE.high for score in mapped)


@pytest.mark.parametrize("shift", [-1e308, -800.0, 800.0, 1e308])
def test_a_shift_far_away_gives_the_scales_end(shift):
    calibration = Calibration(low_slope=1.0, high_slope=1.0, shift=shift)
    assert calibration.score(3.0) == (1.0 if shift < 0 else 5.0)


@pytest.mark.parametrize("slopes", [(float("inf"), 1.0), (1.0, float("nan")), (0.0, 1.0)])
def test_slopes_that_are_no_slopes_are_refused(slopes):
    with pytest.raises(ConfigError, match=r"expected finite slopes over 0 and a finite shift$"):
        Calibration(low_slope=slopes[0], high_slope=slopes[1], shift=0.0)


def test_scores_that_differ_stay_different():
    calibration = Calibration(low_slope=0.5, high_slope=2.0, shift=1.0)
    scores = [1 + 4 * step / 1000 for step in range(1001)]
    assert len({calibration.score(score) for score in scores}) == 1001


def test_the_steepest_fit_keeps_scores_apart():
    labels = [1.0] * 20 + [5.0] * 20
    found = fit_calibration([1 + at / 10 for at in range(40)], labels, ON)
    scores = [1 + 4 * step / 400 for step in range(401)]
    assert len({found.score(score) for score in scores}) == 401


def test_a_fit_finds_the_map_that_made_the_labels():
    true = Calibration(low_slope=1.5, high_slope=0.6, shift=-0.4)
    scores = np.linspace(1.1, 4.9, 60).tolist()
    found = fit_calibration(scores, [true.score(score) for score in scores], ON)
    assert (found.low_slope, found.high_slope, found.shift) == pytest.approx((1.5, 0.6, -0.4), abs=1e-3)


@given(st.lists(st.tuples(st.floats(1, 5), st.integers(1, 5)), min_size=10, max_size=60))
@settings(max_examples=200)
def test_a_fit_never_errs_more_on_its_own_rows_than_no_calibration(rows):
    scores, labels = [score for score, _ in rows], [float(label) for _, label in rows]
    assume(len(set(scores)) > 1 and len(set(labels)) > 1)
    found = fit_calibration(scores, labels, ON)
    before = sum(abs(score - label) for score, label in rows) / len(rows)
    after = sum(abs(found.score(score) - label) for score, label in rows) / len(rows)
    assert after < before + 0.14  # what the fit rounds off: 0.1 points of a small error, 0.04 at the scale's ends


def test_a_fit_keeps_the_scores_of_a_judge_that_is_mostly_right_apart():
    labels = [1.0, 5.0] * 20
    scores = [6 - label if at % 5 == 0 else label for at, label in enumerate(labels)]  # every fifth is far off
    found = fit_calibration(scores, labels, ON)
    assert found.score(1.0) < 1.1
    assert found.score(5.0) > 4.9


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0], "got 5 rows to calibrate on; expected at least 10, with different lab"),
        ([2.0] * 20, range(20), "got the score 2 alone to calibrate on; expected different scores"),
        (range(20), [3.0] * 20, "got 20 rows with the label 3 alone to calibrate on; expected at least 10, with diff"),
    ],
)
def test_too_little_to_fit_is_one_clear_error(scores, labels, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        fit_calibration(list(scores), list(labels), ON)
    with pytest.raises(ConfigError, match=f"^{message}"):
        fit_calibration(np.array(scores), np.array(labels), ON)


def test_a_saved_calibration_comes_back(tmp_path):
    fitted_on = FittedOn(ScoreScale(0, 3), frozenset({"1f", "2a"}))
    calibration = Calibration(low_slope=1.5, high_slope=0.6, shift=-0.4, fitted_on=fitted_on)
    calibration.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == calibration


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "not a calibration; expected a file that `prom-reward evaluate --fit-calibration` wrote"),
        ("[1", "not a calibration"),
        (json.dumps({**FIT, "shift": "x"}), "with low_slope, high_slope, shift, scale, rubrics"),
        (json.dumps({**FIT, "scale": [5, 1]}), "not a calibration"),
        (json.dumps({**FIT, "low_slope": 0}), "expected finite slopes over 0 and a finite shift"),
    ],
)
def test_another_file_is_no_calibration(tmp_path, content, message):
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(ConfigError, match=message):
        Calibration.load(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("lacking", "shown"),
    [(("scale", "rubrics"), "'scale' and 'rubrics'"), (("scale",), "'scale'"), (("rubrics",), "'rubrics'")],
)
@pytest.mark.parametrize("is_null", [False, True])
def test_a_calibration_that_says_not_where_it_holds_can_be_completed(tmp_path, lacking, shown, is_null):
    path = tmp_path / "c.json"
    kept = {key: value for key, value in FIT.items() if key not in lacking}
    path.write_text(json.dumps({**kept, **dict.fromkeys(lacking if is_null else ())}))
    with pytest.raises(
        ConfigError, match=rf"c\.json: a calibration without {shown}, .* evaluate --fit-calibration`, "
    ) as caught:
        Calibration.load(path)
    advised = str(caught.value).partition(", or add ")[2]
    assert [key for key in ("scale", "rubrics") if f'as "{key}": ' in advised] == list(lacking)
    path.write_text(json.dumps({**kept, "scale": [1, 5], "rubrics": []}))
    assert Calibration.load(path).fitted_on.scale == ScoreScale(1, 5)


def test_a_missing_calibration_is_named_before_a_judge_is_made(tiny_judge_folder):
    with pytest.raises(ConfigError, match=r"nowhere.json: cannot read the calibration"):
        load_judge(tiny_judge_folder, calibration="nowhere.json")


def test_a_judge_calibrates_its_expected_score_alone(tmp_path, request_of):
    calibration = Calibration(low_slope=1.0, high_slope=1.0, shift=2.0)
    replies = ["Good. [RESULT] 4", "nothing"]
    requests = [request_of("a"), request_of("b")]
    plain = PrometheusJudge(ScriptedEngine(replies)).grade(requests)
    judge = PrometheusJudge(ScriptedEngine(replies), calibration=calibration)
    scored, unscored = judge.grade(requests)
    assert scored.expected_score == calibration.score(plain[0].expected_score) > plain[0].expected_score
    assert (scored.score, scored.score_probs) == (plain[0].score, plain[0].score_probs)
    assert unscored == plain[1]
    assert judge.fingerprint != PrometheusJudge(ScriptedEngine(replies)).fingerprint


def test_scores_under_rubrics_of_the_fit_give_no_warning(request_of, caplog):
    calibrated_judge(["[RESULT] 4"], "helpfulness").grade([request_of("a")])
    assert not caplog.records


def test_scores_under_other_rubrics_are_calibrated_with_one_warning(request_of, caplog):
    judge = calibrated_judge(["[RESULT] 4"] * 3, "honesty")
    found = judge.grade([request_of("a"), replace(request_of("b"), rubric="reasoning"), request_of("c")])
    assert [one.expected_score > 4 for one in found] == [True] * 3
    assert [one.getMessage() for one in caplog.records] == [
        "fit.json: scores are changed by a rubric that is new to it, 'helpfulness'; "
        "it was fitted on 1 rubric with scores from 1 to 5"
    ]


def test_scores_on_another_scale_and_criteria_stay_the_judges_own(request_of, caplog):
    levels = {label: f"Level {label}." for label in range(1, 11)}
    rubric = Rubric(name="ten", criteria="Is it good?", descriptions=levels, scale=ScoreScale(1, 10))
    checklist = parse_checklist([{"criterion": "Names a number.", "points": 1}])
    requests = [replace(request_of("a"), rubric=one) for one in (rubric, checklist)]
    replies = ["[RESULT] 4", "[RESULT] 1"]
    found = calibrated_judge(replies, "helpfulness").grade(requests)
    assert found == PrometheusJudge(ScriptedEngine(replies)).grade(requests)
    assert [one.getMessage() for one in caplog.records] == [
        "fit.json: scores from 1 to 10 stay the judge's own (rubric 'ten'); "
        "it was fitted on 1 rubric with scores from 1 to 5"
    ]


def calibrated_judge(replies, rubric):
    fitted_on = FittedOn(SCALE, frozenset({rubric_digest(Rubric.parse(rubric))}))
    calibration = Calibration(low_slope=1.0, high_slope=1.0, shift=2.0, fitted_on=fitted_on, name="fit.json")
    return PrometheusJudge(ScriptedEngine(list(replies)), calibration=calibration)
