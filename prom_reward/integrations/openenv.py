"""OpenEnv: a rubric of an environment that asks a judge, `judge_rubric(prompt=..., response=...)`.

It fits an environment's `step` and its `step_async`. An answer that cannot be scored raises UnscoredError, unless
`PROM_REWARD_ON_UNSCORED` is a number.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from prom_reward.errors import UnscoredError
from prom_reward.integrations.configured import RolloutArguments, reward_of, rollout_reward
from prom_reward.prompts.transcripts import PromptValue

Reads = Callable[[Any, Any], PromptValue]
"""Reads something from an action and its observation."""


def judge_rubric(*, prompt: Reads, response: Reads, columns: Mapping[str, Any] | None = None) -> Any:
    """Return an OpenEnv Rubric, to assign to an environment or to a container of rubrics.

    Args:
        prompt: Returns the task of an action and its observation, for example `lambda action, seen: seen.task`.
        response: Returns the answer, for example `lambda action, seen: action.text`.
        columns: `rubric` and `reference_answer`, if they differ from the environment variables'.
    """
    from openenv.core.rubrics.base import Rubric

    class JudgeRubric(Rubric):  # type: ignore[misc]  # OpenEnv is not installed here
        """Rewards an action with the judge of the environment variables."""

        def forward(self, action: Any, observation: Any) -> float | Awaitable[float]:
            """Return the reward of an action; on an event loop a coroutine of it, as the base class awaits."""
            row: RolloutArguments = prompt(action, observation), response(action, observation), columns or {}
            return _awaited(row) if _is_on_loop() else _scored(reward_of(*row))

    return JudgeRubric()


async def _awaited(row: RolloutArguments) -> float:
    return _scored(await rollout_reward(*row))


def _scored(reward: float | None) -> float:
    if reward is None:
        raise UnscoredError("the action could not be scored, and OpenEnv takes numbers alone")
    return reward


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
