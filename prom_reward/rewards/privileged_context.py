"""A rubric as the text that a teacher sees and the policy does not, for TRL's SDFT and SDPO."""

from collections.abc import Iterator, Sequence

from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.checklists.criterion import Criterion
from prom_reward.rubrics.reading import AnyRubric, RubricLike, read_rubrics


def privileged_context(rubric: RubricLike, reference_answer: str | None = None) -> str:
    """Return the column `privileged_context` of a row, which tells what a good answer is.

    Args:
        rubric: A rubric or checklist, or several, in any form that `read_rubrics` reads.
        reference_answer: An answer that deserves the best score, if there is one.

    Raises:
        RubricError: The rubric cannot be read.
    """
    parts = [_told(one) for one in read_rubrics(rubric)]
    if reference_answer is not None and reference_answer.strip():
        parts.append(f"An answer that deserves the best score:\n{reference_answer}")
    return "\n\n".join(parts)


def _told(rubric: AnyRubric) -> str:
    if isinstance(rubric, Checklist):
        lines = "\n".join(_lines(rubric.criteria, "- ", is_turned=False))
        return f'Of a good answer all of this is true, but nothing after "Not:":\n{lines}'
    return f"A good answer does well by this rubric:\n{rubric.text}"


def _lines(criteria: Sequence[Criterion], mark: str, *, is_turned: bool) -> Iterator[str]:
    """Yield a line for each criterion; below a pitfall another one is good."""
    for one in criteria:
        is_bad = (one.weight < 0 or one.role == "veto") != is_turned
        yield f"{mark}{'Not: ' if is_bad else ''}{one.text}"
        yield from _lines(one.children, f"  {mark}", is_turned=is_bad)
