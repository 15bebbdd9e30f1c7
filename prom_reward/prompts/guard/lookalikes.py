"""Folds disguised text to the plain letters that a reader sees: look-alikes, invisible characters, accents.

Folded text is for searching, never for showing.

Four sources, in this order: a table of the letters and signs of other scripts that fonts draw like ASCII (the single
characters of Unicode Technical Standard 39, "confusables", that the others miss, and a few that are used in the same
way), the compatibility decomposition of Unicode (full-width, mathematical, circled letters), the character's Unicode
name (small capitals, squared, reversed and open letters, letters with strokes), and its category (brackets of every
shape). Digits of other scripts stay: they are digits.
"""

import re
import unicodedata
from collections.abc import Iterable

_LOOKALIKES = (
    ("АВЕЅІЈКМНОРСТУХҮԌЬԚԜЯаеоргсухіѕјһкмтвнԁԛԝүѵҒғҽӏѴѡЄєЭэ", "ABESIJKMHOPCTYXYGbQWRaeoprcyxisjhkmtbhdqwyvFfelVwEeEe"),
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧΣΞαονρτυικϲϹϜϝεɛσγξ", "ABEZHIKMNOPTYXEEaovptuikcCFfeeoye"),
    ("ՍՏԼՕօսհոքցԱռգզաք", "USLOouhnqgUnqqwf"),
    ("ᎡᏒᎬᏚᏌᏞᎢᏆᏦᎪᏟᎠᎻᎫᎷᏢᏙᎳᏃᏴᏀᏎᏕᏻᏔᎩᎽᏏᏧᏂᎥ", "RRESULTIKACDHJMPVWZBGSSGWYYbdhi"),
    ("ꓐꓑꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴꓒ", "BPDTGKJCZFMNLSRVHWXYAEIOUd"),
    ("ⲈⲒⲔⲘⲚⲞⲢⲤⲦⲨⲎⳐⲥⲣⲟⲅᴦꭇꞟሀᛁⵏ", "EIKMNOPCTYHLcporrruUII"),
    ("ᖇᗴᕮᔕᑌᒪᖶᗪᗞᗩᗅᗷᖴᕼᛕᑭᐯᑎᓰᑲᖯᑯ", "REESULTDDAABFHKPVNIbbd"),
    ("尺乇丂ㄩㄥㄒ丨几卂匚ㄖ", "RESULTINACO"),
    ("𐊠𖽀𐊂𐊡𐌁𐊢𐌂𐐕𐔜𐊆𑢦𑢮𐊇𐊥𐔥𑢢𑣂𐋏𐔘𐐛𐔦𑢣𑢲𖼖𐔓𐊒𐊫𐐄𐓂𐔖𑢵𐊕", "AABBBCCCCEEEFFFFFHKLLLLLNOOOOOOP"),
    ("𐒴𖼵𐊖𐐠𖼺𐊗𐊱𐌕𑢼𖼊𐓎𑢸𖽂𐔝𑢠𖼈𐊲𑢤𖽃𐐽𐐬𐓪𑣈𑣗𐑈𑣁𐓶𑣘𑣀𑣃𐊊𐌉𐌠𖼨", "RRSSSTTTTTUUUVVVYYYcoooossuuviIIII"),
    ("ƧƨƦƐɑıȷɩɡƄƍƖʋɯɣƽƼ℮⍺⍴⍳⋿⊤⟙∪⋃∨⋁ⵔⵕⴹⴸ†£€§", "SsREaijigbgluwysSeapiETTUUvvOQEVTLES"),
    ("♯⌗⋕", "###"),
    ("ᐸ˂ᚲᐳ˃", "<<<>>"),
    ("⎡⎢⎣⎤⎥⎦", "[[[]]]"),
    ("∣│┃ǀ❘￨∥⏽", "||||||||"),
    ("∶꞉ː˸ː܃׃։ःઃ᛬᠃᠉⁚ꓽ︰", "::::::::::::::::"),
    ("∕⁄⧸╱᜵⁁⟋〳㇓丿", "//////////"),
    ("∖⟍⧵⧹", "\\\\\\\\"),
    ("\u2800▁", "  "),
    ("\u2028\u2029\x85", "\n\n\n"),
)
_TABLE = {shown: plain for row in _LOOKALIKES for shown, plain in zip(*row, strict=True)}
_TABLE |= {"≪": "<<", "≫": ">>"}
_NAMED_LETTER = re.compile(
    r"(?P<case>SMALL|CAPITAL)?\s?(?:LETTER|SYMBOL)(?: [A-Z]{2,})*? (?P<letter>[A-Z])(?: WITH [A-Z ]+)?\Z"
)
# Letters by Unicode, but drawn as nothing or a blank: the fillers of Hangul; and the signs for an object and for a
# broken character.
_INVISIBLE_LETTERS = "\u115f\u1160\u3164\uffa0\ufffc\ufffd"
# Controls, formats, marks, private and unassigned characters.
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Mn", "Me"})
_MAX_FOLDED = 4  # a ligature of ten letters is no disguise


class _FoldTable(dict[int, str]):
    """The replacements of `str.translate`, computed once for each character."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _folded_character(chr(code))
        return folded


def _folded_character(character: str) -> str:
    if character in _TABLE:
        return _TABLE[character]
    if character in _INVISIBLE_LETTERS or unicodedata.category(character) in _INVISIBLE:
        return character if character in "\t\n\r\v\f" else ""
    if character.isascii():
        return character
    is_small_cherokee = 0xAB70 <= ord(character) <= 0xABBF  # their capitals are in another block
    decomposed = unicodedata.normalize("NFKD", character.upper() if is_small_cherokee else character)
    plain = "".join(_TABLE.get(part, part) for part in decomposed if not unicodedata.combining(part))
    if plain.isascii() and 0 < len(plain) <= _MAX_FOLDED:
        return plain
    return _letter_by_name(character) or _bracket(character) or character


def _bracket(character: str) -> str | None:
    """Return the ASCII form of a bracket of any shape; only pointed quotation marks are brackets."""
    category, name = unicodedata.category(character), unicodedata.name(character, "")
    if category not in ("Ps", "Pe", "Pi", "Pf") or ("QUOTATION" in name and "ANGLE" not in name):
        return None
    plain = "[]" if "ANGLE" not in name else "<>"
    return plain[category in ("Pe", "Pf")] * (2 if plain == "<>" and "DOUBLE" in name else 1)


def _letter_by_name(character: str) -> str | None:
    name = unicodedata.name(character, "")
    found = _NAMED_LETTER.search(name) if name.startswith(("LATIN", "NEGATIVE", "REGIONAL", "SQUARED")) else None
    if found is None:
        return None
    return found["letter"].lower() if found["case"] == "SMALL" else found["letter"]


_FOLD_TABLE = _FoldTable()


def fold(text: str) -> str:
    """Return the text as it looks: look-alikes become ASCII, invisible characters are gone."""
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
