"""The compact task text for one criterion of a checklist, version 1.

This project's own: everything that the criteria of one response share comes first and the criterion last, so that
N criteria cost one prompt and N short leaves of the prefix tree.
"""

from prom_reward.prompts.prometheus import TaskTexts

_SYSTEM = "You check a response against one criterion. Answer with [RESULT] and the number of the answer."
_TASK = """\
###The instruction to evaluate:
{instruction}

<<REFERENCE>>###Response to evaluate:
{response}

###Task Description:
Does the response meet the criterion? Answer 0 for no and 1 for yes, unless the criterion lists other answers.

###Score Rubric:
{criterion}"""
_REFERENCE = "###Reference Answer:\n{reference_answer}\n\n"

CHECKLIST_TEXTS = TaskTexts(
    absolute_system=_SYSTEM,
    absolute=_TASK.replace("<<REFERENCE>>", _REFERENCE),
    absolute_without_reference=_TASK.replace("<<REFERENCE>>", ""),
)
"""The texts of direct assessment; `{criterion}` is the criterion with its answers, if they are not no and yes."""
