"""A labeling before the work: what its rows are, how many requests and tokens, and the time by judging a sample."""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prom_reward.data.formats import Kind
from prom_reward.data.rows import RowIterator
from prom_reward.judging.base import Judge
from prom_reward.labeling.planning import RequestIndex
from prom_reward.labeling.requests import Request, judge_requests, request_key
from prom_reward.labeling.task import LabelingTask, Method, RowReader, open_task

_MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTiming:
    """The judging of a sample."""

    num_requests: int
    """Requests that were timed."""
    seconds_each: float
    """Seconds per request, without loading the judge."""
    prompt_tokens_each: float
    """Mean length of a prompt."""
    generated_tokens_each: float
    """Mean length of a feedback in tokens."""
    outcomes: Mapping[str, int]
    """Outcomes of the sample."""


@dataclass(slots=True, kw_only=True)
class DryRun:
    """What a labeling would do."""

    kind: Kind
    """The kind of the rows."""
    num_rows: int = 0
    """Rows of the input."""
    num_problems: int = 0
    """Rows that would be left out."""
    problems: list[str] = field(default_factory=list)
    """The first hundred of them, each with its place and the reason."""
    num_requests: int = 0
    """Requests that the judge would get, equal ones once."""
    num_repeated: int = 0
    """Requests that are equal to one of them."""
    sample: list[Request] = field(default_factory=list)
    """Requests drawn from all over the input."""
    timing: SampleTiming | None = None
    """The judging of the sample; None if there is no request."""

    @property
    def num_prompt_tokens(self) -> int:
        """Tokens of all prompts, by the sample's mean."""
        return round(self.num_requests * self.timing.prompt_tokens_each) if self.timing else 0

    @property
    def num_generated_tokens(self) -> int:
        """Tokens of all feedback, by the sample's mean."""
        return round(self.num_requests * self.timing.generated_tokens_each) if self.timing else 0

    @property
    def seconds(self) -> float:
        """Seconds of the work in one process, by the sample's mean."""
        return self.num_requests * self.timing.seconds_each if self.timing else 0.0


def dry_run(
    source: str | Path,
    *,
    judge: Judge,
    rubric: Any = None,
    method: Method = "grade",
    columns: Mapping[str, str] | None = None,
    reference_answer: str | None = None,
    split: str = "train",
    limit: int | None = None,
    sample_size: int = 16,
    seed: int = 0,
) -> DryRun:
    """Read all rows and judge a sample of their requests; nothing is written.

    Args:
        source: As all arguments down to `limit`, the one of `prom_reward.label`.
        judge: Judges the sample.
        rubric: For rows without one.
        method: "grade", "rank" or "both".
        columns: Columns by role.
        reference_answer: For rows without one.
        split: The split of a hub data set.
        limit: The most rows to read.
        sample_size: Requests to judge.
        seed: Draws the sample.

    Raises:
        InputError: The source cannot be read or recognized.
    """
    reader = RowReader(source, split, limit)
    task, rows = open_task(reader, rubric=rubric, method=method, columns=columns, reference_answer=reference_answer)
    found = _read(rows, task, sample_size, seed)
    found.timing = _timed(judge.seeded(0), found.sample) if found.sample else None
    return found


def _read(rows: RowIterator, task: LabelingTask, sample_size: int, seed: int) -> DryRun:
    """Count the requests of all rows and draw a sample, without holding the requests."""
    draw = random.Random(seed)  # noqa: S311  # nothing here is a secret
    found = DryRun(kind=task.kind)
    with tempfile.TemporaryDirectory() as folder:
        index = RequestIndex(Path(folder) / "requests.sqlite")
        for row in rows:
            planned = task.plan(row)
            found.num_rows += 1
            if planned.problem is not None:
                found.num_problems += 1
                found.problems += [f"{row.place}: {planned.problem}"] if len(found.problems) < _MAX_PROBLEMS else []
            for request in planned.requests():
                if not index.is_new(request_key(request)):
                    found.num_repeated += 1
                    continue
                found.num_requests += 1
                if len(found.sample) < sample_size:
                    found.sample.append(request)
                elif (at := draw.randrange(found.num_requests)) < sample_size:
                    found.sample[at] = request
        index.close()
    return found


def _timed(judge: Judge, sample: Sequence[Request]) -> SampleTiming:
    """Judge a sample; its first request is judged twice, so that loading does not count."""
    keyed = {request_key(request): request for request in sample}
    judge_requests(judge, dict(list(keyed.items())[:1]))
    start = time.perf_counter()
    answers = judge_requests(judge, keyed).values()
    seconds = time.perf_counter() - start
    return SampleTiming(
        num_requests=len(keyed),
        seconds_each=seconds / len(keyed),
        prompt_tokens_each=sum(answer.num_prompt_tokens for answer in answers) / len(keyed),
        generated_tokens_each=sum(answer.num_generated_tokens for answer in answers) / len(keyed),
        outcomes=dict(Counter(answer.outcome.value for answer in answers)),
    )
