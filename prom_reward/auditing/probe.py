"""One measured property of a judge, with the limits that make it pass or fail.

It does not know how it is measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Literal

Verdict = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A value and its limits."""

    group: str
    """bias, consistency or scale."""
    name: str
    """For tables and JSON."""
    meaning: str
    """What the value says, in words."""
    value: float | None
    """None where it cannot be measured."""
    num_cases: int
    """Responses, pairs or triples that it was measured on."""
    pass_limit: float
    """A value that is as good or better passes."""
    fail_limit: float
    """A value that is worse fails; what lies between is a warning."""

    @property
    def verdict(self) -> Verdict:
        """Pass, warn or fail; what could not be measured is a warning."""
        if self.value is None:
            return "warn"
        sign = 1 if self.pass_limit <= self.fail_limit else -1
        if sign * self.value <= sign * self.pass_limit:
            return "pass"
        return "fail" if sign * self.value > sign * self.fail_limit else "warn"

    @property
    def shown_value(self) -> str:
        """The value, to be shown: rounded to the worse side, so that none looks better than its verdict."""
        if self.value is None:
            return "-"
        worse = ROUND_CEILING if self.pass_limit <= self.fail_limit else ROUND_FLOOR
        return f"{Decimal(str(self.value)).quantize(Decimal('0.001'), worse):z}"

    @property
    def limits(self) -> str:
        """The limits, to be shown."""
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
    """Return the probe of a mean, or of its distance from 0; `limits` are where it passes and where it fails."""
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
