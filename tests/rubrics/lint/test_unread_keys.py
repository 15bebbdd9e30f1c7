from prom_reward.rubrics.lint.unread_keys import lint_keys
from prom_reward.rubrics.reading import read_rubrics

TREE = {"id": "a", "requirements": "Both parts are there.", "weight": 1, "sub_tasks": [
    {"id": "b", "requirements": "The first part is there.", "weight": 1, "sub_tasks": []},
    {"id": "c", "requirements": "The second part is there.", "weight": 1, "sub_tasks": [], "noted_by": "me"},
]}  # fmt: skip


def unread(value):
    [checklist] = read_rubrics(value)
    return sorted((one.rule, one.message.split("'")[1], one.criteria) for one in lint_keys(value, checklist))


def test_keys_that_nothing_reads_are_named_with_their_criteria():
    written = [
        {"text": "It is short.", "weight": 1, "source": "x"},
        {"text": "It is right.", "weight": 2, "source": "y", "tags": ["a"]},
        "It is polite to all.",
    ]
    own = {"name": "mine", "threshold": 0.5, "combine": "min", "criteria": [*written[:2]]}
    assert unread(own) == [("unread_key", "source", ("1", "2")), ("unread_key", "threshold", ())]
    assert unread([written[2]]) == []


def test_published_forms_have_none_and_a_trees_parts_are_numbered():
    assert unread(TREE) == [("unread_key", "noted_by", ("2",))]
    assert unread({"rubrics": [{"criterion": "Names a dose.", "points": 5, "tags": ["axis:accuracy"]}]}) == []
    assert unread([{"annotations": {"criteria_description": "Names a dose.", "weight_class": "important",
                                    "important_weight": 5}}]) == []  # fmt: skip
