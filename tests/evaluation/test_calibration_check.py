import pytest

from prom_reward.data.labels.labeled_rows import LabeledRequest
from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.errors import ConfigError
from prom_reward.evaluation.calibration_check import fit_on_rows
from prom_reward.evaluation.scores import ScoredRow
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.rubrics.rubric import Rubric


@pytest.fixture
def rows_of(request_of):
    """Makes rows whose judge is certain of `given(label)`; `per_question` of them belong together."""

    def make(given, per_question=4):
        requests = [request_of(f"answer {at}") for at in range(20)]
        labels = [1 + at % 5 for at in range(20)]
        engine = ScriptedEngine([f"x [RESULT] {given(label)}" for label in labels], confidence=0.9)
        judgments = PrometheusJudge(engine).grade(requests)
        return [
            ScoredRow(
                labeled=LabeledRequest(request=request, scores=(label,), cluster=str(at // per_question)),
                judgment=judgment,
            )
            for at, (request, label, judgment) in enumerate(zip(requests, labels, judgments, strict=True))
        ]

    return make


def test_a_biased_judge_errs_less_on_questions_that_were_not_fitted(rows_of):
    fitted = fit_on_rows(rows_of(lambda label: max(1, label - 1)))
    assert fitted.mae_after < fitted.mae_before - 0.3
    assert fitted.rmse_after < fitted.rmse_before
    assert fitted.calibration.score(2) > 2


def test_a_calibration_records_scale_and_rubrics(rows_of):
    fitted_on = fit_on_rows(rows_of(lambda label: max(1, label - 1))).calibration.fitted_on
    rubric = Rubric.parse("helpfulness")
    assert (fitted_on.scale, fitted_on.rubrics) == (rubric.scale, {rubric_digest(rubric)})


@pytest.mark.parametrize("per_question", [20, 11])
def test_too_few_questions_have_no_held_out_error(rows_of, per_question):
    fitted = fit_on_rows(rows_of(lambda label: max(1, label - 1), per_question=per_question))
    assert fitted.mae_before > 0
    assert (fitted.mae_after, fitted.rmse_after) == (None, None)


def test_a_judge_that_says_one_thing_cannot_be_calibrated(rows_of):
    with pytest.raises(ConfigError, match="got the score 3 alone to calibrate on"):
        fit_on_rows(rows_of(lambda label: 3))
