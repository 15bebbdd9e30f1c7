from collections import defaultdict

import pytest

from prom_reward.rubrics.rubric import Rubric
from prom_reward.training.construction.aspects import ASPECTS, HELD_OUT_ASPECTS
from prom_reward.training.construction.build import build_set
from prom_reward.training.construction.common import Known
from prom_reward.training.construction.facts import HELD_OUT_KINDS, KINDS
from prom_reward.training.construction.form_criteria import HELD_OUT_KINDS as HELD_OUT_FORMS, KINDS as FORMS
from prom_reward.training.construction.variants import HELD_OUT_FAULTS
from prom_reward.training.data import read_source
from prom_reward.training.sources import DataSource


@pytest.fixture(scope="module")
def sides(wordnet):
    return [build_set(wordnet, num_questions=60, held_out=held_out, seed=1) for held_out in (False, True)]


def kinds_of_facts(rows):
    return {row["question_id"].partition("-")[0] for row in rows}


def test_nothing_to_measure_on_is_trained_on(sides):
    training, held_out = sides
    words = [{row["instruction"] for row in side.facts if "definition" in row["question_id"]} for side in sides]
    assert words[0]
    assert words[1]
    assert not words[0] & words[1]
    assert kinds_of_facts(training.facts) == KINDS.keys() | {"definition"}
    assert kinds_of_facts(held_out.facts) == HELD_OUT_KINDS.keys() | {"definition"}
    assert not HELD_OUT_FAULTS & {row["kind"] for row in training.facts}
    assert {row["kind"] for row in held_out.facts} >= HELD_OUT_FAULTS
    assert not {row["instruction"] for row in training.known} & {row["instruction"] for row in held_out.known}
    assert {row["kind"] for row in training.aspects} <= ASPECTS.keys() | {"coverage"}
    assert {row["kind"] for row in held_out.aspects} == HELD_OUT_ASPECTS.keys() | {"coverage"}
    assert {row["kind"] for row in training.passages} == FORMS.keys()
    assert {row["kind"] for row in held_out.passages} == FORMS.keys() | HELD_OUT_FORMS.keys()
    assert not {row["response"] for row in training.passages} & {row["response"] for row in held_out.passages}


def test_the_seed_alone_draws_the_rows(wordnet, sides):
    assert build_set(wordnet, num_questions=60, held_out=False, seed=1) == sides[0]
    assert build_set(wordnet, num_questions=60, held_out=False, seed=2) != sides[0]


def test_a_common_question_gets_a_wrong_answer_however_few_others_are_drawn(wordnet, monkeypatch):
    capital = Known(
        asked="Which city?",
        right=("Bern",),
        middling="A town.",
        wrong=("Basel", "Zug", "Chur"),
        sentences=("It is {}.",),
    )
    number = Known(asked="How many?", right=("3",), middling="Some.", wrong=("4", "5", "6"), sentences=("{}.",))
    drawn = iter([capital, capital, capital, capital, capital, number])
    monkeypatch.setattr("prom_reward.training.construction.build.entity_question", lambda *_: next(drawn))
    monkeypatch.setattr("prom_reward.training.construction.build.HELD_OUT_KNOWN", {"one": lambda _: next(drawn)})
    built = build_set(wordnet, num_questions=4, held_out=True, seed=3)
    assert [row["response"] for row in built.known if row["kind"] == "another question"] == ["3."]


def test_one_text_gets_different_scores_under_different_rubrics(sides):
    scores = defaultdict(set)
    for row in sides[0].aspects:
        scores[row["question_id"], row["response"]].add((row["rubric"]["criteria"], row["score"]))
    assert all(len(found) == 2 for found in scores.values())
    assert sum(len({score for _, score in found}) > 1 for found in scores.values()) > len(scores) / 3


def test_every_score_is_on_its_rubrics_scale(sides):
    scales = set()
    for row in (row for rows in sides[0].named().values() for row in rows):
        scale = Rubric.parse(row["rubric"]).scale
        scales.add((scale.low, scale.high))
        assert scale.low <= row["score"] <= scale.high
    assert len(scales) >= 4


def test_criteria_are_met_about_as_often_as_not(sides):
    for name in ("criteria", "passages"):
        answers = [row["score"] for side in sides for row in getattr(side, name)]
        assert 0.25 < sum(answers) / len(answers) < 0.75


def test_train_judge_reads_the_rows(tmp_path, sides):
    from prom_reward.files import write_lines

    for name, rows in sides[0].named().items():
        path = tmp_path / f"{name}.jsonl"
        write_lines(path, rows)
        read = read_source(DataSource(path=path))
        assert [one.mean_score for one in read] == [row["score"] for row in rows]
        assert [one.cluster for one in read] == [row["question_id"] for row in rows]
