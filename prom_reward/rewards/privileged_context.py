"""A rubric as the text that a teacher sees and the policy does not, for TRL's SDFT and SDPO."""

from typing import Any

from prom_reward.rubrics.reading import read_rubrics


def privileged_context(rubric: Any, reference_answer: str | None = None) -> str:
    """Return the column `privileged_context` of a row, which tells what a good answer is.

    Args:
        rubric: A rubric or checklist, or several, in any form that `read_rubrics` reads.
        reference_answer: An answer that deserves the best score, if there is one.

    Raises:
        RubricError: The rubric cannot be read.
    """
    parts = [f"A good answer does well by this rubric:\n{one.text}" for one in read_rubrics(rubric)]
    parts += [] if reference_answer is None else [f"An answer that deserves the best score:\n{reference_answer}"]
    return "\n\n".join(parts)
