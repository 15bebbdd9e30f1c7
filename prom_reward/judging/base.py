"""The Judge protocol."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from prom_reward.errors import ConfigError
from prom_reward.types import Comparison, ComparisonRequest, GradingRequest, Judgment


@runtime_checkable
class Judge(Protocol):
    """Grades and compares responses. Lists come back with the same length, in order.

    Subclass it to write a judge of your own: `fingerprint` and `grade` are yours, the rest has defaults.
    """

    name: str = "judge"
    """A short name for logs and reports."""
    guard: bool = True
    """Whether text that could pass for the judge's own is neutralized in responses."""
    taught_to_rank: bool = True
    """Whether the judge was trained for pairwise ranking."""
    pairs_note: str = ""
    """A measured limit of the judge on preference pairs, for a warning; empty if none is known."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Everything that can change a judgment besides the request."""
        ...

    @property
    def identity(self) -> str:
        """The part of the fingerprint that is the same on every machine; reading it touches no device."""
        return self.fingerprint

    @property
    def machine(self) -> Mapping[str, Any]:
        """What of this machine can change a judgment (device, threads); empty if the weights are elsewhere."""
        return {}

    def seeded(self, seed: int) -> "Judge":
        """Return this judge with a seed if it samples without one."""
        return self

    def load(self) -> None:
        """Load the weights now, if this judge holds any; else they are loaded at the first use."""
        return

    def take_metrics(self) -> Mapping[str, float]:
        """Return the counts since the last call, by name; durations in seconds."""
        return {}

    @abstractmethod
    def grade(self, requests: Sequence[GradingRequest]) -> list[Judgment]:
        """Grade each response by direct assessment."""
        ...

    def compare(self, requests: Sequence[ComparisonRequest]) -> list[Comparison]:
        """Compare the two responses of each request by pairwise ranking.

        Raises:
            ConfigError: The judge grades single responses only.
        """
        raise ConfigError(f"the judge {self.name!r} does not compare responses; grade both, or take another judge")
