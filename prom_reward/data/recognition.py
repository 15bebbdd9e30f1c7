"""The columns that a file's rows were read from, those that stay unread, and warnings about what may be a mistake."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from prom_reward.data.doubts.contradictions import contradiction
from prom_reward.data.doubts.dialogues import unread_dialogue
from prom_reward.data.doubts.gold_answers import is_doubtful
from prom_reward.data.doubts.lone_entries import LoneEntries
from prom_reward.data.doubts.other_answers import other_answers
from prom_reward.data.doubts.reference_copies import ReferenceCopies
from prom_reward.data.doubts.run_ons import run_on
from prom_reward.data.doubts.template_marks import template_mark
from prom_reward.data.doubts.unread import unread_columns
from prom_reward.data.formats import KINDS, Example, Kind, RowFormat
from prom_reward.data.pairs.preferences import NumberedVerdicts
from prom_reward.data.rows import BrokenRow, Row
from prom_reward.errors import InputError, number_of
from prom_reward.rubrics.reading import AnyRubric

_NEEDED_ROLES = frozenset({"prompt", "messages", "response", "responses", "chosen", "rejected", "pair", "winner"})
"""Roles that all rows of a file have, or none; any row may lack the others."""

_COUNT = re.compile(r"[\d,]+ (?:rows?|pairs?)\b")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """Rows with the same mistake."""

    num: int = 0
    """Their number."""
    first: str = ""
    """The place of the first one, and what it holds."""

    def note(self, found: str, place: str) -> None:
        """Count a row if something was found in it."""
        if found:
            self.num += 1
            self.first = self.first or f"{place}: got {found}"


@dataclass(slots=True)
class Recognition:
    """The columns of a file, gathered row by row."""

    where: str
    """The file, for messages."""
    kinds: dict[Kind, str] = field(default_factory=dict)
    """The kinds of its rows, each with the place of the first one."""
    columns: dict[str, list[str]] = field(default_factory=dict)
    """The columns that each role was read from."""
    unread: dict[str, str] = field(default_factory=dict)
    """Columns whose meaning is known and that nobody read, each with the place of the first one."""
    media: dict[str, str] = field(default_factory=dict)
    """The kinds of images and the like in messages, which no judge sees, each with the place of the first one."""
    contradictions: Tally = field(default_factory=Tally)
    """Preference pairs whose other columns prefer the rejected answer."""
    dialogues: Tally = field(default_factory=Tally)
    """Rows with a dialogue that is read as one text."""
    marks: Tally = field(default_factory=Tally)
    """Rows with marks of a chat template in their texts."""
    run_ons: Tally = field(default_factory=Tally)
    """Rows with a response that goes on with the next turn."""
    doubtful_answer: str = ""
    """The place of the first row whose response is an `answer` that may be the reference."""
    copies: ReferenceCopies = field(default_factory=ReferenceCopies)
    """Counts the rows whose response is their reference."""
    lone_entries: LoneEntries = field(default_factory=LoneEntries)
    """Counts the rows with a text that is a list of one text."""
    verdicts: NumberedVerdicts = field(default_factory=NumberedVerdicts)
    """Takes in the rows whose verdicts on two answers may be numbers of another meaning."""
    change: str = ""
    """Says which row was the first to be read from other columns than the rows before it; empty if there is none."""
    _warned: set[str] = field(default_factory=set, init=False, repr=False)

    def note(self, example: Example, place: str, *, label: str | None = None) -> None:
        """Take in a row whose requests were made, its place, and the column of people's label if it has one."""
        roles = {**example.columns.by_role(), **({"label": [label]} if label else {})}
        self.change = self.change or self._change(roles, place)
        self.kinds.setdefault(example.kind, place)
        if example.kind == "pair":
            self.contradictions.note(contradiction(example.columns), place)
        self.dialogues.note(unread_dialogue(example), place)
        self.marks.note(template_mark(example), place)
        self.run_ons.note(run_on(example), place)
        self.copies.note(example, place)
        self.lone_entries.note(example, place)
        if not self.doubtful_answer and is_doubtful(example.columns):
            self.doubtful_answer = place
        for role, names in roles.items():
            known = self.columns.setdefault(role, [])
            known += [name for name in names if name not in known]
        others = other_answers(example.columns, example.responses[0]) if example.kind == "response" else []
        unread = [name for name in (*unread_columns(example.columns), *others) if name != label]
        for places, names in ((self.unread, unread), (self.media, example.media)):
            for name in names:
                places.setdefault(name, place)

    def note_all(
        self, rows: Iterable[Row | BrokenRow], row_format: RowFormat, default_rubrics: tuple[AnyRubric, ...]
    ) -> None:
        """Take in all rows of a file that can be used; the others are named when they are left out.

        Raises:
            InputError: The verdicts of pairs count the answers from another number than their columns do.
        """
        verdicts = NumberedVerdicts(row_format.columns)
        for row in rows:
            if isinstance(row, BrokenRow):
                continue
            verdicts.note(row.values)
            with suppress(InputError):
                example = row_format.example(row.values)
                example.columns.rubrics(default_rubrics)
                self.note(example, row.place)
        verdicts.check(self.where)

    @property
    def unseen(self) -> list[str]:
        """All that the judge does not see: columns, and media in messages."""
        return [*self.unread, *(f"[{kind}] in messages" for kind in self.media)]

    def __str__(self) -> str:
        kinds = " and ".join(KINDS[kind] for kind in self.kinds)
        read = ", ".join(f"{role} from {' + '.join(names)}" for role, names in self.columns.items() if role != "id")
        return f"{kinds}: {read}" + (f"; unread: {', '.join(self.unseen)}" if self.unseen else "")

    def check(self, *, strict: bool = False) -> None:
        """Warn, once, of all that may be a mistake; of media a warning comes with the first one.

        Raises:
            InputError: There is something, or media, or rows of several forms, and `strict` is set.
        """
        check_one_kind(self.kinds if strict else {}, self.where)
        if strict and (found := next(self._refused(), None)):
            raise InputError(found)
        for warning in self.new_warnings():
            logger.warning("%s", warning)

    def new_warnings(self) -> list[str]:
        """Return the warnings that were not given before; a number of rows that has grown makes no new one."""
        found = {_COUNT.sub("", warning): warning for warning in self.warnings()}
        new = [warning for kind, warning in found.items() if kind not in self._warned]
        self._warned |= found.keys()
        return new

    def warnings(self) -> list[str]:
        """Return what may be a mistake, each with the place of its first row."""
        late = self.verdicts.problem(self.where)  # of the first rows it is an error
        turned = [f"{late}; the pairs that are labeled may be turned round"] if late else []
        return [*turned, *self._mistakes(), *self._guesses()]

    def _refused(self) -> Iterator[str]:
        """Yield what a strict check refuses."""
        if self.change:
            yield self.change
        if self.media:
            kinds, place = ", ".join(self.media), next(iter(self.media.values()))
            yield f"{self.where}, {place}: messages hold media ({kinds}) that no judge sees; leave these rows out"
        yield from self._mistakes()

    def _change(self, roles: Mapping[str, list[str]], place: str) -> str:
        """Say what a row was read from instead of the columns of all rows before it; empty if it is the same."""
        if not self.columns:
            return ""
        before = self.columns
        others = [
            (f"{role} from {' + '.join(names)}", f"{role} from {' + '.join(before[role])}")
            for role, names in roles.items()
            if role in before and role != "id" and set(names).isdisjoint(before[role])
        ]
        needed = [sorted(_NEEDED_ROLES & found.keys()) for found in (roles, before)]
        if not others and needed[0] != needed[1]:
            others = [(" and ".join(one), " and ".join(other)) for one, other in [needed]]
        if not others:
            return ""
        got, expected = others[0]
        return (
            f"{self.where}, {place}: got a row with {got}, after rows with {expected}; expected one form in all rows: "
            "name the column with --column ROLE=NAME, or give each form in a file of its own"
        )

    def _mistakes(self) -> Iterator[str]:
        """Yield what a strict check refuses, too."""
        if self.unread:
            yield self._unread_columns()
        if self.contradictions.num:
            yield (
                f"{self.where}: {number_of(self.contradictions.num, 'pair')} with a column that prefers the rejected "
                f"answer, the first in {self.contradictions.first}; the pair is used as chosen and rejected (or the "
                "verdict) say; correct one of the two, or leave these rows out"
            )
        if problem := self.copies.problem(self.where):
            yield problem

    def _guesses(self) -> Iterator[str]:
        """Yield what may be meant as it is."""
        if self.dialogues.num:
            yield (
                f"{self.where}: {number_of(self.dialogues.num, 'row')} with a text that looks like a dialogue and is "
                f"judged as one text, the first in {self.dialogues.first}; if it is one, write messages, or Human: and "
                "Assistant: with a blank line before each"
            )
        if self.marks.num:
            yield (
                f"{self.where}: {number_of(self.marks.num, 'row')} with marks of a chat template, which the judge "
                f"reads as they stand, the first in {self.marks.first}; write messages, or cut the marks off"
            )
        if self.run_ons.num:
            yield (
                f"{self.where}: {number_of(self.run_ons.num, 'row')} with a response that goes on with the next turn "
                f"of a dialogue, which the judge reads too, the first in {self.run_ons.first}; cut the response off "
                "there"
            )
        if problem := self.lone_entries.problem(self.where):
            yield problem
        if self.doubtful_answer:
            yield (
                f"{self.where}, {self.doubtful_answer}: the response is read from 'answer', which is the reference in "
                "many data sets; say that it is the response with --column response=answer, or name that with --column "
                "response=NAME"
            )

    def _unread_columns(self) -> str:
        place, is_one = next(iter(self.unread.values())), len(self.unread) == 1
        return (
            f"{self.where}, {place}: the {'column' if is_one else 'columns'} {', '.join(self.unread)} "
            f"{'stays' if is_one else 'stay'} unread although {'its' if is_one else 'their'} meaning is known; name "
            f"the right one with --column ROLE=NAME, or drop {'it' if is_one else 'them'}"
        )


def check_one_kind(kinds: Mapping[Kind, str], where: str) -> None:
    """Refuse rows of several kinds.

    Args:
        kinds: The kinds, each with the place of its first row.
        where: The file, for messages.

    Raises:
        InputError: There are several.
    """
    if len(kinds) > 1:
        seen = " and ".join(f"{KINDS[kind]} ({place})" for kind, place in kinds.items())
        raise InputError(f"{where}: mixed formats: got {seen}; expected rows of one kind, give each its own file")
