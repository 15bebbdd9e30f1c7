"""The figures of a training, over its steps."""

from collections.abc import Mapping, Sequence

import numpy as np

from prom_reward.errors import number_of
from prom_reward.pages.plots import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    RED,
    TEAL,
    VIOLET,
    Axis,
    Band,
    Box,
    Boxes,
    Dots,
    Figure,
    Line,
    Mark,
    Plot,
    stacked,
)
from prom_reward.reports.overview.figures import COLORS, FAILED, scales_note
from prom_reward.reports.report_data import ReportData
from prom_reward.reports.training_folder import Curve, ends, num_at_ends

_WINDOW_SHARE = 15  # a running mean takes a fifteenth of the steps on either side
_MAX_BARS = 60
_RUBRIC_COLORS = (BLUE, ORANGE, GREEN, VIOLET, RED, TEAL)
_MAX_DOTS = 1_000
_FEW_PROMPTS = 32  # below, which prompts are asked moves a mean reward about as much as a training does


def training_figures(data: ReportData) -> list[Figure]:
    """Return the figures of a training, reward first; one without data is left out, and all if there are no steps."""
    if not data.has_steps:
        return []
    made = [
        _rewards(data),
        _criteria(data),
        _judges(data),
        _escalations(data),
        _gains(data),
        _outcomes(data),
        _lengths(data),
        _entropies(data),
        _spread(data),
    ]
    return [figure for figure in [*made, _seconds(data)] if figure is not None]


def share_without_spread(rewards: Mapping[tuple[int, str], Mapping[str, float]]) -> dict[int, float]:
    """Return by step the share of groups whose rewards are all the same; groups of one do not count.

    Args:
        rewards: By step and group, then by the response's name.
    """
    found: dict[int, list[float]] = {}
    for (step, _), group in rewards.items():
        if len(group) > 1:
            found.setdefault(step, []).append(float(np.ptp(list(group.values())) < 1e-9))
    return {step: float(np.mean(flat)) for step, flat in sorted(found.items())}


def span(curve: Curve) -> str:
    """Return the part of a curve that `ends` takes."""
    return "step" if len(curve) < 20 else "tenth of the steps"


def reward_curve(data: ReportData) -> Curve:
    """Return the mean reward of every step."""
    return [(step, float(np.mean(rewards))) for step, rewards in sorted(data.rewards.items())]


def asks_other_prompts(data: ReportData) -> bool:
    """Whether the first and the last steps, as `ends` takes them, have few prompts and share less than half of them."""
    curve = [(step, data.step_prompts[step]) for step in sorted(data.rewards)]
    size = num_at_ends(curve)
    first, last = (set[str]().union(*(prompts for _, prompts in part)) for part in (curve[:size], curve[-size:]))
    return min(len(first), len(last)) < _FEW_PROMPTS and 2 * len(first & last) < len(first | last)


def _steps(curves: Sequence[Mark], title: str, limits: tuple[float, float] | None = None) -> Plot:
    return Plot(marks=curves, x=Axis(title="step", is_whole=True), y=Axis(title=title, limits=limits))


def _rewards(data: ReportData) -> Figure | None:
    curve = reward_curve(data)
    if not curve:
        return None
    steps, means = zip(*curve, strict=True)
    spreads = [float(np.std(data.rewards[step])) for step in steps]
    low, high = (
        _smoothed([mean + sign * spread for mean, spread in zip(means, spreads, strict=True)]) for sign in (-1, 1)
    )
    band = Band(x=steps, low=low, high=high, color=BLUE)
    is_unit = all(0 <= reward <= 1 for rewards in data.rewards.values() for reward in rewards)
    note = f"Mean of a step's rewards: {_first_and_last(curve, '.3f')}. The band is one standard deviation."
    if asks_other_prompts(data):
        note += " The last steps asked other prompts than the first: compare policies on the same prompts (--since)."
    plot = _steps([band, *_curve(curve, "mean", BLUE)], "reward", (0, 1) if is_unit else None)
    return Figure(title="Reward over steps", note=note, plot=plot)


def _criteria(data: ReportData) -> Figure | None:
    """Mean score of each rubric, of those with most judgments."""
    if len(data.step_scores) < 2:
        return None
    shown = [name for name, _ in data.rubrics.most_common() if name in data.step_scores][: len(_RUBRIC_COLORS)]
    marks = []
    for name, color in zip(shown, _RUBRIC_COLORS, strict=False):
        curve = [(step, float(np.mean(scores))) for step, scores in sorted(data.step_scores[name].items())]
        marks.append(_curve(curve, name, color)[-1])
    more = f" The {len(shown)} most frequent of {len(data.step_scores)}." if len(shown) < len(data.step_scores) else ""
    note = f"Mean expected score of a step by rubric.{more}{scales_note(data)}"
    return Figure(title="Rubrics over steps", note=note, plot=_steps(marks, "score", data.scale))


def _judges(data: ReportData) -> Figure | None:
    """Mean scores of the reward's judge and of the audit judge on the same responses."""
    audit, gap = (dict(data.curves.get(name, [])) for name in ("audit/score", "audit/gap"))
    steps = sorted(audit.keys() & gap.keys())
    if not steps:
        return None
    own = [(step, audit[step] + gap[step]) for step in steps]
    second = [(step, audit[step]) for step in steps]
    marks = [*_curve(own, "reward's judge", BLUE), *_curve(second, "audit judge", VIOLET)]
    note = "The same responses under both. If only the reward's judge rises, the policy has learned to please it."
    return Figure(title="Reward's judge and audit judge", note=note, plot=_steps(marks, "mean score, 0 to 1", (0, 1)))


def _escalations(data: ReportData) -> Figure | None:
    """Share of a cascade's judgments that the strong judge gave."""
    shares = data.escalations.shares()
    if not shares:
        return None
    curve = [(step, 100 * share) for step, share in shares.items()]
    note = f"Share of judgments that went to the cascade's strong judge: {_first_and_last(curve, '.0f')}, in %."
    return Figure(title="Escalations", note=note, plot=_steps(_curve(curve, "strong", VIOLET), "% escalated", (0, 100)))


def _gains(data: ReportData) -> Figure | None:
    """The distance of the strong judge's scores from the cheap judge's."""
    changes = {step: found for step, found in sorted(data.escalations.changes.items()) if found}
    if not changes:
        return None
    curve = [(step, float(np.mean(found))) for step, found in changes.items()]
    changed = data.escalations.best_changed() or 0.0
    note = (
        f"How far its scores lie from the cheap judge's, mean of a step: {_first_and_last(curve, '.2f')}. "
        f"{changed:.0%} of the groups that it changed have another best response."
    )
    plot = _steps(_curve(curve, "strong", VIOLET), "points of the scale")
    return Figure(title="What escalations change", note=note, plot=plot)


def _outcomes(data: ReportData) -> Figure | None:
    names = [name for name, _ in data.outcomes.most_common() if name != "scored"]
    if not names:
        return None
    steps = sorted(data.step_outcomes)
    size = -(-len(steps) // _MAX_BARS)
    parts = [steps[at : at + size] for at in range(0, len(steps), size)]
    bars = []
    for name in names:
        counts = [sum(data.step_outcomes[step][name] for step in part) for part in parts]
        boxes = [
            Box(part[0] - 0.4, part[-1] + 0.4, 0, count, f"{_range(part)}: {count:,} {name}")
            for part, count in zip(parts, counts, strict=True)
        ]
        bars.append(Boxes(boxes=boxes, name=name, color=COLORS.get(name, FAILED)))
    unscored = data.num_judgments - data.outcomes["scored"] - data.outcomes["forced"]
    note = f"No score, and so no reward: {unscored:,} of {number_of(data.num_judgments, 'judgment')}."
    return Figure(
        title="Forced and unscored judgments over steps", note=note, plot=_steps(stacked(bars), "judgments not scored")
    )


def _range(steps: Sequence[int]) -> str:
    return f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}"


def _lengths(data: ReportData) -> Figure | None:
    if not data.step_lengths:
        return None
    curve = [(step, float(np.mean(lengths))) for step, lengths in sorted(data.step_lengths.items())]
    note = f"Characters of the mean response: {_first_and_last(curve, '.0f')}."
    return Figure(title="Length over steps", note=note, plot=_steps(_curve(curve, "responses", BLUE), "characters"))


def _entropies(data: ReportData) -> Figure | None:
    judge = [(step, float(np.mean(found))) for step, found in sorted(data.step_entropies.items())]
    policy = data.curves.get("entropy", [])
    marks = [*_curve(judge, "judge, per score", BLUE), *_curve(policy, "policy, per token", TEAL)]
    if not marks:
        return None
    notes = ["An uncertain judge gives noisy rewards."] if judge else []
    notes += ["A policy near 0 writes the same in every rollout."] if policy else []
    return Figure(title="Entropy over steps", note=" ".join(notes), plot=_steps(marks, "entropy in nats"))


def _spread(data: ReportData) -> Figure | None:
    shares = share_without_spread(data.group_rewards)
    if not shares:
        return None
    note = (
        f"{np.mean(list(shares.values())):.1%} of all groups have equal rewards: the policy learns nothing from them."
    )
    marks = _curve([(step, share * 100) for step, share in shares.items()], "groups", GRAY)
    return Figure(title="Groups without spread", note=note, plot=_steps(marks, "% of groups", (0, 100)))


def _seconds(data: ReportData) -> Figure | None:
    """A step's seconds without the audit judge's, and the judge's part of them."""
    whole, judge, audit = (dict(data.curves.get(name, [])) for name in ("step_time", "judge/seconds", "audit/seconds"))
    steps = sorted(whole.keys() & judge.keys())
    own = [(step, whole[step] - audit.get(step, 0.0)) for step in steps]
    total = sum(seconds for _, seconds in own)
    if total <= 0:
        return None
    share = sum(judge[step] for step in steps) / total
    marks = [*_curve(own, "step", GRAY), *_curve([(step, judge[step]) for step in steps], "judge", BLUE)]
    without = " (without the audit judge)" if audit else ""
    note = f"The judge takes {share:.1%} of the steps' time{without}."
    return Figure(title="Seconds for each step", note=note, plot=_steps(marks, "seconds"))


def _curve(curve: Curve, name: str, color: str) -> list[Mark]:
    """Return a curve as a line; if it has many steps, as points with their running mean."""
    if not curve:
        return []
    steps, values = zip(*curve, strict=True)
    line = Line(x=steps, y=_smoothed(values), color=color, name=name)
    if len(values) < 2 * _WINDOW_SHARE:
        return [line]
    stride = -(-len(values) // _MAX_DOTS)
    return [Dots(x=steps[::stride], y=values[::stride], color=color, opacity=0.18), line]


def _first_and_last(curve: Curve, form: str) -> str:
    """Return a curve's first and last value in words; of many steps the means of the first and last tenth."""
    first, last = ends(curve)
    return f"{first:{form}} in the first {span(curve)}, {last:{form}} in the last"


def _smoothed(values: Sequence[float]) -> list[float]:
    """Return the mean of each value and its neighbors within a fifteenth of the steps on either side."""
    window = len(values) // _WINDOW_SHARE if len(values) >= 2 * _WINDOW_SHARE else 0
    return [float(np.mean(values[max(0, at - window) : at + window + 1])) for at in range(len(values))]
