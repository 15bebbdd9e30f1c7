"""Preference pairs whose other columns prefer the rejected answer: scores of both sides, margins, and verdicts."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from prom_reward.data.cells import read_answer, said
from prom_reward.data.columns import Columns, spelling, value_at
from prom_reward.data.pairs.preferences import better_answers, number_in
from prom_reward.errors import RowError

_OF_WHOM = r"(?:(?:avg|average|mean|overall|final|total|human|gpt(?:_?4)?|llm|rm|reward_model|preference|quality)_)?"
_SCORE = re.compile(rf"{_OF_WHOM}(?:scores?|ratings?|rewards?|grades?)")
"""Names of scores of which the higher one is better, without the side's word; a toxicity's is not."""
_MARGIN = re.compile(rf"{_OF_WHOM}(?:(?:score|rating|reward|grade)s?_(?:margin|diff|difference|gap|delta)|margin)")
"""Names of the chosen side's score minus the rejected one's."""
_SIDES = {
    **{"chosen": ("rejected", "reject"), "accepted": ("rejected",), "preferred": ("dispreferred", "rejected")},
    **{"better": ("worse",), "best": ("worst",), "winner": ("loser",), "winning": ("losing",), "win": ("lose", "loss")},
    **{"w": ("l",), "j": ("k",)},
}
"""The words of the chosen side in names, each with those of the rejected one beside it."""
_ANSWER_WORDS = frozenset(
    {"response", "answer", "output", "completion", "model", "assistant", "conversation", "messages", "human", "ref"}
)


def contradiction(columns: Columns) -> str:
    """Return the columns of a pair that prefer its rejected answer, with their values; empty if there are none.

    A pair whose sides the caller named has no other word on it.
    """
    sides = [columns.read.get(role) for role in ("chosen", "rejected")]
    if None in sides:
        return next(_scores_against_verdict(columns), "")
    if columns.is_named("chosen") or columns.is_named("rejected"):
        return ""
    return next(_contradicting_scores(columns), "") or next(_contradicting_verdicts(columns), "")


def _contradicting_scores(columns: Columns) -> Iterator[str]:
    values = columns.values
    if "chosen_outcome" in values:  # a judge's own verdict, of `prom-reward label`
        return
    yield from _under(values, {name: _scores_of_rejected(name) for name in values})
    for name in values:
        margin = number_in(values[name]) if _is_margin(name) else None
        if margin is not None and margin < 0:
            yield f"{name}={values[name]!r:.40}"
    for key, score in _scores_in(values.get(columns.read["chosen"])).items():
        other = _scores_in(values.get(columns.read["rejected"])).get(key)
        if other is not None and score < other:
            yield f"chosen.{key}={score:g} under rejected.{key}={other:g}"


def _under(values: Mapping[str, Any], others: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield scores under those of the other side.

    Args:
        values: The row.
        others: The spellings of the other side's scores, by the names of this side's.
    """
    spelled = {"_".join(_words(name)): name for name in values} if any(others.values()) else {}
    for name, found in others.items():
        for other in filter(None, map(spelled.get, found)):
            better, worse = number_in(values[name]), number_in(values[other])
            if better is not None and worse is not None and better < worse:
                yield f"{name}={values[name]!r:.40} under {other}={values[other]!r:.40}"


def _scores_against_verdict(columns: Columns) -> Iterator[str]:
    """Yield scores of two answers, as `score_a` and `score_b`, of which the better answer's is the lower one."""
    by_role = columns.by_role()
    names, verdicts = by_role.get("pair", ()), by_role.get("winner", ())
    if len(names) != 2:
        return
    for verdict, better in better_answers(columns):
        if verdict not in verdicts:
            continue
        best, other = (_words(name)[-1] for name in (names if better == names[0] else reversed(names)))
        others = {name: _score_of_other(name, best, other) for name in columns.values if name not in verdicts}
        for found in _under(columns.values, others):
            yield f"{verdict}={value_at(columns.values, verdict)!r:.40} and {found}"


@lru_cache(maxsize=4096)
def _scores_of_rejected(name: str) -> tuple[str, ...]:
    """Return how the rejected side's score beside the chosen side's is spelled; empty if a column is no such score."""
    words = _words(name)
    side = next((word for word in words if word in _SIDES), "")
    if not side or not _is_score(words, side):
        return ()
    return tuple("_".join(other if word == side else word for word in words) for other in _SIDES[side])


@lru_cache(maxsize=4096)
def _score_of_other(name: str, better: str, other: str) -> tuple[str, ...]:
    """As `_scores_of_rejected`, of answers that end in letters or numbers."""
    words = _words(name)
    if words.count(better) != 1 or not _is_score([word for word in words if word not in _ANSWER_WORDS], better):
        return ()
    return ("_".join(other if word == better else word for word in words),)


def _is_score(words: list[str] | tuple[str, ...], side: str) -> bool:
    return bool(_SCORE.fullmatch("_".join(word for word in words if word != side)))


@lru_cache(maxsize=4096)
def _is_margin(name: str) -> bool:
    return bool(_MARGIN.fullmatch(spelling(name)))


@lru_cache(maxsize=4096)
def _words(name: str) -> tuple[str, ...]:
    """Return the words and numbers of a name: of `score1` and `score_1` the same."""
    return tuple(re.sub(r"(?<=[a-z])(?=\d+(?:_|$))", "_", spelling(name)).split("_"))


def _scores_in(side: Any) -> dict[str, float]:
    """Return the scores in the mapping of an answer."""
    found = {key: number_in(value) for key, value in side.items()} if isinstance(side, Mapping) else {}
    return {key: score for key, score in found.items() if score is not None and _SCORE.fullmatch(spelling(key))}


def _contradicting_verdicts(columns: Columns) -> Iterator[str]:
    """Yield verdicts that name the rejected side, its model, or the same answer in another column."""
    values, verdicts = columns.values, columns.having("winner")
    chosen, rejected = (values.get(columns.read[role]) for role in ("chosen", "rejected"))
    names = {spelling(one) for one in ("rejected", columns.read["rejected"], _model(values, "rejected")) if one}
    for name in verdicts:
        verdict = value_at(values, name)
        if isinstance(verdict, str) and spelling(verdict) in names - {spelling(_model(values, "chosen"))}:
            yield f"{name}={verdict!r:.40}"
    for name, side in better_answers(columns) if verdicts else ():
        better = value_at(values, side)
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
