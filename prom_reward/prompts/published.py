"""Takes a whole Prometheus prompt apart into its components, as benchmark files publish them.

It does not know files; `prom_reward.prompts.prometheus` has the texts.
"""

import re

_GRADING = re.compile(
    r"###Task Description:\n.*?"
    r"\n\n###The instruction to evaluate:\n(?P<instruction>.*?)"
    r"\n\n###Response to evaluate:\n(?P<response>.*)"
    r"\n\n###Reference Answer \(Score \d+\):\n(?P<reference_answer>.*)"
    r"\n\n###Score Rubrics:\n(?P<rubric>.*)"
    r"\n\n###Feedback:",
    re.DOTALL,
)
_WITHOUT_REFERENCE = re.compile(
    _GRADING.pattern.replace(r"\n\n###Reference Answer \(Score \d+\):\n(?P<reference_answer>.*)", ""), re.DOTALL
)


def components(prompt: str) -> dict[str, str] | None:
    """Return `instruction`, `response`, `rubric` and perhaps `reference_answer` of a direct-assessment prompt.

    The prompt may stand in a conversation. A text without the sections gives None.
    """
    found = _GRADING.search(prompt) or _WITHOUT_REFERENCE.search(prompt)
    return {name: value.strip() for name, value in found.groupdict().items()} if found else None
