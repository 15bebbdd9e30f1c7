"""A criterion's meaning by its words: a copy of another, several demands, a fault, the absence of something.

These are patterns of English; a text in another language is compared with others, and matches none of them.
"""

import re
from collections.abc import Sequence

MAX_WORDS = 80
_MAX_READ = 2_000  # characters that patterns are searched in: some take the square of a text's length

_SUBJECT = r"\s*(?:(?:the|this|its?)\s+)?(?:(?:response|answer|text|summary|model|assistant|it)\s+)?"
_ABSENCE = re.compile(
    _SUBJECT + r"(?:avoids?|refrains?\s+from|does\s+not|doesn['’]t|(?:should|must|may)\s+not|never|is\s+not|"
    r"is\s+free\s+of|contains?\s+no|has\s+no|makes?\s+no|no|without)\b",
    re.IGNORECASE,
)
_FAULT = re.compile(
    _SUBJECT + r"(?:fails?\s+to|omits?|lacks?|ignores?|neglects?|misses|hallucinates?|fabricates?|invents?|misstates?|"
    r"misrepresents?|contradicts?|confuses|(?:incorrectly|wrongly|falsely|inaccurately|unnecessarily)\s+\w+|"
    r"(?:contains?|includes?|makes?|has|gives?)\s+(?:an?\s+|any\s+|some\s+)?"
    r"(?:(?!(?:no|few|fewer)\b)\w+\s+)?(?:errors?|mistakes?|inaccuracies|falsehoods?|(?:incorrect|false|wrong|made-up)\s+\w+))\b",
    re.IGNORECASE,
)
_VERBS = (
    *("mentions", "states", "explains", "explain", "includes", "include", "provides", "provide", "gives", "recommends"),
    *("recommend", "names", "describes", "describe", "identifies", "identify", "uses", "avoids", "avoid", "offers"),
    *("suggests", "lists", "cites", "contains", "ends", "begins", "notes", "addresses", "advises", "warns", "says"),
    *("shows", "defines", "compares", "discusses", "specifies", "highlights", "acknowledges", "clarifies", "answers"),
    *("encourages", "emphasizes", "summarizes", "mention", "does not", "should", "must", "refers to", "keeps"),
)
_SECOND_DEMAND = re.compile(
    rf"(?:;|\band\b|\bbut\b|\bas well as\b)\s+(?:(?:also|then|it|\w+ly)\s+)?(?:{'|'.join(_VERBS)})\b.*",
    re.IGNORECASE | re.DOTALL,
)
_NUMBERED = re.compile(r"\((?:1|a|i)\).+\((?:2|b|ii)\)", re.DOTALL)
_RATING = re.compile(r"\b(?:on a scale|from \d+ to \d+|rate\b[^.]*\bfrom|score\s+(?:of|from)\s+\d)", re.IGNORECASE)

_WORD = re.compile(r"\w+")
_CONTRACTION = re.compile(r"n['’]t\b")
_ENDING = re.compile(r"(?<=\w{3})(?:(?:ing|ed|e)?s|ing|ed|e)$")
_NEGATIONS = frozenset({"not", "no", "never", "without", "avoid", "avoids"})
_FILLERS = frozenset(
    [
        *("the", "a", "an", "this", "that", "it", "its", "response", "answer", "is", "are", "be", "of", "to", "in"),
        *("do", "does", "should", "must", "and", "any"),
    ]
)
_BEST = frozenset(
    {"yes", "excellent", "perfect", "good", "great", "correct", "fully", "always", "true", "high", "best"}
)
_WORST = frozenset({"no", "poor", "bad", "terrible", "incorrect", "never", "false", "wrong", "low", "worst", "none"})


def says_absence(text: str) -> bool:
    """Whether a text begins by saying what is not done: "Avoids jargon.", "The response does not guess."."""
    return bool(_ABSENCE.match(text))


def says_fault(text: str) -> bool:
    """Whether a text begins by naming a fault: "Fails to cite a source.", "The answer invents a number."."""
    return bool(_FAULT.match(text))


def second_demand(text: str) -> str | None:
    """Return where a text begins to ask for a second thing; None if it asks for one."""
    found = _SECOND_DEMAND.search(text, 0, _MAX_READ)
    if found:
        return found[0].strip()
    numbered = _NUMBERED.search(text, 0, _MAX_READ)
    return text[numbered.start() :] if numbered else None


def asks_for_rating(text: str) -> bool:
    """Whether a text asks for a number, which yes and no cannot be."""
    return bool(_RATING.search(text, 0, _MAX_READ))


def content(text: str) -> tuple[str, ...]:
    """Return the stems of a text's words in alphabetical order, without negations and words that say little."""
    return tuple(sorted(_ENDING.sub("", word) for word in _words(text) if word not in _FILLERS | _NEGATIONS))


def is_negative(text: str) -> bool:
    """Whether a text has an odd number of negations."""
    return sum(word in _NEGATIONS for word in _words(text)) % 2 == 1


def falls(answers: Sequence[str]) -> bool:
    """Whether ordered answers go from the best to the worst: "yes" before "no", "excellent" before "poor"."""
    first, last = (set(_words(answers[at])[:2]) for at in (0, -1))
    return not first.isdisjoint(_BEST) and first.isdisjoint(_WORST) and not last.isdisjoint(_WORST)


def _words(text: str) -> list[str]:
    return _WORD.findall(_CONTRACTION.sub(" not", text.casefold()))
