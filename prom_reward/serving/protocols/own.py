"""This package's own protocol: grades, comparisons and rewards with everything that a judge says about them.

An unscored item is an answer like any other: its `outcome` says why, its score or reward is null.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

from prom_reward.engines.server.source import SERVED_BY
from prom_reward.errors import RowError, RubricError
from prom_reward.judging.asking.requests import parse_requests
from prom_reward.judging.served_judge import judge_facts
from prom_reward.rewards.groups.rule import GroupRule
from prom_reward.serving.exchange import Body
from prom_reward.serving.protocols.fields import as_mapping, check_fields, group_of, listed
from prom_reward.serving.service import JudgeService, Rollout
from prom_reward.types import ComparisonRequest, GradingRequest

_ROLLOUT_FIELDS = ("prompt", "completion")
_RequestT = TypeVar("_RequestT", GradingRequest, ComparisonRequest)


async def grade(service: JudgeService, body: Body) -> object:
    """`{"requests": [{"instruction", "response", "rubric", "reference_answer"}]}` -> `{"judgments": [...]}`."""
    requests = _requests(service, body, GradingRequest)
    judgments = await service.grade(requests, group_of(body))
    return {"judgments": [one.to_dict() for one in judgments], "judge": service.fingerprint}


async def compare(service: JudgeService, body: Body) -> object:
    """`{"requests": [{"instruction", "response_a", "response_b", "rubric"}]}` -> `{"comparisons": [...]}`."""
    requests = _requests(service, body, ComparisonRequest)
    comparisons = await service.compare(requests, group_of(body))
    return {"comparisons": [one.to_dict() for one in comparisons], "judge": service.fingerprint}


async def reward(service: JudgeService, body: Body) -> object:
    """`{"rows": [{"prompt", "completion", and a data set's other columns}]}` -> `{"rewards": [...], "rows": [...]}`.

    With `"topology"` the rows to each prompt, or of the named group, are compared with each other.
    """
    check_fields(body, ("rows", "group", "topology"))
    rollouts, group = [_rollout(row, at) for at, row in enumerate(listed(body, "rows"))], group_of(body)
    topology = body.get("topology")
    if topology is None:
        rewarded = await service.reward(rollouts, group)
    else:
        rewarded = await service.reward_by_comparing(rollouts, GroupRule(topology=topology), group)
    rows = [
        {"reward": one.reward, "problem": one.problem, "judgments": [judgment.to_dict() for judgment in one.judgments]}
        for one in rewarded
    ]
    return {"rewards": [one.reward for one in rewarded], "rows": rows, "judge": service.fingerprint}


async def reload(service: JudgeService, body: Body) -> object:
    """`{}` -> `{"rubrics": [names]}`, after the server read its `--rubric` again; if it cannot, the old ones stay."""
    check_fields(body, ())
    # A thread of the pool does not inherit the rule that a request names no files.
    rubrics = await asyncio.get_running_loop().run_in_executor(None, service.reload_rubrics)
    return {"rubrics": [one.name for one in rubrics]}


async def models(service: JudgeService, _body: Body) -> object:
    """Return the served judge in the shape of OpenAI's list of models, with all that a remote judge must know."""
    judge = service.judge
    return {
        "object": "list",
        "data": [
            {"id": judge.name, "object": "model", "created": 0, "owned_by": SERVED_BY, "judge": judge_facts(judge)},
        ],
    }


def _requests(service: JudgeService, body: Body, cls: type[_RequestT]) -> list[_RequestT]:
    check_fields(body, ("requests", "group"))
    values = [_with_rubric(service, one, at) for at, one in enumerate(listed(body, "requests"))]
    requests = []
    for at, value in enumerate(values):
        try:
            requests += parse_requests([value], cls)
        except (RowError, RubricError) as error:
            raise type(error)(f"requests[{at}]: {error}") from None
    return requests


def _with_rubric(service: JudgeService, value: object, at: int) -> Mapping[str, Any]:
    """Return a request with the server's default rubric if it brings none.

    Raises:
        RowError: It brings none, and the server has several.
    """
    given = as_mapping(value, f"requests[{at}]")
    defaults = service.rows.rubrics
    if given.get("rubric") is None and len(defaults) > 1:
        names = ", ".join(one.name for one in defaults)
        raise RowError(
            f"requests[{at}]: got no rubric, and the server has {len(defaults)} ({names:.200}); expected one as "
            "'rubric'; /v1/reward takes all of them"
        )
    if given.get("rubric") is None and defaults:
        return {**given, "rubric": defaults[0]}
    return given


def _rollout(value: object, at: int) -> Rollout:
    row = as_mapping(value, f"rows[{at}]")
    if missing := [name for name in _ROLLOUT_FIELDS if name not in row]:
        raise RowError(f"rows[{at}]: got no {' and no '.join(missing)}; expected prompt and completion")
    columns = {name: item for name, item in row.items() if name not in _ROLLOUT_FIELDS}
    return Rollout(prompt=row["prompt"], completion=row["completion"], columns=columns)
