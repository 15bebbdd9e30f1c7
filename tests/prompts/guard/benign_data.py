"""The labeled data's responses, longest first, without those that hold conversation markers of their own.

Some of them are no honest answers: weak models that fell into a loop and wrote on to the token limit.
"""

import json
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from prom_reward.types import GradingRequest, Rubric

EVERY = 1 if os.environ.get("PROM_REWARD_FULL") else 3  # one response of so many is looked at
_MARKERS = re.compile(
    r"\[/?(?:assistant|user|human|system|inst)\]|<\|[^|]*\|>|</?s>|<<SYS>>"
    r"|### ?(?:Human|Assistant|User)|(?:^|\n)(?:User|Human|Assistant) ?:|<(?:start|end)_of_turn>",
    re.IGNORECASE,
)


def benign_responses(folder: Path) -> list[str]:
    texts = dict.fromkeys(text for _, text in islice(_rows(folder), 0, None, EVERY))
    return sorted(texts, key=len, reverse=True)


def benign_requests(folder: Path, rubric: Rubric) -> list[GradingRequest]:
    """Return the same responses with the rubrics and references of their rows, where they have any."""
    requests = {}
    for row, text in islice(_rows(folder), 0, None, EVERY):
        own = Rubric.parse(row["rubric"]) if row.get("rubric") else rubric
        request = GradingRequest(
            instruction="", response=text, rubric=own, reference_answer=row.get("reference_answer")
        )
        requests[text, own.text, request.reference_answer] = request
    return list(requests.values())


def _rows(folder: Path) -> Iterator[tuple[dict[str, Any], str]]:
    for path in sorted(folder.rglob("*.jsonl")):
        if path.parent.name == "attacks":
            continue
        for line in path.read_bytes().splitlines():
            row = json.loads(line)
            texts = (row.get(key) for key in ("response", "chosen", "rejected"))
            yield from ((row, text) for text in texts if isinstance(text, str) and not _MARKERS.search(text))


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
