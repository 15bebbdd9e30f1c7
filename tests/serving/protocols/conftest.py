"""A client of a judge that decides."""

import pytest

from prom_reward import PrometheusJudge, ScriptedEngine
from tests.serving.scripted_service import client_of


@pytest.fixture
def decider():
    """A judge that takes the last option, and gives no verdict on the text "fail"."""

    def last(prompt):
        return "Who knows." if "fail" in prompt.user else f"So. [RESULT] {prompt.labels[-1]}"

    with client_of(PrometheusJudge(ScriptedEngine(last, confidence=0.8), name="scripted"), rubric=None) as made:
        yield made
