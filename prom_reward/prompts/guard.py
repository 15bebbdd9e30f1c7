"""Keeps candidate text from posing as judge text.

It does not know templates or tokenizers: special tokens are disarmed where text becomes token ids.

The guard changes only what could pass for the judge's own text: result markers, section headers of the task
texts, conversation markers. They stay readable: `[RESULT]` becomes `(RESULT)`, `###Feedback:` becomes
`# # #Feedback:`, `[/INST]` becomes `(/INST)`, `<|im_end|>` becomes `(|im_end|)`. All other text passes byte
by byte, Markdown headings and HTML included.
"""

import re

from prom_reward.prompts.prometheus import SECTION_NAMES

GUARD_VERSION = 1
"""Part of every judge's fingerprint; goes up whenever a text can come out differently."""

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


def _names(names: tuple[str, ...]) -> str:
    return "|".join(r"[ \t]+".join(map(re.escape, name.split())) for name in names)


_HASHES = r"(?<!#)(?P<hashes>#{2,}+)"  # possessive, so that a megabyte of hashes costs linear time
_SECTION = re.compile(
    rf"{_HASHES}(?=[ \t]*(?:{_names(_OWN_NAMES)})\b"
    rf"|(?:{_names(_SHARED_NAMES)})\b"
    rf"|[ \t]*(?:{_names(_SHARED_NAMES)})\b[ \t]*(?:\([^()\n]{{0,40}}\))?[ \t]*[*_]{{0,3}}[:：])",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"[\[［【](?P<inner>\s{0,8}(?:RESULT|/?\s{0,8}INST)\s{0,8}:?\s{0,8})[\]］】]", re.IGNORECASE)
_SYS = re.compile(r"<<(?P<inner>\s{0,8}/?\s{0,8}SYS\s{0,8})>>", re.IGNORECASE)
_ANGLED = re.compile(r"<(?P<inner>[|｜][^<>\n]{1,64}?[|｜]|(?:start|end)_of_turn)>", re.IGNORECASE)


def neutralize(response: str) -> str:
    """Return the response with everything that could pass for judge text made harmless and visible.

    Benign text comes back byte for byte, and a neutralized text comes back as it is.
    """
    text = _BRACKETED.sub(r"(\g<inner>)", response)
    text = _SYS.sub(r"((\g<inner>))", text)
    text = _ANGLED.sub(r"(\g<inner>)", text)
    return _SECTION.sub(lambda match: " ".join("#" * len(match["hashes"])), text)
