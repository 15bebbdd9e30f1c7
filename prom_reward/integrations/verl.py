"""verl: `reward.custom_reward_function.path=pkg://prom_reward.integrations.verl`, for its asynchronous reward loop.

verl has no word for an unscored rollout: UnscoredError ends the step, unless `PROM_REWARD_ON_UNSCORED` is a number.
verl's manager `rate_limited` makes every error the reward 0, so it does not suit.
"""

from collections.abc import Mapping
from typing import Any

from prom_reward.errors import UnscoredError
from prom_reward.integrations.configured import RolloutArguments, joined, prompt_of, rollout_reward


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: object,
    extra_info: Mapping[str, Any] | None = None,
    **_settings: object,
) -> dict[str, float]:
    """Return a rollout's reward as `score`.

    Args:
        data_source: verl's name of the data set; not used.
        solution_str: The policy's answer.
        ground_truth: The reference answer; None or an empty text for none.
        extra_info: The row's own columns: `prompt` or `question`, and perhaps `rubric` and `reference_answer`.
        _settings: What verl adds.

    Raises:
        RowError: The row has no prompt.
        UnscoredError: The answer could not be scored.
    """
    reward = await rollout_reward(*rollout(solution_str, ground_truth, extra_info or {}))
    if reward is None:
        raise UnscoredError(f"a rollout of {data_source} could not be scored, and verl takes numbers alone")
    return {"score": reward}


def rollout(solution: str, ground_truth: object, extra_info: Mapping[str, Any]) -> RolloutArguments:
    """Return prompt, completion and columns of verl's values; see `compute_score`."""
    return prompt_of(extra_info), solution, joined({"ground_truth": ground_truth}, extra_info)
