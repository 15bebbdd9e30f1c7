"""Reads the fields of `Judgment.to_dict` and of its request as the explorer shows them."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from prom_reward.pages.text import shortened
from prom_reward.rubrics.checklists.checklist import Part

_MAX_TEXT = 20_000
_TOKENS = {"read": "num_prompt_tokens", "computed": "num_computed_tokens", "written": "num_generated_tokens"}


def judgment_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Judgment.to_dict` that a report shows."""
    return {
        "outcome": text_in(values["outcome"]),
        "score": number_in(values["score"]),
        "expected_score": number_in(values["expected_score"]),
        "probs": _probs(values["score_probs"]),
        "entropy": number_in(values["entropy"]),
        "feedback": _cut(text_in(values["feedback"] or values.get("error") or "")),
        "flags": tuple(map(text_in, values.get("flags") or ())),
        "given_by": text_in(values.get("given_by") or ""),
        "judge_scores": {text_in(name): number_in(score) for name, score in (values.get("judge_scores") or {}).items()},
        "tokens": token_counts(values),
        "parts": tuple(_part(part) for part in values.get("parts") or ()),
    }


def token_counts(values: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the token counts of `Judgment.to_dict` by the names that a page gives them; None if one is not told."""
    return {name: number_in(values.get(count)) for name, count in _TOKENS.items()}


def _part(values: Mapping[str, Any]) -> Part:
    """Return a checklist's criterion; its texts are as bounded as feedback."""
    said = [text_in(values.get(name) or "") for name in ("source", "feedback", "error", "text")]
    return Part(
        name=text_in(values["name"]),
        weight=number_in(values["weight"]) or 0.0,
        value=number_in(values.get("value")),
        effect=number_in(values.get("effect")),
        source=said[0],
        feedback=_cut(said[1]),
        error=said[2] or None,
        text=said[3],
    )


def request_texts(prompt: str, response: str, reference: str) -> dict[str, Any]:
    """Return the texts of a request as a report shows them, and the response's whole length."""
    texts = {"prompt": text_in(prompt), "response": text_in(response), "reference": text_in(reference)}
    is_cut = any(len(text) > _MAX_TEXT for text in texts.values())
    return {**{name: _cut(text) for name, text in texts.items()}, "length": len(response), "is_cut": is_cut}


def text_in(value: Any) -> str:
    """Return a text; raises TypeError if it is none."""
    if not isinstance(value, str):
        raise TypeError(f"got {value!r:.40}, expected a text")
    return value


def number_in(value: Any) -> float | None:
    """Return a finite number or None; raises TypeError if it is neither."""
    if value is None:
        return None
    if not isinstance(value, int | float) or not isfinite(value):
        raise TypeError(f"got {value!r:.40}, expected a number")
    return float(value)


def _probs(value: Any) -> dict[str, float] | None:
    """Return a distribution; its labels must be integers."""
    return None if value is None else {str(int(label)): float(prob) for label, prob in value.items()}


def _cut(text: str) -> str:
    return shortened(text, _MAX_TEXT)
