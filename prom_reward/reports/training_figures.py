"""The figures that only a training has: two judges, length, entropy, groups without spread, seconds a step.

It does not know files or HTML.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prom_reward.reports.data import ReportData
from prom_reward.reports.figures import COLORS, Figure, numbers, plot_json
from prom_reward.reports.training_folder import Curve

_AUDIT = "#7c5cd6"
_POLICY = "#2ab0b0"
_WINDOW_SHARE = 15  # a running mean takes a fifteenth of the steps on either side


def training_figures(data: ReportData) -> list[Figure]:
    """Return the figures that a training's data has something for."""
    if not data.is_training:
        return []
    made = [_judges(data), _lengths(data), _entropies(data), _spread(data), _seconds(data)]
    return [figure for figure in made if figure is not None]


def share_without_spread(rewards: Mapping[tuple[int, str], Mapping[int, float]]) -> dict[int, float]:
    """Return by step the share of groups whose rewards are all the same; groups of one do not count.

    Args:
        rewards: By step and prompt, then by row of the batch.
    """
    found: dict[int, list[float]] = {}
    for (step, _), group in rewards.items():
        if len(group) > 1:
            found.setdefault(step, []).append(float(np.ptp(list(group.values())) < 1e-9))
    return {step: float(np.mean(flat)) for step, flat in sorted(found.items())}


def _judges(data: ReportData) -> Figure | None:
    """What the reward's judge and the audit judge say of the same responses."""
    audit, gap = (dict(data.curves.get(name, [])) for name in ("audit/score", "audit/gap"))
    steps = sorted(audit.keys() & gap.keys())
    if not steps:
        return None
    own = [(step, audit[step] + gap[step]) for step in steps]
    second = [(step, audit[step]) for step in steps]
    traces = [*_traces(own, "reward's judge", COLORS["chosen"]), *_traces(second, "audit judge", _AUDIT)]
    note = "The same responses under both, from 0 to 1: where only the first rises, the policy pleases its judge."
    return Figure(title="Reward's judge and audit judge", note=note, plot=plot_json(traces, x="step", y="mean score"))


def _lengths(data: ReportData) -> Figure | None:
    if not data.step_lengths:
        return None
    curve = [(step, float(np.mean(lengths))) for step, lengths in sorted(data.step_lengths.items())]
    note = f"Characters of the mean response: {_ends(curve, '.0f')}. A reward that pays for length shows here."
    traces = _traces(curve, "responses", COLORS["chosen"])
    return Figure(title="Length over steps", note=note, plot=plot_json(traces, x="step", y="characters"))


def _entropies(data: ReportData) -> Figure | None:
    judge = [(step, float(np.mean(found))) for step, found in sorted(data.step_entropies.items())]
    policy = [(step - 1, found) for step, found in data.curves.get("entropy", [])]  # a trainer counts a step when done
    traces = [*_traces(judge, "judge, a score", COLORS["chosen"]), *_traces(policy, "policy, a token", _POLICY)]
    if not traces:
        return None
    note = "Nats. A policy near 0 says the same in every rollout; a judge that is not sure gives rewards of noise."
    return Figure(title="Entropy over steps", note=note, plot=plot_json(traces, x="step", y="entropy in nats"))


def _spread(data: ReportData) -> Figure | None:
    shares = share_without_spread(data.group_rewards)
    if not shares:
        return None
    note = f"{np.mean(list(shares.values())):.1%} over all steps: groups whose rewards are all the same teach nothing."
    traces = _traces([(step, share * 100) for step, share in shares.items()], "groups", COLORS["tie"])
    return Figure(title="Groups without spread", note=note, plot=plot_json(traces, x="step", y="% of groups"))


def _seconds(data: ReportData) -> Figure | None:
    """What a step takes without the audit judge, who only looks on, and what of it is the judge's."""
    whole, judge, audit = (dict(data.curves.get(name, [])) for name in ("step_time", "judge/seconds", "audit/seconds"))
    steps = sorted(whole.keys() & judge.keys())
    own = [(step, whole[step] - audit.get(step, 0.0)) for step in steps]
    total = sum(seconds for _, seconds in own)
    if total <= 0:
        return None
    share = sum(judge[step] for step in steps) / total
    traces = _traces(own, "step", COLORS["tie"])
    traces += _traces([(step, judge[step]) for step in steps], "judge", COLORS["chosen"])
    without = ", without an audit judge's," if audit else ""
    note = f"{share:.1%} of the steps' time{without} is the judge's."
    return Figure(title="Seconds a step", note=note, plot=plot_json(traces, x="step", y="seconds"))


def _traces(curve: Curve, name: str, color: str) -> list[dict[str, Any]]:
    """Return a curve's points, and its running mean as a line; nothing for a curve without points."""
    if not curve:
        return []
    steps, values = zip(*curve, strict=True)
    means = _running_mean(values, len(values) // _WINDOW_SHARE)
    points = {"x": list(steps), "y": numbers(values), "mode": "markers", "showlegend": False, "hoverinfo": "skip"}
    return [
        {**points, "marker": {"color": color, "size": 4, "opacity": 0.3}},
        {"x": list(steps), "y": numbers(means), "name": name, "line": {"color": color, "width": 2.5}},
    ]


def _running_mean(values: Sequence[float], window: int) -> list[float]:
    """Return the mean of each value and its neighbours, up to `window` on either side."""
    return [float(np.mean(values[max(0, at - window) : at + window + 1])) for at in range(len(values))]


def _ends(curve: Curve, form: str) -> str:
    """Return the means of a curve's first and last tenth."""
    tenth = max(1, len(curve) // 10)
    first, last = (np.mean([value for _, value in part]) for part in (curve[:tenth], curve[-tenth:]))
    return f"{first:{form}} at first, {last:{form}} at last"
