"""Cuts a response in its middle until it fits, with a mark that says how much is missing.

It does not know tokens: it is told what fits.
"""

from collections.abc import Callable


def truncate_middle(response: str, fits: Callable[[str], bool]) -> str | None:
    """Return the longest cut of `response` that fits, or None where even the mark alone does not.

    The mark reads `[... 1234 characters cut ...]`. The same number of characters is kept at either end.
    """

    def cut(kept: int) -> str:
        head, tail = response[: (kept + 1) // 2], response[len(response) - kept // 2 :]
        return f"{head}\n[... {len(response) - kept} characters cut ...]\n{tail}"

    if not fits(cut(0)):
        return None
    low, high = 0, max(0, len(response) - 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(cut(middle)) else (low, middle - 1)
    return cut(low)
