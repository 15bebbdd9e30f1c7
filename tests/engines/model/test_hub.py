import huggingface_hub
import pytest
from huggingface_hub import constants

from prom_reward.engines.model import hub
from prom_reward.engines.model.hub import is_local_only
from prom_reward.engines.model.loading import load_model
from prom_reward.engines.model.source import ModelSource
from prom_reward.errors import ModelLoadError


@pytest.fixture
def tries(monkeypatch):
    """Counts the requests to a hub that does not answer."""
    made = []

    class Session:
        def head(self, url, timeout):
            made.append(timeout)
            raise ConnectionError("no network")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    hub.hub_answers.cache_clear()
    yield made
    hub.hub_answers.cache_clear()


def test_without_network_a_hub_id_is_refused_after_two_short_tries(tries):
    with pytest.raises(ModelLoadError, match="'someone/judge'") as caught:
        load_model(ModelSource(model="someone/judge", device="cpu"))
    assert len(tries) == 2 and max(tries) <= 3
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelLoadError, match="'someone/other'"):
        load_model(ModelSource(model="someone/other", device="cpu"))
    assert len(tries) == 2


def test_a_folder_asks_nobody(tries, tmp_path):
    assert is_local_only(str(tmp_path))
    assert not tries


def test_a_hub_that_answers_is_asked(monkeypatch, tries):
    monkeypatch.setattr(huggingface_hub, "get_session", type("Session", (), {"head": lambda *_, **__: None}))
    assert not is_local_only("someone/judge")
