"""The task texts for decision endpoints (OpenAI's Decisions, System One), version 1.

This project's own: the document goes into the task text and the question into the system text, and the levels stand
beside both (`JudgePrompt.label_texts`), because the endpoint writes its model's prompt itself.
"""

from prom_reward.prompts.prometheus import TaskTexts

_INSTRUCTION = "###Instruction:\n{instruction}\n\n"
_REFERENCE = "###Reference Answer, which deserves the best verdict:\n{reference_answer}\n\n"
_RESPONSE = "###Response to evaluate:\n{response}"
_RESPONSES = "###Response A:\n{response_a}\n\n###Response B:\n{response_b}"

DECISION_TEXTS = TaskTexts(
    absolute_system="Judge the response to the instruction by this alone: {criteria}",
    absolute=_INSTRUCTION + _REFERENCE + _RESPONSE,
    absolute_without_reference=_INSTRUCTION + _RESPONSE,
    relative_system="Which response to the instruction is better by this alone? {rubric}",
    relative=_INSTRUCTION + _REFERENCE + _RESPONSES,
    relative_without_reference=_INSTRUCTION + _RESPONSES,
    names_labels=True,
)
"""Both kinds of assessment; the system texts are the questions."""
