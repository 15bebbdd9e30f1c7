"""verl: a manager for its reward loop that compares the rollouts to a prompt, as `GroupReward` does.

`reward.reward_manager.source=importlib reward.reward_manager.name=GroupRewardManager reward.num_workers=1
reward.reward_manager.module.path=pkg://prom_reward.integrations.verl_groups`. An unscored rollout gets the mean of its
group, which leaves that mean as it is. Rows whose `extra_info.split` is not "train" (validation) are graded one by one.
A group that stays incomplete is an error.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from prom_reward.errors import ConfigError, UnscoredError
from prom_reward.integrations.classes import on_base
from prom_reward.integrations.configured import RolloutArguments, filled, group_rewards, joined
from prom_reward.integrations.verl import compute_score, rollout
from prom_reward.serving.gathering import Gathering

if TYPE_CHECKING:
    GroupRewardManager: type["GroupScorer"]

_LONGEST_WAIT_S = 3600.0  # a long answer may come long after the first of its group

__all__ = ["GroupRewardManager", "GroupScorer"]


class GroupScorer:
    """Holds each rollout until its group is whole, and gives each its reward.

    GroupRewardManager is this on verl's `RewardManagerBase`, which gives it the arguments.
    """

    tokenizer: Any
    """The policy's, kept by the base class."""

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any, **_settings: Any) -> None:
        super().__init__(config, tokenizer, compute_score)  # type: ignore[call-arg]  # verl's base class is next
        if config.reward.num_workers != 1:
            raise ConfigError(
                f"got reward.num_workers={config.reward.num_workers}; expected 1, so that groups meet (it only waits "
                "for the judge's server)"
            )
        self._size = int(config.actor_rollout_ref.rollout.n)
        self._groups: Gathering[RolloutArguments, float] = Gathering(longest_wait_s=_LONGEST_WAIT_S)

    async def run_single(self, data: Any) -> dict[str, Any]:
        """Return the reward of a rollout, whose last sequence counts."""
        item = data[-1]
        row, text = item.non_tensor_batch, self._text(item)
        own = {} if row.get("raw_prompt") is None else {"prompt": list(row["raw_prompt"])}
        extra, truth = joined(row.get("extra_info"), own), row["reward_model"]["ground_truth"]
        if extra.get("split", "train") != "train":
            scores = await compute_score(row["data_source"], text, truth, extra)
        else:
            members = [rollout(text, truth, extra)]
            whole = partial(_compared, size=self._size)
            [score] = await self._groups.results(row["uid"], self._size, members, whole)
            scores = {"score": score}
        return {"reward_score": scores["score"], "reward_extra_info": scores}

    def _text(self, item: Any) -> str:
        ids = item.batch["responses"]
        length = int(item.batch["attention_mask"][-len(ids) :].sum())
        return str(self.tokenizer.decode(ids[:length], skip_special_tokens=True))


def __getattr__(name: str) -> Any:
    if name != "GroupRewardManager":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

    globals()[name] = on_base(name, GroupScorer, RewardManagerBase)
    return globals()[name]


async def _compared(rollouts: list[RolloutArguments], size: int) -> list[float]:
    if len(rollouts) < size:
        raise UnscoredError(
            f"got {len(rollouts)} of {size} rollouts to a prompt within {_LONGEST_WAIT_S:g} s; expected all, since "
            "these alone would be misplaced (is it a row for validation whose extra_info.split is missing?)"
        )
    return filled(await group_rewards(rollouts))
