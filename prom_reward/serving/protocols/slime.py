"""slime's remote reward model (`--rm-type remote_rm --rm-url http://HOST:PORT/rm`).

Its client sends a request again up to ten times, three minutes in all, and ends the training after that.
"""

from prom_reward.prompts import rendered
from prom_reward.serving.exchange import Body
from prom_reward.serving.protocols.fields import check_fields, numbers, required, text
from prom_reward.serving.protocols.labels import label_columns
from prom_reward.serving.service import JudgeService, Rollout


async def rm(service: JudgeService, body: Body) -> object:
    """`{"prompt", "response", "label"}` -> the reward, as the whole body; unscored: status 503.

    The prompt is a text or messages. A label is the reference answer, or JSON with columns such as `rubric`.
    """
    check_fields(body, ("prompt", "response", "label"))
    columns = label_columns(body.get("label"), service.rows.named.values())
    prompt = columns.pop("prompt", required(body, "prompt"))
    rollout = Rollout(
        prompt=rendered.conversation(prompt) if isinstance(prompt, str) else prompt,
        completion=rendered.completion(text(body, "response")),
        columns=columns,
    )
    return numbers(await service.reward([rollout]))[0]
