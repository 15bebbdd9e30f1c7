"""Answers that are a list of one text, as numpy and Python print it into CSV files: the brackets may be no part."""

import re
from dataclasses import dataclass

from prom_reward.data.cells import listed_texts
from prom_reward.data.formats import Example
from prom_reward.errors import number_of

_OPENING = re.compile(r"\s*\[\s*['\"]")
_ABOUT_LISTS = re.compile(r"\b(?:lists?|arrays?|brackets?|json|python|javascript)\b", re.IGNORECASE)
_MIN_WORDS = 3  # a shorter one may be asked for
_MIN_ROWS = 8
_MIN_SHARE = 0.8  # of rows with short ones


@dataclass(slots=True)
class LoneEntries:
    """Counts the rows of a file with an answer that is a list of one text, unless the question speaks of lists."""

    num_rows: int = 0
    """All rows whose questions do not."""
    num: int = 0
    """Those with such an answer."""
    first: str = ""
    """The place of the first one, and its text."""
    has_sentences: bool = False
    """Whether one of them holds several words."""

    def note(self, example: Example, place: str) -> None:
        """Take in a row."""
        if _ABOUT_LISTS.search(str(example.prompt)):
            return
        self.num_rows += 1
        if any(map(example.columns.is_named, ("response", "responses", "chosen", "rejected"))):
            return
        texts = [text for text in example.responses if isinstance(text, str) and _OPENING.match(text)]
        entries = {text.strip(): found[0] for text in texts if (found := listed_texts(text)) and len(found) == 1}
        if not entries:
            return
        self.num += 1
        self.first = self.first or f"{place}: got {next(iter(entries))!r:.60}"
        self.has_sentences |= any(len(entry.split()) >= _MIN_WORDS for entry in entries.values())

    def problem(self, where: str) -> str:
        """Return what may be wrong with a file; nothing if its lists may be asked for."""
        are_most = self.num_rows >= _MIN_ROWS and self.num > _MIN_SHARE * self.num_rows
        if not (self.has_sentences or are_most):
            return ""
        return (
            f"{where}: {number_of(self.num, 'row')} with a list of one text as an answer, whose brackets and quotes "
            f"the judge reads, the first in {self.first}; if the answer is the entry, write it alone, or name it with "
            "--column ROLE=NAME[0]"
        )
