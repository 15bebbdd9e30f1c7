"""A public fake: an engine that answers from a script, for users' own tests. It counts words as tokens."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from math import log

from prom_reward.engines.base import Engine, Generation, SamplingParams
from prom_reward.engines.tokens.verdict import find_verdict
from prom_reward.types import JudgePrompt

ScriptedAnswer = str | Generation | Exception
Script = Callable[[JudgePrompt], ScriptedAnswer] | Iterable[ScriptedAnswer]


class ScriptedEngine(Engine):
    """Answers prompts from a script.

    An answer is a judge's whole text ("Good. [RESULT] 4"; in score mode the label alone is enough), a Generation to
    return unchanged, or an exception, which fails that one prompt. A text's distribution puts `confidence` on its label
    and shares the rest among the others.

    Args:
        script: A function of the prompt, or answers to return in turn, from the start again when they run out.
        confidence: Probability of the written label, over 0 and at most 1.
        context_length: Words that a prompt may have; None for no limit.
        keeps_prompts: Whether `prompts` grows with every prompt; off for long runs.
        name: Stands for the script in the fingerprint, by which caches and labelings know it. None takes a function's
            own name, or a digest of the answers.

    Example:
        >>> judge = PrometheusJudge(ScriptedEngine(["Fine. [RESULT] 4", "Poor. [RESULT] 2"]), mode="feedback")
    """

    def __init__(
        self,
        script: Script,
        *,
        confidence: float = 0.9,
        context_length: int | None = None,
        keeps_prompts: bool = True,
        name: str | None = None,
    ) -> None:
        self._script = script if callable(script) else list(script)
        self._name = name or _script_name(self._script)
        self._confidence = confidence
        self._context_length = context_length
        self._keeps_prompts = keeps_prompts
        self._position = 0
        self.prompts: list[JudgePrompt] = []
        """Every prompt so far, in order."""

    @property
    def fingerprint(self) -> str:
        """The script's name, and the settings that change its answers."""
        return f"scripted:{self._name}:{self._confidence:g}:{self._context_length or ''}"

    @property
    def identity(self) -> str:
        """The fingerprint: a script answers alike on every machine."""
        return self.fingerprint

    @property
    def context_length(self) -> int | None:
        """Words that a prompt may have."""
        return self._context_length

    def count_tokens(self, prompt: JudgePrompt) -> int:
        """Return the number of words of system, task text and prefix."""
        return len(f"{prompt.system} {prompt.user} {prompt.response_prefix}".split())

    def generate(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        """Answer every prompt from the script, in order."""
        if self._keeps_prompts:
            self.prompts += prompts
        return [self._generation(prompt) for prompt in prompts]

    def _generation(self, prompt: JudgePrompt) -> Generation:
        length = self.count_tokens(prompt)
        if self._context_length is not None and length > self._context_length:
            return Generation(
                text="",
                finish_reason="too_long",
                num_prompt_tokens=length,
                error=f"the prompt has {length} words, the context takes {self._context_length}",
            )
        answer = self._answer(prompt)
        if isinstance(answer, Generation):
            return answer
        if isinstance(answer, Exception):
            return Generation(text="", finish_reason="error", num_prompt_tokens=length, error=str(answer))
        text = answer.rpartition("]")[2].strip() if prompt.reads_score_at_once else answer
        verdict = find_verdict(prompt.response_prefix + text, prompt.labels)
        return Generation(
            text=text,
            finish_reason="result" if verdict else "stop",
            num_prompt_tokens=length,
            num_computed_tokens=length,
            num_generated_tokens=0 if prompt.reads_score_at_once else len(text.split()),
            score_logprobs=self._logprobs(verdict.text, prompt.labels) if verdict else None,
        )

    def _answer(self, prompt: JudgePrompt) -> ScriptedAnswer:
        if callable(self._script):
            try:
                return self._script(prompt)
            except Exception as error:  # a script stands for a model: its errors fail their prompt alone
                return error
        answer = self._script[self._position % len(self._script)]
        self._position += 1
        return answer

    def _logprobs(self, label: str, labels: tuple[str, ...]) -> dict[str, float] | None:
        if label not in labels:
            return None
        rest = (1 - self._confidence) / max(1, len(labels) - 1)
        return {other: log(max(self._confidence if other == label else rest, 1e-12)) for other in labels}


def _script_name(script: Callable[[JudgePrompt], ScriptedAnswer] | list[ScriptedAnswer]) -> str:
    if isinstance(script, list):
        return blake2b(repr(script).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return str(getattr(script, "__qualname__", type(script).__qualname__))
