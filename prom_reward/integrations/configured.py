"""The reward of the environment: frameworks name a function and pass it no settings."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from functools import cache
from statistics import mean
from typing import Any, Literal, cast

from prom_reward.config import load_judge, load_rubric
from prom_reward.data.cells import is_blank
from prom_reward.data.columns import COLUMN_NAMES
from prom_reward.errors import ConfigError, RowError, UnscoredError
from prom_reward.judging.checklists import agrade_requests, grade_requests
from prom_reward.prompts.transcripts import PromptValue
from prom_reward.rewards.groups.rows import compare_rows
from prom_reward.rewards.groups.rule import GroupRule
from prom_reward.rewards.groups.topologies import Topology
from prom_reward.rewards.reward_function import PrometheusReward
from prom_reward.rewards.reward_rule import unscored_reason
from prom_reward.rewards.unread_fields import UnreadFields
from prom_reward.rubrics.formats import json_value
from prom_reward.types import GradingRequest, Judgment

JUDGE, RUBRIC, ON_UNSCORED = "PROM_REWARD_JUDGE", "PROM_REWARD_RUBRIC", "PROM_REWARD_ON_UNSCORED"
TOPOLOGY, OPENS_THOUGHTS = "PROM_REWARD_TOPOLOGY", "PROM_REWARD_OPENS_THOUGHTS"

_UNREAD = UnreadFields()

RolloutArguments = tuple[PromptValue, PromptValue, Mapping[str, Any]]
"""A prompt, a completion and the other columns of its row."""


@cache
def configured_reward() -> PrometheusReward:
    """Return the reward that the environment describes, one a process.

    `PROM_REWARD_JUDGE` names the judge, best the URL of a `prom-reward serve`. `PROM_REWARD_RUBRIC` is the rubric of
    rows without one. `PROM_REWARD_ON_UNSCORED` is what an unscored rollout gets: "raise" (the default), "none" if the
    framework knows it, or a number. `PROM_REWARD_OPENS_THOUGHTS` is 1 if the policy's chat template opens its thoughts.

    Raises:
        ConfigError: No judge is named, or a setting cannot be read.
    """
    judge, rubric = os.environ.get(JUDGE, ""), os.environ.get(RUBRIC, "")
    if not judge:
        raise ConfigError(f"got no {JUDGE}; expected a judge's name or a server's URL in it")
    return PrometheusReward(
        load_judge(judge),
        load_rubric(rubric) if rubric else None,
        on_unscored=_on_unscored(),
        opens_thoughts=_opens_thoughts(),
    )


async def rollout_reward(prompt: PromptValue, completion: PromptValue, columns: Mapping[str, Any]) -> float | None:
    """Return the reward of one rollout; see `reward_of`. Rollouts that are awaited together are judged together."""
    reward, requests = _asked(prompt, completion, columns)
    return _reward(reward, requests, await agrade_requests(reward.judge, requests))


def compares_groups() -> bool:
    """Whether hooks that see whole groups compare: `PROM_REWARD_TOPOLOGY` names the pairs, as for `GroupReward`."""
    return bool(os.environ.get(TOPOLOGY))


async def group_rewards(rollouts: Sequence[RolloutArguments]) -> list[float | None]:
    """Return the rewards of the rollouts to one prompt, from comparing them; None for one that nothing places.

    Raises:
        ConfigError: The topology is unknown, or the judge cannot make its comparisons.
        RubricError, RowError: A row cannot be read, or the rollouts are not one group.
    """
    reward = configured_reward()
    rule = GroupRule(topology=cast(Topology, os.environ.get(TOPOLOGY) or "adaptive"))
    requests = [_asked(*rollout)[1] for rollout in rollouts]
    rewarded = await asyncio.to_thread(
        compare_rows, reward.judge, rule, reward.rule, requests, group_size=len(rollouts)
    )
    return [one.reward for one in rewarded]


def filled(rewards: Sequence[float | None]) -> list[float]:
    """Return a group's rewards with the mean of the scored ones for the others, which leaves that mean as it is.

    Raises:
        UnscoredError: None is scored.
    """
    scored = [one for one in rewards if one is not None]
    if not scored:
        raise UnscoredError(f"none of {len(rewards)} rollouts of a group could be scored")
    return [mean(scored) if one is None else one for one in rewards]


def reward_of(prompt: PromptValue, completion: PromptValue, columns: Mapping[str, Any]) -> float | None:
    """Return the reward of one rollout, with rubric and reference answer from its row.

    Raises:
        RubricError, RowError: The row cannot be read.
        UnscoredError: It could not be scored and `PROM_REWARD_ON_UNSCORED` is "raise".
    """
    reward, requests = _asked(prompt, completion, columns)
    return _reward(reward, requests, grade_requests(reward.judge, requests))


def joined(*parts: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Return the columns of several mappings; one that holds nothing, as Arrow pads them, hides none of the others.

    Args:
        parts: Mappings, also as JSON text, or None; the last one with a value for a column wins.

    Raises:
        RowError: A part is no mapping.
    """
    columns: dict[str, Any] = {}
    for part in parts:
        held = json_value(part) if isinstance(part, str) and part.strip() else part or {}
        if not isinstance(held, Mapping):
            raise RowError(f"got {part!r:.60} as columns of a row; expected a mapping of names to values")
        columns |= {name: value for name, value in held.items() if not is_blank(value)}
    return columns


def prompt_of(row: Mapping[str, Any]) -> PromptValue:
    """Return the prompt that a row holds: under `prompt`, under `question`, or under another known name.

    Raises:
        RowError: It holds none.
    """
    names = ("prompt", "question", *COLUMN_NAMES["prompt"])
    prompt = next((row[name] for name in names if not is_blank(row.get(name))), None)
    if prompt is None:
        raise RowError(f"got no prompt in {', '.join(row) or 'an empty row'}; expected it under 'prompt' or 'question'")
    return cast(PromptValue, prompt)


def _asked(
    prompt: PromptValue, completion: PromptValue, columns: Mapping[str, Any]
) -> tuple[PrometheusReward, list[GradingRequest]]:
    reward = configured_reward()
    held = joined(columns)
    values = {name: [value] for name, value in held.items()}
    [requests] = reward.rows.requests([prompt], [completion], values, guard=reward.judge.guard)
    _UNREAD.warn(reward.rows, prompt, held)
    return reward, requests


def _reward(
    reward: PrometheusReward, requests: Sequence[GradingRequest], judgments: Sequence[Judgment]
) -> float | None:
    found = reward.rule.reward(requests, judgments)
    if found is None and reward.rule.on_unscored == "raise":
        raise UnscoredError(unscored_reason(judgments))
    return found


def _on_unscored() -> Literal["none", "raise"] | float:
    text = os.environ.get(ON_UNSCORED, "raise")
    if text in ("none", "raise"):
        return cast(Literal["none", "raise"], text)
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"got {ON_UNSCORED}={text!r:.40}; expected raise, none or a number") from None


def _opens_thoughts() -> bool:
    text = os.environ.get(OPENS_THOUGHTS) or "0"
    if text not in ("0", "1"):
        raise ConfigError(f"got {OPENS_THOUGHTS}={text!r:.40}; expected 1 or 0")
    return text == "1"
