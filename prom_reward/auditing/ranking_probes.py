"""Probes of pairwise ranking: position, cycles, agreement with direct grading.

A judge that compares by grading both sides cannot fail them, so it is asked for no comparison and gets no verdict.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from prom_reward.auditing.probe import Probe, mean_probe
from prom_reward.auditing.probes import NUM_STEPS, GradedLadder
from prom_reward.auditing.tasks import AuditTask
from prom_reward.types import ComparisonRequest, Rubric

_PAIRS = tuple(combinations(range(3), 2))  # of the three best steps: (0, 1), (0, 2), (1, 2)
_BATCH = 16
_BY_GRADING = "the judge compares by grading both sides, so this is good by construction"


def probe_ranking(ladder: GradedLadder) -> list[Probe]:
    """Compare every task's three best responses pairwise, in both orders; without tasks by levels there is no probe.

    Judges compare by rubrics with levels alone, so tasks by a checklist are left out.
    """
    starts = [at for at in range(0, len(ladder.steps), NUM_STEPS) if isinstance(ladder.steps[at].rubric, Rubric)]
    if not starts:
        return []
    if not ladder.judge.ranks:
        return [replace(probe, no_verdict=_BY_GRADING) for probe in _probes(ladder, (), (), (), ())]
    tasks = [ladder.steps[at : at + 3] for at in starts]
    requests = [ComparisonRequest.of(steps[first], steps[second]) for steps in tasks for first, second in _PAIRS]
    signs = _signs(ladder, [*requests, *(request.swapped() for request in requests)])
    straight = signs[: len(requests)]
    swapped = [None if sign is None else -sign for sign in signs[len(requests) :]]
    flips = [
        None if one is None or two is None else float(one != two) for one, two in zip(straight, swapped, strict=True)
    ]
    triples = [part[at : at + 3] for part in (straight, swapped) for at in range(0, len(part), 3)]
    cycles = [None if None in triple else float(_is_cycle(triple)) for triple in triples]
    agreements = _agreements(ladder.points, starts, straight, swapped)
    return _probes(ladder, [steps[0].instruction for steps in tasks], flips, cycles, agreements)


def num_comparisons(tasks: Sequence[AuditTask], *, ranks: bool) -> int:
    """Return how many comparisons `probe_ranking` asks a judge for."""
    return 2 * len(_PAIRS) * sum(isinstance(task.rubric, Rubric) for task in tasks) if ranks else 0


def _probes(
    ladder: GradedLadder,
    tasks: Sequence[str],
    flips: Sequence[float | None],
    cycles: Sequence[float | None],
    agreements: Sequence[float | None],
) -> list[Probe]:
    """Return the probes of tasks in order; cycles and agreements hold all tasks twice, the second time swapped."""
    of_pairs = [task for task in tasks for _ in _PAIRS]
    return [
        mean_probe(
            "bias",
            "position",
            "share of pairwise verdicts that change if the sides are swapped",
            flips,
            limits=(0.1, 0.3),
            tasks=of_pairs,
            seed=ladder.seed,
        ),
        mean_probe(
            "consistency",
            "ranking in cycles",
            "share of triples that are ranked in a cycle",
            cycles,
            limits=(0.05, 0.2),
            tasks=[*tasks, *tasks],
            seed=ladder.seed,
        ),
        mean_probe(
            "consistency",
            "direct and pairwise",
            "share of pairwise verdicts whose winner has the higher direct score",
            agreements,
            limits=(0.8, 0.6),
            tasks=[*of_pairs, *of_pairs],
            seed=ladder.seed,
        ),
    ]


def _signs(ladder: GradedLadder, requests: Sequence[ComparisonRequest]) -> list[int | None]:
    """Return 1 if response A wins, -1 if B wins, 0 for a tie, None without a verdict."""
    signs: list[int | None] = []
    for start in range(0, len(requests), _BATCH):
        part = requests[start : start + _BATCH]
        found = ladder.judge.compare(part)
        signs += [None if one.winner is None else {"A": 1, "B": -1, "tie": 0}[one.winner] for one in found]
        ladder.on_batch(len(part))
    return signs


def _is_cycle(triple: Sequence[int | None]) -> bool:
    """Whether 0 > 1, 1 > 2 and 2 > 0, or all the other way round."""
    first, across, second = triple
    return first == second and first in (1, -1) and across == -first


def _agreements(
    points: Sequence[float | None],
    starts: Sequence[int],
    straight: Sequence[int | None],
    swapped: Sequence[int | None],
) -> list[float | None]:
    gaps = []
    for at in starts:
        for first, second in _PAIRS:
            one, other = points[at + first], points[at + second]
            gaps.append(None if one is None or other is None else one - other)
    return [
        None if sign is None or gap is None else float(sign * gap > 0)
        for part in (straight, swapped)
        for sign, gap in zip(part, gaps, strict=True)
    ]
