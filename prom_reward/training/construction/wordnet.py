"""Reads definitions from WordNet's `data.noun` (Debian's package `wordnet-base`), with their siblings and synonyms.

File format: https://wordnet.princeton.edu/documentation/wndb5wn
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from prom_reward.errors import InputError

_WORDS = range(4, 15)  # of a definition
_EXAMPLE = re.compile(r'"([A-Za-z][A-Za-z ,\'-]+[.!?]?)"')
_EXAMPLE_WORDS = range(5, 19)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A word with its definition."""

    word: str
    """The first lemma."""
    gloss: str
    """The definition, without examples."""
    synonyms: tuple[str, ...]
    """The other lemmas."""
    siblings: tuple[str, ...]
    """Definitions of other words below the same hypernym."""


def read_definitions(folder: Path) -> list[Definition]:
    """Return the usable nouns of a WordNet folder: one plain lower-case word with siblings, sorted by word.

    Raises:
        InputError: The folder has no `data.noun`.
    """
    path = folder / "data.noun"
    if not path.is_file():
        raise InputError(f"{folder}: got no data.noun; expected WordNet's files (Debian: wordnet-base)")
    entries: dict[str, tuple[list[str], str, str]] = {}  # words, hypernym and definition by offset
    below: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            continue
        offset, words, hypernym, gloss = _entry(line)
        entries[offset] = (words, hypernym, gloss)
        if _is_plain(gloss):
            below[hypernym].append(offset)
    found: dict[str, Definition] = {}
    for offset, (words, hypernym, gloss) in entries.items():
        siblings = [entries[other][2] for other in below[hypernym] if other != offset and entries[other][2] != gloss]
        word = words[0]
        if _is_plain(gloss) and _is_usable(word, gloss) and len(siblings) > 1:
            one = Definition(word=word, gloss=gloss, synonyms=tuple(words[1:]), siblings=tuple(siblings[:12]))
            found.setdefault(word, one)
    return [found[word] for word in sorted(found)]


def read_sentences(folder: Path) -> list[str]:
    """Return the examples of use in a WordNet folder, sorted: sentences and parts of sentences, mostly without a stop.

    Raises:
        InputError: The folder's files hold none.
    """
    files = sorted(folder.glob("data.*"))
    lines = (line for path in files for line in path.read_text(encoding="utf-8").splitlines())
    examples = {one for line in lines for one in _EXAMPLE.findall(line.partition(" | ")[2])}
    found = sorted(one for one in examples if len(one.split()) in _EXAMPLE_WORDS)
    if not found:
        raise InputError(f"{folder}: got no examples of use; expected WordNet's files (Debian: wordnet-base)")
    return found


def _entry(line: str) -> tuple[str, list[str], str, str]:
    """Return a line's offset, lemmas, first hypernym and definition."""
    fields, _, gloss = line.partition(" | ")
    parts = fields.split()
    num_words = int(parts[3], 16)
    words = [word.replace("_", " ") for word in parts[4 : 4 + 2 * num_words : 2]]
    pointers = parts[5 + 2 * num_words :]
    hypernym = next((pointers[at + 1] for at in range(0, len(pointers) - 1, 4) if pointers[at] in ("@", "@i")), "")
    return parts[0], words, hypernym, re.split(r'; "|;', gloss)[0].strip()


def _is_usable(word: str, gloss: str) -> bool:
    return re.fullmatch("[a-z]+", word) is not None and word not in re.findall(r"\w+", gloss)


def _is_plain(gloss: str) -> bool:
    return len(gloss.split()) in _WORDS and re.fullmatch(r"[a-z][a-z ,'-]+", gloss) is not None
