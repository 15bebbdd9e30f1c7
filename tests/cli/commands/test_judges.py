import json

import pytest

from prom_reward.rubrics.rubric import builtin_names, builtin_rubric
from prom_reward.settings.resolution import judge_presets
from tests.fault_server import FaultServer
from tests.served_models import text_server as scripted
from tests.serving.served_thread import served_url


@pytest.fixture
def text_server():
    server = FaultServer(scripted())
    yield server
    server.close()


def test_all_judges_and_rubrics_are_listed(run):
    shown = run("judges")
    assert shown.status == 0
    for name in judge_presets():
        assert f" {name} " in shown.out
    for name in builtin_names():
        assert f" {name} " in shown.out
        assert builtin_rubric(name).criteria in shown.out


def test_a_served_model_without_its_server_is_refused(run):
    done = run("judges", "--served-model", "x")
    assert (done.status, "got --served-model x and no --check" in done.err) == (2, True)


def test_a_server_is_checked(run, text_server):
    shown = run("judges", "--check", text_server.url)
    assert shown.status == 0
    assert f"judge at {text_server.url}" in shown.out
    rows = [[cell.strip() for cell in line.split("│")[1:4]] for line in shown.out.splitlines() if "│" in line]
    assert rows == [
        ["feedback mode", "yes", "-"],
        ["score mode, forced verdicts", "yes", "-"],
        ["score distribution", "labels among the 5 likeliest tokens", "-"],
        ["prompts as token ids", "no", "-"],
        ["several prompts a request", "no", "-"],
        ["repetition penalty", "no", "-"],
    ]
    assert "context: the server does not say; give context_length" in shown.out
    listed = json.loads(run("judges", "--check", text_server.url, "--json").out)
    assert (listed["model"], listed["chat"], listed["completions"]["top_logprobs"]) == ("judge", None, 5)
    assert listed["completions"]["left_out"] == []


@pytest.mark.parametrize("has_completions", [True, False])
def test_decision_protocols_of_a_server_are_found(run, text_server, has_completions):
    completions = text_server.answer

    def answer(path, body):
        if path == "/v1/systemone":
            probabilities = {"0": 0.25, "1": 0.75}
            return {"answers": {"question 1": {"type": "score", "probabilities": probabilities}}}
        return completions(path, body) if has_completions else 404

    text_server.answer = answer
    shown = run("judges", "--check", text_server.url)
    assert shown.status == 0
    assert f"load_judge('{text_server.url}', api='systemone')" in shown.out
    assert "api='decisions'" not in shown.out
    assert ("feedback mode" in shown.out) == has_completions
    listed = json.loads(run("judges", "--check", text_server.url, "--json").out)
    assert listed["decisions"] == {"systemone": "judge"}


def test_a_server_that_is_not_there_or_has_no_such_model_is_one_line(run, text_server):
    gone = run("judges", "--check", "http://127.0.0.1:9")
    assert gone.status == 1
    assert "error: the judge's server http://127.0.0.1:9/v1 gave no answer for 5 s" in gone.err
    other = run("judges", "--check", text_server.url, "--served-model", "other")
    assert other.status == 2
    assert "the server has no model 'other'; expected one of judge" in other.err


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
    from prom_reward.settings.resolution import judge_config

    for settings in json.loads(run("judges", "--json").out)["judges"]:
        assert judge_config(settings) == judge_config(settings["name"])


def test_a_prom_reward_serve_is_found(run):
    with served_url() as (url, service):
        shown = run("judges", "--check", url).out
        found = json.loads(run("judges", "--check", url, "--json").out)
    assert "scripted of a `prom-reward serve`" in shown
    assert "guard: on; all settings that can change a judgment: `fingerprint` with --json" in shown
    assert service.judge.fingerprint not in shown
    assert found["served_judge"] == {"name": "scripted", "fingerprint": service.judge.fingerprint, "guard": True}
