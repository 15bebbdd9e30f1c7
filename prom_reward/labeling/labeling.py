"""Labels a data set with a judge: resumable, in bounded memory, in one process, several, or on Ray."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from prom_reward.data.pairs.preferences import NumberedVerdicts
from prom_reward.data.recognition import Recognition
from prom_reward.data.rows import BrokenRow, Row, RowIterator
from prom_reward.errors import ConfigError, InputError, check_flags, number_of
from prom_reward.judging.base import Judge
from prom_reward.labeling.assembly import Labeling, assemble
from prom_reward.labeling.backends import Backend, LocalBackend
from prom_reward.labeling.manifest import Manifest
from prom_reward.labeling.planning import RequestIndex, cut_rows, digest_rows, plan_shard
from prom_reward.labeling.requests import Answers
from prom_reward.labeling.shards import LabelFolder, Shard, check_overwrites_nothing
from prom_reward.labeling.task import LabelingTask, Method, PlannedRow, SourceReader, note_planned, open_task
from prom_reward.rubrics.reading import RubricLike

logger = logging.getLogger(__name__)

SHARD_SIZE = 64
"""Rows of a shard: the most that a killed process loses, and the most that one batch is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A finished shard."""

    num_rows: int
    """Rows of the shard."""
    outcomes: Mapping[str, int]
    """Outcomes of its answers."""
    is_new: bool
    """Whether it was judged now, and not by an earlier run."""


def label(
    source: str | Path,
    *,
    judge: Judge,
    out: str | Path,
    rubric: RubricLike | None = None,
    method: Method = "grade",
    columns: Mapping[str, str] | None = None,
    reference_answer: str | None = None,
    split: str = "train",
    limit: int | None = None,
    shard_size: int = SHARD_SIZE,
    backend: Backend | None = None,
    retry_failed: bool = False,
    accept_changes: bool = False,
    strict: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Labeling:
    """Label preference pairs, single responses, or several responses per prompt; call it again to resume.

    Args:
        source: A JSONL, JSON, CSV or Parquet file, a folder of `Dataset.save_to_disk`, or a hub id. It is read as a
            stream, twice, or three times if `strict`. Rows may be appended later: a further call labels only those.
        judge: Grades, and for `method="rank"` compares. A judge that samples without a seed gets the seed 0, so that
            the draws of a feedback depend on its prompt alone.
        out: The folder for shards, `labels.jsonl` and `problems.jsonl`.
        rubric: For rows without one, in any form of `read_rubrics`.
        method: "grade" grades every response; "rank" compares the sides of each pair in both orders, and a winner that
            depends on the order is a tie; "both" does both: it is a tie if they name different sides, and if one of
            them is a tie, the other decides.
        columns: Columns by role if they have no known name, for example `{"chosen": "better"}`; the roles are those of
            `prom_reward.data.columns.COLUMN_NAMES`.
        reference_answer: For rows without one.
        split: The split of a hub data set.
        limit: The most rows to read.
        shard_size: Rows of a shard: nothing is batched across shards, and a killed run loses at most one.
        backend: Judges the shards: None in this process; `ProcessBackend` and `RayBackend` in others.
        retry_failed: Judge shards again in which an engine failed, if only on a sample or as a cascade's strong judge.
        accept_changes: Resume even if the judge, the machine or the shards' size differs from before.
        strict: Read all rows before the first one is judged, and refuse a source if a column of known meaning, or an
            image in messages, stays unread, or if rows are read from several columns; else that is a warning.
        on_progress: Called for every shard.

    Raises:
        InputError: The source cannot be read or recognized, or `out` was labeled with other options or rows, or holds
            files that would be overwritten and that no labeling wrote.
        WorkError: The disk is full, a process died, or another run works in `out`.
    """
    check_flags(retry_failed=retry_failed, accept_changes=accept_changes, strict=strict)
    if shard_size < 1:
        raise ConfigError(f"got shard_size={shard_size}; expected at least 1")
    if limit is not None and limit < 0:
        raise ConfigError(f"got limit={limit}; expected 0 or more")
    if not isinstance(source, str | Path):
        raise InputError(f"got a source of type {type(source).__name__}; expected a file, a folder or a hub id")
    judge = judge.seeded(0)
    reader = SourceReader(source, split, limit, columns)
    task, rows = open_task(reader, rubric=rubric, method=method, reference_answer=reference_answer, strict=strict)
    check_overwrites_nothing(out, ("labels.jsonl", "problems.jsonl"), source)
    folder = LabelFolder(out)
    task.recognition.check(strict=strict)
    if method != "grade" and not judge.taught_to_rank:
        logger.warning(
            "the judge %s was not trained for pairwise ranking: it compares two grades; grade, or take another judge",
            judge.name,
        )
    with folder.lock():
        about = {"input": Path(source).name, "judge": judge.name, "pairs_note": judge.pairs_note}
        backend = backend or LocalBackend()
        manifest = Manifest.of(task, judge, backend.machine(judge), shard_size, about)
        changed = manifest.check_in(folder.manifest, accepts_changes=accept_changes)
        if retry_failed:
            folder.forget_failed()
        folder.scratch.mkdir(exist_ok=True)
        index = RequestIndex(folder.scratch / "requests.sqlite")
        try:
            found = Recognition(str(source), verdicts=NumberedVerdicts(columns))
            run = _Run(
                folder=folder,
                task=task,
                index=index,
                source=str(source),
                on_progress=on_progress,
                recognition=found,
                changed=changed,
            )
            for shard, answers in backend.run(judge, run.pending(rows, shard_size)):
                run.commit(shard, answers)
            labeling = assemble(folder, task, islice(reader.rows(), run.num_rows), index)
        finally:
            index.close()
            (folder.scratch / "requests.sqlite").unlink(missing_ok=True)
    told = task.recognition.warnings()
    labeling.warnings += [*reader.warnings, *run.warnings, *(one for one in found.warnings() if one not in told)]
    return labeling


@dataclass(slots=True, kw_only=True)
class _Run:
    """One pass over the rows: checks finished shards, plans and commits the others."""

    folder: LabelFolder
    task: LabelingTask
    index: RequestIndex
    source: str
    on_progress: Callable[[Progress], None]
    recognition: Recognition
    changed: Manifest | None
    num_rows: int = 0
    num_repeated: int = 0
    first_repeated: str = ""

    @property
    def warnings(self) -> list[str]:
        """Notes on the rows, for the user."""
        if not self.num_repeated:
            return []
        rows = number_of(self.num_repeated, "row")
        return [f"{rows} with the id of an earlier row, first {self.first_repeated}: all are labeled"]

    def pending(self, rows: RowIterator, shard_size: int) -> Iterator[Shard]:
        """Yield the shards that are not judged yet, in order.

        Raises:
            InputError: The rows are not those of the finished shards.
        """
        done = self.folder.starts()
        for start, part in cut_rows(rows, done, shard_size):
            self.num_rows += len(part)
            planned = [self.task.plan(row) for row in part]
            self._count_repeated_ids(planned)
            note_planned(self.recognition, planned)
            shard = plan_shard(planned, start, self.index)
            if start not in done:
                yield shard
                continue
            self._check(start, done[start], part)
            self._report(shard, self.folder.answers(start, done[start]), is_new=False)
        labeled = max((start + size for start, size in done.items()), default=0)
        if self.num_rows < labeled:
            raise InputError(
                f"{self.folder.path}: has {labeled} labeled rows, got {self.num_rows} from {self.source}; expected the "
                "same rows, or more appended to them: correct the input or --limit, or give another --out"
            )

    def commit(self, shard: Shard, answers: Answers) -> None:
        """Write a judged shard, after the manifest if this run's judge, machine or shard size is new to it."""
        if self.changed is not None:
            self.changed.write(self.folder.manifest)
            self.changed = None
        self.folder.commit(shard, answers)
        self._report(shard, answers, is_new=True)

    def _report(self, shard: Shard, answers: Answers, *, is_new: bool) -> None:
        outcomes = Counter(answer.outcome.value for answer in answers.values())
        self.on_progress(Progress(num_rows=shard.num_rows, outcomes=outcomes, is_new=is_new))

    def _check(self, start: int, size: int, part: list[Row | BrokenRow]) -> None:
        if len(part) == size and digest_rows(part) != self.folder.digest(start, size):
            raise InputError(
                f"{self.source}: rows {start + 1} to {start + size} are not those that {self.folder.path} was labeled "
                "from; expected the same rows, or more appended to them: give the old input, or another --out"
            )

    def _count_repeated_ids(self, planned: list[PlannedRow]) -> None:
        for one in planned:
            if one.example is None or one.example.id is None or self.index.is_new_id(one.example.id):
                continue
            self.num_repeated += 1
            self.first_repeated = self.first_repeated or f"{one.example.id!r} ({one.row.place})"
