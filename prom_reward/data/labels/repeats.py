"""Answers that a labeled file has in several rows: copies, or the labels of several annotators."""

from collections import defaultdict
from collections.abc import Hashable, Iterator

from prom_reward.data.labels.labeled_rows import LabeledFile
from prom_reward.errors import number_of


def repeated_labels(found: LabeledFile) -> str:
    """Return how many answers or pairs have several rows by one rubric, and how many different labels; empty if none.

    Every row of them counts.
    """
    labels: dict[Hashable, list[Hashable]] = defaultdict(list)
    for answer, label in _labels(found):
        labels[answer].append(label)
    repeated = [one for one in labels.values() if len(one) > 1]
    if not repeated:
        return ""
    num_different = sum(len(set(one)) > 1 for one in repeated)
    counted = number_of(len(repeated), "pair" if found.pairs else "answer")
    return (
        f"{counted} with a label in several rows ({sum(map(len, repeated)):,} rows), {num_different:,} of them with "
        "different ones; each row counts: leave out copies"
    )


def _labels(found: LabeledFile) -> Iterator[tuple[Hashable, Hashable]]:
    """Yield each answer or pair with its label; a pair's is its chosen side."""
    for row in found.rows:
        yield row.request, row.scores
    for pair in found.pairs:
        yield frozenset((pair.chosen, pair.rejected)), pair.chosen
    for checklist in found.checklists:
        request = checklist.request
        for name, labels in checklist.labels.items():
            yield (request.instruction, request.response, request.reference_answer, name), labels
