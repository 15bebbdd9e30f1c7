import importlib.util

import pytest

from prom_reward.cli import serve as module
from prom_reward.cli.serve import serve
from prom_reward.errors import ConfigError, InputError, MissingPackageError, RubricError
from tests.serving.served_process import served_process


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "uvicorn" else find(name, *rest)
    )
    with pytest.raises(MissingPackageError, match=r"uvicorn.*\[serve\]"):
        serve()


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"rubric": "helpfulnes"}, RubricError),
        ({"judge": "smollm2-135"}, ConfigError),
        ({"max_wait_ms": 1e9}, ConfigError),
        ({"host": "999.1.1.1"}, InputError),
    ],
)
def test_a_wrong_setting_is_named_before_the_judge_is_loaded(monkeypatch, settings, error):
    monkeypatch.setattr(module, "load_now", lambda judge: pytest.fail("loaded"))
    with pytest.raises(error):
        serve(**settings)


def test_another_address_without_a_key_warns():
    with served_process("--host", "0.0.0.0", "--port", 0) as server:
        assert any("without a key" in line for line in server.said)
    with served_process("--host", "0.0.0.0", "--port", 0, env={"PROM_REWARD_SERVE_KEY": "sesame"}) as server:
        assert not any("without a key" in line for line in server.said)
