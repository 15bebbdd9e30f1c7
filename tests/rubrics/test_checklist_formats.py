import json

import pytest

from prom_reward.errors import RubricError
from prom_reward.rubrics.checklist_formats import looks_like_checklist, parse_checklist
from prom_reward.rubrics.rubric import Rubric

FORMS = {
    "HealthBench": {
        "rubrics": [
            {"criterion": "Says when to call a doctor.", "points": 7, "tags": ["level:example", "axis:completeness"]},
            {"criterion": "Names a dose.", "points": 5, "tags": []},
            {"criterion": "Invents a diagnosis.", "points": -6, "tags": ["axis:accuracy"]},
        ]
    },
    "HealthBench Professional": {
        "rubric_items": [
            {"criterion_text": "Says when to call a doctor.", "points": 7},
            {"criterion_text": "Names a dose.", "points": 5},
            {"criterion_text": "Invents a diagnosis.", "points": -6},
        ]
    },
    "Rubrics as Rewards": {
        "rubric": [
            {"title": "Doctor", "description": "Essential Criteria: Says when to call a doctor.", "weight": 7},
            {"title": "Dose", "description": "Important Criteria: Names a dose.", "weight": 5},
            {"title": "Diagnosis", "description": "Pitfall Criteria: Invents a diagnosis.", "weight": -6},
        ]
    },
    "RubricHub": {
        "Rubrics": [
            {"criterion": "Says when to call a doctor.", "points": 7},
            {"criterion": "Names a dose.", "points": 5},
            {"criterion": "Invents a diagnosis.", "points": -6},
        ]
    },
    "ResearchRubrics": [
        {"criterion": "Says when to call a doctor.", "weight": 7.0, "axis": "Explicit"},
        {"criterion": "Names a dose.", "weight": 5.0, "axis": "Implicit"},
        {"criterion": "Invents a diagnosis.", "weight": -6.0, "axis": "Synthesis"},
    ],
    "PRBench": [
        {
            "id": at,
            "annotations": {"criteria_description": text, "weight_class": kind, f"{kind}_weight": weight},
        }
        for at, (text, kind, weight) in enumerate(
            [
                ("Says when to call a doctor.", "critically_important", 7),
                ("Names a dose.", "important", 5),
                ("Invents a diagnosis.", "detrimental", -6),
            ]
        )
    ],
    "DR Tulu": json.dumps(
        {
            "Question": "What helps?",
            "rubrics": [
                {"description": "Says when to call a doctor.", "title": "Doctor", "weight": 7},
                {"description": "Names a dose.", "title": "Dose", "weight": 5},
                {"description": "Invents a diagnosis.", "title": "Diagnosis", "weight": -6},
            ],
        }
    ),
    "AutoRubric": [
        {"name": "doctor", "weight": 7, "requirement": "Says when to call a doctor."},
        {"name": "dose", "weight": 5, "requirement": "Names a dose."},
        {"name": "diagnosis", "weight": -6, "requirement": "Invents a diagnosis."},
    ],
    "verifiers": [
        {"name": "doctor", "text": "Says when to call a doctor.", "weight": 7},
        {"name": "dose", "text": "Names a dose.", "weight": 5},
        {"name": "diagnosis", "text": "Invents a diagnosis.", "weight": -6},
    ],
}
UNWEIGHTED = {
    "AdvancedIF": {"rubrics": json.dumps(["Says when to call a doctor.", "Names a dose."])},
    "WildBench": {"checklist": ["Says when to call a doctor.", "Names a dose."]},
    "OpenRubrics": "1. Says when to call a doctor. [Hard Rule]\n2. Names a dose. [Principle]",
    "Markdown": "Check:\n\n- [ ] Says when to call a doctor.\n* Names a dose.\n",
    "texts": ["Says when to call a doctor.", "Names a dose."],
}


def read(value):
    return [(one.text, one.weight) for one in parse_checklist(value).criteria]


@pytest.mark.parametrize("name", FORMS)
def test_published_checklists_are_read_with_their_signs(name):
    assert looks_like_checklist(FORMS[name])
    assert read(FORMS[name]) == [
        ("Says when to call a doctor.", 7),
        ("Names a dose.", 5),
        ("Invents a diagnosis.", -6),
    ]


@pytest.mark.parametrize("name", UNWEIGHTED)
def test_checklists_without_weights_are_read(name):
    assert looks_like_checklist(UNWEIGHTED[name])
    assert read(UNWEIGHTED[name]) == [("Says when to call a doctor.", 1), ("Names a dose.", 1)]


def test_wildchecklists_importance_is_the_weight():
    text = "1. Says when to call a doctor. (importance: 100/100)\n2. Names a dose. (importance: 40/100)"
    assert read(text) == [("Says when to call a doctor.", 1.0), ("Names a dose.", 0.4)]


def test_a_class_without_a_weight_gives_one():
    items = [{"description": "Essential Criteria: a."}, {"description": "Pitfall Criteria: b."}]
    assert read(items) == [("a.", 5), ("b.", -1)]


def test_paperbenchs_tree_keeps_its_parts():
    tree = {
        "id": "root",
        "requirements": "The paper is reproduced.",
        "weight": 1,
        "sub_tasks": [
            {"id": "x", "requirements": "It runs.", "weight": 3, "sub_tasks": [], "task_category": "Code Execution"},
            {
                "id": "y",
                "requirements": "The results hold.",
                "weight": 1,
                "sub_tasks": [
                    {"id": "y1", "requirements": "Table 1 holds.", "weight": 1, "sub_tasks": []},
                    {"id": "y2", "requirements": "Table 2 holds.", "weight": 2, "sub_tasks": []},
                ],
            },
        ],
    }
    checklist = parse_checklist(tree)
    assert [leaf.text for leaf in checklist.leaves()] == ["It runs.", "Table 1 holds.", "Table 2 holds."]
    assert checklist.score({"x": 1, "y1": 1, "y2": 0}).score == pytest.approx((3 + 1 / 3) / 4)


def test_complexbenchs_dependencies_are_prerequisites():
    questions = [
        {"point_id": 0, "question": "Is it a poem?", "rule": None, "dep": []},
        {"point_id": 1, "question": "Does it rhyme?", "rule": None, "dep": [0]},
    ]
    checklist = parse_checklist({"scoring_questions": questions})
    assert [leaf.requires for leaf in checklist.leaves()] == [(), ("0",)]
    assert checklist.score({"0": 0.0, "1": 1.0}).score == 0.0


def test_options_are_put_in_the_order_of_their_values():
    options = [
        {"label": "good", "value": 1.0},
        {"label": "poor", "value": 0.2},
        {"label": "n/a", "value": 0, "na": True},
    ]
    [criterion] = parse_checklist([{"requirement": "Style.", "weight": 1, "options": options}]).criteria
    assert (criterion.options, criterion.option_values, criterion.may_abstain) == (("poor", "good"), (0.2, 1.0), True)
    [criterion] = parse_checklist([{"name": "s", "text": "Style.", "choices": ["poor", "fair", "good"]}]).criteria
    assert (criterion.options, criterion.option_values) == (("poor", "fair", "good"), ())


def test_our_own_form_says_all():
    checklist = parse_checklist(
        {
            "name": "summary",
            "combine": "min",
            "saturate": 0.9,
            "criteria": [
                {"text": "Short.", "check": {"max_words": 60}, "role": "gate", "name": "short"},
                {"text": "Names the finding.", "weight": 3, "requires": "short"},
            ],
        }
    )
    assert (checklist.name, checklist.combine, checklist.saturate) == ("summary", "min", 0.9)
    short, finding = checklist.criteria
    assert (short.role, short.check.name, finding.requires) == ("gate", "max_words", ("short",))


def test_equal_texts_get_names_of_their_own():
    assert [one.name for one in parse_checklist(["Be brief.", "Be brief.", "Be brief."]).criteria] == [
        "be_brief",
        "be_brief_2",
        "be_brief_3",
    ]


@pytest.mark.parametrize(
    "value",
    [
        Rubric.parse("helpfulness").text,
        {"criteria": "- Is it polite?", "score1_description": "No.", "score5_description": "Yes."},
        [{"rubric": "helpfulness", "weight": 0.5}, {"rubric": "honesty", "weight": 0.5}],
        "helpfulness",
        [],
        None,
        7,
    ],
)
def test_what_is_no_checklist_does_not_look_like_one(value):
    assert not looks_like_checklist(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([{"criterion": "a.", "wieght": 3}], "criterion 1: unknown key 'wieght'.*'weight'"),
        ([{"criterion": "a.", "points": "many"}], "criterion 1: got points='many'; expected a number"),
        (["a.", {"points": 3}], "criterion 2: got no text"),
        (["a.", 7], "criterion 2: got 7"),
        ([{"text": "a.", "check": {"max_word": 3}}], "unknown check 'max_word'"),
        ([{"text": "a.", "options": [1, 2]}], "criterion 1: got the options"),
        ("no list here", "got 'no list here' as a checklist"),
        ([{"text": "a.", "children": [{"text": "b.", "weight": 0}]}], "criterion 1: .*children are all 0"),
    ],
)
def test_a_broken_checklist_has_its_criterions_number(value, message):
    with pytest.raises(RubricError, match=message):
        parse_checklist(value)
