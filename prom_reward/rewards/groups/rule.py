"""The settings of a group's comparisons."""

from dataclasses import dataclass
from typing import Literal

from prom_reward.errors import ConfigError, near_miss
from prom_reward.rewards.groups.topologies import TOPOLOGIES, Topology
from prom_reward.rubrics.formats import is_number

ScoringMethod = Literal["bradley_terry", "win_rate"]
ScoreScaling = Literal["centered", "anchor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRule:
    """The rule by which comparisons inside of a group become its scores."""

    topology: Topology = "adaptive"
    """The pairs to compare; see `prom_reward.rewards.groups.topologies`."""
    pairs_per_response: float = 2.0
    """Pairs that "adaptive" compares for each response."""
    method: ScoringMethod = "bradley_terry"
    """"bradley_terry" fits strengths, "win_rate" takes the mean probability of winning and ignores the grades."""
    scale: ScoreScaling = "centered"
    """"centered": strengths in log-odds, or win rates, with mean 0 in the group. "anchor": the probability of beating
    the anchor, which means the same in every group; it needs the topology "anchor"."""
    prior_weight: float = 1.0
    """The weight of the grades beside the comparisons; 0 ignores them."""

    def __post_init__(self) -> None:
        known = {"topology": TOPOLOGIES, "method": ("bradley_terry", "win_rate"), "scale": ("centered", "anchor")}
        for name, values in known.items():
            if (value := getattr(self, name)) not in values:
                hint = near_miss(str(value), values)
                raise ConfigError(f"got {name}={value!r}; expected one of {', '.join(values)}.{hint}")
        if self.scale == "anchor" and self.topology != "anchor":
            raise ConfigError(f"got scale='anchor' and topology={self.topology!r}; expected topology='anchor', too")
        for name in ("pairs_per_response", "prior_weight"):
            value = getattr(self, name)
            if not is_number(value) or value < 0:
                raise ConfigError(f"got {name}={value!r}; expected a number, 0 or more")
