"""The targets that a training on a judge's rewards must meet to be called better."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from training_examples.prove_it.comparison import Change, PolicyComparison, shown_change
from training_examples.prove_it.runs import kind_of

MAX_WORDS = 1.5
"""Words of an answer, as a multiple of the first policy's: longer answers alone do not count as better."""
MAX_JUDGE_SHARE = 0.25
"""The judge's share of a step's time."""
MAX_SPREAD_RATIO = 0.5
"""Groups without spread, as a multiple of those of integers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target, met or not."""

    name: str
    """The target in words."""
    is_met: bool
    """Whether it is met."""
    figures: str
    """The figures that show it."""


def check_targets(compared: Mapping[str, PolicyComparison], trained: Mapping[str, Mapping[str, float]]) -> list[Target]:
    """Return the targets of rewards from "expected" scores; those that were not measured are left out.

    Args:
        compared: From `training_examples.prove_it.runs.compare_runs`; its judges are "judge" and "audit".
        trained: Each training's figures from `training_examples.prove_it.groups.summarize_training`, by run.
    """
    if "expected" not in compared:
        return []
    return [*_answers(compared), *_training(trained)]


def _answers(compared: Mapping[str, PolicyComparison]) -> Iterator[Target]:
    for where, part in ((", on prompts that no judge has seen", "expected, unseen"), ("", "expected")):
        if part in compared and (audit := compared[part].changes.get("audit")):
            name = f"the audit judge's score rises, at 95 %{where}"
            yield Target(name=name, is_met=(audit.change.low or 0.0) > 0, figures=shown_change(audit))
    found = (one.changes.get("audit") for run, one in compared.items() if kind_of(run) == "expected")
    if seeds := [one for one in found if one]:
        has_risen = all((one.change.value or 0.0) > 0 for one in seeds)
        shown = "; ".join(map(shown_change, seeds))
        yield Target(name="the audit judge's score rises with every seed", is_met=has_risen, figures=shown)
    changes = compared["expected"].changes
    if overlap := changes.get("overlap"):
        name = "no fall of the overlap with the reference is shown, at 95 %"
        yield Target(name=name, is_met=not _has_fallen(overlap), figures=shown_change(overlap))
    words = changes["words"]
    name = f"words at most {MAX_WORDS} times the first policy's"
    yield Target(name=name, is_met=words.after <= MAX_WORDS * words.before, figures=shown_change(words))


def _has_fallen(change: Change) -> bool:
    """Return whether the whole interval is below 0; without an interval, whether the mean is."""
    high = change.change.value if change.change.high is None else change.change.high
    return (high or 0.0) < 0


def _training(trained: Mapping[str, Mapping[str, float]]) -> Iterator[Target]:
    def mean(kind: str, figure: str) -> float | None:
        found = [one[figure] for run, one in trained.items() if kind_of(run) == kind and figure in one]
        return fmean(found) if found else None

    share = mean("expected", "judge_share")
    if share is not None:
        name = f"the judge takes at most {MAX_JUDGE_SHARE:.0%} of a step"
        yield Target(name=name, is_met=share <= MAX_JUDGE_SHARE, figures=f"{share:.1%}{_overhead(trained)}")
    expected, integer = (mean(kind, "share_without_spread") for kind in ("expected", "integer"))
    if expected is not None and integer is not None:
        yield Target(
            name=f"groups without spread at most {MAX_SPREAD_RATIO} times those of integers, which have some",
            is_met=integer > 0 and expected <= MAX_SPREAD_RATIO * integer,
            figures=f"{expected:.1%}, integers {integer:.1%}",
        )


def _overhead(trained: Mapping[str, Mapping[str, float]]) -> str:
    """Describe a step's time relative to one under a constant reward, over the first steps; "" if unknown."""
    seconds: dict[str, list[float]] = {}
    for run, one in trained.items():
        early, _, name = run.rpartition(" steps of ")
        if early and "step_s" in one:
            seconds.setdefault(kind_of(name), []).append(one["step_s"])
    if not {"expected", "constant"} <= seconds.keys():
        return ""
    ratio = fmean(seconds["expected"]) / fmean(seconds["constant"])
    return f"; a step takes {ratio:.2f} times that under a constant reward, over the first steps"
