"""One measured property of a judge, with the limits that make it pass or fail."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Literal

import numpy as np

from prom_reward.evaluation.agreement import Estimate, estimate

AuditVerdict = Literal["pass", "warn", "fail"]
VERDICTS: tuple[AuditVerdict, ...] = ("fail", "warn", "pass")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A value and its limits."""

    group: str
    """bias, consistency or scale."""
    name: str
    """For tables and JSON."""
    meaning: str
    """The meaning of the value, in words."""
    found: Estimate
    """The value; a figure of several tasks has its 95 % interval over them."""
    num_cases: int
    """Number of responses, pairs or triples measured."""
    pass_limit: float
    """The worst value that passes."""
    fail_limit: float
    """A worse value fails."""
    no_verdict: str = ""
    """Why the judge gets no verdict; empty if it gets one."""

    @property
    def value(self) -> float | None:
        """The value; None if it cannot be measured."""
        return self.found.value

    @property
    def verdict(self) -> AuditVerdict | None:
        """Pass if the whole interval is within the limit to pass; fail if the whole interval is beyond that to fail.

        Otherwise, and if the value or its interval could not be measured, a warning. A figure without an interval
        counts as one of no width. None if `no_verdict` says why.
        """
        if self.no_verdict:
            return None
        ends = self._ends
        if not ends or self.found.undefined is not None:
            return "warn"
        sign = 1 if self._is_lower_better else -1
        if all(sign * end <= sign * self.pass_limit for end in ends):
            return "pass"
        return "fail" if all(sign * end > sign * self.fail_limit for end in ends) else "warn"

    @property
    def shown_value(self) -> str:
        """The value for people with its interval.

        All are rounded to the worse side, so that they never look better than the verdict.
        """
        if not self._ends:
            return "-"
        worse = ROUND_CEILING if self._is_lower_better else ROUND_FLOOR
        value, *interval = [f"{Decimal(str(end)).quantize(Decimal('0.001'), worse):z}" for end in self._ends]
        return f"{value} [{', '.join(interval)}]" if interval else value

    @property
    def rule(self) -> str:
        """The limits for people, or why there is no verdict."""
        if self.no_verdict:
            return f"no verdict: {self.no_verdict}"
        relation = "<=" if self._is_lower_better else ">="
        return f"pass {relation} {self.pass_limit:g}, fail beyond {self.fail_limit:g}"

    def to_dict(self) -> dict[str, Any]:
        """Return the probe as JSON values."""
        notes = {"undefined": self.found.undefined, "warning": self.found.warning, "no_verdict": self.no_verdict}
        return {
            "value": self.value,
            "low": self.found.low,
            "high": self.found.high,
            "n": self.num_cases,
            "verdict": self.verdict,
            "pass_limit": self.pass_limit,
            "fail_limit": self.fail_limit,
            "meaning": self.meaning,
            **{name: note for name, note in notes.items() if note},
        }

    @property
    def _is_lower_better(self) -> bool:
        return self.pass_limit <= self.fail_limit

    @property
    def _ends(self) -> list[float]:
        """The value and the ends of its interval, as far as there are any, without errors of rounding."""
        ends = (self.found.value, self.found.low, self.found.high)
        return [round(end, 9) for end in ends if end is not None]


def mean_probe(
    group: str,
    name: str,
    meaning: str,
    values: Sequence[float | None],
    *,
    limits: tuple[float, float],
    tasks: Sequence[str] | None = None,
    absolute: bool = False,
    seed: int = 0,
) -> Probe:
    """Return the probe of a mean.

    Args:
        group: bias, consistency or scale.
        name: For tables and JSON.
        meaning: What the mean measures, in words.
        values: Measured values (N); None where nothing could be measured.
        limits: `pass_limit` and `fail_limit`.
        tasks: Each value's question (N), for an interval over them; without it there is none.
        absolute: Whether the mean's distance from 0 is meant.
        seed: Seed of the bootstrap.
    """
    kept = [at for at, value in enumerate(values) if value is not None]
    known = np.array([values[at] for at in kept], dtype=float)
    clusters = [""] * len(kept) if tasks is None else [tasks[at] for at in kept]
    found = estimate(
        lambda at: float(known[at].mean()) if len(at) else None, clusters, resamples=1000 if tasks else 0, seed=seed
    )
    return Probe(
        group=group,
        name=name,
        meaning=meaning,
        found=distance(found) if absolute else found,
        num_cases=len(kept),
        pass_limit=limits[0],
        fail_limit=limits[1],
    )


def distance(found: Estimate) -> Estimate:
    """Return an estimate's distance from 0, with the distances that its interval covers."""
    if found.value is None or found.low is None or found.high is None:
        return replace(found, value=None if found.value is None else abs(found.value))
    nearer, farther = sorted((abs(found.low), abs(found.high)))
    return replace(found, value=abs(found.value), low=0.0 if found.low <= 0 <= found.high else nearer, high=farther)
