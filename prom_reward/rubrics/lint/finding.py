"""One finding of `prom-reward rubrics lint`."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

_MAX_PLACES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RubricFinding:
    """One thing that is wrong, or probably wrong, with a rubric or checklist."""

    rule: str
    """The rule's name, such as "duplicate" or "never_met"."""
    rubric: str
    """The name of the rubric or checklist."""
    message: str
    """The problem and its remedy, in one line."""
    criteria: tuple[str, ...] = ()
    """Numbers of the criteria, "2" or "2.1" of a child, or of the levels; empty for the whole."""
    rows: tuple[str, ...] = ()
    """Places of the rows that show it, such as "line 3"."""
    level: Literal["error", "warning"] = "warning"
    """An error cannot be used as it is."""

    def __str__(self) -> str:
        """Return one line."""
        where = f" {' and '.join(self.criteria)}" if self.criteria else ""
        more = "..." if len(self.rows) > _MAX_PLACES else ""
        rows = f" ({', '.join(self.rows[:_MAX_PLACES])}{more})" if self.rows else ""
        return f"{self.level} {self.rule}: {self.rubric}{where}: {self.message}{rows}"

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
