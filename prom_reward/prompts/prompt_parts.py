"""Takes a rendered Prometheus prompt, as benchmark files publish it, apart into its components."""

import re

_TASK = "###Task Description:\n"
_INSTRUCTION = "\n\n###The instruction to evaluate:\n"
_RESPONSE = "\n\n###Response to evaluate:\n"
_REFERENCE = re.compile(r"\n\n###Reference Answer \(Score [0-9]+\):\n")
_RUBRIC = "\n\n###Score Rubrics:\n"
_FEEDBACK = "\n\n###Feedback:"


def compares_two(prompt: str) -> bool:
    """Whether a text is a rendered prompt for a comparison of two responses."""
    _, task, rest = prompt.partition(_TASK.rstrip())
    return bool(task) and "\n###Response A:" in rest and "\n###Response B:" in rest


def components(prompt: str) -> dict[str, str] | None:
    """Return `instruction`, `response`, `rubric` and perhaps `reference_answer` of a direct-assessment prompt.

    The prompt may be part of a conversation. Returns None if the text lacks a section. Headers inside the response are
    part of it: the instruction ends at the first possible header, the other sections at the last.
    """
    _, task, rest = prompt.partition(_TASK)
    _, before, rest = rest.partition(_INSTRUCTION)
    instruction, between, rest = rest.partition(_RESPONSE)
    rest, feedback, _ = rest.rpartition(_FEEDBACK)
    response, last, rubric = rest.rpartition(_RUBRIC)
    if not (task and before and between and feedback and last):
        return None
    found = {"instruction": instruction, "response": response, "rubric": rubric}
    references = list(_REFERENCE.finditer(response))
    if references:
        header = references[-1]
        found |= {"response": response[: header.start()], "reference_answer": response[header.end() :]}
    return {name: text.strip() for name, text in found.items()}
