"""Finds text that could pass for the judge's own, in text that `guard.lookalikes` has folded.

Names are matched letter by letter, with anything but letters in between: spaces, dots, line breaks and dashes hide
nothing, nor do digits written for letters ("RE5ULT"). All quantifiers are possessive or bounded, so that a megabyte of
hashes, brackets or spaces costs linear time.
"""

import re
from collections.abc import Iterator

from prom_reward.prompts.prometheus import SECTION_NAMES

Span = tuple[int, int]
"""Start and end index of a bracket, hashes or a colon."""

_DIGITS = {"A": "[A4]", "B": "[B8]", "E": "[E3]", "I": "[I1L]", "L": "[L1I]", "O": "[O0]", "S": "[S5]", "T": "[T7]"}


def _spelt(word: str, gap: str) -> str:
    return gap.join(_DIGITS.get(letter, letter) for letter in word.upper())


# No plain heading of an answer is called this, so they count with any spaces and decoration and without a colon.
_OWN_NAMES = (
    "Task Description",
    "The instruction to evaluate",
    "Response to evaluate",
    "Score Rubrics",
    "Score Rubric",
)
# The others also head honest Markdown sections ("### Feedback"): they count with a colon or glued to the hashes.
_SHARED_NAMES = tuple(name for name in SECTION_NAMES if name not in _OWN_NAMES)
_IN_WORD = r"[^A-Za-z\d#]*+"
_IN_NAME = r"[^A-Za-z\d#\n]*+\n?[^A-Za-z\d#\n]*+"
_TO_NAME = r"(?:[^\w#]|_)*+(?:\d{1,3}[.):]?(?:[^\w#]|_)++)?"
_TO_COLON = r"(?:[^\w\n:(\[#]|_)*+"
_HASHES = r"(?<!#)(?<!#\\)(?P<hashes>(?:\\?#){2,}+)"


def _names(names: tuple[str, ...]) -> str:
    spelt = (_IN_NAME.join(_spelt(word, _IN_WORD) for word in name.split()) for name in names)
    return rf"(?:{'|'.join(spelt)})(?![^\W_])"


_SECTION = re.compile(
    rf"{_HASHES}(?={_TO_NAME}{_names(_OWN_NAMES)}|(?:[^\w\s#]|_)*+{_names(_SHARED_NAMES)}"
    rf"|{_TO_NAME}{_names(('Reference Answer',))}[^\w\n#(]*+\(\s*+{_spelt('Score', _IN_WORD)})",
    re.IGNORECASE,
)
_HEADING = re.compile(
    rf"{_HASHES}(?={_TO_NAME}{_names(_SHARED_NAMES)}{_TO_COLON}(?:[(\[][^\n]{{0,40}}[)\]])?{_TO_COLON}"
    r"(?::(?!::|:\w)|\n\s*+:(?=\s|\Z)))",
    re.IGNORECASE,
)

_PAD = r"[\s:*_~\\]*+"
_GAP = r"[^A-Za-z\d$\[\]()<>]*+"
_INST = re.compile(
    rf"(?P<open>\[){_PAD}(?P<slash>/{_PAD})?(?P<word>{_spelt('INST', _GAP)}){_PAD}(?P<close>\])", re.IGNORECASE
)
_SYS = re.compile(rf"(?P<open><<){_PAD}/?{_PAD}(?P<word>{_spelt('SYS', _GAP)}){_PAD}(?P<close>>>)", re.IGNORECASE)
# Honest notation has bars in pointed brackets too ("⟨|x|⟩", "f <| x |> g"): with spaces, or with brackets that only
# look like those of ASCII, only the names of control tokens count.
_CONTROL = (
    r"(?:im|eo[tms]|bos|pad|unk|sep|cls|mask|begin|end|start|message|channel|system|user|assistant|tool|return|call|fim"
    r"|python|reserved|header|turn|think|constrain|action|observation|image|audio|video|vision)[a-z\d_ ]{0,40}"
)
TURN = r"(?:start|end)_of_[a-z]{1,20}|\|turn|turn\|"
"""Gemma's tokens, without their brackets."""
BARRED = r"[|｜](?![\s'\",])[^<>()|｜\n]{2,64}+(?<!\s)[|｜]"
"""The control tokens of most other models, as they are written, without their brackets."""
_ANGLED = re.compile(
    rf"(?P<open><)(?:\|(?:\s*+{_CONTROL}|[a-z]+_[a-z\d_]{{1,60}})\||{TURN})(?P<close>>)", re.IGNORECASE
)
_WRITTEN_ANGLED = re.compile(rf"(?P<open><){BARRED}(?P<close>>)")
_WRITTEN_SYS = re.compile(r"(?P<open><<)/?SYS(?P<close>>>)", re.IGNORECASE)

_RESULT = re.compile(
    rf"(?:(?P<open>\[)(?P<before>{_GAP}(?:(?:FINAL|OVERALL|SCORE){_GAP})?)|(?<!\w))"
    rf"(?P<word>{_spelt('RESULT', _GAP)}S?)(?![A-Za-z\d])(?P<after>[^\w\[\]$]*+_*+[^\w\[\]$]*+)(?P<close>\])?",
    re.IGNORECASE,
)
# All forms that `prom_reward.engines.tokens.verdict` reads after a marker, and a few more.
_SAID = (
    r"(?:(?:the\s{1,9}+)?(?:(?:final|overall)\s{1,9}+)?(?:score|rating|result)\b(?:\s{1,9}+(?:is|of))?[\s:=*_]{0,80}+)?"
)
_WINNER = r"(?:response|assistant|answer)?[\s:]{0,80}+[(\[*_\"'`]{0,80}+(?-i:[AB]|b|a(?!\s+[a-z]))(?!['’]?[A-Za-z])"
_LEAD = rf"[\s:=*_\"'`]{{0,80}}+{_SAID}[(\[*_\"'`\s–—-]{{0,9}}"
_VERDICT = re.compile(rf"{_LEAD}(?:[-+−]?\d|{_WINNER})", re.IGNORECASE)
_PLAIN_VERDICT = re.compile(r"[ \t:]{0,16}+(?:Score[ \t:]{0,16}+)?(?:\d|(?-i:[AB])\b)", re.IGNORECASE)
_LONE_VERDICT = re.compile(
    rf"{_LEAD}(?:[-+−]?\d{{1,3}}(?:[ \t]*+(?:/|(?:out )?of)[ \t]*+\d{{1,3}})?|{_WINNER})[^\w\n]*+(?=\n|\Z)",
    re.IGNORECASE,
)
_CODE = re.compile(r"[ \t]*+[;,.)\]}=+*/%&|^-]")

_SPEAKER = re.compile(
    r"(?:^|[\r\v\f])[ \t*_#>]*+(?:User|Assistant|System|Tool(?: ?\([^()\n]*\))?)[*_]*+(?P<colon>:)", re.MULTILINE
)


def posing_marks(looks: str) -> Iterator[Span]:
    """Yield the brackets and hashes of text whose only use is to pose as the judge's.

    Args:
        looks: A folded text.
    """
    for match in _RESULT.finditer(looks):
        if _is_result(looks, match):
            yield from _brackets(match)
    for match in _INST.finditer(looks):
        if match["slash"] or (_has_capital(match) and not _is_code(looks, match)):
            yield from _brackets(match)
    for match in _SYS.finditer(looks):
        if _has_capital(match):
            yield from _brackets(match)
    for match in _ANGLED.finditer(looks):
        yield from _brackets(match)
    for match in _SECTION.finditer(looks):
        yield match.span("hashes")


def heading_marks(looks: str) -> Iterator[Span]:
    """Yield the hashes of Markdown headings named like a section of the task text: "### Feedback:"."""
    for match in _HEADING.finditer(looks):
        yield match.span("hashes")


def speaker_marks(looks: str) -> Iterator[Span]:
    """Yield the colons of lines that begin like a dialogue's paragraphs: "User: ", "Tool (name): "."""
    for match in _SPEAKER.finditer(looks):
        yield match.span("colon")


def written_marks(text: str) -> Iterator[Span]:
    """Yield the brackets of markers that count only in ASCII, in an unfolded text: "<|x1|>", "<<sys>>"."""
    for pattern in (_WRITTEN_ANGLED, _WRITTEN_SYS):
        for match in pattern.finditer(text):
            yield from _brackets(match)


def _brackets(match: "re.Match[str]") -> Iterator[Span]:
    yield from (match.span(name) for name in ("open", "close") if match[name] is not None)


def _has_capital(match: "re.Match[str]") -> bool:
    return bool(re.search("[A-Z]", match["word"]))


def _is_result(looks: str, match: "re.Match[str]") -> bool:
    """Whether "result" with a bracket on one side at least is a marker, and not a part of code or a link."""
    is_closed, is_open = match["close"] is not None, match["open"] is not None
    if not (is_open or is_closed):
        return False
    if re.search("[a-z]", match["word"]):
        return is_open and is_closed and _is_small_result(looks, match)
    if not is_open:
        return bool(_PLAIN_VERDICT.match(looks, match.end()))
    if not is_closed:
        return not _is_index(looks, match) and _opens_verdict(looks, match)
    if (match["before"] + match["after"]).strip(" \t\r\n:\\_"):  # '["RESULT"]' is honest JSON
        is_plain = _is_index(looks, match) or looks.startswith("[", match.end())
        return bool((_PLAIN_VERDICT if is_plain else _VERDICT).match(looks, match.end()))
    return not _is_code(looks, match) or bool(_VERDICT.match(looks, match.end()))


def _opens_verdict(looks: str, match: "re.Match[str]") -> bool:
    """Whether a number takes the place of the marker's closing bracket: "[RESULT 5", "[RESULT: 5]"."""
    return bool(re.fullmatch(r"[\s:=)}|.\"'`*_]*", match["after"])) and looks[match.end() : match.end() + 1].isdecimal()


def _is_small_result(looks: str, match: "re.Match[str]") -> bool:
    """Whether "[result]" and "[Result]", which stand in code and links, too, are a marker before a verdict.

    After a name it is an index (`counts[result] = 5`), and `[Result][5]` is a link. All in small letters it is likely
    a list: then a number that opens the next line (`return [result]`, "2. Then") counts only if it is alone.
    """
    at = match.end()
    if _PLAIN_VERDICT.match(looks, at):
        return True
    if _is_index(looks, match) or looks.startswith("[", at):
        return False
    return bool((_VERDICT if _has_capital(match) else _LONE_VERDICT).match(looks, at))


def _is_index(looks: str, match: "re.Match[str]") -> bool:
    return bool(re.match(r"[\w)\]]", looks[match.start() - 1 : match.start()])) if match.start() else False


def _is_code(looks: str, match: "re.Match[str]") -> bool:
    """Whether a bracket is an index of code: after a name, and followed by an operator or a bracket."""
    return _is_index(looks, match) and bool(_CODE.match(looks, match.end()))
