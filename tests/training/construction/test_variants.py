import random
import re
from collections import defaultdict
from statistics import mean

import numpy as np
from hypothesis import given, strategies as st

from prom_reward.training.construction.facts import HELD_OUT_KINDS, KINDS
from prom_reward.training.construction.style import _CLOSINGS, _FILLERS, _OPENINGS
from prom_reward.training.construction.variants import (
    HELD_OUT_FAULTS,
    Task,
    definition_question,
    fact_question,
    task_question,
)
from prom_reward.training.construction.wordnet import read_definitions

ALL = {**KINDS, **HELD_OUT_KINDS}
kinds, seeds = st.sampled_from(sorted(ALL)), st.integers(0, 300)


def drawn(kind, seed):
    fact = ALL[kind](random.Random(seed))
    return fact, fact_question(fact, ["Nothing of this kind."], random.Random(seed + 1))


def says(response, value):
    return re.search(rf"(?<![\w.]){re.escape(value)}(?!\w)", response, re.IGNORECASE) is not None


@given(kinds, seeds)
def test_a_right_answer_has_the_true_value_and_a_wrong_value_is_not_it(kind, seed):
    fact, question = drawn(kind, seed)
    assert says(question.reference, fact.value)
    for one in question.variants:
        if one.share == 1.0:
            assert says(one.response, fact.value)
        if one.kind in ("wrong value", "short wrong value", "refusal", "vague", "another question", "spoof"):
            assert not says(one.response.partition(" times ")[0], fact.value) or fact.kind in ("arithmetic", "unit")
            assert one.share <= 0.1


@given(kinds, seeds)
def test_every_question_has_right_and_wrong_answers_of_several_kinds(kind, seed):
    _, question = drawn(kind, seed)
    shares = [one.share for one in question.variants]
    assert shares.count(1.0) >= 3
    assert sum(share <= 0.1 for share in shares) >= 6
    assert {one.kind for one in question.variants if one.kind in HELD_OUT_FAULTS}


def test_style_and_length_do_not_tell_the_truth():
    marks = [text.strip() for text in (*_OPENINGS, *_CLOSINGS, *_FILLERS)]
    styles = defaultdict(list)
    lengths, shares = [], []
    for seed in range(1500):
        for one in drawn(sorted(ALL)[seed % len(ALL)], seed)[1].variants:
            if one.kind in ("other words", "wrong value"):
                styles[one.kind].append(any(mark in one.response for mark in marks))
                lengths.append(len(one.response))
                shares.append(one.share)
    assert abs(mean(styles["other words"]) - mean(styles["wrong value"])) < 0.04
    assert abs(np.corrcoef(lengths, shares)[0, 1]) < 0.05


def test_a_definition_has_its_words_in_right_answers_and_not_in_those_of_others(wordnet):
    one, *others = random.Random(3).sample(read_definitions(wordnet), 6)
    question = definition_question(one, others, random.Random(0))
    own = {word for word in one.gloss.split() if word.endswith(("ish", "water"))}
    for variant in question.variants:
        has_gloss = all(word in variant.response.lower() for word in own)
        if variant.share == 1.0 or variant.kind in ("negated", "repeated"):
            assert has_gloss
        elif variant.kind not in ("wrong word", "shuffled"):
            assert not has_gloss


def test_a_tasks_answers_keep_their_quality():
    tasks = [
        Task(
            instruction=f"Question {name}?",
            reference_answer=f"The long {name}",
            right_answers=(f"right {name}",),
            part_answers=(f"part {name}",),
            wrong_answers=(f"wrong {name}",),
        )
        for name in ("one", "two")
    ]
    variants = task_question(tasks[0], tasks[1:], random.Random(0)).variants
    shares = {
        word: {one.share for one in variants if word in one.response} for word in ("right one", "part one", "wrong one")
    }
    assert shares == {"right one": {1.0}, "part one": {0.4}, "wrong one": {0.0}}
