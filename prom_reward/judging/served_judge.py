"""A judge behind `prom-reward serve`: all ranks of a training share its weights, and it puts their batches together.

Prompts, guard, detectors, calibration and cache are the server's; see `prom_reward/serving/README.md`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from prom_reward.engines.server.loop_thread import LoopThread
from prom_reward.engines.server.per_process import PerProcess, Running
from prom_reward.engines.server.source import SERVED_BY, ServerSource, require_openai
from prom_reward.engines.server.stats import ServerStats
from prom_reward.errors import ConfigError
from prom_reward.judging.asking.requests import parse_requests
from prom_reward.judging.base import Judge
from prom_reward.judging.composed.escalation import whole_groups
from prom_reward.types import Comparison, ComparisonRequest, GradingRequest, JudgeRequest, Judgment, Outcome

if TYPE_CHECKING:
    from prom_reward.engines.server.transport.client import ServerClient

_CHUNK = 32  # items a request, groups are not split for a judge that looks at them: a broken connection repeats no more
_FAULTS = (400, 413, 422)  # of a body that is too large or not understood: perhaps one item's, so halves are sent
_QUICK_S = 3.0  # a server on this machine or in this room answers by then

AnswerT = TypeVar("AnswerT", Judgment, Comparison)


class ServedJudge(Judge):
    """Sends whole requests to a `prom-reward serve`. It pickles; connections are opened at the first use.

    A server that is killed is waited for as any judge's server is. One that comes back with another judge is an error.

    Args:
        source: Where the server is, and the limits of its use.
        facts: What the server says about its judge.
    """

    reads_checklists = True

    def __init__(self, source: ServerSource, facts: Mapping[str, Any]) -> None:
        # A batch may take long: only a broken connection says that the server is gone. It has answered once.
        self.source = replace(
            source, request_timeout_s=source.batch_deadline_s, first_answer_s=source.outage_deadline_s
        )
        self.name = str(facts["name"])
        self.guard = bool(facts["guard"])
        self.taught_to_rank = bool(facts["taught_to_rank"])
        self.is_repeatable = bool(facts["is_repeatable"])
        self.judges_groups = bool(facts["judges_groups"])
        self.pairs_note = str(facts["pairs_note"])
        self._fingerprint, self._identity = str(facts["fingerprint"]), str(facts["identity"])
        self._ranks = bool(facts["ranks"])
        self._stats = ServerStats()
        self._connections: PerProcess[ServerClient] = PerProcess()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source, judge_facts(self))

    def __repr__(self) -> str:
        return f"ServedJudge({self.name!r}, {self.source.url})"

    @property
    def fingerprint(self) -> str:
        """The served judge's."""
        return self._fingerprint

    @property
    def identity(self) -> str:
        """The served judge's."""
        return self._identity

    @property
    def ranks(self) -> bool:
        """Whether the served judge does."""
        return self._ranks

    def load(self) -> None:
        """Ask the server for its judge."""
        running = self._running()
        _check_same(self, _facts(running.loop.run(running.opened.models())))

    def take_metrics(self) -> dict[str, float]:
        """Return retries, failures and latencies (seconds) since they were last taken."""
        return self._stats.take()

    def grade(self, requests: Sequence[GradingRequest | Mapping[str, Any]]) -> list[Judgment]:
        """Grade each response by direct assessment, on the server; see `PrometheusJudge.grade`.

        Raises:
            ServerGoneError: The server has not answered for `source.outage_deadline_s`.
            ConfigError: The server refuses this caller, or serves another judge now.
        """
        asked, running = parse_requests(requests, GradingRequest), self._running()
        return running.loop.run(self._asked(running.opened, "/grade", "judgments", asked, Judgment))

    async def agrade(self, requests: Sequence[GradingRequest | Mapping[str, Any]]) -> list[Judgment]:
        """Grade as `grade` does, without blocking the event loop."""
        asked, running = parse_requests(requests, GradingRequest), await asyncio.to_thread(self._running)
        return await running.loop.arun(self._asked(running.opened, "/grade", "judgments", asked, Judgment))

    def compare(self, requests: Sequence[ComparisonRequest | Mapping[str, Any]]) -> list[Comparison]:
        """Compare two responses each, on the server; see `PrometheusJudge.compare`."""
        asked, running = parse_requests(requests, ComparisonRequest), self._running()
        return running.loop.run(self._asked(running.opened, "/compare", "comparisons", asked, Comparison))

    def close(self) -> None:
        """End the thread and the connections; the next use starts anew."""
        self._connections.close()

    def _running(self) -> "Running[ServerClient]":
        return self._connections.get(self._opening)

    async def _opening(self) -> "ServerClient":
        from prom_reward.engines.server.transport.client import ServerClient

        return ServerClient(self.source, self._stats)

    async def _asked(
        self,
        client: "ServerClient",
        path: str,
        key: str,
        requests: Sequence[JudgeRequest],
        kind: type[AnswerT],
    ) -> list[AnswerT]:
        """Return the server's answers, in order; runs on the private loop."""
        places = range(len(requests))
        plain = [places[at : at + _CHUNK] for at in range(0, len(requests), _CHUNK)]
        chunks = whole_groups(requests, _CHUNK) if self.judges_groups else plain
        asked = [[requests[at] for at in chunk] for chunk in chunks]
        tasks = [asyncio.create_task(self._chunk(client, path, key, chunk, kind)) for chunk in asked]
        try:
            found = zip(chain.from_iterable(chunks), chain.from_iterable(await asyncio.gather(*tasks)), strict=True)
            return [answer for _, answer in sorted(found, key=lambda pair: pair[0])]
        finally:
            for task in tasks:
                task.cancel()

    async def _chunk(
        self,
        client: "ServerClient",
        path: str,
        key: str,
        requests: Sequence[JudgeRequest],
        kind: type[AnswerT],
    ) -> list[AnswerT]:
        from prom_reward.engines.server.transport.client import RequestFailedError

        try:
            answer = await client.ask(path, {"requests": [_json(one) for one in requests]})
        except RequestFailedError as error:
            if len(requests) > 1 and error.status in _FAULTS:
                half = len(requests) // 2
                first = await self._chunk(client, path, key, requests[:half], kind)
                return first + await self._chunk(client, path, key, requests[half:], kind)
            return [kind(outcome=Outcome.ENGINE_FAILED, error=str(error)) for _ in requests]
        if answer.get("judge") != self.fingerprint:
            raise ConfigError(_other_judge(self.source))
        found = [kind.from_dict(one) for one in answer[key]]
        if len(found) != len(requests):
            problem = f"the server gave {len(found)} answers to {len(requests)} requests"
            return [kind(outcome=Outcome.ENGINE_FAILED, error=problem) for _ in requests]
        return found


def judge_facts(judge: Judge) -> dict[str, Any]:
    """Return what a served judge says about itself, as a ServedJudge takes it."""
    told = ("name", "fingerprint", "identity", "guard", "ranks", "taught_to_rank", "is_repeatable")
    return {name: getattr(judge, name) for name in (*told, "judges_groups", "pairs_note")}


def served_judge(source: ServerSource) -> ServedJudge | None:
    """Return the judge of a `prom-reward serve`; None if the server is another, or does not answer now.

    With `source.api` "prom-reward" the server is waited for.

    Raises:
        MissingPackageError: The `openai` package is not installed.
        ConfigError: With `source.api` "prom-reward", the server is another.
        ServerGoneError: With `source.api` "prom-reward", it does not answer.
    """
    require_openai()
    if source.api != "prom-reward":
        facts = _facts(_quick_models(source))
        return None if facts is None else ServedJudge(source, facts)
    with closing(LoopThread("prom-reward-server")) as loop:
        facts = _facts(loop.run(_models(source)))
    if facts is None:
        raise ConfigError(f"the server {source.url} is no `prom-reward serve`; leave out server.api")
    return ServedJudge(source, facts)


async def _models(source: ServerSource) -> list[dict[str, Any]] | None:
    from prom_reward.engines.server.transport.client import ServerClient

    client = ServerClient(source, ServerStats())
    try:
        return await client.models()
    finally:
        await client.close()


def _quick_models(source: ServerSource) -> list[Any] | None:
    """Return what a server lists, without any wait for one that does not answer."""
    import httpx2

    key = source.read_key()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx2.Client(timeout=_QUICK_S, trust_env=not source.is_loopback) as client:
            listed = client.get(f"{source.url}/models", headers=headers).json()
    except (httpx2.HTTPError, ValueError):
        return None
    found = listed.get("data") if isinstance(listed, dict) else None
    return found if isinstance(found, list) else None


def _facts(models: Sequence[Any] | None) -> Mapping[str, Any] | None:
    """Return what a server says about its judge; None if it is no `prom-reward serve`."""
    ours = [one for one in models or () if isinstance(one, dict) and one.get("owned_by") == SERVED_BY]
    facts = ours[0].get("judge") if ours else None
    return facts if isinstance(facts, dict) else None


def _check_same(judge: ServedJudge, facts: Mapping[str, Any] | None) -> None:
    if facts is None or facts.get("fingerprint") != judge.fingerprint:
        raise ConfigError(_other_judge(judge.source))


def _other_judge(source: ServerSource) -> str:
    return f"the server {source.url} serves another judge than before; start it with the same one, or load it again"


def _json(request: JudgeRequest) -> dict[str, Any]:
    """Return a request's fields as JSON values."""
    fields = {name: getattr(request, name) for name in request.__slots__ if name != "rubric"}
    return {**fields, "rubric": request.rubric.to_dict()}
