"""What a judge gets right where the truth is known by construction: facts, rubrics, criteria, triples, swaps."""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from prom_reward.evaluation.agreement import Estimate, Floats, estimate, partial_pearson, spearman
from prom_reward.evaluation.scores import grade_all
from prom_reward.judging.calibration import fit_calibration
from prom_reward.judging.fitted_on import FittedOn
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale
from prom_reward.training.construction.build import Row, build_set
from prom_reward.training.construction.form_criteria import HELD_OUT_KINDS as HELD_OUT_FORMS
from prom_reward.training.construction.style import styled
from prom_reward.training.construction.variants import HELD_OUT_FAULTS
from prom_reward.types import ComparisonRequest, GradingRequest

TRIPLES = Path(__file__).with_name("everyday_triples.jsonl")
_CONFIDENT = ("wrong value", "short wrong value", "sibling")
_RIGHT, _WRONG = 1.0, 0.35  # shares of the scale


def constructed_figures(judge: PrometheusJudge, wordnet: Path, num_questions: int) -> dict[str, Estimate]:
    """Return all figures of a judge; nothing of this was trained on."""
    built = build_set(wordnet, num_questions=num_questions, held_out=True)
    return {
        **_fact_figures(judge, built.facts),
        **_aspect_figures(judge, built.aspects),
        **_criteria_figures(judge, built.criteria),
        **_long_figures(judge, built.long),
        **_known_figures(judge, built.known, "known"),
        **_known_figures(judge, built.imitations, "imitations"),
        **_passage_figures(judge, built.passages),
        **_triple_figures(judge),
        **_comparison_figures(judge, built.facts),
    }


def requests_of(rows: Iterable[Row]) -> list[GradingRequest]:
    """Return what a judge is asked about constructed rows."""
    return [
        GradingRequest(
            instruction=row["instruction"],
            response=row["response"],
            rubric=_rubric(row),
            reference_answer=row.get("reference_answer"),
        )
        for row in rows
    ]


def _rubric(row: Row) -> Rubric:
    """Return a row's rubric; a criterion is asked in the judge's text for criteria."""
    rubric = Rubric.parse(row["rubric"])
    return replace(rubric, is_criterion=rubric.name == "criterion")


def _expected(judge: PrometheusJudge, rows: Sequence[Row]) -> list[float]:
    """Return expected scores as shares of the scale; NaN if unscored."""
    requests = requests_of(rows)
    return [
        np.nan if one.expected_score is None else request.rubric.scale.to_unit(one.expected_score)
        for request, one in zip(requests, grade_all(judge, requests), strict=True)
    ]


def _share(row: Row) -> float:
    return Rubric.parse(row["rubric"]).scale.to_unit(row["score"])


def _fact_figures(judge: PrometheusJudge, rows: Sequence[Row]) -> dict[str, Estimate]:
    """Pairs of a right and a wrong answer to one question: is the right one above?"""
    expected = dict(zip(map(id, rows), _expected(judge, rows), strict=True))
    pairs = list(right_and_wrong(rows))
    kinds: Mapping[str, Callable[[Row, Row], bool]] = {
        "facts, all": lambda right, wrong: True,
        "facts, with a reference": lambda right, wrong: right["reference_answer"] is not None,
        "facts, without": lambda right, wrong: right["reference_answer"] is None,
        "facts, held-out faults": lambda right, wrong: wrong["kind"] in HELD_OUT_FAULTS,
        "facts, wrong value or sibling": lambda right, wrong: wrong["kind"] in _CONFIDENT,
        "facts, negated": lambda right, wrong: wrong["kind"] == "negated",
        "facts, right one shorter": lambda right, wrong: len(right["response"]) < len(wrong["response"]),
        "facts, right one longer": lambda right, wrong: len(right["response"]) > len(wrong["response"]),
    }
    figures = {}
    for name, takes in kinds.items():
        taken = [(right, wrong) for right, wrong in pairs if takes(right, wrong)]
        wins = np.array([float(expected[id(right)] > expected[id(wrong)]) for right, wrong in taken])
        figures[name] = _mean(wins, [right["question_id"] for right, _ in taken])
    return figures


def right_and_wrong(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """Yield every right answer with every wrong one to the same question."""
    questions: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        questions[row["question_id"]].append(row)
    for answers in questions.values():
        right = [row for row in answers if _share(row) == _RIGHT]
        wrong = [row for row in answers if _share(row) <= _WRONG]
        yield from product(right, wrong)


def _aspect_figures(judge: PrometheusJudge, rows: Sequence[Row]) -> dict[str, Estimate]:
    """Spearman with the computed level, as it is and with length held (a partial correlation of ranks)."""
    expected = np.array(_expected(judge, rows))
    levels = np.array([row["score"] for row in rows], dtype=float)
    lengths = np.array([len(row["response"]) for row in rows], dtype=float)
    clusters = [row["question_id"] for row in rows]
    ranks = [stats.rankdata(values) for values in (expected, levels, lengths)]
    figures = {
        "aspects, Spearman": estimate(lambda at: spearman(expected[at], levels[at]), clusters),
        "aspects, length held": estimate(lambda at: partial_pearson(*(one[at] for one in ranks)), clusters),
    }
    for kind in sorted({row["kind"] for row in rows}):
        of_kind = np.array([row["kind"] == kind for row in rows]).nonzero()[0]
        figures[f"aspects, {kind}"] = Estimate(spearman(expected[of_kind], levels[of_kind]))
    return figures


def _criteria_figures(judge: PrometheusJudge, rows: Sequence[Row]) -> dict[str, Estimate]:
    probs = np.array(_expected(judge, rows))
    met = np.array([row["score"] for row in rows], dtype=float)
    clusters = [row["question_id"] for row in rows]
    fitted = _calibrated(probs, met, clusters)
    return {
        "criteria, AUC": estimate(lambda at: auc(probs[at], met[at]), clusters),
        "criteria, ECE": estimate(lambda at: calibration_error(probs[at], met[at]), clusters),
        "criteria, ECE calibrated": estimate(lambda at: calibration_error(fitted[at], met[at]), clusters),
    }


def _passage_figures(judge: PrometheusJudge, rows: Sequence[Row]) -> dict[str, Estimate]:
    """Criteria on passages; the mean over kinds leaves no gain to a judge that goes by the kind alone."""
    probs = np.array(_expected(judge, rows))
    met = np.array([row["score"] for row in rows], dtype=float)
    clusters = [row["question_id"] for row in rows]
    is_new = np.array([row["kind"] in HELD_OUT_FORMS for row in rows])
    kinds = {
        kind: np.array([row["kind"] == kind for row in rows]) for kind in dict.fromkeys(row["kind"] for row in rows)
    }

    def mean_auc(at: Any, names: Iterable[str]) -> float | None:
        found = [auc(probs[at][kinds[name][at]], met[at][kinds[name][at]]) for name in names]
        defined = [one for one in found if one is not None]
        return float(np.mean(defined)) if defined else None

    new = [name for name in kinds if name in HELD_OUT_FORMS]
    known = [name for name in kinds if name not in HELD_OUT_FORMS]
    return {
        "passages, AUC within a kind": estimate(lambda at: mean_auc(at, known), clusters),
        "passages, AUC within a new kind": estimate(lambda at: mean_auc(at, new), clusters),
        "passages, AUC": estimate(lambda at: auc(probs[at][~is_new[at]], met[at][~is_new[at]]), clusters),
        "passages, AUC, new kinds": estimate(lambda at: auc(probs[at][is_new[at]], met[at][is_new[at]]), clusters),
        "passages, ECE": estimate(lambda at: calibration_error(probs[at], met[at]), clusters),
        **{f"passages, AUC, {name}": Estimate(auc(probs[of], met[of])) for name, of in kinds.items()},
    }


def auc(probs: Floats, met: Floats) -> float | None:
    """Return the area under the ROC curve; None if all labels are the same."""
    yes, no = probs[met == 1], probs[met == 0]
    if not len(yes) or not len(no):
        return None
    return float(stats.mannwhitneyu(yes, no).statistic / (len(yes) * len(no)))


def calibration_error(probs: Floats, met: Floats, num_bins: int = 10) -> float:
    """Return the expected calibration error in equal bins (Naeini et al. 2015)."""
    bins = np.minimum((probs * num_bins).astype(int), num_bins - 1)
    gaps = [abs(probs[bins == one].mean() - met[bins == one].mean()) * (bins == one).mean() for one in set(bins)]
    return float(sum(gaps))


def _calibrated(probs: Floats, met: Floats, clusters: Sequence[str]) -> Floats:
    """Return probabilities under a calibration that was fitted on the other half of the questions."""
    fitted_on, side = FittedOn(ScoreScale(0, 1)), np.array([sorted(set(clusters)).index(one) % 2 for one in clusters])
    fits = [fit_calibration(probs[side == half].tolist(), met[side == half].tolist(), fitted_on) for half in (0, 1)]
    return np.array([fits[1 - half].score(prob) for prob, half in zip(probs, side, strict=True)])


def _long_figures(judge: PrometheusJudge, rows: Sequence[Row]) -> dict[str, Estimate]:
    """Answers of 40 to 650 words: how the score follows what they deserve, and length beyond that."""
    expected = np.array(_expected(judge, rows))
    shares, lengths = np.array([_share(row) for row in rows]), np.array([float(len(row["response"])) for row in rows])
    clusters = [row["question_id"] for row in rows]
    ranks = [stats.rankdata(values) for values in (expected, shares, lengths)]
    return {
        "long answers, Spearman": estimate(lambda at: spearman(expected[at], shares[at]), clusters),
        "long answers, with length beyond truth": estimate(
            lambda at: partial_pearson(ranks[0][at], ranks[2][at], ranks[1][at]), clusters
        ),
    }


def _known_figures(judge: PrometheusJudge, rows: Sequence[Row], name: str) -> dict[str, Estimate]:
    """How often a right answer is above a wrong one, or above a response that imitates."""
    expected = dict(zip(map(id, rows), _expected(judge, rows), strict=True))
    pairs = list(right_and_wrong(rows))
    wins = np.array([float(expected[id(right)] > expected[id(wrong)]) for right, wrong in pairs])
    return {f"{name}, right above wrong": _mean(wins, [right["question_id"] for right, _ in pairs])}


def _triple_figures(judge: PrometheusJudge) -> dict[str, Estimate]:
    """Everyday questions with a good, a middling and a confident wrong answer, each in a style of its own."""
    draw = random.Random(0)
    triples = [json.loads(line) for line in TRIPLES.read_text(encoding="utf-8").splitlines()]
    rubric = {"rubric": Rubric.parse("factual_validity").to_dict(), "score": 1}
    rows = [
        {**one, **rubric, "response": styled(one[name], draw)}
        for one in triples
        for name in ("good", "middling", "bad")
    ]
    scores = np.array(_expected(judge, rows)).reshape(-1, 3)
    clusters = [one["instruction"] for one in triples]
    good, middling, bad = scores.T
    return {
        "everyday, full order": _mean((good > middling) & (middling > bad), clusters),
        "everyday, good above wrong": _mean(good > bad, clusters),
        "everyday, good above middling": _mean(good > middling, clusters),
        "everyday, middling above wrong": _mean(middling > bad, clusters),
    }


def _comparison_figures(judge: PrometheusJudge, rows: Sequence[Row], num_pairs: int = 60) -> dict[str, Estimate]:
    """How often a comparison's verdict changes with the sides, and how often it is right."""
    pairs = random.Random(0).sample(list(right_and_wrong(rows)), num_pairs)
    forth = judge.compare([_comparison(right, wrong) for right, wrong in pairs])
    back = judge.compare([_comparison(wrong, right) for right, wrong in pairs])
    clusters = [right["question_id"] for right, _ in pairs]
    flips = [one.winner != _SWAPPED.get(other.winner) for one, other in zip(forth, back, strict=True)]
    right = [(one.winner == "A") / 2 + (other.winner == "B") / 2 for one, other in zip(forth, back, strict=True)]
    return {
        "comparisons, flips": _mean(np.array(flips), clusters),
        "comparisons, right": _mean(np.array(right), clusters),
    }


_SWAPPED: Mapping[Any, str] = {"A": "B", "B": "A", "tie": "tie"}


def _comparison(first: Row, second: Row) -> ComparisonRequest:
    return ComparisonRequest(
        instruction=first["instruction"],
        response_a=first["response"],
        response_b=second["response"],
        rubric=Rubric.parse(first["rubric"]),
        reference_answer=first["reference_answer"],
    )


def _mean(values: Any, clusters: Sequence[str]) -> Estimate:
    numbers = np.asarray(values, dtype=float)
    return estimate(lambda at: float(numbers[at].mean()), clusters)
