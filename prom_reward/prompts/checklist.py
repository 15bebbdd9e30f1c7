"""The compact task texts for one criterion of a checklist, each version 1.

This project's own. In one the criterion comes last: what the criteria of one response share is computed once. In the
other the response comes last: a criterion is computed once for all responses to one instruction.
"""

from prom_reward.prompts.prometheus import TaskTexts

_SYSTEM = "You check a response against one criterion. Answer with [RESULT] and the number of the answer."
_INSTRUCTION = "###The instruction to evaluate:\n{instruction}\n\n"
_REFERENCE = "###Reference Answer:\n{reference_answer}\n\n"
_RESPONSE = "###Response to evaluate:\n{response}"
_CRITERION = """\
###Task Description:
Does the response meet the criterion? Answer 0 for no and 1 for yes, unless the criterion lists other answers.

###Score Rubric:
{criterion}"""


def _texts(*sections: str) -> TaskTexts:
    task = "\n\n".join(sections)
    return TaskTexts(
        absolute_system=_SYSTEM,
        absolute=f"{_INSTRUCTION}{_REFERENCE}{task}",
        absolute_without_reference=f"{_INSTRUCTION}{task}",
    )


CHECKLIST_TEXTS = _texts(_RESPONSE, _CRITERION)
"""The texts of direct assessment; `{criterion}` is the criterion with its answers, if they are not no and yes."""

CRITERION_FIRST_TEXTS = _texts(_CRITERION, _RESPONSE)
"""The same with the response last, for groups of responses that are shorter than a criterion."""

CRITERION_TEXTS = {"compact": CHECKLIST_TEXTS, "criterion_first": CRITERION_FIRST_TEXTS}
"""Both by the name of a judge's setting."""
