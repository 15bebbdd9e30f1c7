import re

import pytest

from prom_reward import PrometheusJudge, ScriptedEngine, evaluate
from prom_reward.data.labels.human_labels import LabelColumns
from prom_reward.errors import InputError
from prom_reward.evaluation.checklists.criteria import CriteriaEvaluation
from prom_reward.evaluation.page import evaluation_page

ITEMS = [{"text": "It says alpha here.", "name": "a"}, {"text": "It says beta here.", "name": "b"}]


def says(prompt):
    """Whether the response says what the criterion asks for; nothing on gamma."""
    asked = re.search(r"It says (\w+) here", prompt.user)[1]
    return "no verdict" if "gamma" in prompt.user else f"So. [RESULT] {int(f'word {asked}' in prompt.user)}"


def judge(name="good", confidence=0.8):
    return PrometheusJudge(ScriptedEngine(says, confidence=confidence), name=name)


def row(at, words, labels):
    response = " ".join(f"word {word}" for word in words)
    return {"prompt": f"Question {at}?", "response": response, "rubric": ITEMS, "labels": labels, "part": "xy"[at % 2]}


RIGHT = [row(at, ["alpha", "beta"][: at % 3], [at % 3 > 0, at % 3 > 1]) for at in range(12)]


def measured(rows, **options) -> CriteriaEvaluation:
    return evaluate(rows, judge=judge(), resamples=20, **options).figures


def test_a_judge_is_measured_on_verdicts():
    found = measured(RIGHT)
    assert (found.num_verdicts, found.num_unscored, found.share_met) == (24, 0, 0.5)
    assert {name: round(kinds["judge"].value, 6) for name, kinds in found.measures.items()} == {
        "accuracy": 1,
        "kappa": 1,
        "tpr": 1,
        "tnr": 1,
        "youdens_j": 1,
        "auc": 1,
        "ece": 0.2,
        "brier": 0.04,
    }
    assert found.measures["accuracy"]["constant"].value == 0.5
    assert found.measures["accuracy"]["judge"].low == 1
    assert "people" not in found.measures["accuracy"]


def test_a_checklist_may_be_given_for_all_rows():
    rows = [{name: value for name, value in one.items() if name != "rubric"} for one in RIGHT]
    assert measured(rows, rubric=ITEMS).to_dict() == measured(RIGHT).to_dict()


def test_every_criterion_and_group_has_its_own_figures():
    wrong = [{**one, "labels": [one["labels"][0], not one["labels"][1]]} for one in RIGHT]
    found = measured(wrong, columns=LabelColumns(group="part"))
    told = {text: one.measures["accuracy"]["judge"].value for text, one in found.criteria.items()}
    assert told == {"It says alpha here.": 1.0, "It says beta here.": 0.0}
    alone = found.criteria["It says alpha here."].measures["accuracy"]["judge"]
    assert (alone.low, measured(wrong[:9]).criteria["It says alpha here."].measures["accuracy"]["judge"].low) == (
        1,
        None,
    )
    assert {name: one.num_verdicts for name, one in found.groups.items()} == {"x": 12, "y": 12}
    assert found.to_dict()["criteria"]["It says beta here."]["accuracy"]["judge"]["value"] == 0


def test_annotators_are_counted_one_by_one_and_against_each_other():
    rows = [{**one, "labels": [[one["labels"][0]] * 2 + [not one["labels"][0]], None]} for one in RIGHT]
    found = measured(rows)
    assert found.num_verdicts == 36
    assert found.measures["accuracy"]["judge"].value == pytest.approx(2 / 3)
    assert found.measures["accuracy"]["people"].value == pytest.approx(1 / 3)


def test_what_the_judge_cannot_tell_is_counted_and_left_out():
    found = measured([*RIGHT, row(20, ["gamma"], [True, False])])
    assert (found.num_verdicts, found.num_unscored) == (24, 2)


def test_a_second_judge_is_compared_on_the_same_verdicts():
    other = judge("vague", confidence=0.6)
    found = evaluate(RIGHT, judge=judge(), against=other, resamples=20)
    assert found.difference["accuracy"].value == 0
    assert found.difference["brier"].value == pytest.approx(0.04 - 0.16)
    page = evaluation_page(found)
    for text in ("Cohen&#39;s kappa", "It says alpha here.", "vague, judge", "label 1.00, judge"):
        assert text in page


def test_verdicts_and_scores_in_one_file_are_refused():
    scored = {"prompt": "Q", "response": "A", "rubric": "helpfulness", "score": 3}
    with pytest.raises(InputError, match=r"got rows with scores \(1\) and rows with verdicts on criteria \(12\)"):
        measured([*RIGHT, scored])


def test_nothing_told_is_undefined_and_no_error():
    found = evaluate([row(0, ["gamma"], [True, False])], judge=judge(), resamples=20)
    assert found.figures.to_dict()["n"] == 0
    assert found.figures.share_met is None
    assert evaluation_page(found)
