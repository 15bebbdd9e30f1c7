"""A served scripted judge, asked through the application without a socket."""

from contextlib import contextmanager

from starlette.testclient import TestClient

from prom_reward import PrometheusJudge, ScriptedEngine
from prom_reward.rewards.batch import RowReader
from prom_reward.rewards.normalizers import resolve_normalizer
from prom_reward.rewards.reward_rule import RewardRule
from prom_reward.rubrics.rubric import parse_rubrics
from prom_reward.serving.app import make_app
from prom_reward.serving.batcher import BatchLimits
from prom_reward.serving.service import JudgeService


def word_score(prompt):
    """Give the score that a response names, as in "s4"; "fail" breaks the engine, anything else is no verdict."""
    response = prompt.user.split("###Response to evaluate:\n")[-1].split("\n\n###")[0]
    if "fail" in response:
        raise RuntimeError("the engine broke")
    return f"So. [RESULT] {response[1:]}" if response.startswith("s") else "Who knows."


def served(judge=None, *, rubric="helpfulness", key=None, max_body_bytes=1 << 20, **settings):
    """Return the service of a judge and its application."""
    judge = judge or PrometheusJudge(ScriptedEngine(word_score), name="scripted")
    limits = settings.pop("limits", BatchLimits(max_wait_s=0))
    rule = settings.pop("rule", RewardRule(normalizer=resolve_normalizer("unit")))
    rubrics = parse_rubrics(rubric) if rubric is not None else ()
    service = JudgeService(judge, rows=RowReader(rubrics=rubrics), rule=rule, limits=limits, **settings)
    return service, make_app(service, key=key, max_body_bytes=max_body_bytes)


@contextmanager
def client_of(*args, **settings):
    """Yield a client of an application that lives."""
    service, app = served(*args, **settings)
    with TestClient(app, raise_server_exceptions=True) as client:
        client.service = service
        yield client
