"""Refuses an `answer` and `answers` that are a benchmark's references: no column says that a model gave them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prom_reward.data.cells import is_empty, texts_of
from prom_reward.data.columns import Columns, spelling, value_at
from prom_reward.errors import RowError
from prom_reward.prompts.transcripts import PromptValue

_ANSWERED = re.compile(
    r"(?:\w+_)?(?:score|rating|rank|reward|grade|feedback|judge?ment|verdict|correct|correctness|outcome)s?|labels?"
    r"|(?:\w+_)?(?<!reward_)models?(?:_(?:name|id))?|generator|policy|temperature|finish_reason|selected|token_ids"
    r"|(?:retrieved_|retrieval_)?contexts|retrieval_context"
)
"""Columns, and keys of an answer, that stand beside what a model or a person said: who it was, and how good it is."""
_FINAL = re.compile(r"(?:^|\n)####[ \t]*[-+$]?\d[\d.,/:%]*$")
"""The last line of GSM8K's references, with a number."""
_BENCHMARKS = ("supporting_facts", "llama8b_solve_rate", "answer_aliases", "well_formed_answers", "all_classes")
"""Columns of benchmarks that hold no response: HotpotQA, Big-Math, TriviaQA, MS MARCO, LongBench."""


def is_doubtful(columns: Columns) -> bool:
    """Whether the response stands in `answer` and no column says that it is one, as in Orca-Math and SimpleQA."""
    return columns.read.get("response") == "answer" and not columns.is_named("response") and not _is_answered(columns)


def check_not_gold(columns: Columns, answer: PromptValue) -> None:
    """Refuse an `answer` beside a `solution`, that ends as GSM8K's, or of a benchmark whose columns are known.

    Raises:
        RowError: It is so.
    """
    if columns.read["response"] != "answer":
        return
    if _may_be_solved(columns):
        raise RowError(
            "got 'answer' and 'solution', which may both be the reference; name the answer to judge with --column "
            "response=answer or --column response=solution"
        )
    if _is_answered(columns):
        return
    final = _FINAL.search(answer.rstrip()) if isinstance(answer, str) else None
    if final or _benchmark(columns):
        beside = f"the end {final[0].strip()!r:.40}, as GSM8K's has" if final else f"{_benchmark(columns)!r}"
        raise RowError(
            f"got 'answer' with {beside}, which is a benchmark's reference; name the answer to judge with --column "
            "response=NAME, or this one with --column response=answer"
        )


def check_no_gold_list(columns: Columns, several: Any) -> None:
    """Refuse `answers`, and few or short `outputs`, if nothing tells who gave them or how good they are.

    Raises:
        RowError: It is so.
    """
    name = columns.read["responses"]
    items = several if isinstance(several, list | tuple) else ()
    if name not in ("answers", "outputs") or (name == "outputs" and not _is_short(items)) or _is_answered(columns):
        return
    if _benchmark(columns) or not any(isinstance(one, Mapping) and _has_mark(one) for one in items):
        raise RowError(
            f"got {name!r} and no models, ratings or reference beside them, so that they may be the references of a "
            f"benchmark; name the answers to judge with --column responses={name}, or the one with --column "
            "response=NAME"
        )


def _is_short(items: Sequence[Any]) -> bool:
    """Whether a list holds one answer, or several of up to five words, as RULER's references."""
    return len(items) == 1 or all(len(text.split()) <= 5 for text in texts_of(items))


def _may_be_solved(columns: Columns) -> bool:
    """Whether a row has a `solution` and no other reference; an empty one too: nobody has answered in such sets."""
    if "solution" not in columns.values or columns.is_named("reference_answer"):
        return False
    if is_empty(columns.values["solution"]) and _is_answered(columns):
        return False
    return is_empty(columns.get("reference_answer")) or columns.read["reference_answer"] == "solution"


def _is_answered(columns: Columns) -> bool:
    """Whether a row has a reference beside its answer, or a column that stands beside answers alone."""
    names = columns.having("reference_answer")
    is_known = columns.is_named("reference_answer") or any(not is_empty(value_at(columns.values, one)) for one in names)
    return is_known or _has_mark(name for name, value in columns.values.items() if not is_empty(value))


def _has_mark(names: Iterable[Any]) -> bool:
    return any(_ANSWERED.fullmatch(spelling(name)) for name in names)


def _benchmark(columns: Columns) -> str | None:
    return next((str(name) for name in columns.values if spelling(name) in _BENCHMARKS), None)
