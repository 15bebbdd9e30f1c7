"""The Engine protocol, with the sampling parameters that it takes and the generations that it returns."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from prom_reward.errors import ConfigError
from prom_reward.types import JudgePrompt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLOSING_TOKENS = 16  # more than closing, marker and verdict take in the known tokenizers

FinishReason = Literal["result", "forced", "stop", "length", "too_long", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """The sampling of feedback. The defaults are the Prometheus model card's."""

    max_new_tokens: int = 256
    """Limit of feedback with its result, in tokens."""
    temperature: float = 1.0
    """0 is greedy decoding."""
    top_p: float = 0.9
    """Probability mass to sample from, 0 < top_p <= 1."""
    repetition_penalty: float = 1.03
    """Over 1 makes tokens of the prompt and the feedback less likely; 1 is off."""
    seed: int | None = None
    """None draws a fresh seed on every call."""

    def __post_init__(self) -> None:
        checks = {
            "max_new_tokens": (self.max_new_tokens >= 1, "at least 1"),
            "temperature": (0 <= self.temperature < inf, "0 (greedy) or more"),
            "top_p": (0 < self.top_p <= 1, "over 0 and at most 1"),
            "repetition_penalty": (0 < self.repetition_penalty < inf, "over 0 (1 is off)"),
        }
        for name, (is_valid, expected) in checks.items():
            if not is_valid:
                raise ConfigError(f"sampling: got {name}={getattr(self, name)}; expected {expected}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """An engine's answer to one prompt."""

    text: str
    """The judge's text after `response_prefix`, with the forced closing and its verdict."""
    finish_reason: FinishReason
    """"result": stopped at its own verdict; "forced": closed by the engine; "stop" and "length": ended without a
    readable verdict; "too_long": the prompt does not fit; "error": see `error`."""
    num_prompt_tokens: int = 0
    """Length of the prompt, with BOS and prefix."""
    num_computed_tokens: int = 0
    """Prefilled tokens: fewer than the prompt's if a beginning was shared, more if a forced verdict was read after
    the feedback."""
    num_generated_tokens: int = 0
    """Tokens that the judge wrote."""
    score_logprobs: Mapping[str, float] | None = None
    """Log-probability in nats of each label at the verdict, before temperature, penalty and top-p, not normalized over
    the labels; None without a verdict."""
    is_partial: bool = False
    """Whether labels of `score_logprobs` are minus infinity only because a server did not report them."""
    readout: float | None = None
    """The prompt's readout; None if it has none."""
    error: str | None = None
    """Why there is no text."""

    @property
    def is_finite(self) -> bool:
        """Whether no log-probability is NaN, the largest is finite, and so is the readout; fp16 overflows."""
        values = (self.score_logprobs or {"": 0.0}).values()
        return isfinite(max(values)) and not any(map(isnan, values)) and isfinite(self.readout or 0.0)


def conversation_name(factory: object) -> str:
    """Return the name of what makes a judge's conversation, the same in every process, for fingerprints."""
    return getattr(factory, "__qualname__", None) or repr(factory)


def too_long(num_prompt_tokens: int, context_length: int | None) -> Generation:
    """Return the generation of a prompt that does not fit."""
    return Generation(
        text="",
        finish_reason="too_long",
        num_prompt_tokens=num_prompt_tokens,
        error=f"the prompt has {num_prompt_tokens} tokens, the judge's context takes {context_length}",
    )


def out_of_memory(num_prompt_tokens: int) -> Generation:
    """Return the generation of a prompt that ran out of memory on its own."""
    return Generation(
        text="",
        finish_reason="error",
        num_prompt_tokens=num_prompt_tokens,
        error=f"out of memory at a prompt of {num_prompt_tokens} tokens; lower context_length to skip such prompts",
    )


@runtime_checkable
class Engine(Protocol):
    """Runs a model on prompts.

    An engine keeps the order and the number of its prompts, reports a prompt's failure in that prompt's Generation, and
    pickles as its configuration.
    """

    @property
    def fingerprint(self) -> str:
        """Everything that can change an answer besides prompt and sampling, as one line without secrets."""
        ...

    @property
    def identity(self) -> str:
        """The part of the fingerprint that is the same on every machine; computed without touching a device."""
        ...

    @property
    def machine(self) -> Mapping[str, Any]:
        """Settings of this machine that can change an answer (device, threads), for JSON; empty for remote weights."""
        return {}

    @property
    def states_identity(self) -> str:
        """What hidden states depend on besides the prompt, the same on every machine; empty if none can be read."""
        return ""

    def load(self) -> None:
        """Load the weights now; without it they are loaded at the first use."""
        return

    def take_metrics(self) -> Mapping[str, float]:
        """Return the counts since the last call, by name; durations in seconds."""
        return {}

    @property
    def context_length(self) -> int | None:
        """Tokens that prompt and answer may take together; None if unknown."""
        ...

    def count_tokens(self, prompt: JudgePrompt) -> int:
        """Return the number of tokens of the rendered prompt, with BOS and prefix."""
        ...

    def fits(self, prompt: JudgePrompt, sampling: SamplingParams) -> bool:
        """Return whether the prompt leaves room for the longest answer and its verdict.

        The default counts `CLOSING_TOKENS` for closing and verdict; engines that know their tokenizer count exactly.
        """
        if self.context_length is None:
            return True
        longest = 0 if prompt.reads_score_at_once else sampling.max_new_tokens
        return self.count_tokens(prompt) + longest + CLOSING_TOKENS <= self.context_length

    def generate(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        """Answer every prompt, in order.

        A prompt that `reads_score_at_once` costs one prefill and no decoding. Any other is decoded up to its verdict.
        If it ends without one, an engine that can force text adds ` [RESULT] ` and reads the verdict there
        (`finish_reason` "forced").
        """
        ...

    def states(self, prompts: Sequence[JudgePrompt]) -> "NDArray[np.float32]":
        """Return the last hidden state (N, H) at the score of each prompt of score mode.

        Raises:
            ConfigError: The engine cannot read them.
        """
        raise ConfigError(
            f"got {type(self).__name__}, which reads no hidden states; expected a judge that transformers runs in this "
            "process"
        )

    async def agenerate(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        """Answer as `generate` does, without blocking the event loop; by default in a thread."""
        return await asyncio.to_thread(self.generate, prompts, sampling)
