"""The name under which trainers log a reward: they merge the metrics of equal names.

It does not know judgments or batches.
"""

import hashlib
import re
from typing import Any

# Not the judge's fingerprint: that asks for the device, and a reward may be made before its process has one.
_JUDGE_SETTINGS = ("name", "prompt_style", "mode", "num_samples", "sampling", "guard", "flags", "truncate_response")
_REWARD_SETTINGS = (
    "rubrics",
    "normalizer",
    "score",
    "on_unscored",
    "on_unscored_rubric",
    "rubric_column",
    "reference_column",
    "include_reasoning",
)


def derived_name(reward: Any) -> str:
    """Return a name of a reward's rubrics with a digest of all its settings."""
    settings = [
        *(getattr(reward.judge, setting, None) for setting in _JUDGE_SETTINGS),
        getattr(getattr(reward.judge, "engine", None), "identity", None),
        *(getattr(reward, setting) for setting in _REWARD_SETTINGS),
    ]
    text = re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(settings))  # a function's address differs between processes
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    named = "_".join(rubric.name for rubric in reward.rubrics) or "rubric_column"
    return f"prometheus_{named}_{digest}"
