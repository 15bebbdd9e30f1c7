import pytest

from prom_reward import PrometheusJudge, ScriptedEngine
from prom_reward.cli.parts.calibration_file import fit_calibration_file
from prom_reward.evaluation.calibration_check import CalibrationFit
from prom_reward.judging.calibration import Calibration

CALIBRATION = Calibration(low_slope=1.0, high_slope=1.0, shift=0.5)


@pytest.mark.parametrize(("rmse_after", "is_told"), [(1.5, True), (1.0, False), (None, False)])
def test_a_calibration_that_makes_large_errors_larger_says_so(tmp_path, monkeypatch, capsys, rmse_after, is_told):
    fit = CalibrationFit(calibration=CALIBRATION, mae_before=1.0, mae_after=0.9, rmse_before=1.2, rmse_after=rmse_after)
    monkeypatch.setattr("prom_reward.cli.parts.calibration_file.fit_on_rows", lambda rows: fit)
    judge = PrometheusJudge(ScriptedEngine(["[RESULT] 4"]))
    figures = fit_calibration_file([], judge, tmp_path / "calibration.json", shows=True)
    said = capsys.readouterr()
    assert ("makes large errors larger" in said.err) is is_told
    assert "root mean square error 1.200 -> " in said.out
    assert figures["rmse_after"] == rmse_after
    assert Calibration.load(tmp_path / "calibration.json") == CALIBRATION
