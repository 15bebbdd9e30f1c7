"""Tries cheap changes to a judge on labeled rows, and keeps what helps on questions that did not choose it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from prom_reward.data.labels.labeled_rows import LabeledFile
from prom_reward.errors import ConfigError, InputError, near_miss
from prom_reward.evaluation.tuning.calibrated import calibrated
from prom_reward.evaluation.tuning.candidates import (
    Candidate,
    TuningRun,
    layouts,
    level_orders,
    modes,
    sentences,
    temperatures,
)
from prom_reward.evaluation.tuning.halves import Halves
from prom_reward.evaluation.tuning.heads import heads
from prom_reward.evaluation.tuning.trials import Trial, Tuning
from prom_reward.judging.judge import PrometheusJudge

SCORE_MEASURES = ("pearson", "spearman", "kendall")
"""The measures of scores that a change may have to raise."""
NOTES = (
    "Judge only what the response says: neither its length nor its tone counts.",
    "A short response that is right deserves the highest score.",
    "A confident response that is wrong deserves the lowest score.",
)
"""Sentences that are tried after a rubric's criteria."""


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

    A change is kept if the interval of its gain on the confirming questions, a paired bootstrap, is over 0. It is so
    wide (99.3 %) that all looks at these questions together err as rarely as one at 95 %, see `CONFIRMING_LEVEL`. The
    kinds are the mode "score", the other layout, the order of a rubric's scores, sentences after the criteria (alone
    and averaged), a head on hidden states, and the distribution's temperature. At the end a calibration is fitted.

    Args:
        rows: Rows with scores or preference pairs, from `labeled_input`.
        judge: The judge, without calibration, head and temperature.
        measure: One of MEASURES, for rows with scores.
        notes: The sentences.
        resamples: Bootstrap resamples.
        seed: Seed of the bootstrap, of sampled feedback and of the halves.
        on_start: Called for each trial with its name and the number of gradings to come.
        on_batch: Called after each call of the judge with the number of its gradings.

    Raises:
        InputError: There are verdicts on criteria, too few questions for two halves, or one label for all rows.
        ConfigError: The judge has a calibration, a head or a temperature, or the measure is unknown.
    """
    halves = tuning_halves(rows, measure=measure, resamples=resamples, seed=seed)
    has = {
        "calibration": judge.calibration is not None,
        "head": judge.head is not None,
        "temperature": judge.score_temperature != 1,
    }
    if any(has.values()):
        told = " and a ".join(name for name, is_there in has.items() if is_there)
        raise ConfigError(f"got a judge with a {told}; expected one without, whose own scores can be tuned")
    run = TuningRun(rows=rows, halves=halves, on_start=on_start, on_batch=on_batch)
    judge.load()
    before = best = run.graded(judge, {})
    kept: dict[str, Any] = {}
    trials: list[Trial] = []
    for kind in (modes, layouts, level_orders, partial(sentences, notes=notes), heads, temperatures):
        tried = list(kind(run, best))
        winner, found = _confirmed(tried, best, halves)
        trials += found
        if winner is not None:
            kept, best = {**kept, **winner.settings}, winner
    calibration, error = calibrated(best.found.rows, halves)
    return Tuning(
        measure=halves.measure,
        before=halves.figure(before.found),
        price=before.price,
        length=halves.figure(before.found, "length"),
        trials=tuple(trials),
        settings={key: value for key, value in kept.items() if key != "head"},
        head=best.judge.head,
        calibration=calibration and replace(calibration, judge=best.judge.scores_identity),
        error=error,
    )


def tuning_halves(rows: LabeledFile, *, measure: str, resamples: int, seed: int) -> Halves:
    """Return the halves of the questions; all that is wrong with the rows is refused here, which needs no judge.

    Arguments and errors are those of `tune`.
    """
    if measure not in SCORE_MEASURES:  # a gain in an error would be a loss
        raise ConfigError(
            f"got measure={measure!r}; expected one of {', '.join(SCORE_MEASURES)}.{near_miss(measure, SCORE_MEASURES)}"
        )
    if rows.checklists:
        raise InputError("got verdicts on criteria; expected rows with scores, or preference pairs, to tune on")
    return Halves.of(rows, measure=measure, resamples=resamples, seed=seed)


def _confirmed(tried: Sequence[Candidate], best: Candidate, halves: Halves) -> tuple[Candidate | None, list[Trial]]:
    """Return the best change of a kind if the other half confirms it, and all changes as trials."""
    chosen_by = [halves.gain(one.found, best.found, chooses=True).value for one in tried]
    at = max(range(len(tried)), key=lambda index: chosen_by[index] or 0.0, default=None)
    chosen = tried[at] if at is not None and (chosen_by[at] or 0.0) > 0 else None
    gain = halves.gain(chosen.found, best.found, chooses=False) if chosen is not None else None
    is_kept = gain is not None and (gain.low or 0.0) > 0
    trials = [
        Trial(
            settings=one.settings,
            chosen_by=value,
            gain=gain if one is chosen else None,
            figure=halves.figure(one.found) if one is chosen else None,
            price=one.price,
            is_kept=is_kept and one is chosen,
        )
        for one, value in zip(tried, chosen_by, strict=True)
    ]
    return chosen if is_kept else None, trials
