"""What lies beside a training's judgment log: the trainer's own curves, and answers before and after.

It does not know judgments, figures or HTML.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

from prom_reward.data.rows import read_values
from prom_reward.errors import InputError
from prom_reward.files import MAX_TABLE_BYTES, read_text, write_lines

LOG_FILE = "judgments.jsonl"
"""What `PrometheusReward(log_path=...)` writes, in a folder that is a training."""
BEFORE_AFTER_FILE = "before_after.jsonl"
"""Lines with the fields of BeforeAfter."""
STATE_FILE = "trainer_state.json"
"""What a trainer's `save_state()` writes, and every checkpoint holds."""

Curve = list[tuple[int, float]]
"""Steps with a metric's value, in order."""
_ENDS = {"reward": "reward", "entropy": "entropy", "length": "completions/mean_length", "audit_score": "audit/score"}
_ENDS |= {"kl": "kl", "cut_share": "completions/clipped_ratio"}
_MEANS = {"share_without_spread": "frac_reward_zero_std", "step_s": "step_time"}
_MEANS |= {"judge_s": "judge/seconds", "audit_s": "audit/seconds"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeAfter:
    """A prompt with the answers of the policy that a training began with, and of the one that it ended with."""

    prompt: str
    """What was asked."""
    before: str
    """The first policy's answer."""
    after: str
    """The trained policy's."""
    before_score: float | None = None
    """The judge's, on the rubric's scale."""
    after_score: float | None = None
    """The same for the trained policy."""
    before_feedback: str = ""
    """What the judge wrote."""
    after_feedback: str = ""
    """The same for the trained policy."""
    rubric: str = ""
    """What the scores and the feedback are of."""

    @property
    def change(self) -> float:
        """By how much the score rose; 0 where one is missing."""
        return 0.0 if self.before_score is None or self.after_score is None else self.after_score - self.before_score


def load_curves(folder: Path) -> dict[str, Curve]:
    """Return what the trainer logged, by metric; empty where the folder holds no state.

    The state is the folder's own, else that of its last whole checkpoint.

    Raises:
        InputError: The state cannot be read.
    """
    path = folder / STATE_FILE
    if not path.exists():
        found = last_checkpoint(folder)
        if found is None:
            return {}
        path = found / STATE_FILE
    try:
        history = json.loads(read_text(path, max_bytes=MAX_TABLE_BYTES))["log_history"]
        return _curves(history)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: not a trainer's state ({type(error).__name__}: {error}); expected the file of "
            "trainer.save_state(), or delete it to see the judgments alone"
        ) from error


def summarize_curves(curves: Mapping[str, Curve], *, last_step: int | None = None) -> dict[str, float]:
    """Return what a training's curves come to; what was not logged is not there.

    Args:
        curves: By metric.
        last_step: The step at which all curves are cut; None takes all of them.

    Returns:
        "steps"; of a whole training the means of the first and the last tenth of the steps, "reward_first",
        "reward_last" and the same of "entropy" (nats a token), "length" (tokens), "audit_score", "kl" (nats a token,
        from the first policy) and "cut_share" (completions that were cut at the longest length);
        "share_without_spread" of all groups; a step's mean seconds without the audit judge's, "step_s", and of them
        "judge_s", which is the "judge_share"; beside them "audit_s".
    """
    if last_step is not None:
        curves = {name: [point for point in curve if point[0] <= last_step] for name, curve in curves.items()}
    found: dict[str, float] = {"steps": float(max((step for curve in curves.values() for step, _ in curve), default=0))}
    for name, metric in _ENDS.items():
        if curves.get(metric) and last_step is None:
            found |= {f"{name}_first": _first_tenth(curves[metric]), f"{name}_last": _first_tenth(curves[metric][::-1])}
    for name, metric in _MEANS.items():
        if curves.get(metric):
            found[name] = fmean(value for _, value in curves[metric])
    if "step_s" in found:
        found["step_s"] -= found.get("audit_s", 0.0)
    if {"step_s", "judge_s"} <= found.keys():
        found["judge_share"] = found["judge_s"] / found["step_s"]
    return found


def last_checkpoint(folder: Path) -> Path | None:
    """Return a trainer's last whole checkpoint: the state is written last, so one without it was cut off."""
    states = [path.parent for path in folder.glob(f"checkpoint-*/{STATE_FILE}")]
    whole = [path for path in states if path.name.rpartition("-")[2].isdecimal()]
    return max(whole, key=checkpoint_step, default=None)


def checkpoint_step(checkpoint: Path | None) -> int:
    """Return the steps that were trained up to a checkpoint; 0 without one."""
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0


def load_before_after(folder: Path) -> list[BeforeAfter]:
    """Return the answers before and after; empty where the folder has no BEFORE_AFTER_FILE.

    Raises:
        InputError: A line lacks a field, or has an unknown one.
    """
    path = folder / BEFORE_AFTER_FILE
    if not path.exists():
        return []
    try:
        return [_before_after(values) for values in read_values(path)]
    except TypeError as error:
        raise InputError(f"{path}: {error}; expected lines with prompt, before, after, before_score...") from error


def write_before_after(folder: Path, answers: Iterable[BeforeAfter]) -> None:
    """Write the answers for `prom-reward report FOLDER`, whole or not at all."""
    write_lines(folder / BEFORE_AFTER_FILE, map(asdict, answers))


def _first_tenth(curve: Curve) -> float:
    return fmean(value for _, value in curve[: max(1, len(curve) // 10)])


def _before_after(values: Mapping[str, Any]) -> BeforeAfter:
    one = BeforeAfter(**values)
    texts = (one.prompt, one.before, one.after, one.before_feedback, one.after_feedback, one.rubric)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("got a text that is no string")
    if not all(score is None or isinstance(score, int | float) for score in (one.before_score, one.after_score)):
        raise TypeError("got a score that is no number")
    return one


def _curves(history: Iterable[Mapping[str, Any]]) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for entry in history:
        step = int(entry["step"])
        for name, value in entry.items():
            if name != "step" and isinstance(value, int | float) and isfinite(value):
                curves.setdefault(name, []).append((step, float(value)))
    return curves
