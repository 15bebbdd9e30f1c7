"""Passages: short texts that differ in length, wording and form, of WordNet's sentences or of written texts."""

import logging
import random
import re
from collections.abc import Sequence
from pathlib import Path

from prom_reward.data.formats import RowFormat
from prom_reward.data.rows import read_values
from prom_reward.errors import InputError, RowError, number_of
from prom_reward.rubrics.checklists.checks import num_sentences

logger = logging.getLogger(__name__)

OPENINGS = ("Today", "Once", "Yesterday", "In short", "Well", "My friend", "Dear reader", "Suddenly", "Now", "In fact")
ENDINGS = ("thank you", "good night", "that is all", "see you soon", "as promised", "of course", "for now", "the end")
_NUM_SENTENCES = (1, 1, 2, 2, 3, 3, 4, 5, 6, 8)
_JOINTS = (", and ", ", but ", "; ", ", because ", ", while ")
_JOINED = 0.35  # the share of WordNet's sentences that are longer, so that length does not tell their number
_WRITTEN = 0.5  # the share of passages of written texts, if there are any
_LONGEST = 900  # characters of an excerpt
_STOPS = " .!?"
_PROSE = re.compile(r"[A-Z\"'][^`|<>{}_*#\[\]]*[.!?][\"')]*")
_QUOTED = re.compile(r"[“”‘„«»]|(?<!\w)'|[\"')]$")
"""Quotation marks of other kinds than the ones that criteria ask for, and ones that end a sentence."""
_BETWEEN = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")


def read_texts(path: Path) -> list[list[str]]:
    """Return the sentences of each response of a file of rows, without lists, code and tables.

    Raises:
        InputError: The file cannot be read, or holds no prose.
    """
    row_format, answers, num_unread = RowFormat(columns={}), dict[str, None](), 0
    for values in read_values(path):
        try:
            answers |= {response: None for _, response in row_format.example(values).texts()}
        except RowError:
            num_unread += 1
    found = [sentences for one in answers if (sentences := _sentences_of(one))]
    if num_unread:
        logger.warning("%s: got %s without a response that can be read", path, number_of(num_unread, "row"))
    if not found:
        raise InputError(f"{path}: got no responses in whole sentences; expected answers in prose")
    return found


def _sentences_of(text: str) -> list[str]:
    lines = [line for line in map(str.strip, text.splitlines()) if _PROSE.fullmatch(line)]
    parts = [one for line in lines for one in _BETWEEN.split(line)]
    return [one for one in parts if num_sentences(one) == 1 and not _QUOTED.search(one)]


def draw_passage(sentences: Sequence[str], draw: random.Random, written: Sequence[Sequence[str]] = ()) -> str:
    """Return one to eight sentences, some of them changed so that passages differ in everything that is asked for.

    Args:
        sentences: WordNet's, in lower case and without a stop.
        draw: Of all choices.
        written: The sentences of written texts; half of the passages are a part of one, if there are any.
    """
    num = draw.choice(_NUM_SENTENCES)
    if written and draw.random() < _WRITTEN:
        drawn = _excerpt(draw.choice(written), num, draw)
    else:
        drawn = [_joined(sentences, draw) for _ in range(num)]
    ending = draw.choice(ENDINGS) if draw.random() < 0.4 else ""
    *others, last = drawn
    made = [*(_sentence(one, draw) for one in others), _sentence(last, draw, ending)]
    return _shaped(made, draw)


def _joined(sentences: Sequence[str], draw: random.Random) -> str:
    """Return a sentence, or one that is made of up to three."""
    one, *others = draw.choices(sentences, k=3 if draw.random() < _JOINED else 1)
    added = [other for other in others if other[0].islower()]
    return "".join([one.rstrip(_STOPS), *(draw.choice(_JOINTS) + other.rstrip(_STOPS) for other in added)])


def _excerpt(text: Sequence[str], num: int, draw: random.Random) -> list[str]:
    start = draw.randrange(len(text))
    found = [text[start]]
    for one in text[start + 1 : start + num]:
        if sum(map(len, found)) + len(one) > _LONGEST:
            break
        found.append(one)
    return found


def _sentence(fragment: str, draw: random.Random, ending: str = "") -> str:
    bare = fragment.rstrip(_STOPS)
    said = f"{bare[0].upper()}{bare[1:]}"
    form = draw.randrange(12)
    if form == 0:
        said += f" in {draw.randint(1820, 2024)}"
    elif form == 1:
        said += f", {draw.randint(2, 90)} times in all"
    said += f", {ending}" * bool(ending) + {2: "!", 3: "?"}.get(form, ".")
    return f'He said: "{said}"' if form == 4 else said


def _shaped(sentences: Sequence[str], draw: random.Random) -> str:
    """Join sentences into a text: in one to three paragraphs, as a list, or in capitals; some after an opening."""
    opening = f"{draw.choice(OPENINGS)}: " if draw.random() < 0.4 else ""
    form = draw.random()
    if form < 0.15:
        return "\n".join(f"- {opening * (number == 0)}{one}" for number, one in enumerate(sentences))
    if form < 0.4:
        size = -(-len(sentences) // draw.choice((2, 3)))
        parts = [" ".join(sentences[at : at + size]) for at in range(0, len(sentences), size)]
        return opening + "\n\n".join(parts)
    text = opening + " ".join(sentences)
    return text.upper() if form < 0.55 else text
