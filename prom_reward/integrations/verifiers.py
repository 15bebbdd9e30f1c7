"""verifiers 0.4: a plugin judge, `--taskset.task.judges '[{"id": "prom_judge"}]'`.

A plugin's id is a top-level module, so `prom_judge.py` imports RubricJudge from here and names it in its `__all__`. An
unscored reply raises, which verifiers records as an error of the trace, not as a score of the model.
"""

from typing import TYPE_CHECKING, Any

from prom_reward.errors import UnscoredError
from prom_reward.integrations.classes import on_base
from prom_reward.integrations.configured import rollout_reward

if TYPE_CHECKING:
    RubricJudge: type["ReplyScorer"]

__all__ = ["ReplyScorer", "RubricJudge"]


class ReplyScorer:
    """Scores a trace's last reply with the judge of the environment variables; RubricJudge is this on `vf.Judge`."""

    async def score(self, task: Any, trace: Any) -> float:
        """Return the reward of the last reply; the task's fields are the row's columns.

        Raises:
            UnscoredError: The reply could not be scored.
        """
        reward = await rollout_reward(task.prompt_text, trace.last_reply, task.model_dump())
        if reward is None:
            raise UnscoredError("the reply could not be scored")
        return reward


def __getattr__(name: str) -> Any:
    if name != "RubricJudge":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import verifiers.v1 as vf

    globals()[name] = on_base(name, ReplyScorer, vf.Judge)  # made once: verifiers compares classes
    return globals()[name]
