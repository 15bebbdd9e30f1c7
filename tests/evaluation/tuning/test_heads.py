"""A random tiny model whose hidden states tell what its scores do not: the labels are made of them."""

from dataclasses import replace

import numpy as np
import pytest

from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.errors import ConfigError
from prom_reward.evaluation.evaluate import labeled_input
from prom_reward.evaluation.tuning.heads import hidden_states
from prom_reward.evaluation.tuning.tune import tune
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.prompts.conversation import CONVERSATIONS
from tests.tiny_models import tiny_judge

RUBRIC = {"criteria": "Good?", **{f"score{label}_description": f"{label}" for label in range(1, 6)}}


@pytest.fixture(scope="module")
def judge():
    conversation = CONVERSATIONS["tokenizer"]
    return PrometheusJudge(
        TransformersEngine(tiny_judge(), conversation=conversation, context_length=4096), mode="score"
    )


@pytest.fixture(scope="module")
def rows(judge):
    """Rows of 24 questions, labeled by a direction of the judge's hidden states."""
    draw = np.random.default_rng(0)
    texts = [f"{draw.integers(10**9)} {draw.integers(10**9)}" for _ in range(120)]
    values = [
        {"question_id": at // 5, "instruction": "Go.", "response": text, "rubric": RUBRIC, "score": 1 + at % 5}
        for at, text in enumerate(texts)
    ]
    read = labeled_input(values)
    states = hidden_states(judge, [row.request for row in read.rows])
    told = states @ np.linspace(-1, 1, states.shape[1])
    ranks = told.argsort().argsort()
    return replace(
        read,
        rows=[replace(row, scores=(float(1 + rank * 5 // 120),)) for row, rank in zip(read.rows, ranks, strict=True)],
    )


@pytest.fixture(scope="module")
def found(judge, rows):
    return tune(rows, judge=judge, notes=(), resamples=100)


def test_a_head_that_helps_is_kept_with_its_figures(found):
    [trial] = [one for one in found.trials if "head" in one.settings]
    assert trial.is_kept
    assert trial.gain.low > 0
    assert trial.figure.value > 0.7 > found.before.value
    assert trial.figure.length_held > 0.6
    assert "head" not in found.settings


def test_the_kept_head_gives_the_scores_that_were_confirmed(judge, rows, found):
    tuned = judge.with_reading(**found.settings).with_head(found.head)
    scores = [one.expected_score for one in tuned.grade([row.request for row in rows.rows])]
    labels = [row.mean_score for row in rows.rows]
    assert np.corrcoef(scores, labels)[0, 1] > 0.8


def test_a_judge_with_a_head_is_not_tuned_again(judge, rows, found):
    with pytest.raises(ConfigError, match="with a head"):
        tune(rows, judge=judge.with_reading(**found.settings).with_head(found.head))
