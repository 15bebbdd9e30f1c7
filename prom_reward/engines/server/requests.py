"""The requests for one prompt: their bodies and their cost."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.server.probe import CHAT, COMPLETIONS, CONTINUE, NEUTRAL, EndpointAbilities
from prom_reward.engines.server.prompts import PromptWriter
from prom_reward.engines.server.replies import Reply, read_replies, read_reply
from prom_reward.engines.server.transport.client import RequestFailedError, ServerClient
from prom_reward.engines.server.transport.rate_limit import Pace
from prom_reward.engines.tokens.label_probs import Tokens, next_tokens
from prom_reward.types import JudgePrompt

logger = logging.getLogger(__name__)

_REFUSED = (400, 413, 422)  # it may take fewer prompts at once than a call has: half of all requests would be in vain
_CHARS_A_TOKEN = 4  # for the rate alone, if no tokenizer counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The form of requests to one model of one server."""

    model: str
    """The name under which it is served."""
    is_chat: bool
    """Chat completions in place of text completions."""
    abilities: EndpointAbilities
    """The endpoint's abilities."""
    context_length: int | None
    """Tokens that prompt and answer may take together; None if unknown."""
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the server's chat template; empty for text completions."""


@dataclass(slots=True)
class Usage:
    """Tokens of all requests for one prompt, as the server counted them."""

    num_prompt: int = 0
    num_computed: int = 0

    def add(self, reply: Reply) -> None:
        """Add a request's tokens."""
        self.num_prompt = self.num_prompt or reply.num_prompt_tokens
        self.num_computed += max(0, reply.num_prompt_tokens - reply.num_cached_tokens)


class ServerRequests:
    """Sends the requests of one prompt after another.

    Args:
        client: The connections to the server.
        route: How its model is asked.
        writer: Writes the prompts.
        pace: Holds requests back.
    """

    def __init__(self, *, client: ServerClient, route: Route, writer: PromptWriter, pace: Pace) -> None:
        self._client = client
        self._writer = writer
        self._pace = pace
        self.route = route
        """The form of requests."""
        self.uses_ids = writer.encoder is not None and not route.is_chat and route.abilities.takes_token_ids
        """Prompts go as token ids."""
        self.reads_ids = self.uses_ids and route.abilities.reads_token_ids
        """Log-probabilities are those of chosen token ids."""
        self._refuses_several = False

    def context(self, prompt: JudgePrompt, written: str = "") -> dict[str, Any]:
        """Return a prompt, with what the judge wrote, in the form that the server takes."""
        if not self.route.is_chat:
            write = self._writer.ids if self.uses_ids else self._writer.text
            return {"prompt": write(prompt, written)}
        messages = self._writer.messages(prompt, written)
        return {"messages": messages, **(CONTINUE if messages[-1]["role"] == "assistant" else {})}

    async def ask(self, context: Mapping[str, Any], usage: Usage, **options: Any) -> Reply:
        """Send one request and add what it cost; raises as `ServerClient.ask` does."""
        await self._pace.take(self._num_tokens(context) + int(options["max_tokens"]))
        path = CHAT if self.route.is_chat else COMPLETIONS
        reply = read_reply(await self._client.ask(path, self._body(context, options)))
        usage.add(reply)
        return reply

    async def ask_together(self, contexts: Sequence[Mapping[str, Any]], **options: Any) -> list[Reply | None]:
        """Send several prompts of text completions in one request, once.

        Returns:
            Their replies, in order; None for a prompt that has to be asked alone. Tokens that the server counted for
            all are divided by the prompts' lengths.
        """
        if self._refuses_several:
            return [None] * len(contexts)
        lengths = [self._num_tokens(one) for one in contexts]
        await self._pace.take(sum(lengths) + len(lengths) * int(options["max_tokens"]))
        body = self._body({"prompt": [one["prompt"] for one in contexts]}, options)
        try:
            answer = await self._client.ask(COMPLETIONS, body, num_prompts=len(contexts))
        except RequestFailedError as error:
            logger.info("a request for %d prompts failed (%s); each is asked alone", len(contexts), error)
            self._refuses_several = self._refuses_several or error.status in _REFUSED
            return [None] * len(contexts)
        replies = read_replies(answer, len(contexts))
        total = max(1, sum(lengths))
        return [reply and self._own(reply, length, total) for reply, length in zip(replies, lengths, strict=True)]

    def _own(self, reply: Reply, length: int, total: int) -> Reply:
        """Return a reply to one prompt with the tokens of that prompt; llama.cpp counts those of the first alone."""
        counted = reply.num_prompt_tokens
        own = length if self.uses_ids and counted else round(counted * length / total)
        cached = round(reply.num_cached_tokens * own / counted) if counted else 0
        return replace(reply, num_prompt_tokens=own, num_cached_tokens=cached)

    def _num_tokens(self, context: Mapping[str, Any]) -> int:
        prompt = context.get("prompt") or context.get("messages")
        return len(prompt) if isinstance(prompt, list) and self.uses_ids else len(str(prompt)) // _CHARS_A_TOKEN

    def _body(self, context: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request's body in the server's words, without the fields that it refuses."""
        abilities = self.route.abilities
        kept = {name: value for name, value in options.items() if name not in {"max_tokens", *abilities.left_out}}
        kept[abilities.max_tokens_key] = options["max_tokens"]
        if self.route.chat_template_kwargs:
            kept["chat_template_kwargs"] = dict(self.route.chat_template_kwargs)
        return {"model": self.route.model, **context, **kept}

    def rows(self, prompt: JudgePrompt) -> dict[str, Any]:
        """Return what asks for log-probabilities at every token."""
        if self.reads_ids:
            return chosen(next_tokens(self._writer.labels(prompt).tails)[()])
        if not self.route.abilities.top_logprobs:
            return {}
        top = self.route.abilities.top_logprobs
        return {"logprobs": True, "top_logprobs": top} if self.route.is_chat else {"logprobs": top}

    def sampling(self, sampling: SamplingParams) -> dict[str, Any]:
        """Return how feedback is written, as far as the server takes it."""
        options: dict[str, Any] = {"temperature": sampling.temperature, "top_p": sampling.top_p}
        penalty = {**NEUTRAL, "repetition_penalty": sampling.repetition_penalty}
        return options | (penalty if self.route.abilities.takes_penalty else {})

    def greedy(self) -> dict[str, Any]:
        """Return the sampling of a verdict that is only read."""
        return self.sampling(SamplingParams(temperature=0, top_p=1, repetition_penalty=1))


def chosen(tokens: Tokens) -> dict[str, Any]:
    """Return what asks for the log-probabilities of chosen token ids."""
    return {"logprobs": 1, "logprob_token_ids": list(tokens), "return_tokens_as_token_ids": True}
