"""OpenRLHF's remote reward model (`--reward.remote_url http://HOST:PORT/get_reward`).

Its client sends a request again up to five times. A rollout without a reward then ends the step with an error.
"""

from typing import Any

from prom_reward.errors import RowError
from prom_reward.prompts import rendered
from prom_reward.serving.exchange import Body
from prom_reward.serving.protocols.fields import check_fields, listed, numbers
from prom_reward.serving.protocols.labels import label_columns
from prom_reward.serving.service import JudgeService, Rollout


async def get_reward(service: JudgeService, body: Body) -> object:
    """`{"query", "prompts", "labels"}` -> `{"rewards", "scores", "extra_logs"}`; unscored: status 503.

    A query is a prompt with its completion. A label is the reference answer, or JSON with columns such as `rubric`.
    """
    check_fields(body, ("query", "prompts", "labels"))
    queries, prompts = listed(body, "query"), listed(body, "prompts")
    labels = [None] * len(queries) if body.get("labels") is None else listed(body, "labels")
    if not len(queries) == len(prompts) == len(labels):
        raise RowError(f"got {len(queries)} queries, {len(prompts)} prompts and {len(labels)} labels; expected as many")
    columns = [label_columns(label, service.rows.named.values()) for label in labels]
    rollouts = [_rollout(*one) for one in zip(queries, prompts, columns, strict=True)]
    rewarded = await service.reward(rollouts)
    rewards = numbers(rewarded)
    scores = [one.unit_score if one.unit_score is not None else one.reward for one in rewarded]
    expected = [one.judgments[0].expected_score for one in rewarded]
    logs = {"judge_score": expected} if None not in expected else {}
    return {"rewards": rewards, "scores": scores, "extra_logs": logs}


def _rollout(query: object, prompt: object, columns: dict[str, Any]) -> Rollout:
    if not isinstance(query, str) or not isinstance(prompt, str):
        raise RowError(f"got {query!r:.40} as a query and {prompt!r:.40} as its prompt; expected texts")
    text = rendered.completion(rendered.after_prompt(query, prompt))
    return Rollout(prompt=columns.pop("prompt", rendered.conversation(prompt)), completion=text, columns=columns)
