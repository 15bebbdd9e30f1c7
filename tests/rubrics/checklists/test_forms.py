import json

import pytest
from datasets import Dataset
from hypothesis import given, strategies as st

from prom_reward.errors import RubricError
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.checklists.checks import CodeCheck
from prom_reward.rubrics.checklists.criterion import Criterion
from prom_reward.rubrics.checklists.forms import looks_like_checklist, parse_checklist
from prom_reward.rubrics.reading import read_rubrics
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
            "annotations": {"criteria_description": text, "weight_class": kind, **weights},
        }
        for at, (text, kind, weights) in enumerate(
            [  # columns of other classes may hold older weights
                (
                    "Says when to call a doctor.",
                    "critically important",
                    {"important_weight": 4, "critically_important_weight": 7, "detrimental_weight": None},
                ),
                ("Names a dose.", "important", {"critically_important_weight": 9, "important_weight": 5}),
                ("Invents a diagnosis.", "detrimental", {"slightly_important_weight": 2, "detrimental_weight": -6}),
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
    text = "1) Says when to call a doctor. (importance: 100/100)\n2) Names a dose. (importance: 40/100)"
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
        ([{"criterion": "a.", "points": True}], "criterion 1: got points=True; expected a number"),
        ([{"criterion": "a.", "points": 3}, {"criterion": "b.", "points": None}], "criterion 2: states no weight"),
        (["a.", {"criterion": "b.", "points": 3}], "criterion 1: states no weight"),
        (
            [{"text": "a.", "children": [{"text": "b.", "weight": 1}, {"text": "c."}]}],
            "criterion 1.2: states no weight",
        ),
        ([{"description": "Pitfall Criteria: a.", "weight": 1}], "criterion 1: got the weight 1 .*Pitfall"),
        ([{"description": "Essential Criteria: a.", "weight": -5}], "criterion 1: got the weight -5 .*Essential"),
        ([{"criteria_description": "a.", "weight_class": "important", "detrimental_weight": -3}], "weight_class"),
        ([{"text": "a.", "rolle": "gate"}], "criterion 1: unknown key 'rolle'.*'role'"),
        ([{"text": "a.", "requries": "b"}], "criterion 1: unknown key 'requries'.*'requires'"),
        ({"combin": "min", "criteria": ["It is a."]}, "unknown key 'combin'.*'combine'"),
        ([{"text": "a.", "check": {"max_words": "60"}}], "criterion 1: check 'max_words': got the argument '60'"),
        ([{"text": "a.", "children": "b"}], "criterion 1: got 'b' as its children"),
        ([{"text": "a.", "options": [{"label": "x", "value": 1}, "y"]}], "criterion 1: got the options"),
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


def test_a_rar_pitfall_is_a_loss_if_it_is_met_whatever_its_wording():
    items = [
        {"title": "Safety", "description": "Pitfall Criteria: Does not mention the dose.", "weight": -1},
        {"title": "Safety", "description": "Pitfall Criteria: Recommends surgery first.", "weight": -2},
        {"title": "Finding", "description": "Essential Criteria: Names the finding.", "weight": 5},
    ]
    checklist = parse_checklist(items)
    assert [one.name for one in checklist.criteria] == ["safety", "safety_2", "finding"]
    assert checklist.score({"safety": 1, "safety_2": 0, "finding": 1}).score == pytest.approx(4 / 5)


def test_points_as_text_are_numbers():
    assert read([{"criterion": "a.", "points": "5"}, {"criterion": "b.", "points": "-2.5"}]) == [
        ("a.", 5),
        ("b.", -2.5),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "- Says it in words (5 points)\n- Names no source (-2 pts)",
            [("Says it in words", 5), ("Names no source", -2)],
        ),
        ("* [+3] Says it in words\n* [-1] Names no source", [("Says it in words", 3), ("Names no source", -1)]),
        ("- Says it in words (weight: 2)", [("Says it in words", 2)]),
        ("- Was founded in (1990) by two", [("Was founded in (1990) by two", 1)]),
        (
            "Checklist:\n\n1. Says it\n   in two lines\n   - or three\n2. Names a source",
            [
                ("Says it\nin two lines\n- or three", 1),
                ("Names a source", 1),
            ],
        ),
    ],
)
def test_lists_in_text_keep_weights_and_parts(text, found):
    assert read(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("The response should not:\n- mention the dose twice", "outside of the list"),
        ("Pitfalls:\n- It mentions the dose twice", "outside of the list"),
        ("- It mentions the dose\n\nOnly if asked.", "outside of the list"),
        ("1. Poor\n2. Fair\n3. Good", "got the list item 'Poor'"),
        ("- It says so (5 points)\n- It shows so", "criterion 2: states no weight"),
    ],
)
def test_text_that_may_change_the_meaning_is_refused(text, message):
    assert looks_like_checklist(text)
    with pytest.raises(RubricError, match=message):
        parse_checklist(text)


def test_a_rendered_rubric_with_lists_in_its_levels_is_no_checklist():
    text = "[Is it right?]\nScore 1: It\n- is wrong\n- is long\nScore 2: It\n- is right"
    assert not looks_like_checklist(text)


def test_a_nested_form_without_end_is_refused():
    value = [{"text": "It is deep."}]
    for _ in range(300):
        value = [{"text": "It is deep.", "children": value}]
    with pytest.raises(RubricError, match="nested too deeply"):
        parse_checklist(value)


answers = st.none() | st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=4, unique=True).map(tuple)


@st.composite
def checklists(draw):
    """A checklist with every kind of field."""
    texts = draw(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5))
    criteria = [
        Criterion(
            text=text,
            name=f"c{at}",
            weight=draw(st.sampled_from([-2, -0.5, 1, 3])),
            options=draw(answers) or (),
            requires=("c0",) if at and draw(st.booleans()) else (),
            tags=tuple(draw(st.lists(st.text().map("level:{}".format), max_size=2))),  # "-" says a sign
            may_abstain=draw(st.booleans()),
        )
        for at, text in enumerate(texts)
    ]
    check = Criterion(text="It is short.", name="g", role="gate", check=CodeCheck("max_words", 9))
    node = Criterion(text="It is whole.", name="n", children=(Criterion(text="It is.", name="x", weight=2),))
    return Checklist(criteria=(check, node, *criteria), combine=draw(st.sampled_from(["mean", "min"])), saturate=0.5)


@given(checklists())
def test_our_own_form_is_written_and_read_back(checklist):
    assert parse_checklist(json.loads(json.dumps(checklist.to_dict()))) == checklist


LEVELS = {f"score{label}_description": f"Level {label}." for label in range(1, 6)}
DOSE = {"criterion": "Names a dose.", "points": 5}


@pytest.mark.parametrize(
    ("leveled", "checklist"),
    [
        ([{"criteria": "Is it kind?", **LEVELS}], [DOSE]),
        ({"criteria": "Is it kind?", **LEVELS}, {"rubrics": [DOSE]}),
        ([{"rubric": "honesty", "weight": 1.0}], [DOSE]),
        ([{"rubric": {"criteria": "Is it kind?", **LEVELS}}], [DOSE]),
        ([{"criteria": "Is it kind?", "descriptions": {str(n): f"Level {n}." for n in range(1, 6)}}], [DOSE]),
        ({"rubric": {"criteria": "Is it kind?", **LEVELS}, "weight": 1.0}, {"rubric": None, "checklist": [DOSE]}),
    ],
)
def test_rubrics_and_checklists_may_share_a_column_of_arrow(leveled, checklist):
    rows = Dataset.from_list([{"rubric": leveled}, {"rubric": checklist}])
    assert [read_rubrics(row["rubric"]) for row in rows] == [read_rubrics(leveled), read_rubrics(checklist)]
    assert [type(one) for row in rows for one in read_rubrics(row["rubric"])] == [Rubric, Checklist]


def test_a_mapping_whose_values_are_all_padded_holds_nothing():
    padded = {"criterion": "Names a dose.", "points": 5, "rubric": {"criteria": None, "scale": None}}
    assert read_rubrics([padded]) == read_rubrics([DOSE])
