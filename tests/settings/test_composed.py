import pytest
import yaml

from prom_reward import CascadeJudge, PanelJudge, load_judge
from prom_reward.cli.parts.options import check_judge
from prom_reward.config import load_prometheus_judge
from prom_reward.errors import ConfigError, PromRewardError
from prom_reward.settings.composed import composed_config

UNTUNED = {"preset": "smollm2-135m-untuned", "mode": "score"}


def written(tmp_path, settings):
    path = tmp_path / "judge.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_a_cascade_in_a_file(tmp_path):
    settings = {"cheap": UNTUNED, "strong": "smollm2-135m", "budget": 1, "by": "entropy", "max_calls": 8}
    judge = load_judge(written(tmp_path, {"cascade": settings}))
    assert isinstance(judge, CascadeJudge)
    assert (judge.cheap.name, judge.cheap.mode, judge.strong.name) == ("smollm2-135m-untuned", "score", "smollm2-135m")
    assert (judge.budget, judge.by, judge.max_calls, judge.name) == (1.0, "entropy", 8, "cascade")


def test_a_panel_in_a_mapping_may_hold_a_cascade():
    cascade = {"cascade": {"cheap": UNTUNED, "strong": "smollm2-135m", "name": "both"}}
    judge = load_judge({"panel": {"judges": ["smollm2-135m", cascade], "aggregate": "lower_bound", "name": "three"}})
    assert isinstance(judge, PanelJudge)
    assert [one.name for one in judge.judges] == ["smollm2-135m", "both"]
    assert (judge.aggregate, judge.name) == ("lower_bound", "three")


def test_what_lies_beside_the_file_is_found_in_the_judges_too(tmp_path, monkeypatch):
    for name in ("mine", "elsewhere/mine", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "fit.json").write_text("{}")
    (tmp_path / "one.yaml").write_text("model: mine")
    cascade = {"cheap": "one.yaml", "strong": {"adapter": "mine", "calibration": "fit.json"}, "budget": 1}
    panel = {"panel": {"judges": [{"cascade": cascade}, "other", "smollm2-135m", {"model": "owner/name"}]}}
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = composed_config(written(tmp_path, panel))
    assert found is not None
    strong = {"adapter": str(tmp_path / "mine"), "calibration": str(tmp_path / "fit.json")}
    inner = {"cascade": {"cheap": str(tmp_path / "one.yaml"), "strong": strong, "budget": 1}}
    assert found.judges == [inner, str(tmp_path / "other"), "smollm2-135m", {"model": "owner/name"}]
    assert composed_config(panel).judges == panel["panel"]["judges"]  # a mapping lies nowhere


def test_other_judges_are_none_of_these(tmp_path):
    assert composed_config("smollm2-135m") is None
    assert composed_config(UNTUNED) is None
    assert composed_config(written(tmp_path, UNTUNED)) is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"cascade": {"cheap": "smollm2-135m"}}, "missing key 'strong'"),
        ({"cascade": {"cheap": "a", "strong": "b", "budget": 30}}, "'budget'"),
        ({"cascade": {"cheap": "a", "strong": "b", "bugdet": 0.3}}, "Did you mean 'budget'"),
        ({"cascade": {"cheap": "a", "strong": "b", "by": "margin"}}, "'by'"),
        ({"cascade": {"cheap": "a", "strong": "b"}, "mode": "score"}, "got mode beside 'cascade'"),
        ({"cascade": ["a", "b"]}, "expected a mapping"),
        ({"panel": {"judges": ["smollm2-135m"]}}, "'judges'"),
        ({"panel": {"judges": ["smollm2-135m", "smollm2-135m"]}}, "give each another name"),
        ({"panel": {"judges": ["smollm2-135m", "smollm-135m"]}}, "unknown judge 'smollm-135m'"),
    ],
)
def test_what_means_nothing_is_refused(settings, told, tmp_path):
    for judge in (settings, written(tmp_path, settings)):
        with pytest.raises(ConfigError, match=told):
            load_judge(judge)


def test_commands_check_all_judges_and_take_one_if_they_read_its_settings(tmp_path):
    path = str(
        written(tmp_path, {"panel": {"judges": ["smollm2-135m", {**UNTUNED, "adapter": str(tmp_path / "none")}]}})
    )
    with pytest.raises(PromRewardError, match="none"):
        check_judge(path, {})
    check_judge({"cascade": {"cheap": UNTUNED, "strong": "smollm2-135m"}}, {})
    with pytest.raises(ConfigError, match="panel: got several judges"):
        load_prometheus_judge(path)


def test_settings_of_one_judge_do_not_fit_several():
    with pytest.raises(ConfigError, match="got mode for 'panel'"):
        load_judge({"panel": {"judges": [UNTUNED, "smollm2-135m"]}}, mode="score")
