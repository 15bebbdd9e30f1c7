"""SkyRL: an environment of one turn, `skyrl_gym.register(id="prometheus", entry_point="...skyrl:PrometheusEnv")`.

SkyRL has no word for an unscored rollout: UnscoredError ends the training, unless `PROM_REWARD_ON_UNSCORED` is a
number.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prom_reward.errors import UnscoredError
from prom_reward.integrations.classes import on_base
from prom_reward.integrations.configured import joined, reward_of

if TYPE_CHECKING:
    PrometheusEnv: type["JudgedTurn"]

__all__ = ["JudgedTurn", "PrometheusEnv"]


class JudgedTurn:
    """Rewards one answer with the judge of the environment variables; PrometheusEnv is this on SkyRL's `BaseTextEnv`.

    Args:
        env_config: SkyRL's settings; not used.
        extras: The row, with rubric and reference in `extra_info` and `reward_spec`.
    """

    def __init__(self, env_config: Any = None, extras: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        row = dict(extras or {})
        self._columns = joined(row.pop("extra_info", None), row.pop("reward_spec", None), row)
        self._prompt: Any = None

    def init(self, prompt: Any) -> tuple[Any, dict[str, Any]]:
        """Keep the prompt for the judge."""
        self._prompt = prompt
        return prompt, {}

    def step(self, action: str) -> Any:
        """End with the answer's reward.

        Raises:
            UnscoredError: The answer could not be scored.
        """
        from skyrl_gym.envs.base_text_env import BaseTextEnvStepOutput

        reward = reward_of(self._prompt, action, self._columns)
        if reward is None:
            raise UnscoredError("the answer could not be scored, and SkyRL takes numbers alone")
        return BaseTextEnvStepOutput(observations=[], reward=reward, done=True, metadata={})


def __getattr__(name: str) -> Any:
    if name != "PrometheusEnv":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from skyrl_gym.envs.base_text_env import BaseTextEnv

    globals()[name] = on_base(name, JudgedTurn, BaseTextEnv)
    return globals()[name]
