"""The files beside a training's judgment log: the trainer's own log, its policy, and answers before and after."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

from prom_reward.data.rows import read_values
from prom_reward.errors import InputError
from prom_reward.files import MAX_TABLE_BYTES, read_text, write_lines

LOG_FILE = "judgments.jsonl"
"""The log of `PrometheusReward(log_path=...)`; a folder with it is a training."""
BEFORE_AFTER_FILE = "before_after.jsonl"
"""Lines with the fields of BeforeAfter."""
STATE_FILE = "trainer_state.json"
"""Written by a trainer's `save_state()` and with every checkpoint."""

Curve = list[tuple[int, float]]
"""Steps with a metric's value, in order."""
_ENDS = {"reward": "reward", "entropy": "entropy", "length": "completions/mean_length", "audit_score": "audit/score"}
_ENDS |= {"kl": "kl", "cut_share": "completions/clipped_ratio"}
_MEANS = {"share_without_spread": "frac_reward_zero_std", "step_s": "step_time"}
_MEANS |= {"judge_s": "judge/seconds", "audit_s": "audit/seconds"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeAfter:
    """A prompt with the answers of the policy before and after a training."""

    prompt: str
    """The prompt."""
    before: str
    """The first policy's answer."""
    after: str
    """The trained policy's answer."""
    before_score: float | None = None
    """The judge's score, on the rubric's scale."""
    after_score: float | None = None
    """The same for the trained policy."""
    before_feedback: str = ""
    """The judge's feedback."""
    after_feedback: str = ""
    """The same for the trained policy."""
    rubric: str = ""
    """The rubric of scores and feedback."""

    @property
    def change(self) -> float:
        """The rise of the score; 0 if one is missing."""
        return 0.0 if self.before_score is None or self.after_score is None else self.after_score - self.before_score


def load_curves(folder: Path) -> dict[str, Curve]:
    """Return the trainer's log by metric; empty if the folder holds no state.

    The state is the folder's own, or else that of its last whole checkpoint.

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
    """Return a training's figures; a figure that was not logged is left out.

    Args:
        curves: By metric.
        last_step: The step at which all curves are cut; None takes all of them.

    Returns:
        "steps"; if `last_step` is None, the means of the first and the last tenth of the steps: "reward_first",
        "reward_last" and the same for "entropy" (nats per token), "length" (tokens), "audit_score", "kl" (nats per
        token, from the first policy) and "cut_share" (completions cut at the maximum length);
        "share_without_spread" of all groups; the mean seconds of a step without the audit judge, "step_s", of the
        judge, "judge_s", and of the audit judge, "audit_s"; "judge_share" is judge_s / step_s.
    """
    if last_step is not None:
        curves = {name: [point for point in curve if point[0] <= last_step] for name, curve in curves.items()}
    found: dict[str, float] = {"steps": float(max((step for curve in curves.values() for step, _ in curve), default=0))}
    for name, metric in _ENDS.items():
        if curves.get(metric) and last_step is None:
            found[f"{name}_first"], found[f"{name}_last"] = ends(curves[metric])
    for name, metric in _MEANS.items():
        if curves.get(metric):
            found[name] = fmean(value for _, value in curves[metric])
    if "step_s" in found:
        found["step_s"] -= found.get("audit_s", 0.0)
    if {"step_s", "judge_s"} <= found.keys():
        found["judge_share"] = found["judge_s"] / found["step_s"]
    return found


def ends(curve: Curve) -> tuple[float, float]:
    """Return the means of a curve's first and last tenth."""
    size = num_at_ends(curve)
    first, last = (fmean(value for _, value in part) for part in (curve[:size], curve[-size:]))
    return first, last


def num_at_ends(curve: Sequence[object]) -> int:
    """Return the number of steps that `ends` takes on either side."""
    return max(1, len(curve) // 10)


def last_checkpoint(folder: Path) -> Path | None:
    """Return a trainer's last whole checkpoint; one without a state, which is written last, was cut off."""
    states = [path.parent for path in folder.glob(f"checkpoint-*/{STATE_FILE}")]
    whole = [path for path in states if path.name.rpartition("-")[2].isdecimal()]
    return max(whole, key=checkpoint_step, default=None)


def checkpoint_step(checkpoint: Path | None) -> int:
    """Return the number of steps up to a checkpoint; 0 without one."""
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0


def policy_name(folder: Path) -> str:
    """Return the model that the folder's adapter or weights were trained from; empty if nothing says it."""
    for place in filter(None, (folder, last_checkpoint(folder))):
        for file, key in (("adapter_config.json", "base_model_name_or_path"), ("config.json", "_name_or_path")):
            with suppress(OSError, ValueError, InputError):
                settings = json.loads(read_text(place / file))
                if isinstance(settings, dict) and isinstance(settings.get(key), str) and settings[key]:
                    return str(settings[key])
    return ""


def load_before_after(folder: Path) -> list[BeforeAfter]:
    """Return the answers before and after; empty if the folder has no BEFORE_AFTER_FILE.

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
        for name, value in {**entry, **_summed_seconds(entry)}.items():
            if name != "step" and isinstance(value, int | float) and isfinite(value):
                curves.setdefault(name, []).append((step, float(value)))
    return curves


def _summed_seconds(entry: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds of several rewards together: each logs its own as `NAME/judge/seconds`."""
    sums = {}
    for name in ("judge/seconds", "audit/seconds"):
        values = [value for key, value in entry.items() if key.endswith(f"/{name}") and isinstance(value, float)]
        if values:
            sums[name] = sum(values)
    return sums
