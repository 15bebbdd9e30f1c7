"""System One: named questions about one state (`POST /v1/systemone` of TypeSafe, Fireworks, vLLM and others)."""

from collections.abc import Mapping
from typing import Any

from prom_reward.errors import RowError, UnscoredError
from prom_reward.rewards.reward_rule import unscored_reason
from prom_reward.serving.exchange import Body
from prom_reward.serving.protocols.fields import as_mapping, check_fields, required
from prom_reward.serving.protocols.questions import Decision, content_text, decide, question_rubric
from prom_reward.serving.service import JudgeService

_FIELDS = ("model", "state", "questions")


async def systemone(service: JudgeService, body: Body) -> object:
    """`{"model", "state", "questions": {name: {"type", "instructions", "criteria"}}}` -> `{"answers"}`; else 503.

    The types are "noul" (yes or no), "choice" (criteria: option to description) and "score" (criteria: levels, from 0).
    """
    check_fields(body, _FIELDS)
    questions = as_mapping(required(body, "questions"), "questions")
    if not questions:
        raise RowError("questions: got none; expected at least one")
    asked = {name: as_mapping(one, f"question {name!r:.40}") for name, one in questions.items()}
    rubrics = [question_rubric(name, *_asked(name, question)) for name, question in asked.items()]
    found = await decide(service, content_text(required(body, "state"), "state"), rubrics)
    answers = {name: _answer(name, asked[name], one) for name, one in zip(asked, found, strict=True)}
    usage = {
        "input_tokens": sum(one.judgment.num_prompt_tokens or 0 for one in found),
        "output_tokens": sum(one.judgment.num_generated_tokens or 0 for one in found),
    }
    return {"model": service.judge.name, "answers": answers, "usage": usage}


def _asked(name: str, question: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return a question's instructions and the texts of its options."""
    check_fields(question, ("type", "instructions", "criteria"))
    what, criteria = f"question {name!r:.40}", question.get("criteria")
    match question.get("type"), criteria:
        case "noul", None | Mapping():
            given = {key: text for key, text in (criteria or {}).items() if text is not None}
            check_fields(given, ("true", "false"))
            options = [_option(answer, given.get(key), what) for key, answer in (("false", "No"), ("true", "Yes"))]
            return _instructions(question, what, "Which of the two applies?" if given else None), options
        case "choice", Mapping():
            options = [_option(option, text, what) for option, text in criteria.items()]
            return _instructions(question, what, "Which option applies?"), options
        case "score", list():
            return _instructions(question, what, "Which level applies?"), [content_text(one, what) for one in criteria]
    raise RowError(
        f"{what}: got the type {question.get('type')!r:.40} with criteria {criteria!r:.40}; expected noul, choice with "
        "a mapping, or score with a list"
    )


def _instructions(question: Mapping[str, Any], what: str, default: str | None) -> str:
    given = question.get("instructions")
    return default if given is None and default is not None else content_text(given, f"{what}, instructions")


def _option(name: str, description: object, what: str) -> str:
    return name if description is None else f"{name}: {content_text(description, what)}"


def _answer(name: str, question: Mapping[str, Any], found: Decision) -> dict[str, Any]:
    if found.probs is None:
        raise UnscoredError(f"question {name!r:.40}: {unscored_reason([found.judgment])}")
    kind, criteria = question["type"], question.get("criteria")
    if kind == "noul":
        return {"type": kind, "noul": found.probs[1]}
    if kind == "choice":
        probabilities = dict(zip(criteria or (), found.probs, strict=True))
        chosen = max(probabilities, key=probabilities.__getitem__)
        return {"type": kind, "choice": chosen, "confidence": found.confidence, "probabilities": probabilities}
    levels = {str(at): level for at, level in enumerate(criteria or ())}
    probabilities = dict(zip(levels, found.probs, strict=True))
    score = {"score": found.expected, "confidence": found.confidence}
    return {"type": kind, **score, "legend": levels, "probabilities": probabilities}
