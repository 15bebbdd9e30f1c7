"""Tries cheap changes to a judge on labeled rows, and keeps what helps on questions that did not choose it."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prom_reward.data.labels.labeled_rows import LabeledFile, LabeledPair, LabeledRequest, common_scale
from prom_reward.errors import ConfigError, InputError
from prom_reward.evaluation.agreement import MIN_CLUSTERS, Estimate, difference, mean_absolute_error
from prom_reward.evaluation.evaluate import JudgeEvaluation, evaluate
from prom_reward.evaluation.pairs import compare_judges_on_pairs
from prom_reward.evaluation.scores import ScoredRow, compare_judges
from prom_reward.judging.calibration import Calibration, fit_calibration
from prom_reward.judging.judge import PrometheusJudge

NOTES = (
    "Judge only what the response says: neither its length nor its tone counts.",
    "A short response that is right deserves the highest score.",
    "A confident response that is wrong deserves the lowest score.",
)
"""Sentences that are tried after a rubric's criteria."""

Settings = Mapping[str, Any]
"""`mode`, `layout` and `criteria_notes` of a judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A change that was tried."""

    settings: Settings
    """What was changed, in the keys of a judge's file."""
    chosen_by: float | None
    """The gain on the questions that choose; None if it is undefined."""
    gain: Estimate | None
    """The gain on the other questions; None for a change that was not the best of its kind."""
    price: float
    """Time of a judgment over that of the judge as it was, measured while the rows were graded."""
    is_kept: bool = False
    """Whether the gain's interval is over 0."""

    def to_dict(self) -> dict[str, Any]:
        """Return the trial as JSON values."""
        gain = self.gain.to_dict() if self.gain is not None else None
        return {
            "settings": dict(self.settings),
            "chosen_by": self.chosen_by,
            "gain": gain,
            "price": self.price,
            "kept": self.is_kept,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What was tried on a judge, and what helped."""

    measure: str
    """What gains are gains in: a measure of `evaluate`, or `pairwise_accuracy`."""
    settings: Settings
    """The changes that helped."""
    trials: tuple[Trial, ...]
    """All changes, in their order."""
    calibration: Calibration | None = None
    """Fitted on all rows, if a fit on the choosing questions lowers the error of the others."""
    error: Estimate | None = None
    """The change of the mean absolute error by a calibration on the other questions; None if none was fitted."""

    def to_dict(self) -> dict[str, Any]:
        """Return the tuning as JSON values."""
        return {
            "measure": self.measure,
            "settings": dict(self.settings),
            "trials": [one.to_dict() for one in self.trials],
            "calibrated": self.calibration is not None,
            "change_of_mae": self.error.to_dict() if self.error is not None else None,
        }


def tune(
    rows: LabeledFile,
    *,
    judge: PrometheusJudge,
    measure: str = "spearman",
    notes: Sequence[str] = NOTES,
    resamples: int = 1000,
    seed: int = 0,
    on_start: Callable[[str, int], None] = lambda _, __: None,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Tuning:
    """Try changes of one kind after the other; half of the questions choose the best, the other half confirms it.

    A change is kept if the 95 % interval of its gain on the confirming questions, a paired bootstrap, is over 0. The
    kinds are the mode "score", the other layout, and sentences after the criteria, alone and averaged. At the end a
    calibration is fitted.

    Args:
        rows: Rows with scores or preference pairs, from `labeled_input`.
        judge: The judge, without a calibration.
        measure: Of rows with scores: `pearson`, `spearman` or `kendall`.
        notes: The sentences.
        resamples: Bootstrap resamples.
        seed: Seed of the bootstrap, of sampled feedback and of the halves.
        on_start: Called for each trial with its name and the number of gradings to come.
        on_batch: Called after each call of the judge with the number of its gradings.

    Raises:
        InputError: There are verdicts on criteria, or too few questions for two halves.
        ConfigError: The judge has a calibration.
    """
    if judge.calibration is not None:
        raise ConfigError("got a judge with a calibration; expected one without, whose own scores can be tuned")
    if rows.checklists:
        raise InputError("got verdicts on criteria; expected rows with scores, or preference pairs, to tune on")
    chooses = _halves(rows, seed)
    measure = "pairwise_accuracy" if rows.pairs else measure

    def measured(settings: Settings) -> tuple[JudgeEvaluation, float]:
        changed = judge.with_reading(**{**_current(judge), **settings})
        start = time.perf_counter()
        found = evaluate(
            rows,
            judge=changed,
            resamples=0,
            seed=seed,
            on_start=lambda _, total: on_start(shown_settings(settings), total),
            on_batch=on_batch,
        )
        return found, time.perf_counter() - start

    def gain(found: JudgeEvaluation, before: JudgeEvaluation, side: bool) -> Estimate:
        return _gain(found, before, [one is side for one in chooses], resamples, seed)[measure]

    kept: dict[str, Any] = {}
    judge.load()
    best, base_seconds = measured(kept)
    trials: list[Trial] = []
    for kind in _kinds(judge, notes):
        graded = [(settings, *measured({**kept, **settings})) for settings in kind]
        chosen_by = [gain(found, best, True).value for _, found, _ in graded]
        winner = max(range(len(graded)), key=lambda at: chosen_by[at] or 0.0)
        confirmed = gain(graded[winner][1], best, False) if (chosen_by[winner] or 0.0) > 0 else None
        is_kept = confirmed is not None and (confirmed.low or 0.0) > 0
        trials += [
            Trial(
                settings=settings,
                chosen_by=chosen_by[at],
                gain=confirmed if at == winner else None,
                price=seconds / base_seconds,
                is_kept=is_kept and at == winner,
            )
            for at, (settings, _, seconds) in enumerate(graded)
        ]
        if is_kept:
            kept, best = {**kept, **graded[winner][0]}, graded[winner][1]
    calibration, error = _calibrated(best.rows, chooses, resamples, seed)
    return Tuning(measure=measure, settings=kept, trials=tuple(trials), calibration=calibration, error=error)


def _current(judge: PrometheusJudge) -> dict[str, Any]:
    return {"mode": judge.mode, "layout": judge.layout, "criteria_notes": judge.criteria_notes}


def _kinds(judge: PrometheusJudge, notes: Sequence[str]) -> Iterator[list[Settings]]:
    """Yield the changes of each kind."""
    if judge.mode == "feedback":
        yield [{"mode": "score"}]
    if judge.prompt_style != "decision":
        yield [{"layout": "prometheus" if judge.layout == "response_last" else "response_last"}]
    if notes and not judge.criteria_notes:
        averaged = [["", *notes]] if len(notes) > 1 else []
        yield [{"criteria_notes": one} for one in (*([note] for note in notes), *averaged)]


def shown_settings(settings: Settings) -> str:
    """Return changes on one line."""
    return ", ".join(f"{key}: {value}" for key, value in settings.items()) or "as it is"


def _halves(rows: LabeledFile, seed: int) -> list[bool]:
    """Return for each row or pair whether its question is among those that choose."""
    labeled: Sequence[LabeledRequest | LabeledPair] = rows.pairs or rows.rows
    clusters = sorted(
        {one.cluster for one in labeled}, key=lambda one: hashlib.sha256(f"{seed}:{one}".encode()).digest()
    )
    if len(clusters) < 2 * MIN_CLUSTERS:
        raise InputError(
            f"got {len(clusters)} questions; expected at least {2 * MIN_CLUSTERS}, half of which choose a change and "
            "half of which confirm it"
        )
    choosing = set(clusters[::2])
    return [one.cluster in choosing for one in labeled]


def _gain(
    found: JudgeEvaluation, before: JudgeEvaluation, taken: Sequence[bool], resamples: int, seed: int
) -> Mapping[str, Estimate]:
    """Return the gain over a judge in all measures, on the rows that are taken."""
    if found.pairs:
        sides = [[one for one, takes in zip(side.pairs, taken, strict=True) if takes] for side in (found, before)]
        return compare_judges_on_pairs(*sides, resamples=resamples, seed=seed)
    graded = [[one for one, takes in zip(side.rows, taken, strict=True) if takes] for side in (found, before)]
    return compare_judges(*graded, resamples=resamples, seed=seed)


def _calibrated(
    rows: Sequence[ScoredRow], chooses: Sequence[bool], resamples: int, seed: int
) -> tuple[Calibration | None, Estimate | None]:
    """Return a calibration if it lowers the error on questions that it was not fitted on, and the error's change."""
    scored = (
        [(row, is_fitted) for row, is_fitted in zip(rows, chooses, strict=True) if row.judgment.is_scored]
        if rows
        else []
    )
    if not scored:
        return None, None
    scale = common_scale([row.labeled for row, _ in scored])

    def fitted(on: Sequence[ScoredRow]) -> Calibration:
        return fit_calibration(
            [row.prediction("expected") for row in on], [row.labeled.mean_score for row in on], scale
        )

    try:
        half, whole = fitted([row for row, is_fitted in scored if is_fitted]), fitted([row for row, _ in scored])
    except ConfigError:  # too few rows, or one score for all
        return None, None
    held_out = [row for row, is_fitted in scored if not is_fitted]
    before = np.array([row.prediction("expected") for row in held_out])
    after = np.array([half.score(value, scale) for value in before])
    labels = np.array([row.labeled.mean_score for row in held_out])
    change = difference(
        lambda at: mean_absolute_error(after[at], labels[at]),
        lambda at: mean_absolute_error(before[at], labels[at]),
        [row.labeled.cluster for row in held_out],
        resamples=resamples,
        seed=seed,
    )
    return (whole if change.high is not None and change.high < 0 else None), change
