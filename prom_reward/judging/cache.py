"""Keeps an engine's answers, so that no judgment is asked for twice.

Entries hold the judge's text and its label log-probabilities, and are parsed like fresh ones.
"""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from prom_reward.answers import TOKEN_COUNTS
from prom_reward.engines.base import Generation, SamplingParams
from prom_reward.engines.tokens.verdict import first_verdict
from prom_reward.judging.cache_file import CacheFile
from prom_reward.prompts.guard.neutralize import GUARD_VERSION
from prom_reward.types import RESULT_MARKER, JudgePrompt

_FORMAT = 1  # goes up whenever an entry would be read differently


@dataclass(frozen=True, slots=True)
class Lookup:
    """The answers of a cache to some prompts."""

    prompts: Sequence[JudgePrompt]
    """The prompts."""
    keys: Sequence[bytes | None]
    """One per prompt; None if its answer is drawn without a seed."""
    known: Mapping[bytes, Generation]
    """The answers that the file has, by key."""
    missing: Sequence[int]
    """Indices of the prompts to ask the engine, in order."""


class JudgmentCache:
    """Generations in an SQLite file, by everything that can change them.

    The key holds the engine's fingerprint, the prompt with its labels, the guard and, for written feedback, the
    sampling and the number of the sample. Answers that are sampled without a seed are not kept, nor are answers
    without a verdict on the scale.

    Args:
        path: The file, on a local disk; any number of processes may share it.
        max_bytes: The file's largest size; the oldest entries go first.

    Raises:
        InputError: The file cannot be a judgment cache.
    """

    _num_cached: int

    def __init__(self, path: str | Path, *, max_bytes: int = 1 << 30) -> None:
        self.file = CacheFile(path, max_bytes=max_bytes)
        self._begin()

    def __getstate__(self) -> CacheFile:
        return self.file

    def __setstate__(self, state: CacheFile) -> None:
        self.file = state
        self._begin()

    def look_up(
        self, prompts: Sequence[JudgePrompt], sampling: SamplingParams, *, fingerprint: str, has_guard: bool
    ) -> "Lookup":
        """Read the answers that the file has.

        Args:
            prompts: The prompts.
            sampling: How feedback is written.
            fingerprint: The engine's.
            has_guard: Whether responses went through the guard.
        """
        guard = GUARD_VERSION if has_guard else 0
        keys = _keys(prompts, sampling, [_FORMAT, fingerprint, guard])
        kept = self.file.get(list(dict.fromkeys(key for key in keys if key is not None)))
        asked_by = {key: prompt for prompt, key in zip(prompts, keys, strict=True) if key is not None}
        read = {key: _read(asked_by[key], text) for key, text in kept.items()}
        known = {key: generation for key, generation in read.items() if generation is not None}
        # The engine numbers the samples of a prompt: if one of them is missing, all are asked for.
        missing = {prompt for prompt, key in zip(prompts, keys, strict=True) if key is None or key not in known}
        return Lookup(prompts, keys, known, [at for at, prompt in enumerate(prompts) if prompt in missing])

    def complete(self, found: "Lookup", fresh: Sequence[Generation]) -> list[Generation]:
        """Keep the engine's answers to the missing prompts, and return all answers in order."""
        answers = dict(zip(found.missing, fresh, strict=True))
        self._keep(found.prompts, found.keys, answers)
        with self._lock:
            self._num_cached += len(found.prompts) - len(fresh)
        return [answers[at] if at in answers else found.known[key or b""] for at, key in enumerate(found.keys)]

    def take_metrics(self) -> dict[str, float]:
        """Return the number of answers from the file since the last call."""
        with self._lock:
            cached, self._num_cached = self._num_cached, 0
        return {"cached": float(cached)}

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self.file.close()

    def _keep(
        self, prompts: Sequence[JudgePrompt], keys: Sequence[bytes | None], answers: Mapping[int, Generation]
    ) -> None:
        entries = {
            key: json.dumps(asdict(answer))
            for index, answer in answers.items()
            if (key := keys[index]) is not None and _has_verdict(prompts[index], answer)
        }
        if entries:
            self.file.put(entries)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._num_cached = 0


def _keys(prompts: Sequence[JudgePrompt], sampling: SamplingParams, engine: Sequence[object]) -> list[bytes | None]:
    """Return each prompt's key; None if its answer is drawn without a seed."""
    counts: Counter[JudgePrompt] = Counter()
    keys: list[bytes | None] = []
    for prompt in prompts:
        parts: list[object] = [*engine, prompt.system, prompt.user, prompt.response_prefix, list(prompt.labels)]
        parts += [list(prompt.label_texts)] if prompt.label_texts else []
        parts += [prompt.readout.digest] if prompt.readout else []
        is_drawn = not prompt.reads_score_at_once and sampling.temperature > 0
        if not prompt.reads_score_at_once:
            parts += [asdict(sampling), counts[prompt] if is_drawn else 0]
            counts[prompt] += 1
        text = json.dumps(parts, sort_keys=True)
        keys.append(None if is_drawn and sampling.seed is None else hashlib.sha256(text.encode()).digest())
    return keys


def _has_verdict(prompt: JudgePrompt, generation: Generation) -> bool:
    if generation.finish_reason not in ("result", "forced") or not generation.is_finite:
        return False
    marker = "" if RESULT_MARKER in generation.text else prompt.response_prefix
    verdict = first_verdict(marker + generation.text, prompt.labels)
    return verdict is not None and verdict.text in prompt.labels


def _read(prompt: JudgePrompt, text: str) -> Generation | None:
    """Return an entry's generation; None if another version or program wrote it."""
    try:
        generation = Generation(**json.loads(text))
        is_whole = generation.score_logprobs is None or set(generation.score_logprobs) == set(prompt.labels)
        is_counted = all(isinstance(getattr(generation, name), int) for name in TOKEN_COUNTS)
        return generation if is_whole and is_counted and _has_verdict(prompt, generation) else None
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
