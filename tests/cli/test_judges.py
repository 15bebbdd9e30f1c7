import json

from prom_reward.config import judge_presets
from prom_reward.rubrics import builtin_names, builtin_rubric


def test_all_judges_and_rubrics_are_listed(run):
    shown = run("judges")
    assert shown.status == 0
    for name in judge_presets():
        assert f" {name} " in shown.out
    for name in builtin_names():
        assert f" {name} " in shown.out
        assert builtin_rubric(name).criteria in shown.out


def test_json_lists_every_setting_and_level(run):
    listed = json.loads(run("judges", "--json").out)
    assert [judge["name"] for judge in listed["judges"]] == list(judge_presets())
    assert [rubric["name"] for rubric in listed["rubrics"]] == builtin_names()
    v1 = listed["judges"][2]
    assert (v1["name"], v1["model"], v1["conversation"]) == (
        "prometheus-7b-v1.0",
        "kaist-ai/prometheus-7b-v1.0",
        "llama-2",
    )
    assert v1["sampling"]["max_new_tokens"] == 256
    assert "preset" not in v1
    assert listed["rubrics"][0]["descriptions"].keys() == {"1", "2", "3", "4", "5"}


def test_every_listed_judge_can_be_given_back_as_settings(run):
    from prom_reward.config import judge_config

    for settings in json.loads(run("judges", "--json").out)["judges"]:
        assert judge_config(settings) == judge_config(settings["name"])
