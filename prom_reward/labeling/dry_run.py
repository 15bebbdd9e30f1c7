"""What a labeling would be: what was recognised, how many requests and tokens, and how long by a short trial.

It does not know how prompts are shown, and writes nothing but a scratch file of the system's.
"""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prom_reward.data.formats import Kind
from prom_reward.data.rows import RowIterator
from prom_reward.judging.base import Judge
from prom_reward.labeling.planning import RequestIndex, Task
from prom_reward.labeling.requests import Request, judge_requests, request_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is known before the work."""

    kind: Kind
    """What the rows are."""
    num_rows: int
    """Rows of the input."""
    problems: Sequence[str]
    """Rows that cannot be labeled, each with its place and what is wrong; the first hundred."""
    num_problems: int
    """How many there are."""
    num_requests: int
    """Requests that the judge would get, each once."""
    num_repeated: int
    """Requests that are answered by an equal one."""
    sample: Sequence[Request]
    """Requests drawn from all over the input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What judging a sample took."""

    num_requests: int
    """Requests that were timed."""
    seconds_each: float
    """Time a request in seconds, without loading the judge."""
    prompt_tokens_each: float
    """Tokens of a prompt, on average."""
    generated_tokens_each: float
    """Tokens of a feedback, on average."""
    outcomes: Mapping[str, int]
    """Of the sample."""


def forecast(rows: RowIterator, task: Task, *, sample_size: int = 16, seed: int = 0) -> Forecast:
    """Read all rows and say what there is to do; the sample is drawn without holding the requests."""
    draw = random.Random(seed)  # noqa: S311  # nothing here is a secret
    sample: list[Request] = []
    problems: list[str] = []
    num_rows = num_problems = num_requests = num_repeated = 0
    with tempfile.TemporaryDirectory() as folder:
        index = RequestIndex(Path(folder) / "requests.sqlite")
        for number, row in enumerate(rows):
            planned, num_rows = task.plan(row), number + 1
            if planned.problem is not None:
                num_problems += 1
                problems += [f"{row.place}: {planned.problem}"] if len(problems) < 100 else []
            for request in planned.requests():
                if not index.is_new(request_key(request)):
                    num_repeated += 1
                    continue
                num_requests += 1
                if len(sample) < sample_size:
                    sample.append(request)
                elif (at := draw.randrange(num_requests)) < sample_size:
                    sample[at] = request
        index.close()
    return Forecast(
        kind=task.kind,
        num_rows=num_rows,
        problems=problems,
        num_problems=num_problems,
        num_requests=num_requests,
        num_repeated=num_repeated,
        sample=sample,
    )


def try_out(judge: Judge, sample: Sequence[Request]) -> Trial:
    """Judge a sample and time it; its first request is judged twice, so that loading does not count.

    Args:
        judge: The judge.
        sample: At least one request.
    """
    keyed = {request_key(request): request for request in sample}
    judge_requests(judge, dict(list(keyed.items())[:1]))
    start = time.perf_counter()
    answers = judge_requests(judge, keyed).values()
    seconds = time.perf_counter() - start
    return Trial(
        num_requests=len(keyed),
        seconds_each=seconds / len(keyed),
        prompt_tokens_each=sum(answer["num_prompt_tokens"] for answer in answers) / len(keyed),
        generated_tokens_each=sum(answer["num_generated_tokens"] for answer in answers) / len(keyed),
        outcomes=Counter(str(answer["outcome"]) for answer in answers),
    )
