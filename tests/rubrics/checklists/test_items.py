"""One criterion as data sets write it: a weight or a sign that is not understood is never lost in silence."""

import json
from math import inf, nan

import pytest

from prom_reward.errors import RubricError
from prom_reward.rubrics.checklists.forms import parse_checklist

DOSE, DIAGNOSIS = "The response names a dose.", "The response invents a diagnosis."


def weights(value):
    return [(one.text, one.weight) for one in parse_checklist(value).criteria]


@pytest.mark.parametrize("key", ["score", "value", "max_points", "penalty", "priority"])
def test_a_number_under_another_key_is_not_taken_as_weight_one(key):
    with pytest.raises(RubricError, match=f"criterion 1: got {key}=3; expected 'weight' or 'points'"):
        parse_checklist([{"criterion": DOSE, key: 3}])
    assert weights([{"criterion": DOSE, key: "high"}, {"criterion": DIAGNOSIS, key: True}])[0] == (DOSE, 1)
    assert weights([{"criterion": DOSE, key: 3, "points": 2}]) == [(DOSE, 2)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("type", "negative"), ("sign", "-"), ("polarity", " Penalty"), ("is_negative", True)),
        *(("is_positive", "false"), ("polarity", "neg"), ("desired", False), ("expected_answer", "No")),
        *(("category", "Pitfall"), ("tags", ["safety", "negative"])),
    ],
)
def test_a_criterion_that_is_called_negative_needs_a_negative_weight(key, value):
    with pytest.raises(RubricError, match=f"criterion 2: got {key}="):
        parse_checklist([{"criterion": DOSE, "weight": 5}, {"criterion": DIAGNOSIS, "weight": 3, key: value}])
    with pytest.raises(RubricError, match="beside no weight"):
        parse_checklist([{"criterion": DIAGNOSIS, key: value}])
    assert weights([{"criterion": DIAGNOSIS, "weight": -3, key: value}]) == [(DIAGNOSIS, -3)]
    assert weights([{"criterion": DOSE, "weight": 3, "type": "positive", "is_negative": False}]) == [(DOSE, 3)]
    vetoed = parse_checklist([{"criterion": DOSE}, {"criterion": DIAGNOSIS, "role": "veto", key: value}])
    assert vetoed.criteria[1].text == DIAGNOSIS


def test_two_weights_of_opposite_signs_are_refused():
    with pytest.raises(RubricError, match=r"criterion 1: got .*expected one weight"):
        parse_checklist([{"criterion": DIAGNOSIS, "weight": 2, "points": -5}])
    assert weights([{"criterion": DIAGNOSIS, "weight": -2, "points": -5}]) == [(DIAGNOSIS, -2)]


def test_points_in_the_text_of_a_mapping_are_its_weight_unless_a_key_states_one():
    written = [{"criterion": f"{DOSE} (5 points)"}, {"criterion": f"{DIAGNOSIS} (-3 points)"}]
    assert weights(written) == [(DOSE, 5), (DIAGNOSIS, -3)]
    own = {"criterion": f"{DOSE} (5 points)", "weight": 2}
    assert weights([own]) == [(own["criterion"], 2)]
    with pytest.raises(RubricError, match=r"criterion 1: .*beside the weight 3; expected one sign"):
        parse_checklist([{"criterion": f"{DIAGNOSIS} (-3 points)", "weight": 3}])
    with pytest.raises(RubricError, match=r"criterion 1: .*expected its points in brackets"):
        parse_checklist([{"criterion": "Deduct 3 points if it is rude."}])
    with pytest.raises(RubricError, match="criterion 2: states no weight"):
        parse_checklist([written[1], {"criterion": DOSE}])


def test_numbers_beside_every_child_are_refused():
    with pytest.raises(RubricError, match="got a number beside every criterion"):
        parse_checklist([{"criterion": "Is safe.", "children": [f"{DOSE} (5)", f"{DIAGNOSIS} (3)"]}, DOSE])


def test_a_check_that_is_written_as_a_key_is_not_lost():
    with pytest.raises(RubricError, match="criterion 1: got the check 'max_words' as a key; expected 'check'"):
        parse_checklist([{"text": "It is short.", "max_words": 60}])


@pytest.mark.parametrize("weight", [nan, inf, 10**400, "5 pts", "60%", "0,5", True])
def test_what_is_no_number_is_no_weight(weight):
    with pytest.raises(RubricError, match=r"criterion 1: .*expected a number"):
        parse_checklist([{"criterion": DOSE, "points": weight}])


def test_what_a_table_keeps_for_none_is_none():
    [plain] = parse_checklist([DOSE]).criteria
    padded = dict.fromkeys(("name", "check", "options", "requires", "role"), nan)
    assert parse_checklist([{"criterion": DOSE, **padded}]).criteria == (plain,)


def test_missing_tags_are_no_tags():
    for tags in (None, nan, []):
        assert parse_checklist([{"criterion": DOSE, "points": 5.0, "tags": tags}]).criteria[0].tags == ()


def test_a_list_of_json_texts_is_a_list_of_criteria():
    written = [json.dumps({"criterion": DOSE, "points": 5}), json.dumps({"criterion": DIAGNOSIS, "points": -3})]
    assert weights(written) == [(DOSE, 5), (DIAGNOSIS, -3)]
    assert weights(["{name} is greeted by name.", DOSE]) == [("{name} is greeted by name.", 1), (DOSE, 1)]


def test_a_class_in_a_plain_text_gives_the_weight():
    assert weights(["Pitfall Criteria: Invents a diagnosis.", "Essential Criteria: Names a dose."]) == [
        ("Invents a diagnosis.", -1),
        ("Names a dose.", 5),
    ]
