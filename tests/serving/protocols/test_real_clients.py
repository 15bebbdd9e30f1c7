"""The frameworks' own client code against the server: OpenRLHF 0.11.2, typesafe-sdk 0.7.5, LLaMA-Factory 0.9.5.

They stand in a folder that PROM_REWARD_CLIENTS names: `pip install --no-deps --target FOLDER openrlhf==0.11.2
pylatexenc typesafe-sdk==0.7.5 truststore tenacity llamafactory==0.9.5`.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.prompts.test_rendered import CHATML
from tests.serving.served_thread import served_url

CLIENTS = os.environ.get("PROM_REWARD_CLIENTS")
pytestmark = pytest.mark.skipif(CLIENTS is None, reason="set PROM_REWARD_CLIENTS to the folder of the frameworks")

OPENRLHF = """
import asyncio, openrlhf.utils.agent as agent
async def no_wait(seconds): pass
agent.asyncio.sleep = no_wait
executor = agent.SingleTurnAgentExecutor(URL + "/get_reward")
try:
    found = asyncio.run(executor._fetch_rewards_via_http([PROMPT + RESPONSE + "<|im_end|>"], [PROMPT], ["Seven"]))
except RuntimeError as error:
    found = str(error)
"""
TYPESAFE = """
from typesafe_sdk import Choice, Noul, Score, TypeSafeClient, TypeSafeError
client = TypeSafeClient(api_key="none", base_url=URL)
questions = {
    "yes": Noul(instructions="Is it so?"),
    "which": Choice(instructions="Which?", criteria={"a": "One", "b": None}),
    "level": Score(instructions="How much?", criteria=["none", "some", "all"]),
}
try:
    answers = client.system_one(state=RESPONSE, questions=questions).answers
    found = {name: one.model_dump(mode="json") for name, one in answers.items()}
except TypeSafeError as error:
    found = type(error).__name__
"""
LLAMA_FACTORY = """
import ast, pathlib, requests, torch, sys
file = pathlib.Path(sys.path[1]) / "llamafactory/train/ppo/ppo_utils.py"  # its imports need packages of audio and video
[function] = [one for one in ast.parse(file.read_text()).body if getattr(one, "name", "") == "get_rewards_from_server"]
exec(compile(ast.Module([function], []), str(file), "exec"))
try:
    found = get_rewards_from_server(URL + "/v1/score/evaluation", [PROMPT + RESPONSE]).tolist()
except KeyError as error:
    found = str(error)
"""


def found_by(code, url, response):
    """Run a client in a process of its own and return what it found."""
    values = f"import json\nURL, PROMPT, RESPONSE = {url!r}, {CHATML!r}, {response!r}\n"
    ran = subprocess.run(
        [sys.executable, "-c", f"{values}{code}\nprint(json.dumps(found))"],
        env={**os.environ, "PYTHONPATH": str(CLIENTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def url():
    with served_url() as (found, _):
        yield found


def test_openrlhf_gets_rewards_and_after_five_failures_none(url):
    [found] = found_by(OPENRLHF, url, "s4")
    assert found["rewards"] == pytest.approx([0.71875])
    assert "Request error for 5 times" in found_by(OPENRLHF, url, "fail")


def test_typesafes_client_reads_every_kind_of_answer_and_raises_if_there_is_none(url):
    found = found_by(TYPESAFE, url, "s1")
    assert found["yes"]["noul"] == pytest.approx(0.9)
    assert found["which"]["choice"] == "b"
    assert found["level"]["score"] == pytest.approx(1.0)
    assert "Error" in found_by(TYPESAFE, url, "fail")


def test_llama_factory_gets_scores_and_ends_without_them(url):
    assert found_by(LLAMA_FACTORY, url, "s4") == pytest.approx([0.71875])
    assert "scores" in found_by(LLAMA_FACTORY, url, "fail")
