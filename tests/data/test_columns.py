import json
from dataclasses import replace

import pytest

from prom_reward.data.columns import Columns, check_roles, value_at
from prom_reward.data.doubts.placeholders import warn_of_placeholder
from prom_reward.data.doubts.unread import unread_columns
from prom_reward.data.formats import RowFormat
from prom_reward.errors import ConfigError, RubricError
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.rubrics.rubric import Rubric

HELPFUL = (Rubric.parse("helpfulness"),)
ASK, YES = [{"role": "user", "content": "Hi?"}], [{"role": "assistant", "content": "Yes."}]


def example(values, **columns):
    return RowFormat(columns=columns).example(values)


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        (72, "72"),
        (4.0, "4"),
        (3.14159265, "3.14159265"),
        (1234567.5, "1234567.5"),
        (float("nan"), None),
        (["R"], "R"),
        ("", None),
        (" \n", None),
        ([], None),
        ([" "], None),
        ("null", "null"),
    ],
)
def test_a_reference_is_read_as_text(value, reference):
    row = {"prompt": "Q", "completion": "A", "reference_answer": value}
    assert example(row).reference_answer == reference
    filled = RowFormat(columns={}, reference_answer="D").example(row)
    assert filled.reference_answer == ("D" if reference is None else reference)


def test_a_column_that_is_named_for_one_role_plays_no_other():
    row = {"prompt": "Tell a story.", "story": "A dog barked.", "answer": "A cat slept."}
    told = example(row, response="story")
    assert (told.prompt, told.responses) == ("Tell a story.", ("A dog barked.",))
    compared = example({**row, "output": "A cow ran."}, reference_answer="output")
    assert (compared.reference_answer, compared.responses) == ("A cow ran.", ("A cat slept.",))


@pytest.mark.parametrize(
    "more",
    [{"score_rubric": {"criteria": "Is it right?"}}, {"rubrics": [{"criterion": "", "points": 5}]}, {"rubric": "?"}],
)
def test_a_default_rubric_never_covers_a_rows_own(more):
    with pytest.raises(RubricError, match=f"column '{next(iter(more))}'"):
        example({"prompt": "Q", "completion": "A", **more}).requests(HELPFUL)


@pytest.mark.parametrize(
    "name",
    ["grading_criteria", "judge_rubric", "Checklist", "principle", "scoring_guide", "reward_model", "extra_info"],
)
def test_a_column_that_is_named_like_a_rubric_is_never_covered_by_a_default(name):
    value = {"style": "x", "rubrics": ["Names yeast."]} if name in ("reward_model", "extra_info") else "Names yeast."
    with pytest.raises(RubricError, match=r"--column rubric=|column 'Checklist'"):
        Columns({"prompt": "Q", name: value}).rubrics(HELPFUL)


@pytest.mark.parametrize(
    "more",
    [
        {"rubric_name": "x"},
        {"rubric_score": 3},
        {"rubric": {"criteria": None}},
        {"rubric": float("nan")},
        {"rubric": []},
    ],
)
def test_names_and_numbers_of_rubrics_are_none(more):
    assert Columns({"prompt": "Q", **more}).rubrics(HELPFUL) == HELPFUL


def test_by_role_names_pairs_and_flat_rubrics():
    levels = {f"score{n}_description": "x" for n in range(1, 6)}
    columns = example(
        {"prompt": "Q", "response_A": "a", "response_B": "b", "label": "A>B", "criteria": "?", **levels}
    ).columns
    columns.rubrics(())
    assert columns.by_role() == {
        "prompt": ["prompt"],
        "rubric": ["criteria", *levels],
        "pair": ["response_A", "response_B"],
        "winner": ["label"],
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [("a.b[1].c", 3), ("a.b[-1].c", 3), ("a.b", [1, {"c": 3}]), ("a.x", None), ("a.b[7]", None), ("dotted.name", 4)],
)
def test_a_path_reaches_a_value(path, value):
    assert value_at({"a": {"b": [1, {"c": 3}]}, "dotted.name": 4}, path) == value


def test_a_path_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"messages\[x\]"):
        RowFormat(columns={"prompt": "messages[x].content"})


@pytest.mark.parametrize(("role", "meant"), [("choosen", "chosen"), ("question", "prompt"), ("Output", "response")])
def test_a_role_that_is_unknown_names_the_one_that_is_meant(role, meant):
    message = rf"^unknown column role '{role}'; expected one of prompt, .*Did you mean '{meant}'\?$"
    with pytest.raises(ConfigError, match=message):
        RowFormat(columns={role: "x"})


def test_the_columns_of_a_row_are_told():
    row = {"prompt_id": "a", "question": "Hi?", "better": "Yes.", "rejected": "No.", "reference": None, "source": "x"}
    row |= {"criteria": "Good?", **{f"score{n}_description": "Level." for n in range(1, 6)}}
    assert RowFormat(columns={"chosen": "better"}).describe(row) == {
        "rubric": ["criteria", *(f"score{n}_description" for n in range(1, 6))],
        "prompt": ["question"],
        "chosen": ["better"],
        "rejected": ["rejected"],
        "id": ["prompt_id"],
    }


@pytest.mark.parametrize("form", [str, lambda path: [path], lambda path: {"rubric": path, "weight": 2}])
def test_a_row_opens_no_file(tmp_path, form):
    path = tmp_path / "rubric.yaml"
    path.write_text("criteria: Is it kind?\nscale: [1, 2]\nscore1_description: No.\nscore2_description: Yes.\n")
    assert Rubric.parse(path).criteria == "Is it kind?"
    with pytest.raises(RubricError, match=r"^column 'rubric': got the file name .*; expected the rubric itself, or"):
        Columns({"rubric": form(str(path))}).own_rubrics()


PITFALL = [{"criterion": "Names the dose.", "points": 5}, {"criterion": "Invents a diagnosis.", "points": -6}]


@pytest.mark.parametrize(
    "row",
    [
        {"rubrics": PITFALL},
        {"Rubrics": PITFALL},
        {"rubric": PITFALL},
        {"rubric": json.dumps(PITFALL)},
        {"rubric_items": [{"criterion_text": one["criterion"], "points": one["points"]} for one in PITFALL]},
        {"prompt_metadata": {"rubrics": json.dumps(PITFALL)}},
        {"ground_truth": json.dumps({"query": "What helps?", "rubrics": PITFALL})},
        {"ground_truth": [json.dumps({"query": "What helps?", "rubrics": PITFALL})]},
        {"requirements": "1) Names the dose. (importance: 5/1)\n2) Invents a diagnosis. (weight: -6)"},
        {"reward_model": {"ground_truth": {"rubrics": PITFALL}}},
    ],
)
def test_a_rows_checklist_is_found_under_the_names_of_public_sets(row):
    columns = Columns({"prompt": "What helps?", **row})
    columns.get("prompt")
    [checklist] = columns.rubrics(HELPFUL)
    assert [(one.text, one.weight) for one in checklist.criteria] == [
        ("Names the dose.", 5),
        ("Invents a diagnosis.", -6),
    ]
    assert columns.reference() is None
    assert unread_columns(columns) == []


def test_a_rows_questions_are_a_checklist():
    questions = [{"point_id": 0, "question": "Is it a poem?", "rule": None, "dep": []},
                 {"point_id": 1, "question": "Does it rhyme well?", "rule": None, "dep": [0]}]  # fmt: skip
    asked = [one["question"] for one in questions]
    for row in ({"scoring_questions": questions}, {"checklist": asked}, {"decomposed_questions": asked}):
        [checklist] = Columns(row).own_rubrics()
        assert [leaf.text for leaf in checklist.leaves()] == ["Is it a poem?", "Does it rhyme well?"]


@pytest.mark.parametrize("form", [list, json.dumps, lambda texts: {"rubric": texts}])
def test_a_criterion_that_ends_in_a_file_name_is_a_criterion(form):
    texts = ["Names the file config.json", "It is polite."]
    [checklist] = Columns({"rubric": form(texts)}).own_rubrics()
    assert [leaf.text for leaf in checklist.leaves()] == texts


def test_requirements_in_other_words_are_no_checklist():
    assert Columns({"prompt": "Q", "requirements": "- Python 3.11\n- four cores"}).rubrics(HELPFUL) == HELPFUL


def test_a_row_runs_no_code_of_its_own_choice():
    items = [{"text": "It is a keyword.", "check": "keyword:iskeyword"}]
    with pytest.raises(RubricError, match=r"column 'rubric': got the check 'keyword:iskeyword'"):
        Columns({"rubric": items}).own_rubrics()
    [checklist] = Columns({"rubric": [{"text": "It is short.", "check": {"max_words": 9}}]}).own_rubrics()
    assert checklist.criteria[0].check("Yes.")


@pytest.mark.parametrize("form", [lambda path: json.dumps({"rubric": path}), lambda path: {"rubric": {"rubric": path}}])
def test_a_row_opens_no_file_from_within_other_forms(tmp_path, form):
    path = tmp_path / "rubric.yaml"
    path.write_text("- It is kind and short.\n")
    with pytest.raises(RubricError, match=r"^column 'rubric': got the file name .*; expected the rubric itself, or"):
        Columns({"rubric": form(str(path))}).own_rubrics()


def test_a_whole_rubric_in_a_column_of_criteria_is_read():
    [rubric] = Columns({"prompt": "Q", "criteria": HELPFUL[0].text}).rubrics(())
    assert (rubric.text, rubric.scale) == (HELPFUL[0].text, HELPFUL[0].scale)


def test_a_criterion_without_levels_is_refused_with_the_way_to_name_a_rubric():
    expected = r"no column of levels; .* a whole rubric: name it with --column rubric=criteria, or with rubric_column="
    with pytest.raises(RubricError, match=expected):
        Columns({"prompt": "Q", "criteria": "Is it kind?"}).rubrics(HELPFUL)


def test_one_column_plays_one_role():
    with pytest.raises(ConfigError, match=r"got the column 'text' for chosen and for rejected; expected one for each"):
        check_roles({"prompt": "ask", "chosen": "text", "rejected": "text"})
    check_roles({"prompt": "text", "id": "text", "response": "messages[-1].content", "history": "messages[0].content"})


def test_a_rubrics_name_beside_a_digest_is_the_rubric_of_that_digest():
    mine = replace(HELPFUL[0], criteria="Is it free of insults?")
    row = {"prompt": "Q", "rubric": "helpfulness", "rubric_digest": rubric_digest(mine)}
    assert Columns(row).rubrics((mine,)) == (mine,)
    for others in ((), HELPFUL):
        with pytest.raises(RubricError, match=r"got the rubric's name 'helpfulness' and the digest .*; give the text"):
            Columns(row).rubrics(others)
    assert Columns({**row, "rubric_digest": rubric_digest(HELPFUL[0])}).rubrics((mine,)) == HELPFUL
    escaped = {**row, "rubric_digest": rubric_digest(HELPFUL[0]), "input_rubric_digest": rubric_digest(mine)}
    assert Columns(escaped).rubrics((mine,)) == (mine,)  # a log that was labeled
    assert Columns({**row, "rubric": mine.text}).rubrics(HELPFUL)[0].criteria == mine.criteria


@pytest.mark.parametrize(
    ("reference", "is_told"), [("N/A", True), ("none", True), ("-", True), ("7", False), (7, False)]
)
def test_a_reference_that_may_stand_for_none_is_told_once(reference, is_told, caplog):
    warn_of_placeholder.cache_clear()
    for _ in range(2):
        assert Columns({"prompt": "Q", "reference": reference}).reference() == str(reference)
    assert len(caplog.messages) == is_told


@pytest.mark.parametrize("form", [lambda rubric: json.dumps(rubric.to_dict()), lambda rubric: rubric.text])
def test_a_whole_rubric_beside_its_digest_is_read(form):
    """As in a file that was graded."""
    row = {"prompt": "Q", "rubric": form(HELPFUL[0]), "rubric_digest": rubric_digest(HELPFUL[0])}
    assert Columns(row).rubrics(())[0].text == HELPFUL[0].text
    listed = {"prompt": "Q", "rubric": '["It is kind.", "It is short."]', "rubric_digest": "0"}
    assert len(Columns(listed).rubrics(())[0].leaves()) == 2


def test_a_question_in_json_is_asked_whole():
    asked = json.dumps({"messages": ["Hi?"], "model": "x"})
    assert example({"input": asked, "output": "Yes."}).prompt == asked


def test_a_row_with_a_digest_opens_no_file_either(tmp_path, monkeypatch):
    """A file could name code to run; its name is taken for the name of a rubric that is not here."""
    path = tmp_path / "rubric.yaml"
    path.write_text("- It is kind and short.\n")
    monkeypatch.setattr("prom_reward.rubrics.formats.read_yaml", lambda path: pytest.fail(f"{path} was opened"))
    with pytest.raises(RubricError, match=r"^got the rubric's name .* and the digest 0 of a text that is not here"):
        Columns({"prompt": "Q", "rubric": str(path), "rubric_digest": "0"}).rubrics(HELPFUL)


def test_a_built_in_name_with_spaces_is_known_beside_its_digest():
    row = {"prompt": "Q", "rubric": " helpfulness ", "rubric_digest": rubric_digest(HELPFUL[0])}
    assert Columns(row).rubrics(()) == HELPFUL
