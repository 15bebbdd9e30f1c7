"""Rows and the answers in the shards become labeled rows.

It does not know judges: the same rows and shards always give the same bytes.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prom_reward.data.formats import Kind
from prom_reward.data.rows import RowIterator
from prom_reward.errors import InputError
from prom_reward.files import replacing, write_records
from prom_reward.labeling.planning import PlannedRow, RequestIndex, Task, cut_rows
from prom_reward.labeling.requests import Request, request_key
from prom_reward.labeling.row_labels import Label, Ranking, pair_columns
from prom_reward.labeling.shards import Answers, LabelFolder
from prom_reward.types import Comparison, GradingRequest, Judgment

_LABEL = (
    "outcome",
    "score",
    "expected_score",
    "score_probs",
    "entropy",
    "feedback",
    "error",
    "unit_score",
    "judgments",
)
_RANKING = ("outcome", "winner", "prob_chosen", "orders", "feedback", "error")
_ADDED: Mapping[Kind, tuple[str, ...]] = {
    "response": _LABEL,
    "responses": ("labels", "best", "worst"),
    "pair": (
        *(f"{side}_{name}" for side in ("chosen", "rejected") for name in _LABEL),
        *(f"ranking_{name}" for name in _RANKING),
        *("prob_chosen", "margin", "agreement", "swapped"),
    ),
}
_OPEN_SHARDS = 8  # whose answers are held, for requests that belong to an earlier shard


@dataclass(slots=True)
class Assembly:
    """What came of the rows."""

    num_rows: int = 0
    """Rows of the input, the broken ones included."""
    num_labeled: int = 0
    """Rows in the result."""
    problems: int = 0
    """Rows that could not be labeled."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Of all responses' labels and all rankings."""
    agreement: Counter[str] = field(default_factory=Counter)
    """Pairs by agreement: "agrees", "disagrees", "tie", "unscored"."""


class AnswerBook:
    """Finds the answers to requests, wherever they were asked first.

    Args:
        folder: Holds the shards.
        index: Tells which shard a request belongs to.
    """

    def __init__(self, folder: LabelFolder, index: RequestIndex) -> None:
        self._folder = folder
        self._index = index
        self._sizes = folder.starts()
        self._open: OrderedDict[int, Answers] = OrderedDict()

    def answer(self, request: Request, start: int) -> Mapping[str, Any]:
        """Return the answer to a request of a row in the shard that begins at `start`.

        Raises:
            InputError: Nobody asked: the input is not what it was when the requests were planned.
        """
        key = request_key(request)
        try:
            return self._answers(start).get(key) or self._answers(self._index.owner(key))[key]
        except (KeyError, TypeError):
            raise InputError(
                f"{self._folder.path}: the input changed while it was labeled; run the same command again"
            ) from None

    def _answers(self, start: int) -> Answers:
        if start not in self._open:
            self._open[start] = self._folder.read(start, self._sizes[start]).answers
        self._open.move_to_end(start)
        while len(self._open) > _OPEN_SHARDS:
            self._open.popitem(last=False)
        return self._open[start]


def assemble(folder: LabelFolder, task: Task, rows: RowIterator, index: RequestIndex) -> Assembly:
    """Write the labeled rows, and beside them the rows that could not be labeled.

    Args:
        folder: Holds the shards of all rows.
        task: What was asked.
        rows: The rows again, from the first on.
        index: Of the requests.
    """
    book = AnswerBook(folder, index)
    found = Assembly()
    with replacing(folder.labels) as labels, replacing(folder.problems) as problems:
        for start, run in cut_rows(rows, folder.starts(), 1):
            for at, row in enumerate(run):
                planned = task.plan(row)
                if planned.problem is not None:
                    found.problems += write_records(problems, [_problem(planned)])
                else:
                    columns = label_columns(planned, task, book, start)
                    _count(found, columns)
                    kept = _kept(planned, columns)
                    found.num_labeled += write_records(labels, [{**kept, "row": start + at, **columns}])
            found.num_rows += len(run)
    return found


def label_columns(planned: PlannedRow, task: Task, book: AnswerBook, start: int) -> dict[str, Any]:
    """Return the columns that a row gets."""
    assert planned.grading is not None
    labels = [_label(requests, book, start) for requests in planned.grading] if task.grades else []
    rubrics = tuple(request.rubric for request in planned.grading[0])
    named = {"rubric_name": " + ".join(rubric.name for rubric in rubrics)}
    if task.kind == "response":
        return {**named, **labels[0].columns()}
    if task.kind == "responses":
        return {**named, "labels": [label.columns() for label in labels], **_extremes(labels)}
    ranking = None
    if task.ranks:
        orders = [
            tuple(Comparison.from_dict(book.answer(request, start)) for request in pair)
            for pair in planned.comparing or ()
        ]
        ranking = Ranking(rubrics=rubrics, orders=tuple((first, second) for first, second in orders))
    chosen, rejected = labels or (None, None)
    return {**named, **pair_columns(chosen, rejected, ranking)}


def input_values(row: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """Return the columns that a labeled row had in the input, under their old names."""
    added = {"row", "rubric_name", *_ADDED[kind]}
    values = {name: value for name, value in row.items() if name not in added}
    return {
        name.removeprefix("input_") if name.removeprefix("input_") in added else name: value
        for name, value in values.items()
    }


def _kept(planned: PlannedRow, columns: Iterable[str]) -> dict[str, Any]:
    values = getattr(planned.row, "values", {})
    taken = {*columns, "row"}
    return {f"input_{name}" if name in taken else name: value for name, value in values.items()}


def _label(requests: list[GradingRequest], book: AnswerBook, start: int) -> Label:
    judgments = tuple(Judgment.from_dict(book.answer(request, start)) for request in requests)
    return Label(rubrics=tuple(request.rubric for request in requests), judgments=judgments)


def _extremes(labels: list[Label]) -> dict[str, int | None]:
    """Return which response is best and which worst: None where none is scored, or all scores are equal."""
    scored = [(label.unit_score, at) for at, label in enumerate(labels) if label.unit_score is not None]
    best, worst = (max(scored, key=lambda one: one[0]), min(scored, key=lambda one: one[0])) if scored else (None, None)
    if best is None or worst is None or best[0] == worst[0]:
        return {"best": None, "worst": None}
    return {"best": best[1], "worst": worst[1]}


def _count(found: Assembly, columns: Mapping[str, Any]) -> None:
    outcomes = [value for name, value in columns.items() if name.endswith("outcome")]
    outcomes += [label["outcome"] for label in columns.get("labels", ())]
    found.outcomes.update(outcomes)
    if "agreement" in columns:
        found.agreement[columns["agreement"] or "unscored"] += 1


def _problem(planned: PlannedRow) -> dict[str, Any]:
    return {"place": planned.row.place, "problem": planned.problem}
