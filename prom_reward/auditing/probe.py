"""One measured property of a judge, with the limits that make it pass or fail."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Literal

AuditVerdict = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A value and its limits."""

    group: str
    """bias, consistency or scale."""
    name: str
    """For tables and JSON."""
    meaning: str
    """What the value measures, in words."""
    value: float | None
    """None if it cannot be measured."""
    num_cases: int
    """Number of responses, pairs or triples measured."""
    pass_limit: float
    """The worst value that passes."""
    fail_limit: float
    """A worse value fails; a value between the limits is a warning."""

    @property
    def verdict(self) -> AuditVerdict:
        """Pass, warn or fail; a warning if the value could not be measured."""
        if self.value is None:
            return "warn"
        sign = 1 if self.pass_limit <= self.fail_limit else -1
        if sign * self.value <= sign * self.pass_limit:
            return "pass"
        return "fail" if sign * self.value > sign * self.fail_limit else "warn"

    @property
    def shown_value(self) -> str:
        """The value for people, rounded to the worse side so that it never looks better than its verdict."""
        if self.value is None:
            return "-"
        worse = ROUND_CEILING if self.pass_limit <= self.fail_limit else ROUND_FLOOR
        return f"{Decimal(str(self.value)).quantize(Decimal('0.001'), worse):z}"

    @property
    def limits(self) -> str:
        """The limits for people."""
        relation = "<=" if self.pass_limit <= self.fail_limit else ">="
        return f"pass {relation} {self.pass_limit:g}, fail beyond {self.fail_limit:g}"

    def to_dict(self) -> dict[str, Any]:
        """Return the probe as JSON values."""
        return {
            "value": self.value,
            "n": self.num_cases,
            "verdict": self.verdict,
            "pass_limit": self.pass_limit,
            "fail_limit": self.fail_limit,
            "meaning": self.meaning,
        }


def mean_probe(
    group: str, name: str, meaning: str, values: Sequence[float], *, limits: tuple[float, float], absolute: bool = False
) -> Probe:
    """Return the probe of a mean, or of its distance from 0; `limits` are `pass_limit` and `fail_limit`."""
    value = sum(values) / len(values) if values else None
    return Probe(
        group=group,
        name=name,
        meaning=meaning,
        value=abs(value) if absolute and value is not None else value,
        num_cases=len(values),
        pass_limit=limits[0],
        fail_limit=limits[1],
    )
