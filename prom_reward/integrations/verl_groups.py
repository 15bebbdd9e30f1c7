"""verl: a manager for its reward loop that compares the rollouts to a prompt, as `GroupReward` does.

`reward.reward_manager.source=importlib reward.reward_manager.name=GroupRewardManager reward.num_workers=1
reward.reward_manager.module.path=pkg://prom_reward.integrations.verl_groups`. An unscored rollout gets the mean of its
group, which moves no advantage. Rows whose `extra_info.split` is not "train" (validation) are graded one by one.
"""

from typing import TYPE_CHECKING, Any

from prom_reward.errors import ConfigError
from prom_reward.integrations.configured import Rollout, filled, group_rewards
from prom_reward.integrations.verl import compute_score, rollout
from prom_reward.serving.gathering import Gathering

if TYPE_CHECKING:
    GroupRewardManager: Any

__all__ = ["GroupRewardManager"]


def __getattr__(name: str) -> Any:
    if name != "GroupRewardManager":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

    class GroupRewardManager(RewardManagerBase):  # type: ignore[misc]  # verl is not installed here
        """Holds each rollout until its group is whole, and gives each its reward."""

        def __init__(self, config: Any, tokenizer: Any, compute_score: Any, **_settings: Any) -> None:
            super().__init__(config, tokenizer, compute_score)
            if config.reward.num_workers != 1:
                told = f"got reward.num_workers={config.reward.num_workers}; expected 1, where all of a group meets"
                raise ConfigError(f"{told} (it only waits for the judge's server)")
            self._size = int(config.actor_rollout_ref.rollout.n)
            self._groups: Gathering[Rollout, float] = Gathering()

        async def run_single(self, data: Any) -> dict[str, Any]:
            """Return the reward of a rollout, whose last sequence counts."""
            item = data[-1]
            row, text = item.non_tensor_batch, self._text(item)
            own = {} if row.get("raw_prompt") is None else {"prompt": list(row["raw_prompt"])}
            extra, truth = {**own, **(row.get("extra_info") or {})}, row["reward_model"]["ground_truth"]
            if extra.get("split", "train") != "train":
                found = await compute_score(row["data_source"], text, truth, extra)
            else:
                members = [rollout(text, truth, extra)]
                [score] = await self._groups.results(row["uid"], self._size, members, _compared)
                found = {"score": score}
            return {"reward_score": found["score"], "reward_extra_info": found}

        def _text(self, item: Any) -> str:
            ids = item.batch["responses"]
            length = int(item.batch["attention_mask"][-len(ids) :].sum())
            return str(self.tokenizer.decode(ids[:length], skip_special_tokens=True))

    globals()[name] = GroupRewardManager
    return GroupRewardManager


async def _compared(rollouts: list[Rollout]) -> list[float]:
    return filled(await group_rewards(rollouts))
