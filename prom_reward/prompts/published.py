"""Takes a whole Prometheus prompt apart into its components, as benchmark files publish them.

It does not know files; `prom_reward.prompts.prometheus` has the texts.
"""

import re

_TASK = "###Task Description:\n"
_INSTRUCTION = "\n\n###The instruction to evaluate:\n"
_RESPONSE = "\n\n###Response to evaluate:\n"
_REFERENCE = re.compile(r"\n\n###Reference Answer \(Score \d+\):\n")
_RUBRIC = "\n\n###Score Rubrics:\n"
_FEEDBACK = "\n\n###Feedback:"


def components(prompt: str) -> dict[str, str] | None:
    """Return `instruction`, `response`, `rubric` and perhaps `reference_answer` of a direct-assessment prompt.

    The prompt may stand in a conversation. A text without the sections gives None. Headers inside the response are
    its text: the instruction ends at the first header that can end it, the other sections at the last.
    """
    _, task, rest = prompt.partition(_TASK)
    _, before, rest = rest.partition(_INSTRUCTION)
    instruction, between, rest = rest.partition(_RESPONSE)
    rest, behind, _ = rest.rpartition(_FEEDBACK)
    response, last, rubric = rest.rpartition(_RUBRIC)
    if not (task and before and between and behind and last):
        return None
    found = {"instruction": instruction, "response": response, "rubric": rubric}
    references = list(_REFERENCE.finditer(response))
    if references:
        header = references[-1]
        found |= {"response": response[: header.start()], "reference_answer": response[header.end() :]}
    return {name: text.strip() for name, text in found.items()}
