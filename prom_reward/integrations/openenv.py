"""OpenEnv: a rubric of an environment that asks a judge, `judge_rubric(prompt=..., response=...)`.

An answer that cannot be scored raises UnscoredError, unless `PROM_REWARD_ON_UNSCORED` is a number.
"""

from collections.abc import Callable, Mapping
from typing import Any

from prom_reward.errors import UnscoredError
from prom_reward.integrations.configured import rollout_reward
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

        async def forward(self, action: Any, observation: Any) -> float:
            """Return the reward of an action."""
            found = await rollout_reward(prompt(action, observation), response(action, observation), columns or {})
            if found is None:
                raise UnscoredError("the action could not be scored")
            return found

    return JudgeRubric()
