import json

import pytest

from prom_reward.errors import RubricError
from prom_reward.rubrics.checklists.forms import parse_checklist
from prom_reward.rubrics.reading import only_levels, read_rubrics, rubric_from_dict, with_levels
from prom_reward.rubrics.rubric import Rubric, builtin_rubric

ITEMS = [{"criterion": "It is true.", "points": 3}, {"criterion": "It is rude.", "points": -2}]
CHECKLIST = parse_checklist(ITEMS)
HELPFUL, HONEST = builtin_rubric("helpfulness"), builtin_rubric("honesty")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("helpfulness", (HELPFUL,)),
        (["helpfulness", "honesty"], (HELPFUL, builtin_rubric("honesty"))),
        (ITEMS, (CHECKLIST,)),
        ({"rubrics": ITEMS}, (CHECKLIST,)),
        (CHECKLIST, (CHECKLIST,)),
        (["helpfulness", {"criteria": ITEMS}], (HELPFUL, CHECKLIST)),
        ({"rubric": CHECKLIST}, (CHECKLIST,)),
        ([HELPFUL.text, HONEST.text], (Rubric.parse(HELPFUL.text), Rubric.parse(HONEST.text))),
        (["It is true and whole.", "No rhymes."], (parse_checklist(["It is true and whole.", "No rhymes."]),)),
    ],
)
def test_rubrics_and_checklists_are_told_apart(value, found):
    assert read_rubrics(value) == found


def test_a_checklist_gets_a_weight_and_a_name_beside_others():
    facts = {"rubric": ITEMS, "weight": 2, "name": "facts"}
    [first, second] = read_rubrics([facts, {"rubric": "helpfulness", "weight": 1}])
    assert (first.weight, first.name, second) == (2, "facts", HELPFUL)
    [given] = read_rubrics({"rubric": CHECKLIST, "weight": 3})
    assert (given.weight, given.criteria) == (3, CHECKLIST.criteria)
    with pytest.raises(RubricError, match=r"^got rubrics with a weight, and 'helpfulness' without one; give all of"):
        read_rubrics([facts, "helpfulness"])


@pytest.mark.parametrize(
    "value",
    [
        "helpfullness",
        ["helpfulness", "onesty"],
        7,
        [],
        {"criteria": "Is it?"},
        ["Be brief"],
        [{"criterion": HELPFUL.text}],
    ],
)
def test_what_is_neither_is_refused(value):
    with pytest.raises(RubricError):
        read_rubrics(value)


def test_a_file_may_name_functions_and_nothing_else_may(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("- {text: It is a keyword., check: 'keyword:iskeyword'}\n")
    [own] = read_rubrics(path)
    assert own.criteria[0].check("for")
    path.write_text("- {text: It is a keyword., check: 'keyword:iskeywort'}\n")
    with pytest.raises(RubricError, match=r"own\.yaml: check 'keyword:iskeywort': .* Did you mean 'iskeyword'"):
        read_rubrics(path)
    with pytest.raises(RubricError, match="only a rubric file names functions"):
        read_rubrics([{"text": "It is a keyword.", "check": "keyword:iskeyword"}])


def test_levels_and_checklists_are_refused_for_each_other():
    with pytest.raises(RubricError, match="training takes rubrics with levels"):
        only_levels([HELPFUL, CHECKLIST], "training")
    with pytest.raises(RubricError, match="got the checklist 'checklist'"):
        with_levels(CHECKLIST)
    with pytest.raises(RubricError, match="expected a rubric with levels"):
        Rubric.parse(ITEMS)
    with pytest.raises(RubricError, match="as a checklist"):
        parse_checklist({"criteria": "Is it?", "score1_description": "No.", "score5_description": "Yes."})


def test_a_criterion_that_travels_alone_is_still_one():
    [checklist] = read_rubrics(
        [{"criterion": "It names a dose.", "points": 3}, {"criterion": "It is rude.", "points": -1}]
    )
    asked = checklist.leaves()[1].rubric
    assert rubric_from_dict(json.loads(json.dumps(asked.to_dict()))) == asked


@pytest.mark.parametrize(
    "text",
    [
        '{"criteria": "Is it right?", "score1_description": "No.", "score1_description": "Yes."}',
        '[{"criterion": "It is short.", "points": 1, "points": 3}]',
    ],
)
def test_json_with_a_key_twice_is_refused_instead_of_taking_the_last(text):
    with pytest.raises(RubricError, match=r"got a rubric with the key '.*' twice; expected it once"):
        read_rubrics(text)


@pytest.mark.parametrize(
    "value",
    [
        [{"criteria": "Is it right?", "score1_description": "No.", "name": False}],
        [{"criteria": "Is it right?", "score1_description": "No.", "name": True}],
        [{"criterion": "It is short.", "name": False}],
    ],
)
def test_a_name_that_yaml_read_as_a_truth_value_is_refused(value):
    with pytest.raises(RubricError, match=r"got the name (True|False), a truth value, .*quote it"):
        read_rubrics(value)


def test_a_rubric_file_that_a_file_names_is_looked_for_beside_it_first(tmp_path, monkeypatch):
    mine, other = ({"criteria": text, **{f"score{n}_description": "x" for n in range(1, 6)}} for text in ("M?", "O?"))
    (tmp_path / "here").mkdir()
    (tmp_path / "inner.yaml").write_text(json.dumps(mine))
    (tmp_path / "here/inner.yaml").write_text(json.dumps(other))
    (tmp_path / "here/only.yaml").write_text(json.dumps(other))
    monkeypatch.chdir(tmp_path / "here")
    outer = tmp_path / "outer.yaml"
    for content, found in (
        (["inner.yaml", {"rubric": "inner.yaml"}], ["M?", "M?"]),
        ({"first": {"rubric": "inner.yaml"}, "second": other}, ["M?", "O?"]),
        ([{"rubric": "only.yaml"}], ["O?"]),  # as it is found from here
    ):
        outer.write_text(json.dumps(content))
        assert [one.criteria for one in read_rubrics(outer)] == found


def test_a_long_criterion_that_ends_like_a_file_is_one(tmp_path):
    path = tmp_path / "rubric.yaml"
    long = f"It says {'very ' * 60}clearly what is written to config.yaml"
    path.write_text(json.dumps([long, "It is short."]))
    [checklist] = read_rubrics(path)
    assert [leaf.text for leaf in checklist.leaves()] == [long, "It is short."]
