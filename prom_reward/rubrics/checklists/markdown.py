"""Checklists as text: Markdown and numbered lists, with weights and classes as data sets write them."""

import re
from collections.abc import Sequence
from typing import Any

from prom_reward.errors import RubricError

_ITEM = re.compile(
    r"(?P<indent>[ \t]*)(?:(?:[-*+•]|\d{1,4}[.)])[ \t]+|(?:\d{1,4}[、．]|[・☐☑☒])[ \t]*)(?:\[[ xX]\][ \t]*)?"
    r"(?P<text>\S.*)"
)
_IMPORTANCE = re.compile(r"\s*\(importance:\s*(?P<part>\d{1,4})\s*/\s*(?P<whole>[1-9]\d{0,3})\s*\)\s*", re.IGNORECASE)
_NUMBER = r"\d{1,4}(?:\.\d{1,4})?"
_SIGN = "[-+\u2212\u2013]"  # also the minus of typography, and a dash in its place
_UNIT = "(?:points?|pts?|marks?|分|点)"
_OPEN, _CLOSE = r"[(\[（【]\s*", r"\s*[)\]）】]"
_POINTS = (
    rf"{_OPEN}(?:(?P<signed>{_SIGN}{_NUMBER})|weight\s*[:=]?\s*(?P<weight>{_SIGN}?{_NUMBER})|"
    rf"(?P<points>{_SIGN}?{_NUMBER}))\s*(?(points){_UNIT}|{_UNIT}?){_CLOSE}"
)
_AT_START = re.compile(rf"(?P<kept>[*_]*)\s*{_POINTS}(?P<closed>(?P=kept))?\s*", re.IGNORECASE)
_AT_END = re.compile(rf"\s*{_POINTS}(?P<kept>[.*_]*)$", re.IGNORECASE)
_OTHER_POINTS = re.compile(
    "|".join(
        (
            rf"{_SIGN}{_NUMBER}[\s:：].*",  # -3 Is rude
            rf"{_SIGN}?{_NUMBER}\s*{_UNIT}\s*[-:：–—].*",  # 5 points: names a dose
            rf".*[-:：=|–—]\s*{_SIGN}?{_NUMBER}\s*{_UNIT}\s*[.]?",  # Names a dose: 5 points
            rf".*{_OPEN}[^()\[\]（）【】]{{0,15}}\d\s*{_UNIT}{_CLOSE}.*",  # Names a dose (up to 5 points)
            r"(?:deduct|subtract|minus|take off|penali[sz]e)\b.*\d.*",  # Deduct 3 if it is rude
            rf".*{_OPEN}(?:negative|penalty|pitfall|deduction){_CLOSE}[.]?",  # Is rude (negative)
        )
    ),
    re.IGNORECASE | re.DOTALL,
)
_WITH_NUMBER = rf"{_OPEN}[^()\[\]（）【】]{{0,15}}\d[^()\[\]（）【】]{{0,15}}{_CLOSE}"
_MAYBE_POINTS = re.compile(
    rf"{_WITH_NUMBER}[.*_]*$|^[*_]*{_WITH_NUMBER}|\*\*{_NUMBER}\*\*$|{_NUMBER}\s*(?:{_UNIT}|%)[.*_]*$", re.IGNORECASE
)
_HEADING = re.compile(r"#{1,6} .*|.*[:：][*_]*|\*\*[^*]+\*\*|__[^_]+__")
_KIND = re.compile(r"\s*\[(hard rule|principle)\]\s*$", re.IGNORECASE)
_TURNS = re.compile(
    r"\b(?:not|no|never|avoid\w*|without|pitfalls?|negatives?|penalt\w+|deductions?|minus|bad|wrong|mistakes?|errors?"
    r"|fail\w*|faults?|flaws?|flags?|problems?|issues?|weakness\w*|cons|forbidden|prohibited|undesirable"
    r"|nicht|kein\w*|ohne|verboten\w*|fehler|pas|jamais|sans|éviter|interdit\w*|nunca|sin|evitar|prohibido|não|sem|non|mai"
    r"|senza|niet|geen|не|нельзя|без)\b|n['’]t\b|不|勿|无|禁|避免|错|ない|避け|誤|않|금지|오류",
    re.IGNORECASE,
)
_MAX_TITLE_WORDS = 3
_MIN_WORDS = 3


def is_sentence(text: str) -> bool:
    """Whether a text in a list may be a criterion; a shorter one is the name of a rubric or a level."""
    return len(text.split()) >= _MIN_WORDS or not text.isascii()  # scripts without spaces


def list_items(text: str) -> list[dict[str, Any]]:
    """Return the criteria of a text's list, empty if it holds no list.

    A line that is indented deeper than the first item, or that follows an item without a blank line and is no heading,
    belongs to the item before it.

    Raises:
        RubricError: An item is no sentence, or there is text outside of the list that may change what it means.
    """
    indent: int | None = None
    items: list[str] = []
    before: list[str] = []
    after: list[str] = []
    is_open = False
    for line in text.expandtabs(4).splitlines():
        found = _ITEM.fullmatch(line.rstrip())
        depth = len(line) - len(line.lstrip())
        if found and (indent is None or depth <= indent):
            indent = depth if indent is None else indent
            items.append(found["text"])
            is_open = True
        elif not line.strip():
            is_open = False
        elif items and (depth > (indent or 0) or (is_open and not _HEADING.fullmatch(line.strip()))):
            items[-1] += f"\n{line.strip()}"
        else:
            (after if items else before).append(line.strip())
    if items:
        _check_outside(before, after)
    if short := next((one for one in items if not is_sentence(one) or one.endswith((":", "："))), None):
        raise RubricError(f"got the list item {short!r:.40}; expected a criterion, as a sentence")
    return [item_fields(one) for one in items]


def check_numbers(texts: Sequence[str]) -> None:
    """Refuse criteria without weights that all have a number at an end, as "(5)", "5 %" or "**5**": it may be one."""
    if len(texts) > 1 and all(_MAYBE_POINTS.search(text) for text in texts):
        raise RubricError(
            f"got a number beside every criterion, as {texts[0]!r:.60}; expected '(5 points)' if it is a weight"
        )


def _check_outside(before: list[str], after: list[str]) -> None:
    """Refuse text around the list, besides a title that changes no meaning."""
    title = before[0] if before else ""
    is_title = len(title.strip("#*: ").split()) <= _MAX_TITLE_WORDS and not _TURNS.search(title)
    if outside := [*(before[1:] if is_title else before), *after]:
        raise RubricError(
            f"got the text {outside[0]!r:.60} outside of the list of criteria; expected list items alone, each with "
            "its whole meaning"
        )


def item_fields(text: str) -> dict[str, Any]:
    """Read `... (importance: 80/100)` of WildChecklists, `... [Hard Rule]` of OpenRubrics, and `... (-2 points)`.

    Raises:
        RubricError: It has points in another form.
    """
    kind = _KIND.search(text)
    found: dict[str, Any] = {"tags": [kind[1].lower()] if kind else []}
    if importance := _IMPORTANCE.search(text):
        found["weight"] = int(importance["part"]) / int(importance["whole"])
    elif points := _AT_START.match(text) or _AT_END.search(text):
        written = points["signed"] or points["weight"] or points["points"]
        found["weight"] = float(written.replace("\u2212", "-").replace("\u2013", "-"))
        kept = "" if points.groupdict().get("closed") else points["kept"]
        text = text[: points.start()] + kept + text[points.end() :]
    elif _OTHER_POINTS.fullmatch(text.strip()):
        raise RubricError(f"got {text!r:.60}; expected its points in brackets at the end, as '(5 points)' or '(-5)'")
    return {"criterion": _KIND.sub("", _IMPORTANCE.sub(" ", text)).strip(), **found}
