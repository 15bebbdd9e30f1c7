"""The changes that are tried, one kind after the other, each with the judgments under it."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from prom_reward.data.labels.labeled_rows import LabeledFile
from prom_reward.errors import ConfigError
from prom_reward.evaluation.evaluate import JudgeEvaluation, evaluate
from prom_reward.evaluation.tuning.halves import Halves
from prom_reward.evaluation.tuning.trials import Price, Settings, shown_settings
from prom_reward.judging.aggregation import tempered
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.types import Judgment

logger = logging.getLogger(__name__)

TEMPERATURES = (0.5, 2.0, 4.0)
"""Temperatures of the distributions that are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A change with the judgments under it."""

    settings: Settings
    """The change; none for the judge as it was."""
    judge: PrometheusJudge
    """The changed judge."""
    found: JudgeEvaluation
    """Its judgments on all rows."""
    price: Price | None
    """The price of a judgment; None if unknown."""


def price_of(judge: PrometheusJudge, judgments: Iterable[Judgment]) -> Price | None:
    """Return the price of judgments since the judge's metrics were last taken.

    None if answers came from its cache, as these cost nothing, or if none tells its tokens.
    """
    is_cached = bool(judge.take_metrics().get("cached"))
    told = [one for one in judgments if one.num_computed_tokens is not None and one.num_generated_tokens is not None]
    if is_cached or not told:
        return None
    return Price(
        num_computed=fmean(one.num_computed_tokens or 0 for one in told),
        num_generated=fmean(one.num_generated_tokens or 0 for one in told),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningRun:
    """The rows, and who is told of the progress on them."""

    rows: LabeledFile
    """Rows with scores, or pairs."""
    halves: Halves
    """Which of them choose."""
    on_start: Callable[[str, int], None]
    """Called for each trial with its name and the number of gradings to come."""
    on_batch: Callable[[int], None]
    """Called after each call of the judge with the number of its gradings."""

    def graded(self, judge: PrometheusJudge, settings: Settings) -> Candidate:
        """Grade all rows with a changed judge."""
        judge.take_metrics()  # counts from before
        found = evaluate(
            self.rows,
            judge=judge,
            resamples=0,
            seed=self.halves.seed,
            on_start=lambda _, total: self.on_start(shown_settings(settings), total),
            on_batch=self.on_batch,
        )
        judgments = [row.judgment for row in found.rows] + [
            side for pair in found.pairs for side in (pair.chosen, pair.rejected)
        ]
        return Candidate(settings=settings, judge=judge, found=found, price=price_of(judge, judgments))

    def read(self, best: Candidate, kind: Sequence[dict[str, Any]]) -> Iterator[Candidate]:
        """Grade all rows with each change of a kind on top of the best judge; one that it cannot have is left out."""
        for settings in kind:
            try:
                found = self.graded(best.judge.with_reading(**settings), settings)
            except ConfigError as error:
                logger.warning("%s cannot be tried: %s", shown_settings(settings), error)
            else:
                yield found


def modes(run: TuningRun, best: Candidate) -> Iterator[Candidate]:
    """Try score mode on a judge that writes feedback."""
    return run.read(best, [{"mode": "score"}] if best.judge.mode == "feedback" else [])


def layouts(run: TuningRun, best: Candidate) -> Iterator[Candidate]:
    """Try the other layout."""
    other = "prometheus" if best.judge.layout == "response_last" else "response_last"
    return run.read(best, [{"layout": other}] if best.judge.prompt_style != "decision" else [])


def level_orders(run: TuningRun, best: Candidate) -> Iterator[Candidate]:
    """Try the rubric's best score first, and the mean over both orders."""
    varies = best.judge.level_order == "worst_first" and best.judge.prompt_style != "decision"
    return run.read(best, [{"level_order": order} for order in ("best_first", "both")] if varies else [])


def temperatures(run: TuningRun, best: Candidate) -> Iterator[Candidate]:
    """Try temperatures of the distributions, which nothing more is asked for."""
    for temperature in TEMPERATURES:
        settings = {"score_temperature": temperature}
        found = replace(
            best.found,
            rows=tuple(replace(row, judgment=tempered(row.judgment, temperature)) for row in best.found.rows),
            pairs=tuple(
                replace(pair, chosen=tempered(pair.chosen, temperature), rejected=tempered(pair.rejected, temperature))
                for pair in best.found.pairs
            ),
        )
        judge = best.judge.with_reading(score_temperature=temperature)
        yield Candidate(settings=settings, judge=judge, found=found, price=best.price)


def sentences(run: TuningRun, best: Candidate, notes: Sequence[str]) -> Iterator[Candidate]:
    """Try each sentence after the criteria, and the mean over all of them and none."""
    if not notes or best.judge.criteria_notes:
        return iter(())
    averaged = [{"criteria_notes": ["", *notes]}] if len(notes) > 1 else []
    return run.read(best, [*({"criteria_notes": [note]} for note in notes), *averaged])
