"""Asks a cache, then an engine, for every prompt's samples."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from prom_reward.engines.base import Engine, Generation, SamplingParams
from prom_reward.judging.cache import JudgmentCache, Lookup
from prom_reward.types import JudgePrompt


@dataclass(frozen=True, slots=True)
class PromptSampler:
    """An engine, with how often and how it is asked."""

    engine: Engine
    """Runs the model."""
    sampling: SamplingParams
    """The sampling of feedback."""
    num_samples: int
    """Answers to each prompt."""
    cache: JudgmentCache | None = field(kw_only=True)
    """Keeps its answers."""
    has_guard: bool = field(kw_only=True)
    """Whether responses went through the guard."""

    def generate(self, prompts: Sequence[JudgePrompt]) -> list[list[Generation]]:
        """Return `num_samples` generations for every prompt."""
        lookup = self._look_up(prompts)
        asked = [lookup.prompts[at] for at in lookup.missing]
        return self._samples(lookup, self.engine.generate(asked, self.sampling) if asked else [])

    async def agenerate(self, prompts: Sequence[JudgePrompt]) -> list[list[Generation]]:
        """Return the same without blocking the event loop."""
        lookup = self._look_up(prompts)
        asked = [lookup.prompts[at] for at in lookup.missing]
        return self._samples(lookup, await self.engine.agenerate(asked, self.sampling) if asked else [])

    def _look_up(self, prompts: Sequence[JudgePrompt]) -> Lookup:
        """Return the prompts of all samples, with the cache's answers."""
        repeated = [prompt for prompt in prompts for _ in range(self.num_samples)]
        if self.cache is None or not repeated:
            return Lookup(repeated, [], {}, range(len(repeated)))
        fingerprint = self.engine.fingerprint
        return self.cache.look_up(repeated, self.sampling, fingerprint=fingerprint, has_guard=self.has_guard)

    def _samples(self, found: Lookup, fresh: Sequence[Generation]) -> list[list[Generation]]:
        """Return all samples of each prompt, the cache's and the engine's."""
        if len(fresh) != len(found.missing):
            raise RuntimeError(f"the engine answered {len(fresh)} of {len(found.missing)} prompts; this is a bug in it")
        flat = self.cache.complete(found, fresh) if self.cache is not None and found.keys else fresh
        return [list(flat[start : start + self.num_samples]) for start in range(0, len(flat), self.num_samples)]
