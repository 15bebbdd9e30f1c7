"""Folds disguised text to the plain letters that a reader sees: look-alikes, invisible characters, accents.

It does not know what text is dangerous: the folded text is for looking, never for showing.

Three sources, in this order: the compatibility decomposition of Unicode (full-width, mathematical, circled
letters), the character's Unicode name (small capitals, squared letters, letters with strokes), and a table of the
Cyrillic, Greek, Armenian, Cherokee and Lisu letters and of the punctuation that fonts draw like ASCII (a part of
Unicode Technical Standard 39, "confusables").
"""

import re
import unicodedata
from collections.abc import Iterable

_LOOKALIKES = (
    ("АВЕЅІЈКМНОРСТУХҮԌЬԚԜЯаеоргсухіѕјһкмтвнԁԛԝүѵ", "ABESIJKMHOPCTYXYGbQWRaeoprcyxisjhkmtbhdqwyv"),
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαονρτυικϲϹ", "ABEZHIKMNOPTYXaovptuikcC"),
    ("ՍՏԼՕօսհոքցԱ", "USLOouhnqgU"),
    ("ᎡᏒᎬᏚᏞᎢᏆᏦᎪᏟᎠᎻᎫᎷᏢᏙᎳᏃᏴᏀ", "RRESLTIKACDHJMPVWZBG"),
    ("ꓐꓑꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴ", "BPDTGKJCZFMNLSRVHWXYAEIOU"),
    ("ⲈⲒⲔⲘⲚⲞⲢⲤⲦⲨ", "EIKMNOPCTY"),
    ("ıȷɩɡ", "ijig"),
    ("【〔〖⟦⁅❲⦋「『】〕〗⟧⁆❳⦌」』", "[[[[[[[[[]]]]]]]]]"),
    ("♯⌗⋕", "###"),
    ("‹〈⟨❮›〉⟩❯", "<<<<>>>>"),
    ("∣│┃ǀ❘￨∥", "|||||||"),
    ("∶꞉ː˸ː܃׃", ":::::::"),
    ("∕⁄⧸╱", "////"),
    ("\u2800▁", "  "),
)
_TABLE = {shown: plain for row in _LOOKALIKES for shown, plain in zip(*row, strict=True)}
_TABLE |= {"《": "<<", "«": "<<", "≪": "<<", "》": ">>", "»": ">>", "≫": ">>"}
_NAMED_LETTER = re.compile(
    r"(?P<case>SMALL|CAPITAL)?\s?(?:LETTER|SYMBOL)(?: SMALL CAPITAL| LETTER)? (?P<letter>[A-Z])(?: WITH [A-Z ]+)?"
)
# Drawn with nothing or as a blank, though Unicode counts them as letters: the fillers of Hangul.
_INVISIBLE_LETTERS = "\u115f\u1160\u3164\uffa0"
_MAX_FOLDED = 4  # a ligature of ten letters is no disguise


class _FoldTable(dict[int, str]):
    """What `str.translate` exchanges, found out once a character."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _folded_character(chr(code))
        return folded


def _folded_character(character: str) -> str:
    if character.isascii():
        return "" if unicodedata.category(character) == "Cc" and character not in "\t\n\r\v\f" else character
    if unicodedata.category(character) in ("Cf", "Mn", "Me") or character in _INVISIBLE_LETTERS:
        return ""
    if character in _TABLE:
        return _TABLE[character]
    decomposed = unicodedata.normalize("NFKD", character)
    plain = "".join(_TABLE.get(part, part) for part in decomposed if not unicodedata.combining(part))
    if plain.isascii() and 0 < len(plain) <= _MAX_FOLDED:
        return plain
    return _letter_by_name(character) or character


def _letter_by_name(character: str) -> str | None:
    name = unicodedata.name(character, "")
    found = _NAMED_LETTER.search(name) if name.startswith(("LATIN", "NEGATIVE", "REGIONAL", "SQUARED")) else None
    if found is None or found.end() != len(name):
        return None
    return found["letter"].lower() if found["case"] == "SMALL" else found["letter"]


_FOLD_TABLE = _FoldTable()


def fold(text: str) -> str:
    """Return the text as it looks, in ASCII where a character looks like ASCII; invisible characters are gone."""
    return text.translate(_FOLD_TABLE)


def folded_origins(text: str) -> list[int]:
    """Return for every character of `fold(text)` the index in `text` that it comes from."""
    return [index for index, character in enumerate(text) for _ in _FOLD_TABLE[ord(character)]]


def reveal(text: str) -> str:
    """Return the text with every invisible character written as its code point in braces, for people to read."""
    return "".join(_revealed(text))


def _revealed(text: str) -> Iterable[str]:
    for character in text:
        is_shown = character in "\n\t" or (character.isprintable() and _FOLD_TABLE[ord(character)] != "")
        yield character if is_shown else f"\\u{{{ord(character):x}}}"
