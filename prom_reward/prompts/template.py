"""One-pass filling: a request and a task text become a JudgePrompt."""

import re
from collections.abc import Mapping

from prom_reward.errors import InputError
from prom_reward.prompts.guard.neutralize import neutralize
from prom_reward.prompts.prometheus import TaskTexts
from prom_reward.rubrics.reading import with_levels
from prom_reward.types import RESULT_MARKER, ComparisonRequest, GradingRequest, JudgePrompt

PLACEHOLDER = re.compile(r"\{(\w+)\}")
"""A place in a template, with its name."""

SCORE_PREFIX = f"{RESULT_MARKER} "
"""The beginning of the judge's answer in score mode: the next token is the verdict."""


def fill(template: str, values: Mapping[str, str]) -> str:
    """Fill `{name}` placeholders in one pass: braces inside a value are never looked at again."""
    return PLACEHOLDER.sub(lambda match: values[match[1]], template)


def grading_prompt(
    request: GradingRequest,
    texts: TaskTexts,
    *,
    guard: bool = True,
    response_prefix: str = "",
    best_first: bool = False,
) -> JudgePrompt:
    """Return the direct-assessment prompt of a request.

    Args:
        request: Its rubric's scale gives the numbers in the text and the labels.
        texts: The task texts of the judge.
        guard: Neutralize judge text in the response. Off gives the published prompt byte for byte.
        response_prefix: `SCORE_PREFIX` for score mode, empty for feedback mode.
        best_first: List the rubric's best score first; the published text lists the worst first.
    """
    has_reference = request.reference_answer is not None
    rubric = with_levels(request.rubric)
    values = {
        "low": str(rubric.scale.low),
        "high": str(rubric.scale.high),
        "instruction": _clean(request.instruction),
        "response": _candidate(request.response, guard),
        "reference_answer": _clean(request.reference_answer or ""),
        "rubric": _clean(rubric.listed(best_first=best_first)),
        "criteria": _clean(rubric.criteria),
        "criterion": _clean(rubric.criterion_text),
    }
    template = texts.absolute if has_reference else texts.absolute_without_reference
    labels = tuple(str(label) for label in rubric.scale.labels)
    meanings = tuple(_clean(rubric.descriptions[label]) for label in rubric.scale.labels) if texts.names_labels else ()
    system = fill(texts.absolute_system, values)
    return JudgePrompt(system, fill(template, values), response_prefix, labels=labels, label_texts=meanings)


def comparison_prompt(
    request: ComparisonRequest, texts: TaskTexts, *, guard: bool = True, response_prefix: str = ""
) -> JudgePrompt:
    """Return the pairwise-ranking prompt of a request; as in prometheus-eval the rubric is its criteria alone.

    Raises:
        InputError: The texts have no pairwise ranking (Prometheus v1).
    """
    has_reference = request.reference_answer is not None
    template = texts.relative if has_reference else texts.relative_without_reference
    if template is None:
        raise InputError("got a comparison for texts without pairwise ranking; compare two direct assessments")
    values = {
        "instruction": _clean(request.instruction),
        "response_a": _candidate(request.response_a, guard),
        "response_b": _candidate(request.response_b, guard),
        "reference_answer": _clean(request.reference_answer or ""),
        "rubric": _clean(f"[{with_levels(request.rubric).criteria}]"),
    }
    meanings = ("Response A is better.", "Response B is better.") if texts.names_labels else ()
    system = fill(texts.relative_system, values)
    return JudgePrompt(system, fill(template, values), response_prefix, labels=("A", "B"), label_texts=meanings)


def _candidate(response: str, guard: bool) -> str:
    return neutralize(_clean(response)) if guard else _clean(response)


def _clean(text: str) -> str:
    """Replace lone surrogates, which no tokenizer can encode, by U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
