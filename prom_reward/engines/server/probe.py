"""Finds out, once, what an OpenAI-compatible server can do.

Nothing is taken from a server's name or version: each ability is tried with a request of one token, and counts only if
the answer shows it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prom_reward.engines.server.models import context_length, served_name, unlisted
from prom_reward.engines.server.replies import Reply, read_replies, read_reply
from prom_reward.engines.server.source import SERVED_BY, ApiName
from prom_reward.engines.server.transport.client import RequestFailedError, ServerClient
from prom_reward.errors import ConfigError

logger = logging.getLogger(__name__)

COMPLETIONS, CHAT = "/completions", "/chat/completions"
NEUTRAL = {"top_k": -1, "repetition_penalty": 1.0}
"""Sampling that other servers than OpenAI's take; sent, because some take their model's own defaults otherwise."""
CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}
"""The arguments that make a chat server continue a started answer."""

_NOT_OFFERED = (400, 404, 405, 415, 422, 501)
_TOP_LOGPROBS = (20, 5, 1)
_MAX_TOKENS_KEYS = ("max_tokens", "max_completion_tokens")
_SAMPLING: Mapping[str, Any] = {"temperature": 0.5, "top_p": 0.9, "seed": 1}
_TRIED = {"auto": "completions and no chat completions", "completions": "completions", "chat": "chat completions"}
_IDS = [11, 12, 13, 14]
_SHORT = "2 + 2 ="
_SAMPLE = 'What is 2 + 2? Write it out.\n\n[RESULT] 4: \u00fcber 1,234.5% (naïve) of {"a": [1, 2]}\tdone — \u65e5\u672c'


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointAbilities:
    """The abilities of one of a server's two endpoints."""

    takes_token_ids: bool = False
    """A prompt may be token ids."""
    reads_token_ids: bool = False
    """Log-probabilities of chosen token ids (vLLM's `logprob_token_ids`)."""
    top_logprobs: int = 0
    """The number of the likeliest tokens that have log-probabilities; 0 is none."""
    takes_penalty: bool = False
    """It takes `repetition_penalty` and `top_k`."""
    continues_answer: bool = False
    """It goes on with a started answer."""
    takes_several: bool = False
    """One request may hold several prompts."""
    max_tokens_key: str = "max_tokens"
    """The field that limits the answer's length."""
    left_out: frozenset[str] = frozenset()
    """Fields of sampling that it refuses, and that are not sent."""
    num_sample_tokens: int | None = None
    """Tokens of a sample text, by which a tokenizer can be compared with the server's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAbilities:
    """A server's abilities for one model."""

    model: str
    """The name under which it serves the judge."""
    context_length: int | None
    """Tokens that prompt and answer may take together, if the server says so."""
    completions: EndpointAbilities | None
    """Text completions; None if it has none."""
    chat: EndpointAbilities | None
    """Chat completions; None if it has none."""


async def probe_server(
    client: ServerClient,
    *,
    model: str | None,
    fallback_model: str | None,
    api: ApiName = "auto",
    prefers: Literal["completions", "chat"] | None = None,
    suffices: Callable[[EndpointAbilities], bool] = lambda found: True,
) -> ServerAbilities:
    """Try what the server can do.

    Args:
        client: The connections to it.
        model: The name of its model; None takes `fallback_model` if it is served, else the only one.
        fallback_model: A name to look for.
        api: The endpoint that will be used; "auto" tries both, or the second only if the preferred one is no use.
        prefers: The endpoint that "auto" tries first; None tries both in any case.
        suffices: Whether what the preferred endpoint can do is enough.

    Raises:
        ConfigError: It does not serve the model, or none, or several and no name is given; or it refuses the key.
        ServerGoneError: It does not answer.
    """
    served = await client.models()
    if any(one.get("owned_by") == SERVED_BY for one in served or ()):
        raise ConfigError(
            "the server is a `prom-reward serve`, whose judge has settings of its own: give load_judge its url and "
            "nothing else, or server={'api': 'prom-reward'} to wait for it"
        )
    name = served_name(served, model, fallback_model)
    refusals: list[str] = []
    found: dict[str, EndpointAbilities | None] = {}
    tries = {"completions": _completions, "chat": _chat}
    order = ("chat", "completions") if prefers == "chat" else ("completions", "chat")
    for endpoint in order if api == "auto" else (api,):
        found[endpoint] = tried = await tries[endpoint](client, name, refusals)
        if endpoint == prefers and tried is not None and suffices(tried):
            break
    completions, chat = found.get("completions"), found.get("chat")
    if completions is not None:
        client.probe_request = (COMPLETIONS, {"model": name, "prompt": "1", completions.max_tokens_key: 1})
    elif chat is not None:
        client.probe_request = (CHAT, {"model": name, "messages": [_user("1")], chat.max_tokens_key: 1})
    else:
        raise ConfigError(
            unlisted(served, name)
            or f"the server answers no {_TRIED[api]} for the model {name!r} ({'; '.join(refusals)}); check the url (it "
            "often ends in /v1), server.model and server.api"
        )
    if listed := unlisted(served, name):
        logger.warning("%s It answers under this name all the same; make sure that it is the judge", listed)
    return ServerAbilities(model=name, context_length=context_length(served, name), completions=completions, chat=chat)


def sample_text() -> str:
    """Return the text whose tokens `num_sample_tokens` counts."""
    return _SAMPLE


async def _usable(
    client: ServerClient, path: str, body: Mapping[str, Any], refusals: list[str]
) -> tuple[str, frozenset[str]] | None:
    """Return the field that limits the answer, and the fields of sampling that an endpoint refuses.

    None if it answers nothing; `refusals` then has its words.
    """
    problem = ""
    for key in _MAX_TOKENS_KEYS:
        reply, problem = await _first_try(client, path, {**body, key: 1, **_SAMPLING})
        if reply is not None:
            return key, frozenset()
        reply, _ = await _first_try(client, path, {**body, key: 1})
        if reply is not None:
            tried = {name: await _try(client, path, {**body, key: 1, name: _SAMPLING[name]}) for name in _SAMPLING}
            return key, frozenset(name for name, answer in tried.items() if answer is None)
    refusals.append(f"{path}: {problem}")
    return None


async def _first_try(client: ServerClient, path: str, body: Mapping[str, Any]) -> tuple[Reply | None, str]:
    """Return the reply, or the server's words if it refuses; one endpoint may be forbidden and another not."""
    try:
        return read_reply(await client.ask(path, body)), ""
    except RequestFailedError as error:
        if error.status is None:
            raise
        return None, str(error)


async def _completions(client: ServerClient, model: str, refusals: list[str]) -> EndpointAbilities | None:
    usable = await _usable(client, COMPLETIONS, {"model": model, "prompt": _SAMPLE}, refusals)
    if usable is None:
        return None
    key, left_out = usable

    async def ask(**changes: Any) -> Reply | None:
        return await _try(client, COMPLETIONS, {"model": model, key: 1, **_kept(left_out), **changes})

    text = await ask(prompt=_SAMPLE)
    if text is None:
        return None
    ids = await ask(prompt=_IDS)
    takes_ids = ids is not None and ids.num_prompt_tokens in (0, len(_IDS))
    top = 0
    for wanted in _TOP_LOGPROBS:
        reply = await ask(prompt=_SAMPLE, logprobs=wanted)
        if reply is not None and reply.rows:
            top = _granted(wanted, reply)
            break
    reads_ids = False
    if takes_ids:
        reply = await ask(prompt=_IDS, logprobs=1, logprob_token_ids=_IDS[:2], return_tokens_as_token_ids=True)
        reads_ids = reply is not None and bool(reply.rows) and set(_IDS[:2]) <= set(reply.rows[0].by_id())
    together = {"model": model, key: 1, **_kept(left_out), **({"logprobs": top} if top else {})}
    takes_several = await _takes_several(client, together, [_SHORT, _SAMPLE], text) and (
        not takes_ids or await _takes_several(client, together, [_IDS[:2], _IDS], ids)
    )
    return EndpointAbilities(
        takes_token_ids=takes_ids,
        reads_token_ids=reads_ids,
        top_logprobs=top,
        takes_penalty=await ask(prompt=_SAMPLE, **NEUTRAL) is not None,
        continues_answer=True,
        takes_several=takes_several,
        max_tokens_key=key,
        left_out=left_out,
        num_sample_tokens=text.num_prompt_tokens or None,
    )


async def _takes_several(
    client: ServerClient, body: Mapping[str, Any], prompts: Sequence[str | list[int]], last: Reply | None
) -> bool:
    """Whether an endpoint answers several prompts at once, the last as it was answered alone."""
    try:
        answer = await client.ask(COMPLETIONS, {**body, "prompt": prompts}, num_prompts=len(prompts))
    except RequestFailedError:
        return False
    replies = read_replies(answer, len(prompts))
    is_whole = all(reply is not None and bool(reply.rows) == ("logprobs" in body) for reply in replies)
    return is_whole and last is not None and replies[-1] is not None and replies[-1].text == last.text


async def _chat(client: ServerClient, model: str, refusals: list[str]) -> EndpointAbilities | None:
    usable = await _usable(client, CHAT, {"model": model, "messages": [_user("1")]}, refusals)
    if usable is None:
        return None
    key, left_out = usable

    async def ask(*messages: dict[str, str], **changes: Any) -> Reply | None:
        return await _try(client, CHAT, {"model": model, key: 1, "messages": messages, **_kept(left_out), **changes})

    top = 0
    for wanted in _TOP_LOGPROBS:
        reply = await ask(_user("1"), logprobs=True, top_logprobs=wanted)
        if reply is not None and reply.rows:
            top = _granted(wanted, reply)
            break
    # A server that ignores the wish ends the started answer and opens another: more tokens for the same messages.
    started = (_user("1"), {"role": "assistant", "content": "[RESULT]"})
    plain, continued = await ask(*started), await ask(*started, **CONTINUE)
    counts = [reply.num_prompt_tokens if reply is not None else 0 for reply in (continued, plain)]
    return EndpointAbilities(
        top_logprobs=top,
        takes_penalty=await ask(_user("1"), **NEUTRAL) is not None,
        continues_answer=0 < counts[0] < counts[1],
        max_tokens_key=key,
        left_out=left_out,
    )


def _kept(left_out: frozenset[str]) -> dict[str, Any]:
    """Return greedy sampling, without the fields that a server refuses."""
    return {} if "temperature" in left_out else {"temperature": 0}


def _granted(wanted: int, reply: Reply) -> int:
    """Return the likeliest tokens to ask for: tokens of one text fall together, so fewer names may stand for all."""
    given = len(reply.rows[0].logprobs)
    return wanted if given > wanted // 2 else given


async def _try(client: ServerClient, path: str, body: Mapping[str, Any]) -> Reply | None:
    """Return the reply; None if the server does not offer this."""
    try:
        return read_reply(await client.ask(path, body))
    except RequestFailedError as error:
        if error.status in _NOT_OFFERED:
            return None
        raise


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
