import importlib.util

import pytest

from tests.serving.served_process import served_process


def test_a_missing_package_is_named_with_the_command_that_installs_it(run, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "uvicorn" else find(name, *rest)
    )
    shown = run("serve")
    assert shown.status == 1
    assert "serving needs uvicorn" in shown.err
    assert ".[serve]" in shown.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rubric", "helpfulnes"), "Did you mean 'helpfulness'"),
        (("smollm2-135",), "Did you mean 'smollm2-135m'"),
        (("--max-wait-ms", "1e9"), "longest wait"),
        (("--host", "999.1.1.1"), "cannot listen on 999.1.1.1"),
        (("--port", "0", "--log", "/proc/no/log.jsonl"), "cannot write the judgment log"),
        (("--num-samples", "3"), "got num_samples=3 and mode='score'"),
    ],
)
def test_a_wrong_setting_is_named_before_the_judge_is_loaded(run, monkeypatch, arguments, said):
    monkeypatch.setattr("prom_reward.cli.commands.serve.load_now", lambda judge: pytest.fail("loaded"))
    shown = run("serve", *arguments)
    assert shown.status == 2
    assert said in shown.err


def test_another_address_without_a_key_warns():
    with served_process("--host", "0.0.0.0", "--port", 0) as server:
        assert any("without a key" in line for line in server.said)
    with served_process("--host", "0.0.0.0", "--port", 0, env={"PROM_REWARD_SERVE_KEY": "sesame"}) as server:
        assert not any("without a key" in line for line in server.said)
