"""ms-swift: a file for `--external_plugins` with `from prom_reward.integrations.ms_swift import register; register()`.

Then `--reward_funcs prometheus` or `prometheus_async`. ms-swift sums over reward functions and takes a None as 0 there,
so UnscoredError is the default; `PROM_REWARD_ON_UNSCORED=none` suits several functions.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from prom_reward.errors import RowError
from prom_reward.integrations.configured import configured_reward
from prom_reward.prompts.messages import last_role


def register() -> None:
    """Make the reward functions `prometheus` and `prometheus_async` known to ms-swift."""
    from swift.rewards import ORM, AsyncORM, orms

    class Prometheus(ORM):  # type: ignore[misc]  # ms-swift is not installed here
        """Rewards completions with the judge of the environment."""

        def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
            """Return a reward for each completion."""
            return rewards(completions, **columns)

    class PrometheusAsync(AsyncORM):  # type: ignore[misc]  # the same
        """The same, beside other asynchronous rewards."""

        async def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
            """Return a reward for each completion."""
            return await asyncio.to_thread(rewards, completions, **columns)

    orms["prometheus"], orms["prometheus_async"] = Prometheus, PrometheusAsync


def rewards(completions: Sequence[Any], **columns: Any) -> list[float | None]:
    """Return the rewards of completions whose prompts are their rows' `messages`, without the completion itself.

    Raises:
        RowError: There are no messages.
    """
    if "messages" not in columns:
        raise RowError("got no column 'messages'; expected the conversations that ms-swift passes to its rewards")
    messages = columns.pop("messages")
    prompts = [turns[:-1] if last_role(turns) == "assistant" else turns for turns in messages]
    return configured_reward()(prompts=prompts, completions=completions, **columns)
