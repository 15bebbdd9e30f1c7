"""The scale and the rubrics that a head or a calibration was fitted on."""

import logging
from dataclasses import dataclass, field

from prom_reward.errors import number_of
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FittedOn:
    """The settings that a calibration or a head was fitted on."""

    scale: ScoreScale = field(default_factory=ScoreScale)
    """The scale of the scores."""
    rubrics: frozenset[str] = field(default=frozenset(), repr=False)
    """Digests of the rubrics; empty if unknown."""
    _told: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    """The warnings that were given."""

    def covers(self, rubric: Rubric, user: str) -> bool:
        """Return whether scores by a rubric may be changed: they are on the scale, and no criterion's.

        The first rubric on another scale and the first new rubric are warned of, once each.

        Args:
            rubric: The rubric of a request.
            user: The file or name of what was fitted, for the warnings.
        """
        if rubric.is_criterion:
            return False
        if rubric.scale != self.scale:
            what = f"scores from {rubric.scale.low} to {rubric.scale.high} stay the judge's own"
            self._warn_once("scale", f"{user}: {what} (rubric {rubric.name[:40]!a})")
            return False
        if self.rubrics and rubric_digest(rubric) not in self.rubrics:
            self._warn_once("rubric", f"{user}: scores are changed by a rubric that is new to it, {rubric.name[:40]!a}")
        return True

    def _warn_once(self, kind: str, message: str) -> None:
        if kind in self._told:
            return
        self._told.add(kind)
        on = f"{number_of(len(self.rubrics), 'rubric')} " if self.rubrics else "rubrics "
        logger.warning("%s; it was fitted on %swith scores from %d to %d", message, on, self.scale.low, self.scale.high)
