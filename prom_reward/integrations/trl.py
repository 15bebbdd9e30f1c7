"""Frameworks in TRL's shape that take a function by its name: axolotl (`trl.reward_funcs`), Unsloth, and TRL's own CLI.

None leaves a row out there, so `PROM_REWARD_ON_UNSCORED=none` is right for them.
"""

from collections.abc import Sequence
from typing import Any

from prom_reward.integrations.configured import configured_reward
from prom_reward.prompts.transcripts import PromptValue


def prometheus_reward(
    prompts: Sequence[PromptValue], completions: Sequence[PromptValue], **columns: Any
) -> list[float | None]:
    """Return one reward per completion, as `PrometheusReward` does, with the settings of the environment."""
    return configured_reward()(prompts, completions, **columns)
