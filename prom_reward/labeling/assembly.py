"""Rows and the answers in the shards become labeled rows; the same rows and shards always give the same bytes."""

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from prom_reward.data.formats import Kind
from prom_reward.data.rows import RowIterator
from prom_reward.errors import InputError
from prom_reward.files import replacing, write_records
from prom_reward.labeling.labeled_rows import labeled_values
from prom_reward.labeling.planning import RequestIndex, cut_rows
from prom_reward.labeling.requests import Answers, request_key
from prom_reward.labeling.shards import LabelFolder
from prom_reward.labeling.task import LabelingTask, PlannedRow
from prom_reward.labeling.verdicts import SAME, PairRanking, ResponseVerdict, pair_columns
from prom_reward.types import Comparison, ComparisonRequest, GradingRequest, JudgeRequest, Judgment

MAX_PROBLEMS = 100
"""The number of problems that are kept in memory."""
_OPEN_SHARDS = 8  # shards in memory, for requests that belong to an earlier one
_A = TypeVar("_A", Judgment, Comparison)


@dataclass(slots=True, kw_only=True)
class Labeling:
    """A finished labeling."""

    out: Path
    """The folder."""
    kind: Kind
    """The kind of the rows."""
    num_rows: int = 0
    """Rows of the input, the broken ones included."""
    num_labeled: int = 0
    """Rows of `labels.jsonl`."""
    num_problems: int = 0
    """Rows of `problems.jsonl`."""
    problems: list[str] = field(default_factory=list)
    """The first hundred of them, each with its place and the reason."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """The outcomes of all responses and rankings."""
    agreement: Counter[str] = field(default_factory=Counter)
    """The number of pairs by "agrees", "disagrees", "tie" and "unscored"."""
    warnings: list[str] = field(default_factory=list)
    """Further notes, for the user."""

    @property
    def labels(self) -> Path:
        """The file with the labeled rows."""
        return self.out / "labels.jsonl"

    def leave_out(self, place: str, problem: str) -> None:
        """Count a row that is left out."""
        self.num_problems += 1
        self.problems += [f"{place}: {problem}"] if len(self.problems) < MAX_PROBLEMS else []

    def count(self, columns: Mapping[str, Any]) -> None:
        """Count the columns of a row."""
        self.outcomes.update(value for name, value in columns.items() if name.endswith("outcome"))
        self.outcomes.update(verdict["outcome"] for verdict in columns.get("verdicts", ()))
        if "agreement" in columns:
            self.agreement[columns["agreement"] or "unscored"] += 1


class AnswerBook:
    """Finds the answer to a request in the shard that it belongs to.

    Args:
        folder: Holds the shards.
        index: Maps each request to its shard.
    """

    def __init__(self, folder: LabelFolder, index: RequestIndex) -> None:
        self._folder = folder
        self._index = index
        self._sizes = folder.starts()
        self._open: OrderedDict[int, Answers] = OrderedDict()

    def judgment(self, request: GradingRequest) -> Judgment:
        """Return the judgment on a request; InputError if it was never asked."""
        return self._answer(request, Judgment)

    def comparison(self, request: ComparisonRequest) -> Comparison:
        """Return the comparison on a request; InputError if it was never asked."""
        return self._answer(request, Comparison)

    def _answer(self, request: JudgeRequest, kind: type[_A]) -> _A:
        key = request_key(request)
        try:
            answer = self._answers(self._index.owner(key))[key]
        except (KeyError, TypeError):
            answer = None
        if not isinstance(answer, kind):
            raise InputError(f"{self._folder.path}: the input changed while it was labeled; run the same command again")
        return answer

    def _answers(self, start: int) -> Answers:
        if start not in self._open:
            self._open[start] = self._folder.answers(start, self._sizes[start])
        self._open.move_to_end(start)
        while len(self._open) > _OPEN_SHARDS:
            self._open.popitem(last=False)
        return self._open[start]


def assemble(folder: LabelFolder, task: LabelingTask, rows: RowIterator, index: RequestIndex) -> Labeling:
    """Write the labeled rows and the rows that are left out.

    Args:
        folder: Holds the shards of all rows.
        task: Turns rows into requests.
        rows: The rows again, from the first on.
        index: Maps each request to its shard.
    """
    book = AnswerBook(folder, index)
    labeling = Labeling(out=folder.path, kind=task.kind)
    with replacing(folder.labels) as labels, replacing(folder.problems) as problems:
        for start, part in cut_rows(rows, folder.starts(), 1):
            for number, row in enumerate(part, start):
                planned = task.plan(row)
                if planned.problem is not None:
                    write_records(problems, [{"row": number, "place": row.place, "problem": planned.problem}])
                    labeling.leave_out(row.place, planned.problem)
                else:
                    columns = {"row": number, **row_columns(planned, task.kind, book)}
                    labeling.count(columns)
                    values = labeled_values(planned.values, task.kind, columns)
                    labeling.num_labeled += write_records(labels, [values])
            labeling.num_rows += len(part)
    return labeling


def row_columns(planned: PlannedRow, kind: Kind, book: AnswerBook) -> dict[str, Any]:
    """Return the columns that a row gets."""
    rubrics = planned.rubrics
    verdicts = [
        ResponseVerdict(rubrics=rubrics, judgments=tuple(map(book.judgment, requests))) for requests in planned.grading
    ]
    named = {"rubric_name": " + ".join(rubric.name for rubric in rubrics)}
    if kind == "response":
        return {**named, **verdicts[0].columns()}
    if kind == "responses":
        return {**named, "verdicts": [one.columns() for one in verdicts], **_extremes(verdicts)}
    comparisons = [(book.comparison(first), book.comparison(second)) for first, second in planned.comparing]
    ranking = PairRanking(rubrics=rubrics, comparisons=tuple(comparisons)) if comparisons else None
    chosen, rejected = verdicts or (None, None)
    return {**named, **pair_columns(chosen, rejected, ranking)}


def _extremes(verdicts: Sequence[ResponseVerdict]) -> dict[str, int | None]:
    """Return the numbers of the best and the worst response; None if none is scored, or all scores are equal."""
    scores = {number: one.unit_score for number, one in enumerate(verdicts) if one.unit_score is not None}
    best, worst = (choose(scores, key=lambda at: scores[at], default=None) for choose in (max, min))
    if best is None or worst is None or scores[best] - scores[worst] <= SAME:
        return {"best": None, "worst": None}
    return {"best": best, "worst": worst}
