"""A judge on an OpenAI-compatible server: vLLM, SGLang, TGI, llama.cpp or a hosted one.

`prom_reward.engines.server.session` runs on its private event loop.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prom_reward.engines.base import Engine, Generation, SamplingParams, conversation_name
from prom_reward.engines.model.loading import load_tokenizer
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.server.loop_thread import LoopThread
from prom_reward.engines.server.per_process import PerProcess, Running
from prom_reward.engines.server.source import ServerSource, require_openai
from prom_reward.engines.server.stats import ServerStats
from prom_reward.errors import ConfigError, MissingPackageError, ModelLoadError, check_unquoted
from prom_reward.types import Conversation, JudgePrompt

if TYPE_CHECKING:
    from prom_reward.engines.server.probe import ServerAbilities
    from prom_reward.engines.server.session import ServerSession

logger = logging.getLogger(__name__)


class OpenAIEngine(Engine):
    """Asks a server that all processes of a run may share.

    It connects at its first use, once a process, and waits for a server that does not answer yet. `close` ends its
    thread and connections; so does the end of the engine or of the process.

    Args:
        source: Where the server is, and the limits of its use.
        conversation: Makes the judge's conversation for its tokenizer, for example an entry of
            `prom_reward.prompts.conversation.CONVERSATIONS`.
        system_separator: Text between system and task text if a chat server gets both in one message, as
            in `prom_reward.prompts.conversation.SYSTEM_SEPARATORS`; None sends a system message.
        tokenizer: The source of the judge's tokenizer. With it prompts go as token ids if the server takes them (one
            BOS, no special token out of candidate text); without it, or if it cannot be loaded, as text.
        context_length: Tokens that prompt and answer may take together; None takes the server's word.
        chat_template_kwargs: Arguments of the server's chat template, such as `enable_thinking`.

    Raises:
        MissingPackageError: The `openai` package is not installed.
    """

    def __init__(
        self,
        source: ServerSource,
        *,
        conversation: Callable[[Any], Conversation],
        system_separator: str | None = None,
        tokenizer: ModelSource | None = None,
        context_length: int | None = None,
        chat_template_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        require_openai()
        check_unquoted("chat_template_kwargs", chat_template_kwargs or {})
        self.source = source
        self._conversation = conversation
        self._system_separator = system_separator
        self._tokenizer = tokenizer
        self._context_length = context_length
        self._template_kwargs = dict(chat_template_kwargs or {})
        self._start_anew()

    def __getstate__(self) -> dict[str, Any]:
        names = ("source", "_conversation", "_system_separator", "_tokenizer", "_context_length", "_template_kwargs")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start_anew()

    @property
    def fingerprint(self) -> str:
        """The identity, and the served model's name; asks the server for it only if none is given."""
        if self.source.model is not None:
            return self.identity
        return f"{self.identity}|{self._running().opened.route.model}"

    @property
    def identity(self) -> str:
        """The server's address, the names of model and tokenizer, the conversation and the given context."""
        tokenizer = self._tokenizer.tokenizer or self._tokenizer.model if self._tokenizer is not None else None
        given = [tokenizer, conversation_name(self._conversation), self._context_length]
        parts = [self.source.url, self.source.model, self.source.api, *given]
        added = [dict(one) for one in (self.source.extra_body, self._template_kwargs) if one]
        return "openai:" + "|".join(str(part or "") for part in [*parts, *added])

    @property
    def context_length(self) -> int | None:
        """The given length, else what the server says."""
        return self._context_length or self._running().opened.route.context_length

    def load(self) -> None:
        """Connect, and find out what the server can do."""
        self._running()

    def count_tokens(self, prompt: JudgePrompt) -> int:
        """Return the number of tokens of the rendered prompt, BOS and prefix included."""
        running = self._running()
        return running.loop.run(running.opened.answers.count_tokens(prompt))

    def generate(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        """Answer every prompt, in order; see `prom_reward.engines.base.Engine.generate`.

        A prompt that gets no answer after all retries has failed, alone. If the server does not offer
        log-probabilities or started answers, verdicts come without distribution, or a feedback without verdict
        stays unread; `prom-reward judges --check URL` says what it offers.

        Raises:
            ServerGoneError: The server has not answered for `source.outage_deadline_s`.
            ConfigError: The server refuses this caller, or cannot do what the prompts need.
        """
        if not prompts:
            return []
        running = self._running()
        return running.loop.run(running.opened.answer_all(prompts, sampling))

    async def agenerate(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        """Answer as `generate` does, on the engine's own thread: no thread waits for a call."""
        if not prompts:
            return []
        running = self._connections.current
        if running is None:
            running = await asyncio.to_thread(self._running)
        return await running.loop.arun(running.opened.answer_all(prompts, sampling))

    def take_metrics(self) -> dict[str, float]:
        """Return retries, failures and latencies (seconds) since they were last taken."""
        return self._stats.take()

    def close(self) -> None:
        """End the thread and the connections; the next use starts anew."""
        self._connections.close()

    def _start_anew(self) -> None:
        self._stats = ServerStats()
        self._connections: PerProcess[ServerSession] = PerProcess()

    def _running(self) -> "Running[ServerSession]":
        """Return what runs in this process; start it if nothing does."""
        return self._connections.get(self._opening)

    def _opening(self) -> "Coroutine[Any, Any, ServerSession]":
        from prom_reward.engines.server.session import open_session

        return open_session(
            self.source,
            self._stats,
            conversation=self._conversation,
            system_separator=self._system_separator,
            tokenizer=self._loaded_tokenizer(),
            model=self._tokenizer.model if self._tokenizer is not None else None,
            context_length=self._context_length,
            chat_template_kwargs=self._template_kwargs,
        )

    def _loaded_tokenizer(self) -> Any:
        if self._tokenizer is None:
            return None
        try:
            return load_tokenizer(self._tokenizer)
        except (ConfigError, ModelLoadError, MissingPackageError) as error:
            logger.warning("%s: prompts are sent as text, without the judge's tokenizer (%s)", self.source.url, error)
            return None


def server_abilities(source: ServerSource) -> "ServerAbilities":
    """Find out what a server can do.

    Raises:
        ConfigError: It cannot be used as it is configured.
        ServerGoneError: It does not answer.
    """
    require_openai()
    from prom_reward.engines.server.session import check_server

    loop = LoopThread("prom-reward-server")
    try:
        return loop.run(check_server(source))
    finally:
        loop.close()
