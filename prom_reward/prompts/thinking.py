"""The marks between which models think, where thinking may begin, and what follows it.

Marks count only where a model writes them: at the beginning of its text, or in the generation prompt of its chat
template. An answer that talks about the marks is left as it is.
"""

import re
from dataclasses import dataclass

_MARKS = (
    *((f"<{name}>", f"</{name}>") for name in ("think", "thinking", "thought", "thoughts", "reasoning", "scratchpad")),
    ("<seed:think>", "</seed:think>"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|think_start|>", "<|think_end|>"),
    ("<|start_thinking|>", "<|end_thinking|>"),
    ("<unused94>thought", "<unused95>"),
    ("<|channel>thought", "<channel|>"),
)
"""Opening and closing marks in lower case: of DeepSeek-R1, Qwen3, Seed-OSS, Magistral, Kimi, Sky-T1, Command A ..."""
_ANY_OPEN, _ANY_CLOSE = ("|".join(map(re.escape, marks)) for marks in zip(*_MARKS, strict=True))
_OPEN = re.compile(rf"\s*(?:(?:<\|start\|>|<\|im_start\|>)assistant\s*)?({_ANY_OPEN})", re.I)
_OPEN_AT_END = re.compile(rf"({_ANY_OPEN})\s*\Z", re.I)
_CLOSE = re.compile(_ANY_CLOSE, re.I)
_ANY_OPEN_MARK = re.compile(_ANY_OPEN, re.I)
_CLOSE_OF = dict(_MARKS)
# A closing mark without an opening one ends thoughts that a template opened outside of the text at hand; not if it
# stands quoted or as a word of a sentence, as in an answer about the marks.
_QUOTES = "`\"'“”«»()[]"
_LONE_CLOSE = re.compile(
    rf"(?:^[ \t]*|(?<![\s{re.escape(_QUOTES)}]))(?:{_ANY_CLOSE})(?![{re.escape(_QUOTES)}])", re.I | re.M
)
_SOLUTION = re.compile(r"\A\s*<\|begin_of_solution\|>(.*?)(?:<\|end_of_solution\|>|\Z)", re.DOTALL)
_HARMONY = re.compile(
    r"<\|channel\|>\s*(?P<channel>\w+)[^<]*<\|message\|>(?P<text>.*?)"
    r"(?:<\|end\|>|<\|return\|>|<\|call\|>|(?=<\|start\|>)|\Z)",
    re.DOTALL,
)
_HARMONY_BEGINS = re.compile(r"\s*(?:<\|start\|>assistant\s*)?<\|channel\|>")
_HARMONY_HEADER = re.compile(r"<\|start\|>assistant\s*\Z")
# Harmony whose special tokens a tokenizer left out: `analysis...assistantfinal...`.
_BARE_HARMONY = re.compile(r"\Aanalysis(?=[A-Z\"'(])")
_BARE_CHANNEL = re.compile(r"assistant(?P<channel>analysis|commentary|final)(?=\S|\Z)")
HARMONY_ANSWER = "<|channel|>final<|message|>"
"""Begins the answer of a harmony model (gpt-oss)."""


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
    if _BARE_HARMONY.match(text):
        return _split_bare_harmony(text)
    ends = _thoughts_ends(text, opened)
    if ends is None:
        return Thinking(_OPEN.sub("", text, count=1).strip(), "", is_closed=False)
    if not ends:
        return Thinking("", text)
    begins = [0, *(end for _, end in ends[:-1])]
    thoughts = [_OPEN.sub("", text[begin:start], count=1) for begin, (start, _) in zip(begins, ends, strict=True)]
    rest = text[ends[-1][1] :]
    solution = _SOLUTION.match(rest)
    return Thinking(_joined(thoughts), (solution[1] if solution else rest).strip())


def _thoughts_ends(text: str, opened: bool) -> list[tuple[int, int]] | None:
    """Return start and end of every mark that closes thoughts, in order; None if the last thoughts never end."""
    lowered = text.lower()
    ends: list[tuple[int, int]] = []
    at = 0
    if opened and not _OPEN.match(text):
        found = _CLOSE.search(text)
        if found is None:
            return None
        ends.append(found.span())
        at = found.end()
    while match := _OPEN.match(text, at):
        close = _CLOSE_OF[match[1].lower()]
        end = lowered.find(close, match.end())
        if end < 0:
            return None
        at = end + len(close)
        ends.append((end, at))
    for lone in _LONE_CLOSE.finditer(text, at):
        if not ends and _ANY_OPEN_MARK.search(text, 0, lone.start()):
            break
        ends.append(lone.span())
    return ends


def opening_mark(rendered: str) -> str:
    """Return the opening mark that a rendered conversation ends in, as it is written; empty if it ends in none."""
    match = _OPEN_AT_END.search(rendered[-200:])
    return match[1] if match else ""


def answer_opening(rendered: str) -> str:
    """Return the text that leads from the end of a rendered conversation to where the answer begins.

    It closes thoughts that the template has opened, and names harmony's final channel; empty if the answer begins at
    once.
    """
    mark = opening_mark(rendered)
    if mark:
        close = _CLOSE_OF[mark.lower()]
        return f"\n{close.upper() if mark.isupper() else close}\n\n"
    return HARMONY_ANSWER if _HARMONY_HEADER.search(rendered[-200:]) else ""


def _split_harmony(text: str) -> Thinking:
    parts = [(one["channel"], one["text"]) for one in _HARMONY.finditer(text)]
    finals = [part for channel, part in parts if channel == "final"]
    thoughts = _joined([part for channel, part in parts if channel != "final"])
    return Thinking(thoughts, _joined(finals), is_closed=bool(finals))


def _split_bare_harmony(text: str) -> Thinking:
    ends = list(_BARE_CHANNEL.finditer(text))
    final = next((one for one in ends if one["channel"] == "final"), None)
    if final is None:
        return Thinking(text.removeprefix("analysis").strip(), "", is_closed=False)
    return Thinking(text[: final.start()].removeprefix("analysis").strip(), text[final.end() :].strip())


def _joined(parts: list[str]) -> str:
    return "\n\n".join(part.strip() for part in parts if part.strip())
