"""A rubric's criteria with a sentence added, or several such wordings whose answers are averaged."""

from collections.abc import Sequence
from dataclasses import replace

from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import GradingRequest


def worded_requests(request: GradingRequest, notes: Sequence[str]) -> list[GradingRequest]:
    """Return a request once for each note, which stands after its rubric's criteria; a criterion is asked as it is.

    Args:
        request: By a rubric or a single criterion.
        notes: Sentences; an empty one leaves the criteria as they are. None at all is like one empty note.
    """
    rubric = request.rubric
    if not notes or not isinstance(rubric, Rubric) or rubric.is_criterion:
        return [request]
    return [replace(request, rubric=replace(rubric, criteria=f"{rubric.criteria} {note}".rstrip())) for note in notes]
