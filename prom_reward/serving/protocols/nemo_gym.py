"""NeMo-Gym's resources server: `/verify` for one rollout, `/compare` for the responses to one prompt.

NeMo-Gym's agents and environments call `/seed_session` before each rollout and `/close_session` after it, and stop if
either call fails. After a collection they call `/aggregate_metrics`.

The reward in its answers must be a number, and only newer versions leave out a rollout that has `mask_sample`. An
unscored rollout is therefore status 503, unless the row asks for a masked one.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from prom_reward.errors import RowError, RubricError, UnscoredError
from prom_reward.prompts.transcripts import PromptValue
from prom_reward.rewards.groups.contest import PairVerdict
from prom_reward.rewards.groups.rule import GroupRule
from prom_reward.rewards.reward_rule import unscored_reason
from prom_reward.rubrics.formats import is_rendered, json_value
from prom_reward.rubrics.reading import AnyRubric, read_rubrics
from prom_reward.rubrics.rubric import Rubric, builtin_names
from prom_reward.serving.exchange import Body, json_response
from prom_reward.serving.protocols.fields import as_mapping, check_fields, listed, required
from prom_reward.serving.service import JudgeService, Rollout
from prom_reward.types import GradingRequest

_SESSION, _TASK = "resources_session_id", "_ng_task_index"
_PRINCIPLE_LEVELS = ("not at all", "in small part", "in part, with clear gaps", "for the most part", "fully")


async def seed_session(_service: JudgeService, body: Body) -> object:
    """An agent's row -> `{}`; an environment's `{"resources_session_id", ...}` -> the same id, with a cookie.

    A judge keeps no sessions, but an environment gives up on a server that sets no cookie.
    """
    if _SESSION not in body:
        return {}
    answer = json_response({_SESSION: body[_SESSION]})
    answer.set_cookie("session", "none")
    return answer


async def close_session(_service: JudgeService, body: Body) -> object:
    """`{"resources_session_id"}`, or anything -> the same id, or `{}`."""
    return {_SESSION: body[_SESSION]} if _SESSION in body else {}


async def verify(service: JudgeService, body: Body) -> object:
    """`{"responses_create_params", "response", and the row's fields}` -> the same with `reward`; unscored: status 503.

    With `"on_unscored": "mask"` in the row, an unscored rollout has `mask_sample`, `failure_reason` and the reward 0.
    An answer without any output is judged as an empty response.
    """
    params = as_mapping(required(body, "responses_create_params"), "responses_create_params")
    columns = {name: value for name, value in body.items() if name not in ("responses_create_params", "response")}
    rollout = Rollout(prompt=_prompt(params), completion=_output(required(body, "response")), columns=columns)
    [found] = await service.reward([rollout])
    if found.problem is None:
        return {**body, "reward": found.reward, "mask_sample": False, "failure_reason": None, "failure_kind": None}
    if body.get("on_unscored") != "mask":
        raise UnscoredError(found.problem)
    given = body.get("instance_config")
    config = {**(given if isinstance(given, Mapping) else {}), "mask_sample": True}  # where NeMo-RL looks for it
    failed = {"failure_reason": found.problem, "failure_kind": "judge_failed", "_ng_failure_class": "judge_failed"}
    return {**body, "reward": 0.0, "mask_sample": True, "instance_config": config, **failed}


async def aggregate_metrics(_service: JudgeService, body: Body) -> object:
    """`{"verify_responses"}` -> `{"agent_metrics", "key_metrics", "group_level_metrics"}`, without the masked ones."""
    check_fields(body, ("verify_responses",))
    tasks: defaultdict[int, list[float | None]] = defaultdict(list)
    for at, value in enumerate(listed(body, "verify_responses")):
        row = as_mapping(value, f"verify_responses[{at}]")
        task, reward, is_masked = row.get(_TASK), row.get("reward"), bool(row.get("mask_sample"))
        if not (isinstance(task, int) and (is_masked or _is_number(reward))):
            raise RowError(f"verify_responses[{at}]: got {_TASK} {task!r:.40}, reward {reward!r:.40}; expected numbers")
        tasks[task].append(None if is_masked else reward)
    found = _reward_metrics([reward for rewards in tasks.values() for reward in rewards])
    return {
        "agent_metrics": found,
        "key_metrics": {name: value for name, value in found.items() if name.startswith("mean/")},
        "group_level_metrics": [{_TASK: task, **_reward_metrics(rewards)} for task, rewards in tasks.items()],
    }


async def compare(service: JudgeService, body: Body) -> object:
    """`{"conversation_history", "response_objs", "principle"}` -> `{"rewards", "comparison_results", "metrics"}`.

    Rewards are strengths in log-odds with mean 0; see `prom_reward.rewards.groups`. Unscored: status 503. A failed
    comparison has no `prob_i` and no part in `order_effect_rate`; if all failed, the grades alone make the rewards.
    """
    check_fields(body, ("conversation_history", "response_objs", "principle"))
    rubric = _principle(service, body.get("principle"))
    history, responses = listed(body, "conversation_history"), listed(body, "response_objs")
    if not responses:
        raise RowError("response_objs: got no response; expected at least one")
    ranking = await service.rank([_request(service, history, one, rubric) for one in responses], GroupRule())
    failed = [at for at, score in enumerate(ranking.scores) if score is None]
    if failed:
        raise UnscoredError(f"response {failed[0]}: {unscored_reason([ranking.judgments[failed[0]]])}")
    known = [one for one in ranking.pairs if one.prob_first is not None]
    num_failed = len(ranking.pairs) - len(known)
    metrics = {"num_comparisons": float(len(ranking.pairs)), "num_failed_comparisons": float(num_failed)}
    if known:
        metrics["order_effect_rate"] = mean(float(one.follows_order) for one in known)
    return {
        "rewards": [score.value for score in ranking.scores if score is not None],
        "comparison_results": [_shown(one) for one in ranking.pairs],
        "metrics": metrics,
    }


def _reward_metrics(rewards: Sequence[float | None]) -> dict[str, float]:
    """Return statistics of the rewards under NeMo-Gym's names; None is a masked one, which is only counted."""
    counts = {"num_rollouts": len(rewards), "num_masked": rewards.count(None)}
    kept = [one for one in rewards if one is not None]
    return {**counts, **({"mean/reward": mean(kept), "min/reward": min(kept), "max/reward": max(kept)} if kept else {})}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _prompt(params: Mapping[str, Any]) -> PromptValue:
    given, system = required(params, "input"), params.get("instructions")
    if not isinstance(given, str | list):
        raise RowError(f"responses_create_params.input: got {given!r:.60}; expected a text or a list of items")
    if not system:
        return given
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    return [{"role": "system", "content": system}, *items]


def _output(response: object) -> PromptValue:
    output = required(as_mapping(response, "response"), "output")
    if not isinstance(output, list):
        raise RowError(f"response.output: got {output!r:.60}; expected a list of items")
    return output or ""  # a policy may say nothing at all


def _request(service: JudgeService, history: PromptValue, response: object, rubric: AnyRubric) -> GradingRequest:
    instruction, answer = service.rows.texts(history, _output(response), guard=service.judge.guard)
    return GradingRequest(instruction=instruction, response=answer, rubric=rubric)


def _principle(service: JudgeService, principle: object) -> AnyRubric:
    """Return the rubric of a principle: one in any form, or a sentence that responses follow more or less."""
    if principle is None:
        if len(service.rows.rubrics) != 1:
            raise RowError("got no principle, and the server has no single rubric; expected one of them")
        return service.rows.rubrics[0]
    if not isinstance(principle, str) or not principle.strip():
        raise RowError(f"principle: got {principle!r:.60}; expected a text")
    if principle in builtin_names() or is_rendered(principle) or json_value(principle) is not None:
        rubrics = read_rubrics(principle)
        if len(rubrics) != 1:
            raise RubricError(f"principle: got {len(rubrics)} rubrics; expected one")
        return rubrics[0]
    levels = {at: f"The response follows this {share}." for at, share in enumerate(_PRINCIPLE_LEVELS, start=1)}
    return Rubric(name="principle", criteria=principle.strip(), descriptions=levels)


def _shown(pair: PairVerdict) -> dict[str, Any]:
    return {"response_i": pair.first, "response_j": pair.second, "prob_i": pair.prob_first}
