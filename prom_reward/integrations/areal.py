"""AReaL: `workflow="prom_reward.integrations.areal.JudgedWorkflow"`, its RLVRWorkflow with a judge as its reward.

AReaL runs reward functions in a few processes of its own, and a call that has no answer after 15 seconds, in the queue
of these processes too, becomes the reward 0. So the workflow awaits the judge instead. A rollout that cannot be scored
ends its group with UnscoredError; `PROM_REWARD_ON_UNSCORED=none` leaves it out of its group.

`reward_fn` is for other workflows: AReaL calls it in these processes, four times if it raises.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prom_reward.errors import UnscoredError
from prom_reward.integrations.classes import on_base
from prom_reward.integrations.configured import RolloutArguments, configured_reward, joined, reward_of, rollout_reward
from prom_reward.prompts import rendered

if TYPE_CHECKING:
    JudgedWorkflow: type["JudgedEpisodes"]

__all__ = ["JudgedEpisodes", "JudgedWorkflow", "reward_fn"]


class JudgedEpisodes:
    """Rollouts of one turn, rewarded by the judge of the environment; JudgedWorkflow is this on AReaL's RLVRWorkflow.

    Args:
        args: Positional arguments of RLVRWorkflow after its reward function.
        settings: Its keyword arguments.
    """

    async_reward_fn: Any
    """AReaL's own awaits this in place of the reward function."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(reward_fn, *args, **settings)  # type: ignore[call-arg]  # AReaL's base class is next
        self.async_reward_fn = _awaited_reward

    async def arun_episode(self, engine: Any, data: Any) -> Any:
        """Return a rollout; None leaves it out of its group."""
        try:
            return await super().arun_episode(engine, data)  # type: ignore[misc]
        except UnscoredError:
            if configured_reward().rule.on_unscored == "raise":
                raise
            return None


def __getattr__(name: str) -> Any:
    if name != "JudgedWorkflow":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from areal.workflow.rlvr import RLVRWorkflow

    globals()[name] = on_base(name, JudgedEpisodes, RLVRWorkflow)
    return globals()[name]


def reward_fn(
    prompt: Any, completions: str, prompt_ids: object, completion_ids: object, answer: Any = None, **row: Any
) -> float:
    """Return the reward of one completion.

    Args:
        prompt: The prompt, as a text, as a rendered chat template or as messages.
        completions: The policy's answer.
        prompt_ids: Not used.
        completion_ids: Not used.
        answer: The reference answer; None or an empty text for none.
        row: The row's other columns, such as `rubric`.

    Raises:
        UnscoredError: It could not be scored.
    """
    return _scored(reward_of(*_rollout(prompt, completions, answer, row)))


async def _awaited_reward(
    prompt: Any, completions: str, prompt_ids: object, completion_ids: object, answer: Any = None, **row: Any
) -> float:
    return _scored(await rollout_reward(*_rollout(prompt, completions, answer, row)))


def _rollout(prompt: Any, completion: str, answer: Any, row: Mapping[str, Any]) -> RolloutArguments:
    columns = joined({"reference_answer": answer}, row)
    messages = columns.pop("messages", None)  # of the row that the prompt was rendered from
    given = messages or (rendered.conversation(prompt) if isinstance(prompt, str) else prompt)
    return given, rendered.completion(completion), columns


def _scored(reward: float | None) -> float:
    if reward is None:
        raise UnscoredError("the completion could not be scored, and AReaL takes numbers alone")
    return reward
