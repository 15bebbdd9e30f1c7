"""Chooses the prompts that go to a server in one request: the criteria of one response, above all."""

from collections.abc import Sequence

from prom_reward.types import JudgePrompt

Job = tuple[JudgePrompt, int]
"""A prompt and its seed."""

_MOST_PROMPTS = 32
_MOST_CHARS = 1 << 18  # about 60,000 tokens


def batches(jobs: Sequence[Job], limit: int) -> list[list[Job]]:
    """Cut jobs into requests, those that begin alike one after another.

    Prompts go together if their verdicts are read at once, among the same labels, and they share at least half of their
    text with the prompt before.

    Args:
        jobs: In the order of their texts.
        limit: The most prompts of one request; 1 leaves each alone.
    """
    kinds: dict[object, list[Job]] = {}
    for job in jobs:
        prompt = job[0]
        kind = (prompt.system, prompt.response_prefix, prompt.labels) if prompt.reads_score_at_once else job
        kinds.setdefault(kind, []).append(job)
    return [batch for same in kinds.values() for batch in _cut(same, min(limit, _MOST_PROMPTS))]


def _cut(jobs: Sequence[Job], limit: int) -> list[list[Job]]:
    found: list[list[Job]] = []
    num_chars = 0
    for job in jobs:
        text = job[0].user
        num_chars += len(text)
        goes_on = found and len(found[-1]) < limit and num_chars <= _MOST_CHARS
        if goes_on and _begins_alike(text, found[-1][-1][0].user):
            found[-1].append(job)
        else:
            found.append([job])
            num_chars = len(text)
    return found


def _begins_alike(text: str, other: str) -> bool:
    return other.startswith(text[: (len(text) + 1) // 2])
