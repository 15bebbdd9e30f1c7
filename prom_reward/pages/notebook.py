"""A judge's answer as HTML for a notebook: one card, every text escaped, colors of the notebook."""

from collections.abc import Mapping
from html import escape
from typing import Any

from prom_reward.pages.text import shortened, visible

_MAX_FEEDBACK = 4_000
_HIDDEN = ("feedback", "score_probs", "outcome", "sampled_scores", "is_partial")


def answer_html(name: str, values: Mapping[str, Any]) -> str:
    """Return the HTML of a judgment or a comparison.

    Args:
        name: "Judgment" or "Comparison".
        values: Its `to_dict`.
    """
    facts = {key: value for key, value in values.items() if key not in _HIDDEN and not key.startswith("num_")}
    given = {key.replace("_", " "): value for key, value in facts.items() if value not in (None, [])}
    told = [f"{key} <b>{_shown(value)}</b>" for key, value in given.items()]
    feedback = values.get("feedback") or ""
    return (
        '<div style="border:1px solid currentColor;border-radius:8px;padding:8px 12px;max-width:60em">'
        f"<div><b>{escape(name)}</b> {_shown(values['outcome'])} {_bars(values.get('score_probs') or {})}</div>"
        f"<div>{' · '.join(told)}</div>"
        + (f'<div style="white-space:pre-wrap;margin-top:6px">{_shown(feedback)}</div>' if feedback else "")
        + "</div>"
    )


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return escape(visible(shortened(text, _MAX_FEEDBACK)))


def _bars(probs: Mapping[str, float]) -> str:
    """Return a distribution as small bars, with its numbers for those who point at it or have it read out."""
    if not probs:
        return ""
    told = escape(visible(", ".join(f"{label}: {prob:.1%}" for label, prob in probs.items())))
    bars = "".join(
        f'<i style="display:inline-block;width:6px;margin-right:1px;height:{max(1, round(16 * prob))}px;'
        'background:currentColor"></i>'
        for prob in probs.values()
    )
    return f'<span role="img" aria-label="{told}" title="{told}">{bars}</span>'
