"""Preference pairs whose other columns prefer the rejected answer: scores of both sides, and verdicts."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from prom_reward.data.cells import read_answer, said
from prom_reward.data.columns import Columns, spelling, value_at
from prom_reward.data.pairs.preferences import better_answers, number_in
from prom_reward.errors import RowError

_SCORE = re.compile(
    r"(?:(?:avg|average|mean|overall|final|total|human|gpt4?|llm|rm|reward_model|preference|quality)_)?"
    r"(?:scores?|ratings?|rewards?|grades?)"
)
"""Names of scores of which the higher one is better, without the side's word; a toxicity's is not."""


def contradiction(columns: Columns) -> str:
    """Return the columns of a pair that prefer its rejected answer, with their values; empty if there are none.

    A pair whose sides the caller named, or whose better answer a verdict tells, has no other word on it.
    """
    sides = [columns.read.get(role) for role in ("chosen", "rejected")]
    if None in sides or columns.is_named("chosen") or columns.is_named("rejected"):
        return ""
    return next(_contradicting_scores(columns.values), "") or next(_contradicting_verdicts(columns), "")


def _contradicting_scores(values: Mapping[str, Any]) -> Iterator[str]:
    if "chosen_outcome" in values:  # a judge's own verdict, of `prom-reward label`
        return
    for name in values:
        other = _score_of_rejected(name)
        better, worse = (number_in(values.get(one)) for one in (name, other))
        if better is not None and worse is not None and better < worse:
            yield f"{name}={values[name]!r:.40} under {other}={values[other]!r:.40}"


@lru_cache(maxsize=4096)
def _score_of_rejected(name: str) -> str:
    """Return the name of the rejected side's score beside the chosen side's; empty if a column is no such score."""
    words = spelling(name).split("_")
    is_score = "chosen" in words and _SCORE.fullmatch("_".join(word for word in words if word != "chosen"))
    return re.sub("chosen", lambda found: _cased("rejected", found[0]), name, flags=re.I) if is_score else ""


def _cased(word: str, like: str) -> str:
    return word.upper() if like.isupper() else word.capitalize() if like[:1].isupper() else word


def _contradicting_verdicts(columns: Columns) -> Iterator[str]:
    """Yield verdicts that name the rejected side, its model, or the same answer in another column."""
    values, verdicts = columns.values, columns.having("winner")
    chosen, rejected = (values.get(columns.read[role]) for role in ("chosen", "rejected"))
    names = {spelling(one) for one in ("rejected", columns.read["rejected"], _model(values, "rejected")) if one}
    for name in verdicts:
        verdict = value_at(values, name)
        if isinstance(verdict, str) and spelling(verdict) in names - {spelling(_model(values, "chosen"))}:
            yield f"{name}={verdict!r:.40}"
    for name, better in better_answers(values) if verdicts else ():
        if _last(better) and _last(better) == _last(rejected) != _last(chosen):
            yield f"{name}={value_at(values, name)!r:.40}"


def _model(values: Mapping[str, Any], side: str) -> str:
    found = (values.get(name) for name in (f"{side}_model", f"model_{side}", f"{side}-model"))
    return next((one for one in found if isinstance(one, str)), "")


def _last(answer: Any) -> str:
    """Return the words of an answer, of a whole conversation the last ones."""
    with suppress(RowError):
        return next(reversed(said(read_answer(answer))), "")
    return ""
