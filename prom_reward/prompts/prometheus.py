"""The byte-exact task texts of Prometheus, v1 and v2, absolute and relative.

Sources: the model cards and benchmark files of kaist-ai/prometheus-7b-v1.0 and -13b-v1.0 (v1), the prompt
constants of the prometheus-eval package 0.1.20 (v2). Trailing spaces count, and so do the texts' own slips
(the relative text without reference still speaks of "a response to evaluate"): the models were trained on
these bytes. Only the numbers of the scale are placeholders; on 1 to 5 they give the published bytes.

Prometheus' text puts the response before reference and rubric, so the prompts of a group share little. Judges that are
not bound to its bytes can get the same sections in another order: see `Layout`.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

PromptStyle = Literal["prometheus-v1", "prometheus-v2", "decision"]
"""The published texts of a generation, or those for decision endpoints (`prom_reward.prompts.decision`)."""

LevelOrder = Literal["worst_first", "best_first", "both"]
"""The order in which a rubric's scores are described: the published one, the other way round, or the mean over both."""

Layout = Literal["prometheus", "response_last"]
"""The order of the sections: the published one, or rubric, instruction, reference, response, so that all responses to
one instruction share everything before them."""

_TASK = "###Task Description:\nAn instruction (might include an Input inside it), "
_ABSOLUTE_STEPS = """\
 are given.
1. Write a detailed feedback that assess the quality of the response strictly based on the given score \
rubric, not evaluating in general.
2. After writing a feedback, write a score that is an integer between {low} and {high}. You should refer to \
the score rubric.
3. The output format should look as follows: "<<LEAD>>(write a feedback for criteria) [RESULT] \
(an integer number between {low} and {high})"
4. Please do not generate any other opening, closing, and explanations.

###The instruction to evaluate:
{instruction}

###Response to evaluate:
{response}

"""
_RELATIVE_STEPS = """\
 are given.
1. Write a detailed feedback that assess the quality of two responses strictly based on the given score \
rubric, not evaluating in general.
2. After writing a feedback, choose a better response between Response A and Response B. You should refer to \
the score rubric.
3. The output format should look as follows: "(write a feedback for criteria) [RESULT] (A or B)"
4. Please do not generate any other opening, closing, and explanations.

###Instruction:
{instruction}

###Response A:
{response_a}

###Response B:
{response_b}

"""
_RUBRIC_ARTICLE = "a score rubric representing a evaluation criteria"
_ABSOLUTE_END = "###Score Rubrics:\n{rubric}\n\n###Feedback: "
_RELATIVE_END = "###Score Rubric:\n{rubric}\n\n###Feedback: "


def _absolute(lead: str, *, with_reference: bool) -> str:
    given = "a response to evaluate, "
    given += "a reference answer that gets a score of {high}, and " if with_reference else "and "
    reference = "###Reference Answer (Score {high}):\n{reference_answer}\n\n" if with_reference else ""
    steps = _ABSOLUTE_STEPS.replace("<<LEAD>>", lead)
    return _TASK + given + _RUBRIC_ARTICLE + steps + reference + _ABSOLUTE_END


def _relative(*, with_reference: bool) -> str:
    given = "a response to evaluate, "
    given += "a reference answer, and " if with_reference else "and "
    reference = "###Reference Answer:\n{reference_answer}\n\n" if with_reference else ""
    return _TASK + given + _RUBRIC_ARTICLE + _RELATIVE_STEPS + reference + _RELATIVE_END


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTexts:
    """The texts of one generation of Prometheus models."""

    absolute_system: str
    """System message of direct assessment."""
    absolute: str
    """Task text of direct assessment with a reference answer."""
    absolute_without_reference: str
    """Task text of direct assessment without one."""
    relative_system: str = ""
    """System message of pairwise ranking."""
    relative: str | None = None
    """Task text of pairwise ranking with a reference answer; None if the models were not trained to rank."""
    relative_without_reference: str | None = None
    """Task text of pairwise ranking without one."""
    names_labels: bool = False
    """Whether the meaning of each verdict stands beside the texts, in `JudgePrompt.label_texts`."""


TASK_TEXTS: dict[PromptStyle, TaskTexts] = {
    # v1 has no pairwise ranking: its authors compare two direct assessments.
    "prometheus-v1": TaskTexts(
        absolute_system="You are a fair evaluator language model.",
        absolute=_absolute("Feedback: ", with_reference=True),
        absolute_without_reference=_absolute("Feedback: ", with_reference=False),
    ),
    "prometheus-v2": TaskTexts(
        absolute_system=(
            "You are a fair judge assistant tasked with providing clear, objective feedback based on specific "
            "criteria, ensuring each assessment reflects the absolute standards set for performance."
        ),
        absolute=_absolute("", with_reference=True),
        absolute_without_reference=_absolute("", with_reference=False),
        relative_system=(
            "You are a fair judge assistant assigned to deliver insightful feedback that compares individual "
            "performances, highlighting how each stands relative to others within the same cohort."
        ),
        relative=_relative(with_reference=True),
        relative_without_reference=_relative(with_reference=False),
    ),
}

_RESPONSE_LAST = ("Score Rubric", "The instruction", "Instruction", "Reference Answer", "Response")


@cache
def task_texts(style: PromptStyle, layout: Layout = "prometheus") -> TaskTexts:
    """Return the texts of a generation with their sections in the order of a layout."""
    texts = TASK_TEXTS[style]
    if layout == "prometheus":
        return texts
    return replace(
        texts,
        absolute=_response_last(texts.absolute),
        absolute_without_reference=_response_last(texts.absolute_without_reference),
        relative=texts.relative and _response_last(texts.relative),
        relative_without_reference=texts.relative_without_reference
        and _response_last(texts.relative_without_reference),
    )


def _response_last(text: str) -> str:
    between = "\n\n###"
    task, *sections, feedback = text.split(between)
    ranked = [next(rank for rank, name in enumerate(_RESPONSE_LAST) if one.startswith(name)) for one in sections]
    ordered = [section for _, section in sorted(zip(ranked, sections, strict=True), key=lambda pair: pair[0])]
    return between.join([task, *ordered, feedback])


SECTION_NAMES = (
    "Task Description",
    "The instruction to evaluate",
    "Instruction",
    "Response to evaluate",
    "Response A",
    "Response B",
    "Reference Answer",
    "Score Rubrics",
    "Score Rubric",
    "Feedback",
)
"""The names after `###` in all task texts, which the guard keeps out of responses."""
