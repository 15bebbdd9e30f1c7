"""The trials of changes to a judge, and their gains."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prom_reward.evaluation.agreement import Estimate
from prom_reward.judging.calibration import Calibration
from prom_reward.judging.head import ScoreHead

Settings = Mapping[str, Any]
"""Changes to a judge, in the keys of its file."""


@dataclass(frozen=True, slots=True)
class TrialFigure:
    """Agreement of scores with the labels of the confirming questions."""

    value: float | None
    """In the measure that is tuned; None if it is undefined."""
    length_held: float | None = None
    """Pearson's r with the response's length held; None if it is undefined, and for pairs."""

    def to_dict(self) -> dict[str, float | None]:
        """Return the figure as JSON values."""
        return {"value": self.value, "pearson_with_length_held": self.length_held}


@dataclass(frozen=True, slots=True)
class Price:
    """Tokens of a judgment, the mean over all: unlike its time they do not depend on what else a machine does."""

    num_computed: float
    """Read; what the prompts of a call share counts once."""
    num_generated: float
    """Written, each of which takes far longer than one that is read."""

    def to_dict(self) -> dict[str, float]:
        """Return the price as JSON values."""
        return {"computed_tokens": self.num_computed, "generated_tokens": self.num_generated}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A change that was tried."""

    settings: Settings
    """The change, in the keys of a judge's file; a head by its strength."""
    chosen_by: float | None
    """The gain on the questions that choose; None if it is undefined."""
    gain: Estimate | None = None
    """The gain on the other questions, its interval of `CONFIRMING_LEVEL`; None for a change that was not the best of
    its kind."""
    figure: TrialFigure | None = None
    """The figure on the other questions; None for such a change."""
    price: Price | None
    """The price of a judgment; None if answers came from the judge's cache, or if its engine does not tell."""
    is_kept: bool = False
    """Whether the gain's interval is over 0."""

    def to_dict(self) -> dict[str, Any]:
        """Return the trial as JSON values."""
        return {
            "settings": dict(self.settings),
            "chosen_by": self.chosen_by,
            "gain": self.gain.to_dict() if self.gain is not None else None,
            "figure": self.figure.to_dict() if self.figure is not None else None,
            "price": self.price.to_dict() if self.price is not None else None,
            "kept": self.is_kept,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """All trials of a judge, and the changes that helped."""

    measure: str
    """What gains are gains in: a measure of `evaluate`, or `pairwise_accuracy`."""
    before: TrialFigure
    """The figure of the judge as it was, on the confirming questions."""
    price: Price | None
    """The price of its judgments; None if unknown."""
    length: TrialFigure
    """The figure of the response's length there."""
    trials: tuple[Trial, ...]
    """All changes, in their order."""
    settings: Settings
    """The changes that helped, without head and calibration."""
    head: ScoreHead | None = None
    """Fitted on the questions that choose, if it helped."""
    calibration: Calibration | None = None
    """Fitted on all rows, if a fit on the choosing questions lowers the error of the others."""
    error: Estimate | None = None
    """The change of the mean absolute error by a calibration on the other questions; None if none was fitted."""

    def to_dict(self) -> dict[str, Any]:
        """Return the tuning as JSON values."""
        return {
            "measure": self.measure,
            "settings": dict(self.settings),
            "before": self.before.to_dict(),
            "price": self.price.to_dict() if self.price is not None else None,
            "length": self.length.to_dict(),
            "trials": [one.to_dict() for one in self.trials],
            "head": self.head is not None,
            "calibrated": self.calibration is not None,
            "change_of_mae": self.error.to_dict() if self.error is not None else None,
        }


def shown_settings(settings: Settings) -> str:
    """Return changes on one line."""
    return ", ".join(f"{key}: {value}" for key, value in settings.items()) or "as it is"
