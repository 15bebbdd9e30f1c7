"""OpenAI's Decisions: a list of questions about one input (`client.decisions.create` of openai 3.57)."""

from collections.abc import Mapping, Sequence
from typing import Any

from prom_reward.errors import RowError
from prom_reward.prompts.messages import read_messages
from prom_reward.serving.exchange import Body
from prom_reward.serving.protocols.fields import as_mapping, check_fields, listed, required
from prom_reward.serving.protocols.questions import Decision, content_text, decide, question_rubric
from prom_reward.serving.service import JudgeService

_FIELDS = ("input", "model", "questions", "prompt_cache_key", "prompt_cache_options", "safety_identifier")
_MAX_QUESTIONS = 400


async def decisions(service: JudgeService, body: Body) -> object:
    """`{"model", "input", "questions": [{"type", "instructions", ...}]}` -> `{"answers"}`; unscored: a refusal.

    The types are "predicate", "choice" (`choices`) and "score" (`levels`, from 0).
    """
    check_fields(body, _FIELDS)
    questions = [as_mapping(one, f"questions[{at}]") for at, one in enumerate(listed(body, "questions"))]
    if not 1 <= len(questions) <= _MAX_QUESTIONS:
        raise RowError(f"got {len(questions)} questions; expected 1 to {_MAX_QUESTIONS}")
    rubrics = [question_rubric(*_asked(question, at)) for at, question in enumerate(questions)]
    found = await decide(service, _input(required(body, "input")), rubrics)
    answers = [_answer(question, one) for question, one in zip(questions, found, strict=True)]
    return {"model": service.judge.name, "answers": answers, "usage": _usage(found)}


def _input(value: object) -> str:
    if not isinstance(value, list):
        return content_text(value, "input")
    messages = read_messages(value, "input")
    if media := [kind for one in messages for kind in one.media]:
        raise RowError(f"input: got media ({media[0]}), which the judge does not see; expected texts")
    if not any(one.text.strip() or one.calls for one in messages):
        raise RowError(f"input: got {value!r:.60}; expected messages with words")
    turns = [(one.role.capitalize(), one.text, *one.calls) for one in messages]
    return "\n\n".join(f"{role}: {' '.join(filter(None, words))}" for role, *words in turns)


def _asked(question: Mapping[str, Any], at: int) -> tuple[str, str, list[str]]:
    """Return a question's name, its instructions and the texts of its options."""
    what, kind = f"questions[{at}]", question.get("type")
    instructions = content_text(required(question, "instructions"), f"{what}, instructions")
    options = {"predicate": None, "choice": "choices", "score": "levels"}
    if not isinstance(kind, str) or kind not in options:
        raise RowError(f"{what}: got the type {kind!r:.40}; expected predicate, choice or score")
    key = options[kind]
    check_fields(question, ("type", "name", "instructions", *([key] if key else [])))
    name = str(question.get("name") or what)
    if key is None:
        return name, instructions, ["No, the statement is false.", "Yes, the statement is true."]
    given = [as_mapping(one, f"{what}.{key}") for one in listed(question, key)]
    return name, instructions, [_option(one, "value" if kind == "choice" else "label") for one in given]


def _option(option: Mapping[str, Any], key: str) -> str:
    name = required(option, key)
    if not isinstance(name, str | bool):
        raise RowError(f"{key}: got {name!r:.40}; expected a text")
    description = option.get("description")
    return str(name) if not description else f"{name}: {description}"


def _answer(question: Mapping[str, Any], found: Decision) -> dict[str, Any]:
    named = {"name": question.get("name")}
    if found.probs is None:
        return {"type": "refusal", **named}
    if question["type"] == "predicate":
        return {"type": "predicate", **named, "probability": found.probs[1]}
    if question["type"] == "choice":
        pairs = list(zip((one["value"] for one in question["choices"]), found.probs, strict=True))
        return {
            "type": "choice",
            **named,
            "choice": max(pairs, key=lambda pair: pair[1])[0],
            "confidence": found.confidence,
            "probabilities": [{"value": value, "probability": prob} for value, prob in pairs],
        }
    levels = [one["label"] for one in question["levels"]]
    return {
        "type": "score",
        **named,
        "score": found.expected,
        "confidence": found.confidence,
        "probabilities": [
            {"label": label, "value": at, "probability": prob}
            for at, (label, prob) in enumerate(zip(levels, found.probs, strict=True))
        ],
    }


def _usage(found: Sequence[Decision]) -> dict[str, Any]:
    read = sum(one.judgment.num_prompt_tokens or 0 for one in found)
    written = sum(one.judgment.num_generated_tokens or 0 for one in found)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }
