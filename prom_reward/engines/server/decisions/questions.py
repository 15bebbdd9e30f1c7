"""The two decision protocols: prompts become typed questions, and answers the probabilities of their labels.

OpenAI's Decisions as openai 3.57 sends and reads it; System One as vLLM 0.32 and TypeSafe serve it.
"""

from collections.abc import Mapping, Sequence
from math import fsum, isfinite
from typing import Any

from prom_reward.types import JudgePrompt

REFUSED = "the model declined to answer"
"""Why a question has no answer although the server understood it."""

_MOST_LEVELS = 10  # vLLM shows a level as one digit
_TOLERANCE = 0.02  # servers round probabilities


def request_body(api: str, model: str | None, prompts: Sequence[JudgePrompt]) -> dict[str, Any]:
    """Return the body that asks about one document; the prompts differ in their questions alone.

    Args:
        api: "decisions" or "systemone".
        model: The served model's name; None leaves it to the server.
        prompts: At least one; all with the same task text.
    """
    named = {} if model is None else {"model": model}
    if api == "decisions":
        return {**named, "input": prompts[0].user, "questions": [_decision(one) for one in prompts]}
    questions = {_name(at): _systemone(one) for at, one in enumerate(prompts)}
    return {**named, "state": prompts[0].user, "questions": questions}


def read_answers(api: str, prompts: Sequence[JudgePrompt], body: Mapping[str, Any]) -> list[list[float] | str]:
    """Return the probabilities of each prompt's labels, in order, or a line that says why there are none."""
    answers = body.get("answers")
    if api == "decisions":
        if not isinstance(answers, list) or len(answers) != len(prompts):
            return [f"the server gave no list of {len(prompts)} answers"] * len(prompts)
        found = answers
    else:
        if not isinstance(answers, Mapping):
            return ["the server gave no mapping of answers"] * len(prompts)
        found = [answers.get(_name(at)) for at in range(len(prompts))]
    return [_probs(prompt, answer) for prompt, answer in zip(prompts, found, strict=True)]


def input_tokens(body: Mapping[str, Any]) -> int:
    """Return the server's count of prompt tokens; 0 if it gives none."""
    usage = body.get("usage")
    count = usage.get("input_tokens") if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) and count > 0 else 0


def _name(at: int) -> str:
    return f"question {at + 1}"


def _is_score(prompt: JudgePrompt) -> bool:
    """Whether the labels are the levels of a scale; else they are options without an order."""
    texts = prompt.label_texts
    return prompt.labels != ("A", "B") and len(texts) <= _MOST_LEVELS and len(set(texts)) == len(texts)


def _meanings(prompt: JudgePrompt) -> list[tuple[str, str]]:
    return list(zip(prompt.labels, prompt.label_texts, strict=True))


def _decision(prompt: JudgePrompt) -> dict[str, Any]:
    kind, key, name = ("score", "levels", "label") if _is_score(prompt) else ("choice", "choices", "value")
    options = [{name: label, "description": text} for label, text in _meanings(prompt)]
    return {"type": kind, "instructions": prompt.system, key: options}


def _systemone(prompt: JudgePrompt) -> dict[str, Any]:
    if _is_score(prompt):
        return {"type": "score", "instructions": prompt.system, "criteria": list(prompt.label_texts)}
    return {"type": "choice", "instructions": prompt.system, "criteria": dict(_meanings(prompt))}


def _probs(prompt: JudgePrompt, answer: object) -> list[float] | str:
    if not isinstance(answer, Mapping):
        return f"the server gave no answer to a question (got {answer!r:.60})"
    if answer.get("type") == "refusal":
        return REFUSED
    named = _named_probs(answer.get("probabilities"))
    keys = [str(at) for at in range(len(prompt.labels))] if _is_score(prompt) else list(prompt.labels)
    if named is None or set(named) != set(keys):
        return f"expected probabilities of {', '.join(keys)}; got the answer {dict(answer)!r:.200}"
    probs = [named[key] for key in keys]
    if abs(fsum(probs) - 1) > _TOLERANCE:
        return f"expected probabilities that sum to 1; got {', '.join(f'{one:g}' for one in probs):.200}"
    return probs


def _named_probs(listed: object) -> dict[str, float] | None:
    """Return the probabilities by option; a level is named by its place from 0. None if they have another shape."""
    if isinstance(listed, list):
        if not all(isinstance(one, Mapping) and "value" in one for one in listed):
            return None
        pairs = [(str(one["value"]), one.get("probability")) for one in listed]
        listed = dict(pairs) if len(dict(pairs)) == len(pairs) else None
    if not isinstance(listed, Mapping) or not all(_is_prob(one) for one in listed.values()):
        return None
    return {str(name): float(prob) for name, prob in listed.items()}


def _is_prob(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and 0 <= value <= 1
