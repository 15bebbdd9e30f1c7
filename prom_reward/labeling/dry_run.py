"""The work before it is done: what the rows are, how many requests and tokens, and the time by judging a sample."""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from statistics import StatisticsError, fmean, linear_regression

from prom_reward.data.formats import Kind
from prom_reward.data.recognition import Recognition
from prom_reward.data.rows import RowIterator
from prom_reward.judging.base import Judge
from prom_reward.labeling.assembly import MAX_PROBLEMS
from prom_reward.labeling.planning import RequestIndex
from prom_reward.labeling.requests import judge_requests, request_key, request_texts
from prom_reward.labeling.task import LabelingTask, Method, SourceReader, open_task
from prom_reward.rubrics.reading import RubricLike
from prom_reward.types import JudgeAnswer, JudgeRequest

_SAMPLE_ROWS = 64  # as many as a shard has, so that batches are as large as in the work
_FIRST_REQUESTS = 16
_MAX_SECONDS = 30.0  # a slow judge is timed by the first requests alone


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTiming:
    """The judging of a sample, with means per request."""

    num_requests: int
    """Requests that were judged."""
    seconds_each: float
    """Seconds, without loading the judge."""
    prompt_tokens_each: float
    """Length of the prompt, corrected by the mean length of all requests."""
    generated_tokens_each: float
    """Length of the feedback in tokens."""
    outcomes: Mapping[str, int]
    """Outcomes of the sample."""


@dataclass(slots=True, kw_only=True)
class DryRun:
    """The plan of a labeling or grading."""

    kind: Kind
    """The kind of the rows."""
    num_rows: int = 0
    """Rows of the input."""
    num_problems: int = 0
    """Rows that would be left out."""
    problems: list[str] = field(default_factory=list)
    """The first hundred of them, each with its place and the reason."""
    recognition: Recognition
    """The columns of all rows, by role."""
    num_requests: int = 0
    """Requests that the judge would get, equal ones once."""
    num_repeated: int = 0
    """Requests that are equal to one of them."""
    num_characters: int = 0
    """Characters of the requests' texts."""
    sample: list[JudgeRequest] = field(default_factory=list)
    """The requests of rows drawn from the whole input."""
    timing: SampleTiming | None = None
    """The judging of the sample; None if there is no request."""

    @property
    def num_prompt_tokens(self) -> int:
        """Tokens of all prompts, by the sample."""
        return round(self.num_requests * self.timing.prompt_tokens_each) if self.timing else 0

    @property
    def num_generated_tokens(self) -> int:
        """Tokens of all feedback, by the sample."""
        return round(self.num_requests * self.timing.generated_tokens_each) if self.timing else 0

    @property
    def seconds(self) -> float:
        """Seconds of the work in one process, by the sample."""
        return self.num_requests * self.timing.seconds_each if self.timing else 0.0


def dry_run(
    source: str | Path,
    *,
    judge: Judge,
    rubric: RubricLike | None = None,
    method: Method = "grade",
    columns: Mapping[str, str] | None = None,
    reference_answer: str | None = None,
    split: str = "train",
    limit: int | None = None,
    seed: int = 0,
) -> DryRun:
    """Read all rows and judge a sample of their requests; nothing is written.

    Args:
        source: This and all arguments down to `limit` are those of `prom_reward.label`.
        judge: Judges the sample, past its cache: what it keeps would take no time.
        rubric: For rows without one.
        method: "grade", "rank" or "both".
        columns: Columns by role.
        reference_answer: For rows without one.
        split: The split of a hub data set.
        limit: The most rows to read.
        seed: Draws the sample.

    Raises:
        InputError: The source cannot be read or recognized.
    """
    reader = SourceReader(source, split, limit, columns)
    task, rows = open_task(reader, rubric=rubric, method=method, reference_answer=reference_answer)
    return forecast(rows, task, judge=judge, seed=seed)


def forecast(
    rows: RowIterator, task: LabelingTask, *, judge: Judge, judges_repeats: bool = False, seed: int = 0
) -> DryRun:
    """Read rows to their end and judge a sample of their requests.

    Args:
        rows: The rows of a source.
        task: Makes their requests.
        judge: Judges the sample.
        judges_repeats: Whether the work judges equal requests once each, as `grade` does, or once.
        seed: Draws the sample.
    """
    found = _read(rows, task, judges_repeats, seed)
    if found.sample:
        found.timing = _timed(judge.seeded(0).without_cache(), found.sample, found.num_characters / found.num_requests)
    return found


def _read(rows: RowIterator, task: LabelingTask, judges_repeats: bool, seed: int) -> DryRun:
    """Count the requests of all rows and draw a sample of rows, without holding the others."""
    draw = random.Random(seed)  # noqa: S311  # nothing here is a secret
    dry_run = DryRun(kind=task.kind, recognition=Recognition(task.recognition.where))
    sample: list[list[JudgeRequest]] = []
    with tempfile.TemporaryDirectory() as folder:
        index = RequestIndex(Path(folder) / "requests.sqlite")
        for row in rows:
            dry_run.num_rows += 1
            planned = task.plan(row)
            if planned.problem is not None or planned.example is None:
                dry_run.num_problems += 1
                dry_run.problems += [f"{row.place}: {planned.problem}"] if len(dry_run.problems) < MAX_PROBLEMS else []
                continue
            dry_run.recognition.note(planned.example, row.place)
            requests = list(planned.requests())
            new = [one for one in requests if index.is_new(request_key(one)) or judges_repeats]
            dry_run.num_requests += len(new)
            dry_run.num_repeated += len(requests) - len(new)
            dry_run.num_characters += sum(map(_length, new))
            if len(sample) < _SAMPLE_ROWS:
                sample.append(new)
            elif (at := draw.randrange(dry_run.num_rows - dry_run.num_problems)) < _SAMPLE_ROWS:
                sample[at] = new
        index.close()
    draw.shuffle(sample)
    dry_run.sample = list(chain.from_iterable(sample))
    return dry_run


def _timed(judge: Judge, sample: Sequence[JudgeRequest], mean_length: float) -> SampleTiming:
    """Judge a sample; its first request is judged twice, so that loading does not count.

    Args:
        judge: The judge.
        sample: At least one request.
        mean_length: Mean number of characters of all requests, sampled or not.
    """
    requests = {request_key(request): request for request in sample}
    first = dict(islice(requests.items(), _FIRST_REQUESTS))
    rest = dict(islice(requests.items(), _FIRST_REQUESTS, None))
    judge_requests(judge, dict(islice(first.items(), 1)))
    answers, seconds = _judged(judge, first)
    timed = answers
    if rest and seconds / len(first) * len(rest) < _MAX_SECONDS:
        timed, seconds = _judged(judge, rest)
        answers |= timed
    lengths = [_length(requests[key]) for key in answers]
    prompts = [answer.num_prompt_tokens or 0 for answer in answers.values()]
    generated = fmean(answer.num_generated_tokens or 0 for answer in answers.values())
    expected = _regressed(lengths, prompts, mean_length)
    sampled = fmean((answer.num_prompt_tokens or 0) + (answer.num_generated_tokens or 0) for answer in timed.values())
    return SampleTiming(
        num_requests=len(answers),
        seconds_each=seconds / len(timed) * ((expected + generated) / sampled if sampled else 1.0),
        prompt_tokens_each=expected,
        generated_tokens_each=generated,
        outcomes=dict(Counter(answer.outcome.value for answer in answers.values())),
    )


def _judged(judge: Judge, requests: Mapping[str, JudgeRequest]) -> tuple[dict[str, JudgeAnswer], float]:
    start = time.perf_counter()
    answers = judge_requests(judge, requests)
    return answers, time.perf_counter() - start


def _regressed(lengths: Sequence[int], tokens: Sequence[int], mean_length: float) -> float:
    """Return the mean number of tokens of all requests: the sample's, corrected by their lengths in characters.

    This is the regression estimator of survey sampling (Cochran, Sampling Techniques, chapter 7).
    """
    try:
        slope = max(0.0, linear_regression(lengths, tokens).slope)
    except StatisticsError:  # one request, or all of one length
        slope = 0.0
    return max(0.0, fmean(tokens) + slope * (mean_length - fmean(lengths)))


def _length(request: JudgeRequest) -> int:
    return sum(map(len, request_texts(request)))
