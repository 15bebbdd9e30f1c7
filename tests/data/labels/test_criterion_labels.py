import pytest

from prom_reward.data.labels.human_labels import LabelColumns, collect_labeled, read_labeled
from prom_reward.data.rows import Row
from prom_reward.errors import InputError

ITEMS = [
    {"text": "Names the capital.", "name": "capital", "weight": 3, "role": "gate"},
    {"text": "Names a river.", "name": "river", "weight": 1, "requires": "capital"},
    {"text": "It is short.", "name": "short", "weight": 1, "check": {"max_words": 9}},
]
ROW = {"prompt": "France?", "response": "Paris.", "rubric": ITEMS}


def labels(columns=None, **more):
    found = collect_labeled([Row("line 1", {**ROW, **more})], columns=columns, where="rows")
    return found.checklists[0].labels


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("labels", {"capital": True, "river": [False, True], "short": True}),
        ("labels", {"Names the capital.": 1, "river": ["no", "met"], "short": None}),
        ("labels", [True, [0, 1], None]),
        ("binary_labels", ["Yes", ["not met", "TRUE"], True]),
        ("labels", "[true, [0, 1], null]"),
        ("criteria_met", '{"capital": true, "river": [0.0, 1.0]}'),
    ],
)
def test_verdicts_stand_by_name_or_in_order(column, value):
    assert labels(**{column: value}) == {"capital": (True,), "river": (False, True)}


def test_a_criterion_twice_in_a_cell_is_refused_instead_of_taking_the_last():
    with pytest.raises(InputError, match="the key 'capital' twice"):
        labels(labels='{"capital": true, "river": false, "capital": false}')


def test_verdicts_may_stand_in_the_criteria():
    items = [{"criterion": "Names the capital.", "points": 3, "criteria_met": True}]
    items += [{"criterion": "Names a river.", "points": -1, "criteria_met": False}]
    assert labels(rubric=items) == {"names_the_capital": (True,), "names_a_river": (False,)}


def test_healthbenchs_meta_evaluation_is_read_as_it_is(tmp_path):
    path = tmp_path / "meta.jsonl"
    path.write_text(
        '{"prompt": [{"role": "user", "content": "I feel dizzy."}], "prompt_id": "p", "completion_id": "c", '
        '"category": "cluster:hedging", "completion": "Sit down.", "rubric": "Response asks for missing context.", '
        '"binary_labels": [true, false], "anonymized_physician_ids": ["a", "b"], "canary": "none"}\n'
    )
    [found] = read_labeled(path, columns=LabelColumns(group="category")).checklists
    assert [one.text for one in found.criteria] == ["Response asks for missing context."]
    assert list(found.labels.values()) == [(True, False)]
    assert (found.group, found.cluster) == ("cluster:hedging", found.request.instruction)


def test_labeled_criteria_are_asked_without_gates_and_prerequisites():
    found = collect_labeled([Row("line 1", {**ROW, "labels": [None, True, True]})], where="rows").checklists[0]
    assert [(one.name, one.requires, one.role) for one in found.criteria] == [("river", (), "term")]


@pytest.mark.parametrize("value", [True, [True], [[True]], "yes", '["yes"]'])
def test_a_single_criterion_has_one_verdict_or_one_an_annotator(value):
    assert labels(rubric=ITEMS[:1], labels=value) == {"capital": (True,)}
    assert labels(rubric=ITEMS[:1], labels=[True, False]) == {"capital": (True, False)}


def test_a_column_of_another_name_is_named():
    assert labels(LabelColumns(score="doctor"), doctor=[True, False, True])["capital"] == (True,)


def test_a_column_that_the_row_lacks_is_replaced_by_no_other():
    with pytest.raises(InputError, match=r"no verdicts on the criteria.*expected one of doctor"):
        labels(LabelColumns(score="doctor"), rubric=[{**ITEMS[0], "met": True}])


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({}, "no verdicts on the criteria"),
        ({"labels": {"capitol": True}}, "Did you mean 'capital'"),
        ({"labels": {"capital": True, "Names the capital.": False}}, "got two verdicts on 'capital'"),
        ({"labels": [True, False]}, "got 2 verdicts for 3 criteria"),
        ({"labels": ["perhaps", True, True]}, "got 'perhaps' as the verdict on 'capital'"),
        ({"labels": [2, True, True]}, "got 2 as the verdict on 'capital'"),
        ({"labels": "[true, "}, r"got '\[true, ' for 3 criteria"),
        ({"labels": [None, None, True]}, "no criterion that a judge decides"),
        ({"rubric": [{"rubric": "helpfulness"}, {"rubric": ITEMS}], "labels": [True]}, "a checklist alone"),
    ],
)
def test_what_is_no_verdict_is_refused(more, problem):
    with pytest.raises(InputError, match=problem):
        labels(**more)


def test_verdicts_in_the_criteria_of_a_named_checklist_are_found():
    items = [{"text": "Names the capital.", "weight": 3, "met": "yes"}, {"text": "Names a river.", "weight": 1}]
    assert labels(rubric={"name": "geography", "criteria": items}) == {"names_the_capital": (True,)}


def test_spaces_between_the_words_of_a_criterion_do_not_count():
    found = labels(rubric=["Names the\ncapital. ", "Names a river."], labels={"Names the  capital.": 1})
    assert found == {"names_the_capital": (True,)}
