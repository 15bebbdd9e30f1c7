"""A served scripted judge that the environment variables of the integrations name."""

import sys
from types import ModuleType

import pytest

from prom_reward.integrations import configured
from tests.serving.served_thread import served_url


@pytest.fixture(scope="session")
def judge_url():
    with served_url() as (url, _):
        yield url


@pytest.fixture
def settings(judge_url, monkeypatch):
    """Sets the environment variables; a rollout "s4" has the reward 0.71875, "fail" has none."""

    def use(on_unscored="raise", rubric="helpfulness"):
        monkeypatch.setenv(configured.JUDGE, judge_url)
        monkeypatch.setenv(configured.RUBRIC, rubric)
        monkeypatch.setenv(configured.ON_UNSCORED, on_unscored)
        configured.configured_reward.cache_clear()

    use()
    yield use
    configured.configured_reward().judge.close()
    configured.configured_reward.cache_clear()


@pytest.fixture
def framework(monkeypatch):
    """Puts a module with the base classes of a framework in its place."""

    def place(name, **members):
        module = ModuleType(name)
        module.__dict__.update(members)
        parts = name.split(".")
        for at in range(1, len(parts)):
            monkeypatch.setitem(sys.modules, ".".join(parts[:at]), ModuleType(".".join(parts[:at])))
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return place
