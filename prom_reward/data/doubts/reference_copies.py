"""Responses that are their reference: what is judged is the truth itself, as NuminaMath's solution in two columns."""

import re
from dataclasses import dataclass

from prom_reward.data.formats import Example
from prom_reward.errors import number_of

_FENCE = re.compile(r"\s*```[\w+-]*\n(.*?)\n?```\s*", re.DOTALL)
_MIN_LENGTH = 40  # a short answer that is right often is the reference
_MIN_ROWS = 8
_MIN_SHARE = 0.8  # queries and translations of a good model often are the reference


@dataclass(slots=True)
class ReferenceCopies:
    """Counts the rows of a file whose response is their reference."""

    num_rows: int = 0
    """The rows with one response and a reference of their own."""
    num_equal: int = 0
    """Those of them whose response is the reference, and too long to be the same by chance."""
    first: str = ""
    """The place of the first one."""

    def note(self, example: Example, place: str) -> None:
        """Take in a row."""
        if example.kind != "response" or not example.reference_answer or "reference_answer" not in example.columns.read:
            return
        self.num_rows += 1
        response, reference = (_plain(text) for text in (example.texts()[0][1], example.reference_answer))
        if response == reference and len(response) >= _MIN_LENGTH:
            self.num_equal += 1
            self.first = self.first or place

    def problem(self, where: str) -> str:
        """Return the problem of a file with so many of them that no model can have written them; else nothing."""
        if self.num_rows < _MIN_ROWS or self.num_equal <= _MIN_SHARE * self.num_rows:
            return ""
        return (
            f"{where}: {number_of(self.num_equal, 'row')} of {self.num_rows:,} with the reference answer itself as the "
            f"response, the first in {self.first}, which gets the highest score; name the model's answer with --column "
            "response=NAME, or another reference with --column reference_answer=NAME"
        )


def _plain(text: str) -> str:
    fenced = _FENCE.fullmatch(text)
    return " ".join((fenced[1] if fenced else text).split())
