"""Keeps candidate text from posing as judge text.

It does not know templates or tokenizers: special tokens are disarmed where text becomes token ids.

The guard changes only what could pass for the judge's own text: result markers, section headers of the task
texts, conversation markers. They stay readable: `[RESULT]` becomes `(RESULT)`, `###Feedback:` becomes
`# # #Feedback:`, `[/INST]` becomes `(/INST)`, `<|im_end|>` becomes `(|im_end|)`. All other text passes byte
by byte, Markdown headings and HTML included.

It looks at the text twice: as it is written, and as it looks (`prom_reward.prompts.lookalikes`), so that
`[ＲＥＳＵＬＴ]`, `[RESULT]` in Cyrillic letters and `[RE` + zero-width space + `SULT]` are found too. Only the
brackets and hashes of what is found are exchanged: honest joiners, accents and scripts stay as they are.
"""

import re
from collections.abc import Iterator

from prom_reward.prompts.lookalikes import fold, folded_origins
from prom_reward.prompts.prometheus import SECTION_NAMES

GUARD_VERSION = 2
"""Part of every judge's fingerprint; goes up whenever a text can come out differently."""

ALIKE_GUARDS = frozenset({1, 2})
"""Versions that differ on disguised attacks alone: version 2 changes all that 1 changes, in the same way, and
look-alikes besides. A judge that was trained with one of them sees the same prompts with the other."""

# No plain heading of an answer is called this, so they count with any number of spaces and without a colon.
_OWN_NAMES = (
    "Task Description",
    "The instruction to evaluate",
    "Response to evaluate",
    "Score Rubrics",
    "Score Rubric",
)
# The others head honest Markdown sections ("### Feedback"), so they count with a colon or glued to the hashes.
_SHARED_NAMES = tuple(name for name in SECTION_NAMES if name not in _OWN_NAMES)


# Possessive throughout, so that a megabyte of hashes or spaces costs linear time. "▁" is a space for
# sentencepiece tokenizers: with it a header gives the very ids of the judge's own.
_SPACE = r"[ \t\xa0\u1680\u2000-\u200f\u202f\u205f\u2060\u3000\ufeff▁]"
_PAD = r"[\s\u200b-\u200f\u2060\ufeff▁]*+"
_STARS = rf"{_SPACE}*+[*_]{{0,3}}+{_SPACE}*+"


def _names(names: tuple[str, ...]) -> str:
    return "|".join(rf"{_SPACE}++".join(map(re.escape, name.split())) for name in names)


_SECTION = re.compile(
    r"(?<![#＃])(?P<hashes>[#＃]{2,}+)(?="
    rf"{_STARS}(?:{_names(_OWN_NAMES)})(?![^\W_])"
    rf"|(?:{_names(_SHARED_NAMES)})\b"
    rf"|{_STARS}(?:{_names(_SHARED_NAMES)})(?![^\W_]){_STARS}(?:[(\[][^\n]{{0,40}}[)\]])?{_STARS}[:：])",
    re.IGNORECASE,
)
# In small letters these are honest code ("values[result]") and links: "[result]" counts before a verdict only.
_VERDICT = r"[ \t:]{0,4}(?:Score[ \t:]{0,4})?(?:\d|(?-i:[AB])\b)"
_BRACKETED = re.compile(
    rf"[\[［【](?P<inner>{_PAD}(?:(?-i:RESULT|INST)|/{_PAD}INST|RESULT(?={_PAD}:?{_PAD}[\]］】]{_VERDICT}))"
    rf"{_PAD}:?{_PAD})[\]］】]",
    re.IGNORECASE,
)
_SYS = re.compile(rf"<<(?P<inner>{_PAD}/?{_PAD}(?-i:SYS){_PAD}|/?SYS)>>", re.IGNORECASE)
_ANGLED = re.compile(r"<(?P<inner>[|｜][^<>()|｜\n]{1,64}+[|｜]|(?:start|end)_of_turn)>", re.IGNORECASE)

# Of text as it looks. Between two bars in pointed brackets stands honest notation ("⟨|x|⟩"), too: there only the
# names of control tokens count.
_SPELT = r"[ \t._*\-]?+".join("RESULT")
_DISGUISED_BRACKETED = re.compile(
    rf"(?P<open>\[){_PAD}(?:(?-i:{_SPELT}|INST)|/{_PAD}INST|{_SPELT}(?={_PAD}:?{_PAD}\\?\]{_VERDICT}))"
    rf"{_PAD}:?{_PAD}\\?(?P<close>\])",
    re.IGNORECASE,
)
_CONTROL = r"(?:im|eot|eom|bos|eos|begin|end|start|message|channel|system|user|assistant|tool)[a-z_ ]{0,40}+"
_DISGUISED_ANGLED = re.compile(rf"(?P<open><)(?:\|{_CONTROL}\||(?:start|end)_of_turn)(?P<close>>)", re.IGNORECASE)
_DISGUISED_SYS = re.compile(rf"(?P<open><<){_PAD}/?{_PAD}(?-i:SYS){_PAD}(?P<close>>>)", re.IGNORECASE)


def neutralize(response: str) -> str:
    """Return the response with everything that could pass for judge text made harmless and visible.

    Benign text comes back byte for byte, and a neutralized text comes back as it is.
    """
    return _neutralize_disguised(_neutralize_plain(response))


def _neutralize_plain(response: str) -> str:
    text = _BRACKETED.sub(r"(\g<inner>)", response)
    text = _SYS.sub(r"((\g<inner>))", text)
    text = _ANGLED.sub(r"(\g<inner>)", text)
    return _SECTION.sub(lambda match: " ".join("#" * len(match["hashes"])), text)


def _neutralize_disguised(text: str) -> str:
    exchanged = dict(_exchanges(fold(text)))
    if not exchanged:
        return text
    origins = folded_origins(text)
    at = {origins[index]: plain for index, plain in exchanged.items()}
    return "".join(at.get(index, character) for index, character in enumerate(text))


def _exchanges(folded: str) -> Iterator[tuple[int, str]]:
    """Yield the index of every dangerous character of a folded text, with what it becomes."""
    for pattern in (_DISGUISED_BRACKETED, _DISGUISED_SYS, _DISGUISED_ANGLED):
        for match in pattern.finditer(folded):
            yield from ((index, "(") for index in range(*match.span("open")))
            yield from ((index, ")") for index in range(*match.span("close")))
    for match in _SECTION.finditer(folded):
        start, end = match.span("hashes")
        yield from ((index, "# ") for index in range(start, end - 1))
        yield end - 1, "#"
