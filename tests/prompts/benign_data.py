"""The labelled data's honest responses, longest first, without those that hold conversation markers of their own."""

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
