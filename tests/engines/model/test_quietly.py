import warnings
from contextlib import suppress

import pytest
from huggingface_hub import utils as hub
from transformers import modeling_gguf_pytorch_utils as gguf
from transformers.utils import logging as transformers_logging

from prom_reward.engines.model.loading import load_model
from prom_reward.engines.model.quietly import quiet_loading
from prom_reward.engines.model.source import ModelSource


@pytest.fixture(params=[(True, True), (False, True), (True, False), (False, False)])
def shown(request):
    """Whether the caller lets transformers and the hub show their bars."""
    before = transformers_logging.is_progress_bar_enabled(), not hub.are_progress_bars_disabled()
    _let(*request.param)
    yield request.param
    _let(*before)


def _let(transformers, of_hub):
    (transformers_logging.enable_progress_bar if transformers else transformers_logging.disable_progress_bar)()
    (hub.enable_progress_bars if of_hub else hub.disable_progress_bars)()


def _now():
    return transformers_logging.is_progress_bar_enabled(), not hub.are_progress_bars_disabled()


def test_bars_and_warnings_are_hidden_and_the_callers_settings_come_back(shown, capsys):
    bar = gguf.tqdm
    with suppress(ValueError), quiet_loading():
        assert _now() == (False, shown[1])
        warnings.warn("it will change", FutureWarning, stacklevel=1)
        list(gguf.tqdm(range(3), desc="Converting"))
        raise ValueError("no weights")
    assert (_now(), gguf.tqdm) == (shown, bar)
    assert capsys.readouterr().err == ""
    with pytest.warns(FutureWarning, match="it will change"):
        warnings.warn("it will change", FutureWarning, stacklevel=1)


def test_weights_load_without_a_bar(tiny_folder, capsys):
    _let(True, True)
    load_model(ModelSource(model=str(tiny_folder), dtype="float32", device="cpu"))
    assert capsys.readouterr().err == ""
    assert transformers_logging.is_progress_bar_enabled()
