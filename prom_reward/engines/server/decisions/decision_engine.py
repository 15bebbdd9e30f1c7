"""A judge at a decision endpoint: one that answers typed questions with probabilities and writes no text."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prom_reward.engines.base import Engine, Generation, SamplingParams
from prom_reward.engines.server.loop_thread import LoopThread
from prom_reward.engines.server.per_process import PerProcess, Running
from prom_reward.engines.server.source import DECISION_APIS, ServerSource, require_openai
from prom_reward.engines.server.stats import ServerStats
from prom_reward.errors import ConfigError, ServerGoneError
from prom_reward.types import JudgePrompt

if TYPE_CHECKING:
    from prom_reward.engines.server.decisions.decision_session import DecisionSession


class DecisionEngine(Engine):
    """Asks OpenAI's Decisions or System One (vLLM, TypeSafe and others) for the distribution at each verdict.

    Takes the prompts of `prom_reward.prompts.decision`. It connects at its first use, once a process.

    Args:
        source: Where the server is; its `api` is "decisions" or "systemone".

    Raises:
        MissingPackageError: The `openai` package is not installed.
    """

    def __init__(self, source: ServerSource) -> None:
        require_openai()
        self.source = source
        self._stats = ServerStats()
        self._connections: PerProcess[DecisionSession] = PerProcess()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source,)

    @property
    def fingerprint(self) -> str:
        """The identity, and the served model's name; asks the server for it only if none is given."""
        return self.identity if self.source.model is not None else f"{self.identity}|{self._running().opened.model}"

    @property
    def identity(self) -> str:
        """The protocol, the server's address and the given model."""
        added = [str(dict(self.source.extra_body))] if self.source.extra_body else []
        return "|".join([f"{self.source.api}:{self.source.url}", self.source.model or "", *added])

    @property
    def context_length(self) -> None:
        """Unknown: the server writes its model's prompt itself."""
        return None

    def count_tokens(self, prompt: JudgePrompt) -> int:
        """Raise ConfigError: the server writes its model's prompt itself."""
        raise ConfigError(f"a judge at {self.source.api} does not say how many tokens a prompt has")

    def load(self) -> None:
        """Connect, and ask one question."""
        self._running()

    def generate(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        """Answer every prompt, in order; sampling has no effect.

        Raises:
            ServerGoneError: The server has not answered for `source.outage_deadline_s`.
            ConfigError: It refuses this caller, or a prompt asks for written text.
        """
        self._check(prompts)
        if not prompts:
            return []
        running = self._running()
        return running.loop.run(running.opened.answer_all(prompts))

    async def agenerate(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        """Answer as `generate` does, on the engine's own thread."""
        self._check(prompts)
        if not prompts:
            return []
        running = self._connections.current
        if running is None:
            running = await asyncio.to_thread(self._running)
        return await running.loop.arun(running.opened.answer_all(prompts))

    def take_metrics(self) -> dict[str, float]:
        """Return retries, failures and latencies (seconds) since they were last taken."""
        return self._stats.take()

    def close(self) -> None:
        """End the thread and the connections; the next use starts anew."""
        self._connections.close()

    def _check(self, prompts: Sequence[JudgePrompt]) -> None:
        if not all(one.reads_score_at_once and len(one.label_texts) == len(one.labels) for one in prompts):
            raise ConfigError(f"a judge at {self.source.api} takes mode='score' and prompt_style='decision' alone")

    def _running(self) -> "Running[DecisionSession]":
        return self._connections.get(self._opening)

    def _opening(self) -> "Coroutine[Any, Any, DecisionSession]":
        from prom_reward.engines.server.decisions.decision_session import open_decisions

        return open_decisions(self.source, self._stats)


def decision_apis(source: ServerSource) -> dict[str, str | None]:
    """Ask a server for each decision protocol. Returns the model's name by protocol, None if it is the server's own."""
    require_openai()
    from prom_reward.engines.server.decisions.decision_session import open_decisions

    found: dict[str, str | None] = {}
    loop = LoopThread("prom-reward-server")
    try:
        for api in DECISION_APIS:
            try:
                session = loop.run(open_decisions(replace(source, api=api), ServerStats()))
            except (ConfigError, ServerGoneError):
                continue
            found[api] = session.model
            loop.run(session.close())
    finally:
        loop.close()
    return found
