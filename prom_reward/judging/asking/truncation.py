"""Cuts the middle out of a response until it fits, and marks the cut with its length.

Only `truncate_response="middle"` asks for it. By default nothing is cut: the outcome is `too_long`.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from prom_reward.types import GradingRequest

logger = logging.getLogger(__name__)


def truncate_middle(response: str, fits: Callable[[str], bool]) -> str | None:
    """Return the longest cut of `response` that fits, or None if not even the mark alone does.

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


def fitting_request(request: GradingRequest, fits: Callable[[GradingRequest], bool]) -> GradingRequest:
    """Return a request whose response is cut in the middle if it does not fit; as it is if the rest is too long."""
    if fits(request):
        return request
    shortened = truncate_middle(request.response, lambda response: fits(replace(request, response=response)))
    if shortened is None:
        return request
    logger.warning("response of %d characters cut to fit the judge's context", len(request.response))
    return replace(request, response=shortened)
