"""The data files of a judge's training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prom_reward.data.labels.row_labels import scale_of
from prom_reward.errors import ConfigError, check_flags
from prom_reward.rubrics.reading import AnyRubric, read_rubrics
from prom_reward.types import ScoreScale


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """One file of labeled rows, or of tasks from which labeled rows are constructed.

    Raises:
        ConfigError: A number is out of range, or an option does not go with `constructed`.
    """

    path: Path
    """Any file that `prom_reward.data.rows.read_rows` reads."""
    passes: float = 1.0
    """How often each row is trained on; 0.5 takes half of the prompts, 2.5 takes all twice and half of them again."""
    feedback: float = 0.0
    """The share of rows with a written feedback that are trained to write it."""
    constructed: bool = False
    """The rows are tasks with a reference answer: see `prom_reward.training.constructed`."""
    imitations: bool = False
    """Constructed responses also copy the rubric's best level, and are weak ones several times in a row."""
    criteria: bool = False
    """The rows' rubrics with levels are yes-or-no criteria, asked in the compact text of checklists; the criteria of a
    checklist always are."""
    rubric: Any = None
    """The rubric or checklist of rows without one, in any form of `prom_reward.rubrics.reading.read_rubrics`."""
    score_column: str | None = None
    """The column of the score, or of the verdicts on a checklist's criteria, if it has no known name."""
    cluster_column: str | None = None
    """The column of the question that a row belongs to, if it has no known name."""
    label_scale: str | None = None
    """The scale of the scores, such as `1-10`, if it is not the rubric's: they are mapped linearly."""

    def __post_init__(self) -> None:
        check_flags(constructed=self.constructed, imitations=self.imitations, criteria=self.criteria)
        if not self.passes > 0:
            raise ConfigError(f"{self.path}: got passes={self.passes}; expected a number over 0")
        if not 0 <= self.feedback <= 1:
            raise ConfigError(f"{self.path}: got feedback={self.feedback}; expected a share from 0 to 1")
        if self.imitations and not self.constructed:
            raise ConfigError(f"{self.path}: got imitations without constructed: true; expected both or neither")
        if self.constructed and (self.feedback or self.score_column or self.label_scale):
            raise ConfigError(
                f"{self.path}: got feedback, score_column or label_scale with constructed: true; leave them out"
            )
        _ = self.scale

    @property
    def scale(self) -> ScoreScale | None:
        """The scale of the scores, if it is not the rubric's."""
        return None if self.label_scale is None else scale_of(self.label_scale, f"{self.path}: label_scale")

    @property
    def rubrics(self) -> tuple[AnyRubric, ...]:
        """The rubrics for rows without one."""
        return () if self.rubric is None else read_rubrics(self.rubric)
