"""LLaMA-Factory's reward model behind an API (`reward_model_type: api`).

Its client reads `scores` from whatever comes back; without them the training ends.
"""

from prom_reward.errors import RowError
from prom_reward.prompts import rendered
from prom_reward.serving.exchange import Body
from prom_reward.serving.protocols.fields import check_fields, listed, numbers
from prom_reward.serving.service import JudgeService, Rollout


async def score_evaluation(service: JudgeService, body: Body) -> object:
    """`{"model", "messages": [prompt and response in one text]}` -> `{"scores"}`; unscored: status 503.

    The answer begins after the last opening of an assistant's turn. The rubric is the server's.
    """
    check_fields(body, ("model", "messages"))
    return {"scores": numbers(await service.reward([_rollout(one) for one in listed(body, "messages")]))}


def _rollout(text: object) -> Rollout:
    if not isinstance(text, str):
        raise RowError(f"messages: got {text!r:.60}; expected texts")
    prompt, answer = rendered.split(text)
    return Rollout(prompt=rendered.conversation(prompt), completion=rendered.completion(answer), columns={})
