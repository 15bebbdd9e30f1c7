"""Labels a data set with a judge: resumable, in bounded memory, in one process, several, or on Ray.

It does not know how a judge is made, nor how a label is used: `prom_reward.labeling.exports` writes for trainers.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, Protocol

from prom_reward.data.formats import KINDS, Kind, RowFormat
from prom_reward.data.rows import BrokenRow, Row, RowIterator
from prom_reward.data.sources import open_source, recognise
from prom_reward.errors import ConfigError, InputError
from prom_reward.judging.base import Judge
from prom_reward.labeling.assembly import assemble
from prom_reward.labeling.manifest import Manifest
from prom_reward.labeling.planning import (
    PlannedRow,
    PlannedShard,
    RequestIndex,
    Task,
    cut_rows,
    digest_rows,
    plan_shard,
)
from prom_reward.labeling.requests import judge_requests
from prom_reward.labeling.shards import Answers, LabelFolder, Shard
from prom_reward.rubrics.rubric import parse_rubrics
from prom_reward.types import Outcome, Rubric

Method = Literal["grade", "rank", "both"]
SHARD_SIZE = 64
"""Rows of a shard: what is lost at most when the process is killed, and what one batch is made of."""


class Backend(Protocol):
    """Judges shards somewhere."""

    def run(self, judge: Judge, shards: Iterator[PlannedShard]) -> Iterator[tuple[PlannedShard, Answers]]:
        """Yield every shard with its answers, in any order."""
        ...


class LocalBackend:
    """Judges shards one after another in this process."""

    def run(self, judge: Judge, shards: Iterator[PlannedShard]) -> Iterator[tuple[PlannedShard, Answers]]:
        """Yield every shard with its answers, in order."""
        for shard in shards:
            yield shard, judge_requests(judge, shard.requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A shard that is done."""

    num_rows: int
    """Its rows."""
    outcomes: Mapping[str, int]
    """Of its answers."""
    is_new: bool
    """Whether it was judged now, and not by an earlier run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeling:
    """What came of a labeling."""

    out: Path
    """The folder."""
    kind: Kind
    """What the rows are."""
    num_rows: int
    """Rows of the input, the broken ones included."""
    num_labeled: int
    """Rows of `labels.jsonl`."""
    num_problems: int
    """Rows of `problems.jsonl`."""
    outcomes: Mapping[str, int]
    """Of all responses and rankings."""
    agreement: Mapping[str, int]
    """Pairs by "agrees", "disagrees", "tie" and "unscored"."""
    warnings: tuple[str, ...] = ()
    """What else a user should know."""

    @property
    def labels(self) -> Path:
        """The labeled rows."""
        return self.out / "labels.jsonl"


def label(
    source: str | Path,
    *,
    judge: Judge,
    out: str | Path,
    rubric: Any = None,
    method: Method = "grade",
    columns: Mapping[str, str] | None = None,
    reference_answer: str | None = None,
    split: str = "train",
    limit: int | None = None,
    shard_size: int = SHARD_SIZE,
    backend: Backend | None = None,
    retry_failed: bool = False,
    accept_changes: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Labeling:
    """Label preference pairs, responses, or several responses a prompt; call it again to go on after a stop.

    Args:
        source: A JSONL, JSON, CSV or Parquet file, a folder of `Dataset.save_to_disk`, or a hub id. It is read as
            a stream, twice. Rows may be appended later: a further call labels those alone.
        judge: Grades, and for `method="rank"` compares. Where it samples without a seed it gets the seed 0: the
            draws of a feedback then depend on its prompt alone.
        out: The folder for shards, `labels.jsonl` and `problems.jsonl`.
        rubric: For rows without one, in any form of `Rubric.parse`.
        method: "grade" grades every response; "rank" compares the sides of pairs in both orders, where a winner
            that depends on the order is a tie; "both" does both, and what the two see differently is a tie.
        columns: Columns by role where they have no known name, for example `{"chosen": "better"}`; the roles are
            those of `prom_reward.data.formats.COLUMN_NAMES`.
        reference_answer: For rows without one.
        split: Of a hub data set.
        limit: Rows to read at most.
        shard_size: Rows of a shard: nothing is batched over its border, and a killed run loses one at most.
        backend: Where to judge: None is this process; `ProcessBackend` and `RayBackend` are others.
        retry_failed: Judge shards again in which the engine failed.
        accept_changes: Go on although the judge or the machine is not the one that began.
        on_progress: Called for every shard.

    Raises:
        InputError: The source cannot be read or recognised, or `out` was labeled with other options or rows.
        WorkError: The disk is full, a process died, or another run is at work in `out`.
    """
    if method not in ("grade", "rank", "both"):
        raise ConfigError(f"got method={method!r}; expected grade, rank or both")
    if shard_size < 1:
        raise ConfigError(f"got shard_size={shard_size}; expected at least 1")
    judge = judge.seeded(0)
    reader = Reader(source, split, limit)
    rubrics = parse_rubrics(rubric) if rubric is not None else ()
    task, rows = make_task(reader.rows(), rubrics, method, columns, reference_answer, where=str(source))
    folder = LabelFolder(out)
    with folder.lock():
        about = {"input": Path(source).name, "judge": judge.name}
        Manifest.of(task, judge, shard_size).check_in(folder.manifest, about=about, accepts_changes=accept_changes)
        if retry_failed:
            folder.forget(Outcome.ENGINE_FAILED.value)
        folder.scratch.mkdir(exist_ok=True)
        index = RequestIndex(folder.scratch / "requests.sqlite")
        try:
            run = _Run(folder=folder, task=task, index=index, source=str(source), on_progress=on_progress)
            for shard, answers in (backend or LocalBackend()).run(judge, run.pending(rows, shard_size)):
                run.commit(shard, answers)
            found = assemble(folder, task, islice(reader.rows(), run.num_rows), index)
        finally:
            index.close()
            (folder.scratch / "requests.sqlite").unlink(missing_ok=True)
    return Labeling(
        out=folder.path,
        kind=task.kind,
        num_rows=found.num_rows,
        num_labeled=found.num_labeled,
        num_problems=found.problems,
        outcomes=found.outcomes,
        agreement=found.agreement,
        warnings=(*reader.warnings, *run.warnings),
    )


def make_task(
    rows: RowIterator,
    rubrics: tuple[Rubric, ...],
    method: Method,
    columns: Mapping[str, str] | None,
    reference_answer: str | None,
    *,
    where: str,
) -> tuple[Task, RowIterator]:
    """Recognise rows and return what to ask about them, with the rows again from the first on.

    Raises:
        InputError: They are not recognised, or cannot be ranked.
    """
    row_format = RowFormat(columns=dict(columns or {}), reference_answer=reference_answer)
    kind, peeked = recognise(rows, row_format, where=where)
    if kind != "pair" and method != "grade":
        raise InputError(f"{where}: got {KINDS[kind]} and method={method}; only preference pairs can be ranked")
    task = Task(kind=kind, row_format=row_format, rubrics=rubrics, grades=method != "rank", ranks=method != "grade")
    first = next((row for row in peeked if isinstance(row, Row)), None)
    if first is not None and not any(task.plan(row).problem is None for row in peeked):
        raise InputError(f"{where}: no row can be labeled; {first.place}: {task.plan(first).problem}")
    return task, chain(peeked, rows)


@dataclass(slots=True)
class Reader:
    """Opens the source anew for every pass, and stops before a last line that someone is still writing."""

    source: str | Path
    """A file, a folder, or a hub id."""
    split: str = "train"
    """Of a hub data set."""
    limit: int | None = None
    """Rows to read at most."""
    warnings: list[str] = field(default_factory=list)
    """What a user should know of the last pass."""

    def rows(self) -> Iterator[Row | BrokenRow]:
        """Yield the rows from the first on."""
        for row in islice(open_source(self.source, split=self.split), self.limit):
            if isinstance(row, BrokenRow) and row.is_unfinished:
                self.warnings = [f"{row.place} has no end, as if it were being written: left to a later run"]
                return
            yield row


@dataclass(slots=True, kw_only=True)
class _Run:
    """One pass over the rows: finished shards are checked, the others planned and committed."""

    folder: LabelFolder
    task: Task
    index: RequestIndex
    source: str
    on_progress: Callable[[Progress], None]
    num_rows: int = 0
    repeated_ids: list[str] = field(default_factory=list)
    num_repeated: int = 0

    @property
    def warnings(self) -> list[str]:
        """What else a user should know."""
        if not self.num_repeated:
            return []
        first = self.repeated_ids[0]
        return [f"{self.num_repeated} rows have the id of an earlier row, the first is {first}: all are labeled"]

    def pending(self, rows: RowIterator, shard_size: int) -> Iterator[PlannedShard]:
        """Yield the shards that have to be judged, in order."""
        done = self.folder.starts()
        for start, run in cut_rows(rows, done, shard_size):
            self.num_rows += len(run)
            planned = [self.task.plan(row) for row in run]
            shard = plan_shard(planned, start, self.index, on_repeated_id=self._repeated)
            if start not in done:
                yield shard
                continue
            self._check(start, done[start], run)
            outcomes = Counter(answer["outcome"] for answer in self.folder.read(start, done[start]).answers.values())
            self.on_progress(Progress(num_rows=len(run), outcomes=outcomes, is_new=False))
        labeled = max((start + size for start, size in done.items()), default=0)
        if self.num_rows < labeled:
            raise InputError(
                f"{self.folder.path}: {labeled} rows of it are labeled, got {self.num_rows} from {self.source}; "
                "expected the same rows, or more behind them: mend the input or --limit, or give another --out"
            )

    def commit(self, shard: PlannedShard, answers: Answers) -> None:
        """Write a judged shard."""
        self.folder.commit(
            Shard(start=shard.start, num_rows=shard.num_rows, rows_digest=shard.rows_digest, answers=answers)
        )
        outcomes = Counter(answer["outcome"] for answer in answers.values())
        self.on_progress(Progress(num_rows=shard.num_rows, outcomes=outcomes, is_new=True))

    def _check(self, start: int, size: int, run: list[Row | BrokenRow]) -> None:
        if len(run) == size and digest_rows(run) != self.folder.digest(start, size):
            raise InputError(
                f"{self.source}: rows {start + 1} to {start + size} are not those that {self.folder.path} was labeled "
                "from; expected the same rows, or more behind them: give the old input, or another --out"
            )

    def _repeated(self, planned: PlannedRow) -> None:
        self.num_repeated += 1
        if planned.example is not None and not self.repeated_ids:
            self.repeated_ids.append(f"{planned.example.id!r} ({planned.row.place})")
