"""The details below a score, as JSON texts of a judgment: criteria, judges and comparisons."""

import json
from typing import Any

from prom_reward.explorer.judged import Judged, Standing


def rounded(value: float | None) -> float | None:
    """Return a number with the four digits that a page shows."""
    return None if value is None else float(f"{value:.4g}")


def details_of(one: Judged) -> str:
    """Return the JSON text that `explorer/assets/views/details.js` reads; empty if there is nothing.

    It is ASCII, so a lone surrogate stays inside of its JSON string.
    """
    fields: dict[str, Any] = {
        "parts": [
            [part.name, part.weight, rounded(part.value), rounded(part.effect), part.source, part.feedback, part.error]
            for part in one.parts
        ],
        "judges": {name: rounded(score) for name, score in one.judge_scores.items()},
        "standing": one.standing and _standing(one.standing),
    }
    filled = {name: value for name, value in fields.items() if value}
    return json.dumps(filled, separators=(",", ":")) if filled else ""


def criteria_of(one: Judged) -> str:
    """Return the criteria that a judge decides as a JSON text of names and texts; empty if there are none.

    It is the same for all responses by one checklist, so a page holds it once.
    """
    asked = [{"name": part.name, "text": part.text} for part in one.parts if part.text and part.source != "code"]
    return json.dumps(asked, separators=(",", ":")) if asked else ""


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "place": standing.place,
        "score": rounded(standing.score),
        "error": rounded(standing.standard_error),
        "meetings": [
            [one.other, *map(rounded, (one.prob, *one.orders)), *(one.feedback if any(one.feedback) else ())]
            for one in standing.meetings
        ],
    }
