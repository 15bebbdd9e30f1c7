"""The labelled data's responses, longest first, without those that hold conversation markers of their own.

Some of them are no honest answers: weak models that fell into a loop and wrote on to the token limit.
"""

import json
import re
from pathlib import Path

_MARKERS = re.compile(
    r"\[/?(?:assistant|user|human|system|inst)\]|<\|[^|]*\|>|</?s>|<<SYS>>"
    r"|### ?(?:Human|Assistant|Instruction|Response)|(?:^|\n)(?:User|Human|Assistant) ?:"
    r"|\[RESULT\]|<(?:start|end)_of_turn>",
    re.IGNORECASE,
)


def benign_responses(folder: Path) -> list[str]:
    texts: dict[str, None] = {}
    for path in sorted(folder.rglob("*.jsonl")):
        if path.parent.name == "attacks":
            continue
        for line in path.read_bytes().splitlines():
            row = json.loads(line)
            texts |= {row[key]: None for key in ("response", "chosen", "rejected") if isinstance(row.get(key), str)}
    return sorted((text for text in texts if not _MARKERS.search(text)), key=len, reverse=True)


def is_loop(text: str) -> bool:
    """Whether a text's last half or more is one run of words, at least four times in a row up to its end.

    Runs of 15 words and more may differ in their numbers, as a loop with a counter does; a table's rows are shorter.
    """
    words = re.findall(r"\w+", text)[:-1]  # the last one may be cut off
    return _repeats(words, 1) or _repeats([word for word in words if not word.isdecimal()], 15)


def _repeats(words: list[str], shortest: int) -> bool:
    words = words[::-1]
    borders = [0] if words else []  # what both begins and ends a beginning, at most (Knuth, Morris and Pratt)
    for word in words[1:]:
        border = borders[-1]
        while border and words[border] != word:
            border = borders[border - 1]
        borders.append(border + (words[border] == word))
    periods = ((length, length - border) for length, border in enumerate(borders, start=1))
    return any(2 * length >= len(words) and length >= 4 * period >= 4 * shortest for length, period in periods)
