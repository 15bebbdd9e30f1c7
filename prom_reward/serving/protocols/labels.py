"""The one column that frameworks pass through to a reward: their label."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


def label_columns(label: object) -> dict[str, Any]:
    """Return the columns that a framework's label holds.

    A JSON object, or one as text, holds columns such as `rubric`, `reference_answer` and `prompt`; any other value is
    the reference answer.
    """
    if isinstance(label, str) and label.lstrip().startswith("{"):
        with suppress(ValueError):
            label = json.loads(label)
    if isinstance(label, Mapping):
        return dict(label)
    return {} if label in (None, "") else {"reference_answer": label}
