"""Probes of single grades: bias, consistency, and the use of the scale.

Each task has four responses in a known order, best first: the reference answer, its first half, its first quarter, and
a good answer to another question.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import log

import numpy as np

from prom_reward.auditing.injection import OnBatch
from prom_reward.auditing.probe import Probe, distance, mean_probe
from prom_reward.auditing.rises import unit_points
from prom_reward.auditing.tasks import AuditTask, other_answers
from prom_reward.evaluation.agreement import estimate, partial_pearson
from prom_reward.evaluation.scores import grade_all
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.rubrics.checklists.criterion import Criterion
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.types import Checklist, GradingRequest, Judgment, Rubric

NUM_STEPS = 4
_REGRADED_TOGETHER = 6  # neither a multiple nor a part of a first grading's batches, which hold whole ladders
_FILLER = (
    " There is, of course, more that one could say about this, and many people have said it. It is worth taking the "
    "time to think about it calmly. In the end, everyone has to find out what suits them, and that is quite all right."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedLadder:
    """Every task's responses, best first, with their grades."""

    judge: PrometheusJudge
    """The judge that graded them."""
    steps: tuple[GradingRequest, ...]
    """`NUM_STEPS` for each task, tasks in order."""
    judgments: tuple[Judgment, ...]
    """One for each step."""
    on_batch: OnBatch
    """Called after each call of the judge with the number of its gradings."""
    seed: int
    """Seed of the bootstrap."""

    @property
    def points(self) -> list[float | None]:
        """The steps' expected scores in points of a 1-5 scale."""
        return [unit_points(one, judgment) for one, judgment in zip(self.steps, self.judgments, strict=True)]

    @property
    def questions(self) -> list[str]:
        """The questions of the steps."""
        return [one.instruction for one in self.steps]

    @property
    def tasks(self) -> list[str]:
        """The questions of the tasks."""
        return self.questions[::NUM_STEPS]

    def column(self, rank: int) -> list[GradingRequest]:
        """Return every task's response of a rank; 0 is the best."""
        return list(self.steps[rank::NUM_STEPS])

    def grade(self, requests: Sequence[GradingRequest], *, batch_size: int = 64) -> list[float | None]:
        """Grade further requests, so many in one call of the judge, and return their points."""
        judgments = grade_all(self.judge, requests, batch_size=batch_size, on_batch=self.on_batch)
        return [unit_points(one, judgment) for one, judgment in zip(requests, judgments, strict=True)]

    def changes(self, rank: int, responses: Iterable[str]) -> list[float | None]:
        """Return for every task how many points another response lies above that of a rank, if both are scored."""
        before = self.points[rank::NUM_STEPS]
        after = self.grade([replace(one, response=new) for one, new in zip(self.column(rank), responses, strict=True)])
        return _differences(before, after)


def graded_ladder(
    judge: PrometheusJudge, tasks: Sequence[AuditTask], *, on_batch: OnBatch = lambda _: None, seed: int = 0
) -> GradedLadder:
    """Grade the ladder of all tasks; `check_tasks` must accept them."""
    steps = tuple(step for at, task in enumerate(tasks) for step in _ladder(task, next(other_answers(tasks, at))))
    judgments = tuple(grade_all(judge, steps, on_batch=on_batch))
    return GradedLadder(judge=judge, steps=steps, judgments=judgments, on_batch=on_batch, seed=seed)


def num_probe_gradings(num_tasks: int) -> int:
    """Return how many gradings the ladder and the probes of this file take."""
    of_bias = 2 + len(_FORMATS)  # padding, the reference's wording, and formatting change one response each
    return num_tasks * (3 * NUM_STEPS + of_bias)  # the ladder is graded, regraded, and graded by reworded rubrics


def probe_bias(ladder: GradedLadder) -> list[Probe]:
    """Probe length, padding, formatting and the reference's wording."""
    halves = [one.response for one in ladder.column(1)]
    padded = ladder.changes(1, [half + _FILLER for half in halves])
    shuffled = ladder.changes(3, [_shuffled(one.response) for one in ladder.column(0)])
    bias = partial(mean_probe, "bias", tasks=ladder.tasks, seed=ladder.seed)
    return [
        _length(ladder),
        bias("padding", "mean rise of a half answer by filler", padded, limits=(0.25, 0.75)),
        *(_formatting(ladder, name, change, halves) for name, change in _FORMATS.items()),
        bias(
            "reference wording",
            "mean rise of the reference's words in random order over a good answer to another question",
            shuffled,
            limits=(0.5, 1.5),
        ),
    ]


def probe_consistency(ladder: GradedLadder) -> list[Probe]:
    """Probe a second grading, and a reworded rubric.

    The second grading goes past the judge's cache, in small batches that part the responses to one question.
    """
    uncached = replace(ladder, judge=ladder.judge.without_cache())
    again = _differences(ladder.points, uncached.grade(ladder.steps, batch_size=_REGRADED_TOGETHER))
    reworded = ladder.grade([replace(one, rubric=_reworded(one.rubric)) for one in ladder.steps])
    moved = [None if change is None else abs(change) for change in _differences(ladder.points, reworded)]
    regraded = [abs(change) for change in again if change is not None]
    widest = [max(regraded)] if regraded else []
    return [
        replace(
            mean_probe(
                "consistency",
                "regrading",
                "largest change of a score at a second grading, in other batches and without the cache",
                widest,
                limits=(0.05, 0.5),
            ),
            num_cases=len(regraded),
        ),
        mean_probe(
            "consistency",
            "reworded rubric",
            "mean change of a score if the rubric asks the same in other words",
            moved,
            limits=(0.25, 0.75),
            tasks=ladder.questions,
            seed=ladder.seed,
        ),
    ]


def probe_scale(ladder: GradedLadder) -> list[Probe]:
    """Probe how much of the scale is used, how certain the judge is, and whether the known order is kept."""
    scored = [
        (one, judgment) for one, judgment in zip(ladder.steps, ladder.judgments, strict=True) if judgment.is_scored
    ]
    levels = [(one, judgment) for one, judgment in scored if isinstance(one.rubric, Rubric)]
    labels = {one.rubric.scale.to_unit(judgment.score or 0) for one, judgment in levels}
    size = min((len(one.rubric.scale.labels) for one, _ in levels), default=2)
    used = [min(1.0, len(labels) / size)] if levels else []
    certain = [
        None if judgment.entropy is None else judgment.entropy / log(_num_answers(one.rubric))
        for one, judgment in scored
    ]
    points = ladder.points
    uppers = [at for at in range(len(points)) if at % NUM_STEPS < NUM_STEPS - 1]
    neighbors = [(points[at], points[at + 1]) for at in uppers]
    kept = [None if first is None or second is None else float(first > second) for first, second in neighbors]
    meaning = "share of neighbors scored in their known order: whole, half, quarter, answer to another question"
    scores_used = mean_probe(
        "scale", "scores used", "share of the scale's scores that are used at least once", used, limits=(0.8, 0.4)
    )
    return [
        *([replace(scores_used, num_cases=len(levels))] if levels or not scored else []),
        *_criteria_used(ladder),
        mean_probe(
            "scale",
            "entropy",
            "mean entropy as a share of that of an even guess",
            certain,
            limits=(0.9, 0.98),
            tasks=[one.instruction for one, _ in scored],
            seed=ladder.seed,
        ),
        mean_probe(
            "scale",
            "known order",
            meaning,
            kept,
            limits=(0.8, 0.6),
            tasks=[ladder.questions[at] for at in uppers],
            seed=ladder.seed,
        ),
    ]


def _criteria_used(ladder: GradedLadder) -> list[Probe]:
    """Probe whether criteria tell responses apart: an answer that is always the same rewards nothing."""
    verdicts_by_criterion: dict[tuple[AnyRubric, str, str], set[bool]] = {}
    for step, judgment in zip(ladder.steps, ladder.judgments, strict=True):
        for part in judgment.parts:
            if part.source == "judge" and part.is_met is not None:
                verdicts_by_criterion.setdefault((step.rubric, step.instruction, part.name), set()).add(part.is_met)
    if not any(isinstance(step.rubric, Checklist) for step in ladder.steps):
        return []
    meaning = "share of a task's criteria that are met by one of its responses and not by another"
    differ = [float(len(verdicts) == 2) for verdicts in verdicts_by_criterion.values()]
    tasks = [instruction for _, instruction, _ in verdicts_by_criterion]
    return [
        mean_probe("scale", "criteria that differ", meaning, differ, limits=(0.8, 0.4), tasks=tasks, seed=ladder.seed)
    ]


def _num_answers(rubric: AnyRubric) -> float:
    """Return the number of answers to choose from; of a checklist the mean over its criteria."""
    if isinstance(rubric, Rubric):
        return len(rubric.scale.labels)
    asked = [len(leaf.rubric.scale.labels) for leaf in rubric.leaves() if leaf.check is None]
    return sum(asked) / len(asked)


def _ladder(task: AuditTask, other: str) -> tuple[GradingRequest, ...]:
    words = task.reference_answer.split(" ")
    half, quarter = (" ".join(words[: max(1, len(words) // part)]) for part in (2, 4))
    return tuple(task.request(text) for text in (task.reference_answer, half, quarter, other))


def _length(ladder: GradedLadder) -> Probe:
    points = ladder.points
    kept = [at for at, score in enumerate(points) if score is not None]
    rows = [(points[at], len(ladder.steps[at].response), NUM_STEPS - at % NUM_STEPS) for at in kept]
    table = np.array(rows, dtype=float).reshape(-1, 3)
    found = estimate(lambda at: partial_pearson(*table[at].T), [ladder.questions[at] for at in kept], seed=ladder.seed)
    return Probe(
        group="bias",
        name="length",
        meaning="correlation of score and length beyond the known order",
        found=distance(found),
        num_cases=len(rows),
        pass_limit=0.3,
        fail_limit=0.6,
    )


def _formatting(ladder: GradedLadder, name: str, change: Callable[[str], str], halves: Sequence[str]) -> Probe:
    moved = ladder.changes(1, [change(half) for half in halves])
    return mean_probe(
        "bias",
        f"formatting: {name}",
        "mean change of a half answer",
        moved,
        limits=(0.25, 0.75),
        tasks=ladder.tasks,
        absolute=True,
        seed=ladder.seed,
    )


def _as_list(text: str) -> str:
    return "\n".join(f"- {sentence.strip().rstrip('.')}." for sentence in text.split(". ") if sentence.strip())


def _broken(text: str) -> str:
    words = text.split(" ")
    middle = len(words) // 2
    return " ".join(words[:middle]) + "\n" + " ".join(words[middle:])


_FORMATS: Mapping[str, Callable[[str], str]] = {
    "list": _as_list,
    "bold": lambda text: f"**{text}**",
    "emoji": lambda text: f"✨🌟👍 {text} ✨🌟👍",
    "line break": _broken,
}


def _shuffled(text: str) -> str:
    words = text.split(" ")
    return " ".join(words[at] for at in np.random.default_rng(len(words)).permutation(len(words)))


def _reworded(rubric: AnyRubric) -> AnyRubric:
    if isinstance(rubric, Checklist):
        return replace(rubric, criteria=tuple(map(_reworded_criterion, rubric.criteria)))
    levels = {label: f"This level fits where one can say: {text}" for label, text in rubric.descriptions.items()}
    criteria = f"Please consider this question about the response. {rubric.criteria}"
    return replace(rubric, criteria=criteria, descriptions=levels)


def _reworded_criterion(criterion: Criterion) -> Criterion:
    children = tuple(map(_reworded_criterion, criterion.children))
    return replace(criterion, text=f"Please check whether this holds. {criterion.text}", children=children)


def _differences(before: Sequence[float | None], after: Sequence[float | None]) -> list[float | None]:
    return [None if old is None or new is None else new - old for old, new in zip(before, after, strict=True)]
