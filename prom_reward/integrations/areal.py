"""AReaL: `reward_fn="prom_reward.integrations.areal.reward_fn"` in its workflows; it pickles by its name.

AReaL calls it in worker processes and tries four times. An error ends the rollout; a call over `timeout_seconds` (15)
becomes 0 in AReaL itself, so give its wrapper more time than the judge needs.
"""

from typing import Any

from prom_reward.errors import UnscoredError
from prom_reward.integrations.configured import reward_of
from prom_reward.serving.protocols import rendered


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
    columns = row if answer in (None, "") else {"reference_answer": answer, **row}
    messages = columns.pop("messages", None)  # of the row that the prompt was rendered from
    given = messages or (rendered.conversation(prompt) if isinstance(prompt, str) else prompt)
    found = reward_of(given, rendered.completion(completions), columns)
    if found is None:
        raise UnscoredError("the completion could not be scored, and AReaL takes numbers alone")
    return found
