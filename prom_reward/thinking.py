"""Splits a model's text into thoughts and answer, by the marks of all model families.

An opening mark counts only at the beginning of the text or at the end of the chat template's generation prompt. An
answer that talks about the marks is left as it is, unless it begins with an unquoted one and closes it: policies do
write `<think> thoughts </think> answer` in one line. `prompts/transcripts.py` and `prompts/content.py` leave the
thoughts out of what is judged.
"""

import re
from dataclasses import dataclass

MARKS = (
    *((f"<{name}>", f"</{name}>") for name in ("think", "thinking", "thought", "thoughts", "reasoning", "scratchpad")),
    *((f"<{name}>", f"</{name}>") for name in ("cot", "inner_monologue")),
    ("<longcat_think>", "</longcat_think>"),
    ("<seed:think>", "</seed:think>"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|begin_of_think|>", "<|end_of_think|>"),
    ("<|think_start|>", "<|think_end|>"),
    ("<|think:start|>", "<|think:end|>"),
    ("<|think|>", "<|end|><|begin|>assistant<|content|>"),
    ("<|start_thinking|>", "<|end_thinking|>"),
    ("<unused94>thought", "<unused95>"),
    ("<|channel>thought", "<channel|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("[unused16]", "[unused17]"),
    ("<|im_start|>think", "<|im_start|>answer"),
)
"""Opening and closing marks in lower case: of DeepSeek-R1, Qwen3, Seed-OSS, Magistral, Kimi, Sky-T1, Solar Open ..."""
# Only ASCII letters go by either case: "ı" and "ſ" would match "i" and "s", and no mark is written with them.
_ANY_OPEN, _ANY_CLOSE = (f"(?ai:{'|'.join(map(re.escape, marks))})" for marks in zip(*MARKS, strict=True))
_HEADER = r"<\|(?:start|im_start|begin)\|>assistant|<\|assistant\|>|<\|start_header_id\|>assistant<\|end_header_id\|>"
_OPEN = re.compile(rf"[\s\ufeff\u200b]*(?:(?:{_HEADER})\s*)?({_ANY_OPEN})", re.I)
# Forms in words or with attributes, which count only as a whole: of Granite, Apriel and Open WebUI.
_WORDED = re.compile(
    r"\s*(?:here(?:['’]s| is) my thought process:(?P<granite>.*?)^[ \t]*here(?:['’]s| is) my response:"
    r"|here are my reasoning steps:(?P<apriel>.*?)\[begin final response\]"
    r"|<details [^>]{0,200}\btype=[\"']reasoning[\"'][^>]{0,200}>(?P<open_webui>.*?)</details>)",
    re.I | re.M | re.S,
)
_OPEN_AT_END = re.compile(rf"({_ANY_OPEN})\s*\Z")
_CLOSE = re.compile(_ANY_CLOSE)
_MARK = re.compile(rf"{_ANY_OPEN}|{_ANY_CLOSE}")
_ANY_OPEN_MARK = re.compile(_ANY_OPEN)
_SOLAR_HEADER = re.compile(r"<\|begin\|>assistant\s*\Z")
_SOLAR_ANSWER = re.compile(r"\s*(?:<\|begin\|>assistant\s*)?<\|content\|>")  # of Solar Open, if it has not thought
_CLOSE_OF = {opening: re.compile(re.escape(closing), re.I | re.A) for opening, closing in MARKS}
# A closing mark without an opening one ends thoughts that a template opened outside of the text at hand; not if it
# stands quoted or as a word of a sentence, as in an answer about the marks.
_QUOTES = "`\"'“”«»()[]"
_LONE_CLOSE = re.compile(rf"(?:^[ \t]*|(?<![\s{re.escape(_QUOTES)}])){_ANY_CLOSE}(?![{re.escape(_QUOTES)}])", re.M)
_SOLUTION_MARK = re.compile(
    r"\A\s*<\|(?:begin_of_solution|start_response)\|>"
    r"|(?:<\|end_(?:of_solution|response)\|>|\[end final response\])\s*\Z",
    re.I | re.A,
)
_HARMONY = re.compile(
    r"<\|channel\|>\s*(?P<channel>\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>(?P<text>.*?)"
    r"(?:<\|end\|>|<\|return\|>|<\|call\|>|(?=<\|start\|>)|\Z)",
    re.DOTALL,
)
_HARMONY_MARK = re.compile(r"<\|(?:start\|>(?:assistant\b)?|(?:end|return|call)\|>|channel\|>\s*\w*)")
_HARMONY_BEGINS = re.compile(r"\s*(?:<\|start\|>assistant\s*)?<\|channel\|>")
_HARMONY_HEADER = re.compile(r"<\|start\|>assistant\s*\Z")
# Harmony whose special tokens a tokenizer left out: `analysis...assistantfinal...`; `analysisResult = 3` is code.
_BARE_HARMONY = re.compile(r"\s*analysis(?=[^\W\d_a-z]|[\"'(])")
_PROSE = re.compile(r"\s*analysis[\"'(]?[^\W\d_]+(?:['’]\w+)?[,.!?]*(?:\s+[\w\"'(]|\s*\Z)")
_BARE_CHANNEL = re.compile(r"assistant(?P<channel>analysis|commentary|final)(?=\S|\Z)")
HARMONY_ANSWER = "<|channel|>final<|message|>"
"""Begins the answer of a harmony model (gpt-oss)."""
SOLAR_ANSWER = "<|content|>"
"""Begins the answer of Solar Open."""


@dataclass(frozen=True, slots=True)
class Thinking:
    """A model's text, taken apart."""

    thoughts: str
    """The text between the marks; empty if it did not think."""
    answer: str
    """The text after the thoughts; all of it, untouched, if it did not think."""
    is_closed: bool = True
    """False if the thoughts never end: then there is no answer."""


def split_thoughts(text: str, *, opened: bool = False) -> Thinking:
    """Take a model's text apart into thoughts and answer.

    Args:
        text: The model's text, without the prompt.
        opened: The chat template's generation prompt ends in an opening mark, so that the text begins in thoughts.
    """
    if _HARMONY_BEGINS.match(text):
        return _split_harmony(text)
    if _BARE_HARMONY.match(text) and (found := _split_bare_harmony(text)):
        return found
    if not opened and (worded := _WORDED.match(text)):
        return Thinking(worded[worded.lastgroup or 0].strip(), _SOLUTION_MARK.sub("", text[worded.end() :]).strip())
    ends = _thoughts_ends(text, opened)
    if ends is None:
        return Thinking(_OPEN.sub("", text, count=1).strip(), "", is_closed=False)
    if not ends:
        return Thinking("", text)
    begins = [0, *(end for _, end in ends[:-1])]
    thoughts = [_OPEN.sub("", text[begin:start], count=1) for begin, (start, _) in zip(begins, ends, strict=True)]
    return Thinking(_joined(thoughts), _SOLUTION_MARK.sub("", text[ends[-1][1] :]).strip())


def answer_start(text: str, *, opened: bool = False) -> int | None:
    """Return the index at which a model's answer begins; 0 if it did not think, None if its thoughts never end.

    Args:
        text: The model's text, without the prompt.
        opened: As in `split_thoughts`.
    """
    if _HARMONY_BEGINS.match(text):
        finals = [one for one in _HARMONY.finditer(text) if one["channel"] == "final"]
        return finals[0].start("text") if finals else None
    if _BARE_HARMONY.match(text):
        if final := _bare_final(text):
            return final.end()
        if _PROSE.match(text):
            return None
    if not opened and (worded := _WORDED.match(text)):
        return worded.end()
    spans = _thoughts_ends(text, opened)
    return None if spans is None else spans[-1][1] if spans else 0


def _thoughts_ends(text: str, opened: bool) -> list[tuple[int, int]] | None:
    """Return start and end of every mark that closes thoughts, in order; None if the thoughts never end."""
    if answer := _SOLAR_ANSWER.match(text):
        return [answer.span()]
    match = _OPEN.match(text)
    if opened and not match:
        first = _CLOSE.search(text)
        return [first.span()] if first else None
    if not match:
        return _lone_end(text)
    ends: list[tuple[int, int]] = []
    is_nested = False
    while match and (close := _CLOSE_OF[match[1].lower()].search(text, match.end())):
        is_nested = _ANY_OPEN_MARK.search(text, match.end(), close.start()) is not None
        ends.append(close.span())
        match = _OPEN.match(text, close.end())
    outer = _LONE_CLOSE.search(text, ends[-1][1]) if is_nested else None
    if outer and not _ANY_OPEN_MARK.search(text, ends[-1][1], outer.start()):
        ends.append(outer.span())
    return ends or None


def _lone_end(text: str) -> list[tuple[int, int]]:
    """Return the span of a closing mark without an opening one; none if it stands in an example or in code."""
    found = _LONE_CLOSE.search(text)
    if not found or _ANY_OPEN_MARK.search(text, 0, found.start()) or text.count("```", 0, found.start()) % 2:
        return []
    return [found.span()]


def names_thoughts(text: str) -> bool:
    """Whether a model's text begins with the mark of thoughts, or is harmony, which names its thoughts itself."""
    return any(one.match(text) for one in (_OPEN, _HARMONY_BEGINS, _BARE_HARMONY))


def closes_unopened(text: str) -> bool:
    """Whether a model's text closes thoughts that it has not opened itself."""
    return not _OPEN.match(text) and bool(_lone_end(text))


def opening_mark(rendered: str) -> str:
    """Return the opening mark that a rendered conversation ends in, as it is written; empty if it ends in none."""
    match = _OPEN_AT_END.search(rendered[-200:])
    return match[1] if match else ""


def is_mark(token: str, opening: str = "") -> bool:
    """Whether a token is a mark of thoughts, or a part of the mark that closes those of an opening mark."""
    return _MARK.fullmatch(token) is not None or token in dict(MARKS).get(opening.lower(), "")


def opens_thinking(rendered: str) -> bool:
    """Whether a rendered conversation ends inside thoughts that its template has opened."""
    return bool(opening_mark(rendered))


def answer_opening(rendered: str, written: str = "") -> str:
    """Return the text that leads from the end of a rendered conversation to where the answer begins.

    It closes thoughts that the template has opened, and names harmony's final channel or Solar Open's content; empty if
    the answer begins at once.

    Args:
        rendered: The conversation up to the model's text.
        written: The model's text so far; if it has left its thoughts by itself, nothing is to be closed.
    """
    if mark := opening_mark(rendered):
        return "" if written and split_thoughts(written, opened=True).is_closed else _closing(mark)
    if _SOLAR_HEADER.search(rendered[-200:]):
        return "" if _SOLAR_ANSWER.match(written) or _OPEN.match(written) else SOLAR_ANSWER
    is_harmony = _HARMONY_HEADER.search(rendered[-200:]) and not _HARMONY_BEGINS.match(written)
    return HARMONY_ANSWER if is_harmony else ""


def thoughts_closing(text: str, rendered: str = "") -> str:
    """Return the text that leads from thoughts which a model's text leaves open to its answer; empty if none are open.

    Args:
        text: The model's text so far.
        rendered: The conversation before it, which may have opened the thoughts.
    """
    mark = opening_mark(rendered)
    if split_thoughts(text, opened=bool(mark)).is_closed:
        return ""
    if _HARMONY_BEGINS.match(text):
        return f"<|end|><|start|>assistant{HARMONY_ANSWER}"
    if match := _OPEN.match(text):
        return _closing(match[1])
    return _closing(mark) if mark else "assistantfinal"


def _closing(mark: str) -> str:
    closing = dict(MARKS)[mark.lower()]
    if closing.endswith(SOLAR_ANSWER):  # a header, which the text follows at once
        return closing
    return f"\n{closing.upper() if mark.isupper() else closing}\n\n"


def _split_harmony(text: str) -> Thinking:
    found = list(_HARMONY.finditer(text))
    thoughts = _joined([one["text"] for one in found if one["channel"] != "final"])
    # Text without a header, as after an analysis that has ended, is for the reader too.
    bare = _HARMONY_MARK.sub("", _HARMONY.sub("", text))
    answers = [one["text"] for one in found if one["channel"] == "final"]
    if not answers and not bare.strip():
        return Thinking(thoughts, "", is_closed=False)
    return Thinking(thoughts, _joined([*answers, bare]) if found else text)


def _split_bare_harmony(text: str) -> Thinking | None:
    """Take harmony without its special tokens apart; None if the text is an answer that begins like it."""
    begin = len(text) - len(text.lstrip()) + len("analysis")
    if final := _bare_final(text):
        return Thinking(text[begin : final.start()].strip(), text[final.end() :].strip())
    return Thinking(text[begin:].strip(), "", is_closed=False) if _PROSE.match(text) else None


def _bare_final(text: str) -> re.Match[str] | None:
    """Return the mark that begins the answer in harmony without its special tokens."""
    return next((one for one in _BARE_CHANNEL.finditer(text) if one["channel"] == "final"), None)


def _joined(parts: list[str]) -> str:
    return "\n\n".join(part.strip() for part in parts if part.strip())
