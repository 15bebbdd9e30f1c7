"""slime: `--custom-rm-path prom_reward.integrations.slime.custom_rm`, with `--group-rm` for whole groups.

In a group an unscored sample is removed from the loss (`remove_sample`), and the mean of the others stands in for its
reward, which leaves the group's mean as it is. A single sample cannot be taken out of that mean: UnscoredError. With
`PROM_REWARD_TOPOLOGY` the samples of a group are compared with each other. Without `--group-rm` several samples are the
parts of one rollout, and each is graded alone.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from prom_reward.errors import UnscoredError
from prom_reward.integrations.configured import (
    RolloutArguments,
    compares_groups,
    filled,
    group_rewards,
    joined,
    rollout_reward,
)
from prom_reward.prompts import rendered
from prom_reward.serving.protocols.labels import label_columns


class Sample(Protocol):
    """The part of slime's Sample that is used."""

    prompt: Any
    response: str
    label: Any
    metadata: dict[str, Any] | None
    remove_sample: bool


async def custom_rm(args: Any, sample: Sample | Sequence[Sample], **_settings: object) -> float | list[float]:
    """Return the reward of a sample, or of each of several.

    A label is the reference answer, or JSON with columns; `metadata` holds columns, too, such as `rubric`.

    Raises:
        UnscoredError: A single sample, or a whole group, could not be scored.
        RowError: A label has a key that is not known.
    """
    if not isinstance(sample, Sequence):
        return await _single(sample)
    if args.group_rm:
        return await _group(sample)
    return list(await asyncio.gather(*map(_single, sample)))


async def _single(sample: Sample) -> float:
    reward = await _reward(sample)
    if reward is None:
        raise UnscoredError("a sample could not be scored; run slime with --group-rm, which takes it out of its group")
    return reward


async def _group(samples: Sequence[Sample]) -> list[float]:
    if compares_groups():
        found = await group_rewards([_rollout(one) for one in samples])
    else:
        found = await asyncio.gather(*(_reward(one) for one in samples))
    rewards = filled(found)
    for sample, reward in zip(samples, found, strict=True):
        sample.remove_sample = sample.remove_sample or reward is None
    return rewards


async def _reward(sample: Sample) -> float | None:
    try:
        return await rollout_reward(*_rollout(sample))
    except UnscoredError:
        return None


def _rollout(sample: Sample) -> RolloutArguments:
    columns = joined(sample.metadata, label_columns(sample.label))
    prompt = columns.pop("prompt", sample.prompt)
    text = rendered.conversation(prompt) if isinstance(prompt, str) else prompt
    return text, rendered.completion(sample.response), columns
