"""Packs JSON values for a page: gzip, then base 85, which takes 1.25 characters a byte where base64 takes 1.33.

The alphabet is printable ASCII without the characters that end or escape anything in HTML or JavaScript.
"""

import gzip
import json
from typing import Any

import numpy as np

ALPHABET = "".join(chr(code) for code in range(33, 127) if chr(code) not in "<>&\"'\\`")[:85]
"""The digits, from 0 to 84."""
_DIGITS = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)


def packed(value: Any) -> str:
    """Return JSON values as text that `explorer/assets/data/packing.js` reads."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return encode(gzip.compress(text.encode("utf-8"), compresslevel=6, mtime=0))


def encode(data: bytes) -> str:
    """Return bytes in base 85: the number of bytes and a colon, then five digits for four bytes, filled up with 0."""
    padded = data + bytes(-len(data) % 4)
    words = np.frombuffer(padded, dtype=">u4").astype(np.uint32)
    digits = np.empty((len(words), 5), dtype=np.uint8)
    for place in range(4, -1, -1):
        words, digits[:, place] = np.divmod(words, 85)
    return f"{len(data)}:{_DIGITS[digits].tobytes().decode('ascii')}"
