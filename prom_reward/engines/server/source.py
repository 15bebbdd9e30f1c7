"""A judge's server and the limits of its use: the settings of `OpenAIEngine`, without secrets.

A key is read from the environment or a file when a client is made, and is never kept here.
"""

import importlib.util
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import SplitResult, urlsplit

from prom_reward.errors import ConfigError, MissingPackageError, check_unquoted

ApiName = Literal["auto", "completions", "chat", "decisions", "systemone", "prom-reward"]

DECISION_APIS: tuple[ApiName, ...] = ("decisions", "systemone")
"""The protocols whose endpoint answers typed questions with probabilities and writes no text."""

SERVED_BY = "prom-reward"
"""`owned_by` in the list of models of `prom-reward serve`."""

_ENDPOINT = re.compile(r"/+(?:chat/completions|completions|models)/*\Z")
_RESERVED = {"model", "messages", "prompt", "stream", "n", "echo"}  # an answer is one text, in one piece
_QUICK_PROBE_S = 5.0  # a living server lists its models by then
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSource:
    """An OpenAI-compatible server and the limits of its use. Holds no key and no connection: it pickles as it is."""

    url: str
    """Its base URL, as `http://127.0.0.1:8000/v1`; `/v1` is added if there is no path."""
    model: str | None = None
    """The name under which it serves the judge; None takes the only one."""
    api: ApiName = "auto"
    """"auto" takes text completions if the server has them and the prompt can be rendered here, else chat;
    "decisions" and "systemone" ask typed questions; "prom-reward" waits for a `prom-reward serve`, which "auto"
    recognizes if it answers at once."""
    api_key_env: str = "PROM_REWARD_API_KEY"
    """The environment variable that holds the key; none is sent if it is not set."""
    api_key_file: str | None = None
    """A file that holds the key, in place of the variable."""
    max_in_flight: int = 64
    """The most prompts under way at once, over all calls of one process."""
    requests_per_minute: float | None = None
    """Requests are spaced to keep to it; None for no limit."""
    tokens_per_minute: float | None = None
    """Tokens of prompt and answer; requests are spaced to keep to it. None for no limit."""
    request_timeout_s: float = 120.0
    """A request that is not answered in full by then is sent again."""
    max_retries: int = 6
    """How often a request is sent again before its prompt counts as failed."""
    batch_deadline_s: float = 3600.0
    """Prompts of a call that are not answered by then count as failed."""
    outage_after: int = 8
    """Failures in a row after which nothing is sent until the server answers a probe."""
    first_answer_s: float = 20.0
    """How long to wait for the first answer of a server."""
    outage_deadline_s: float = 600.0
    """How long a server may answer no probe before the call ends in an error."""
    extra_body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Fields that are added to the body of every request."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _checked_url(self.url))
        if not _VARIABLE.fullmatch(self.api_key_env):  # its text is not shown: it may be the key itself
            raise ConfigError(
                "server: api_key_env is not the name of an environment variable; expected one such as "
                "PROM_REWARD_API_KEY, which holds the key"
            )
        reserved = _RESERVED & self.extra_body.keys()
        if reserved:
            raise ConfigError(f"server: got {', '.join(sorted(reserved))} in extra_body; these are the judge's own")
        if isinstance(arguments := self.extra_body.get("chat_template_kwargs"), Mapping):
            check_unquoted("server.extra_body.chat_template_kwargs", arguments)
        if self.api not in get_args(ApiName):
            raise ConfigError(f"server: got api={self.api!r}; expected one of {', '.join(get_args(ApiName))}")
        for name in ("max_in_flight", "outage_after"):
            if getattr(self, name) < 1:
                raise ConfigError(f"server: got {name}={getattr(self, name)}; expected at least 1")
        if self.max_retries < 0:
            raise ConfigError(f"server: got max_retries={self.max_retries}; expected 0 or more")
        limits = ("requests_per_minute", "tokens_per_minute")
        for name in (*limits, "request_timeout_s", "batch_deadline_s", "first_answer_s", "outage_deadline_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < inf:
                raise ConfigError(f"server: got {name}={value}; expected a number over 0")

    @property
    def probe_timeout_s(self) -> float:
        """How long a sign of life of a server that has never answered is waited for, several times in a wait."""
        longest = min(self.request_timeout_s, self.first_answer_s)
        return min(longest, max(_QUICK_PROBE_S, self.first_answer_s / 4))

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        return is_loopback(self.parts.hostname or "")

    @property
    def parts(self) -> SplitResult:
        """The URL's scheme, host, port and path."""
        return urlsplit(self.url)

    def read_key(self) -> str | None:
        """Return the key from the file or the environment; None if neither is set.

        Raises:
            ConfigError: The file cannot be read or is empty.
        """
        if self.api_key_file is None:
            return os.environ.get(self.api_key_env, "").strip() or None
        try:
            key = Path(self.api_key_file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"server: cannot read api_key_file {self.api_key_file!r}; expected a text file"
            ) from error
        if not key or len(key.split()) != 1:
            raise ConfigError(f"server: api_key_file {self.api_key_file!r} holds no key; expected it as the only word")
        return key


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address, or a name of it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _checked_url(url: str) -> str:
    """Return the base URL without an endpoint or slash at its end; a secret in it is refused without being shown."""
    expected = "expected one such as http://127.0.0.1:8000/v1"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"server: the url cannot be read ({error}); {expected}") from None
    if parts.username or parts.password:
        raise ConfigError("server: the url holds a user name or password; give the key in PROM_REWARD_API_KEY instead")
    if parts.query or parts.fragment:
        raise ConfigError(f"server: the url holds a query or fragment; {expected}, and a key in PROM_REWARD_API_KEY")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ConfigError(f"server: got url={url!r:.80}; {expected}")
    return f"{parts.scheme}://{parts.netloc}{_ENDPOINT.sub('', parts.path).rstrip('/') or '/v1'}"


def require_openai() -> None:
    """Raise MissingPackageError if the `openai` package is not installed."""
    if importlib.util.find_spec("openai") is None:
        raise MissingPackageError(
            "a judge on a server needs the openai package, which is not installed; run: "
            "pip install '.[openai]' in the clone"
        )
