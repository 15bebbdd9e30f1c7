import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from prom_reward.errors import ConfigError, RubricError
from prom_reward.rubrics.rubric import Rubric, builtin_names, builtin_rubric, parse_rubrics
from prom_reward.rubrics.scale import ScoreScale
from prom_reward.types import GradingRequest
from tests.strategies import rubrics

LEVELS = {f"score{score}_description": f"Level {score}." for score in range(1, 6)}
COLLECTION = {f"orig_score{score}_description": f"Level {score}." for score in range(1, 6)}
TEXT = "[Is it right?]\nScore 1: Level 1.\nScore 2: Level 2.\nScore 3: Level 3.\nScore 4: Level 4.\nScore 5: Level 5."
DESCRIPTIONS = {score: f"Level {score}." for score in range(1, 6)}
RIGHT = Rubric(name="is_it_right", criteria="Is it right?", descriptions=DESCRIPTIONS)
readable_scales = st.builds(ScoreScale, st.just(1), st.integers(5, 12)) | st.builds(
    ScoreScale, st.just(0), st.integers(1, 10)
)


def _message(value) -> str:
    with pytest.raises(RubricError) as caught:
        Rubric.parse(value)
    return str(caught.value)


def test_a_scale_lists_its_labels_and_maps_them_to_the_unit_interval():
    scale = ScoreScale(0, 4)
    assert scale.labels == (0, 1, 2, 3, 4)
    assert [scale.to_unit(score) for score in scale.labels] == [0, 0.25, 0.5, 0.75, 1]
    assert 0 in scale
    assert 5 not in scale
    assert 2.5 not in scale


@pytest.mark.parametrize(("low", "high"), [(5, 1), (3, 3), (-1, 3)])
def test_a_scale_without_a_worst_and_a_best_score_is_refused(low, high):
    with pytest.raises(RubricError) as caught:
        ScoreScale(low, high)
    assert str(caught.value) == f"scale {low} to {high}: expected 0 <= low < high; give the worst score first"


@pytest.mark.parametrize(
    "value",
    [
        RIGHT,
        TEXT,
        f"  {TEXT}\n\n",
        TEXT.replace(": ", ":"),
        TEXT.replace("Score", "  Score"),
        TEXT.replace("[", "    [").replace("Score", "\t- score"),
        json.dumps({"criteria": "Is it right?", **LEVELS}),
        {"criteria": "Is it right?", **{f"Score {score}": text for score, text in DESCRIPTIONS.items()}},
        {"criteria": "Is it right?", **LEVELS},
        {"orig_criteria": "Is it right?", **COLLECTION},
        {"criteria_description": "Is it right?", **LEVELS},
        {"criteria": "Is it right?", **{f"score_{score}": text for score, text in DESCRIPTIONS.items()}},
        {"criteria": "Is it right?", "descriptions": DESCRIPTIONS},
        {"criteria": "Is it right?", "descriptions": {str(score): text for score, text in DESCRIPTIONS.items()}},
        {"criteria": "Is it right?", "descriptions": list(DESCRIPTIONS.items())},
        {"criteria": "Is it right?", "scale": [1, 5], **LEVELS},
        {"criteria": "Is it right?", "scale": ScoreScale(1, 5), **LEVELS},
        {"criteria": "Is it right?", "name": None, "weight": None, "scale": None, "score6_description": None, **LEVELS},
        {"rubric": TEXT},
    ],
    ids=str,
)
def test_every_written_form_gives_the_same_rubric(value):
    assert Rubric.parse(value) == RIGHT


def test_the_text_is_the_one_that_prometheus_reads():
    assert RIGHT.text == TEXT


def test_descriptions_are_kept_in_the_order_of_the_scale():
    shuffled = {5: "Level 5.", 1: "Level 1.", 3: "Level 3.", 2: "Level 2.", 4: "Level 4."}
    assert list(Rubric(name="r", criteria="c", descriptions=shuffled).descriptions) == [1, 2, 3, 4, 5]


def test_rubrics_of_equal_values_hash_alike():
    assert len({RIGHT, Rubric.parse(TEXT)}) == 1


@given(st.data(), readable_scales)
def test_a_rendered_text_parses_to_the_rubric_it_came_from(data, scale):
    drawn = data.draw(rubrics(scale=scale))
    levels = {label: text.strip() for label, text in drawn.descriptions.items()}
    rubric = replace(drawn, criteria=drawn.criteria.strip(), descriptions=levels)
    parsed = Rubric.parse(rubric.text)
    assert (parsed.criteria, parsed.descriptions, parsed.scale) == (rubric.criteria, rubric.descriptions, scale)


def test_a_description_of_several_lines_stays_in_one_piece():
    rubric = replace(RIGHT, descriptions={**DESCRIPTIONS, 2: "First line.\nSecond: Score 9: no level.\n\nThird."})
    assert Rubric.parse(rubric.text).descriptions[2] == "First line.\nSecond: Score 9: no level.\n\nThird."


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(range(1, 11), ScoreScale(1, 10)), (range(4), ScoreScale(0, 3)), (range(1, 6), ScoreScale(1, 5))],
)
def test_an_unstated_scale_follows_the_levels(labels, expected):
    value = {"criteria": "c", "descriptions": {label: "d" for label in labels}}
    assert Rubric.parse(value).scale == expected


def test_a_stated_scale_allows_fewer_levels_than_five():
    assert Rubric.parse({"criteria": "c", "scale": [1, 3], "descriptions": dict.fromkeys(range(1, 4), "d")})


@pytest.mark.parametrize(
    ("missing", "hint"),
    [
        (1, "state another scale, for example scale: [2, 5]"),
        (4, "number the 4 levels without gaps, from 1 to 4, with scale: [1, 4]"),
        (5, "state another scale, for example scale: [1, 4]"),
    ],
)
def test_a_rubric_that_states_five_scores_and_describes_four_is_refused(missing, hint):
    levels = {key: text for key, text in LEVELS.items() if str(missing) not in key}
    expected = (
        f"rubric 'is_it_right' on the scale 1 to 5 has no description for [{missing}]; describe every score from "
        f"1 to 5, or {hint}"
    )
    assert _message({"criteria": "Is it right?", "scale": [1, 5], **levels}) == expected
    assert _message({"criteria": "Is it right?", **levels}) == expected
    assert _message(TEXT.replace(f"\nScore {missing}: Level {missing}.", "")) == expected


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ((1, 3, 5), "[2, 4]; describe every score from 1 to 5, or number the 3 levels without gaps, from 1 to 3, with "
         "scale: [1, 3]"),
        ((0, 50, 100), "[1, 2, 3, 4, 5, ...] (98 scores); describe every score from 0 to 100, or number the 3 levels "
         "without gaps, from 0 to 2, with scale: [0, 2]"),
        ((3,), "[1, 2, 4, 5]; describe every score from 1 to 5, or state another scale, for example scale: [1, 4]"),
    ],
)  # fmt: skip
def test_levels_with_gaps_are_told_how_to_number_them(labels, said):
    levels = {f"score{label}_description": f"Level {label}." for label in labels}
    assert _message({"criteria": "Is it right?", **levels}).endswith(f"has no description for {said}")
    text = "\n".join(["[Is it right?]", *(f"Score {label}: Level {label}." for label in labels)])
    assert _message(text).endswith(said)


def test_the_levels_are_taken_as_the_hint_says():
    levels = {"descriptions": {1: "Rude.", 2: "Neutral.", 3: "Polite."}, "scale": [1, 3]}
    assert Rubric.parse({"criteria": "Is it polite?", **levels}).scale.to_unit(2) == 0.5


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": 3}, "rubric 3: got 3 as the name; expected a text"),
        ({"name": None}, "rubric None: got None as the name; expected a text"),
        ({"criteria": None}, "rubric 'x': got None as the criteria; expected a text"),
        ({"descriptions": {1: None}}, "rubric 'x': got None as the description of score 1; expected a text"),
        (
            {"descriptions": {"1": "a"}},
            "rubric 'x': got the descriptions {'1': 'a'}; expected a text for each whole score",
        ),
        ({"descriptions": ["a"]}, "rubric 'x': got the descriptions ['a']; expected a text for each whole score"),
    ],
)
def test_fields_of_another_type_are_refused(changed, said):
    with pytest.raises(RubricError) as caught:
        Rubric(**{"name": "x", "criteria": "c", "descriptions": DESCRIPTIONS, **changed})
    assert str(caught.value) == said


def test_three_levels_without_a_scale_are_told_the_scale_to_state():
    levels = {key: text for key, text in LEVELS.items() if key[5] in "123"}
    assert _message({"criteria": "Is it right?", **levels}).endswith("for example scale: [1, 3]")


@pytest.mark.parametrize("name", ["rubric.txt", "rubrics/polite.md"])
def test_a_file_of_another_kind_is_said_to_be_one(name):
    assert _message(name).endswith("A file of rubrics ends in .yaml, .yml or .json.")


def test_a_level_off_the_stated_scale_is_refused():
    message = _message({"criteria": "c", "scale": [1, 4], **LEVELS})
    assert message.startswith("rubric 'c' on the scale 1 to 4 has a description for [5], which is off the scale;")


@pytest.mark.parametrize("scale", ["1-5", 5, [1], [1, 3, 5], ["low", 5], [None, None], [1.5, 5], {"low": 1}])
def test_a_scale_of_another_form_is_refused(scale):
    message = _message({"criteria": "c", "scale": scale, **LEVELS})
    assert message == f"got the scale {scale!r}; expected [low, high], for example [1, 5]"


@pytest.mark.parametrize("descriptions", [{"one": "Bad."}, {float("inf"): "Bad."}, "Bad.", ["Bad.", "Good."], 5])
def test_descriptions_without_scores_are_refused(descriptions):
    expected = f"got the descriptions {descriptions!r}; expected a text for each score, for example {{1: 'Wrong.'}}"
    assert _message({"criteria": "c", "descriptions": descriptions}) == expected


@pytest.mark.parametrize("value", [LEVELS, {**LEVELS, "criteria": None}, {**LEVELS, "criteria": 5}])
def test_missing_criteria_are_refused(value):
    message = _message(value)
    assert message.startswith("got a rubric with the keys ['")
    assert message.endswith("]; expected 'criteria' and 'score1_description'...")


@pytest.mark.parametrize("criteria", ["", "  \n"])
def test_empty_criteria_are_refused(criteria):
    expected = "rubric 'rubric': got empty criteria, expected the question to judge by"
    assert _message({"criteria": criteria, **LEVELS}) == expected


def test_a_rubric_without_levels_is_refused():
    assert _message({"criteria": "c"}) == "rubric 'c' describes no score; expected 'score1_description'..."


def test_an_unknown_key_is_refused_with_its_near_miss():
    expected = (
        "unknown key 'citeria' in a rubric; expected 'criteria', 'score1_description'..., 'name', 'weight', 'scale'. "
        "Did you mean 'criteria'?"
    )
    assert _message({"citeria": "c", **LEVELS}) == expected


def test_an_unknown_key_beside_a_named_rubric_is_refused_with_its_near_miss():
    expected = "unknown key 'wieght' beside 'rubric'; expected 'weight', 'name'. Did you mean 'weight'?"
    assert _message({"rubric": "honesty", "wieght": 2}) == expected


def test_an_unknown_name_is_refused_with_its_near_miss():
    expected = (
        "unknown rubric 'helpfulnes'; expected one of factual_validity, harmlessness, helpfulness, honesty, "
        "reasoning, or a rubric text '[criteria]' with 'Score 1: ...' lines. Did you mean 'helpfulness'?"
    )
    assert _message("helpfulnes") == expected


@pytest.mark.parametrize("text", ["[Is it right?]", "Is it right?\nScore 1: No.", "[a\nScore 1: No.", "two\nlines"])
def test_a_text_that_is_no_rubric_is_refused(text):
    assert _message(text) == (
        f"got the rubric text {text!r}; expected '[criteria]' on the first line and a line 'Score n: ...' "
        "for every score"
    )


def test_a_score_described_twice_is_refused():
    message = _message(f"{TEXT}\nScore 2: Again.")
    assert message == "the rubric text describes score 2 twice; expected one line a score"


@pytest.mark.parametrize("weight", [0, -1, math.nan, math.inf, True, "2"])
def test_a_weight_that_is_no_positive_number_is_refused(weight):
    expected = f"rubric 'is_it_right': got the weight {weight!r}, expected a number over 0"
    assert _message({"criteria": "Is it right?", "weight": weight, **LEVELS}) == expected
    assert _message({"rubric": TEXT, "weight": weight}) == expected


@pytest.mark.parametrize("value", [None, 5, [], (), True, b"honesty"])
def test_other_values_are_refused_with_the_forms_that_count(value):
    message = _message(value)
    assert message.startswith(f"got {value!r} as a rubric; expected a built-in name (factual_validity, ")
    assert message.endswith(
        "a mapping with 'criteria' and 'score1_description'..., a rendered rubric text, or a list of these"
    )


def test_a_list_holds_several_rubrics_with_weights():
    honest, right = {"rubric": "honesty", "weight": 2}, {"rubric": TEXT, "weight": 0.25, "name": "right"}
    parsed = Rubric.parse([honest, right, [{"criteria": "c", "weight": 3, **LEVELS}]])
    assert [(rubric.name, rubric.weight) for rubric in parsed] == [("honesty", 2), ("right", 0.25), ("c", 3)]


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        ("honesty", "'honesty'"),
        ({"rubric": "honesty"}, "'honesty'"),
        ({"rubric": "honesty", "weight": None}, "'honesty'"),
        ({"criteria": "Is it right?", **LEVELS}, "'Is it right?'"),
        ({"rubric": {"criteria": "Is it right?", **LEVELS}}, "number 2"),
    ],
)
def test_a_list_in_which_one_rubric_has_no_weight_is_refused(other, shown):
    value = [{"rubric": "helpfulness", "weight": 0.7}, other]
    expected = f"got rubrics with a weight, and {shown} without one; give all of them a weight, or none"
    assert _message(value) == expected
    assert _message(json.dumps([value[0], {"rubric": "honesty"}])).startswith(
        "got rubrics with a weight, and 'honesty'"
    )


def test_a_rubric_that_is_read_already_says_nothing_of_its_weight():
    assert [one.weight for one in Rubric.parse([RIGHT, {"rubric": "honesty", "weight": 2}])] == [1, 2]


def test_an_inner_weight_holds_where_the_outer_one_is_absent():
    inner = {"criteria": "c", "weight": 3, **LEVELS}
    assert Rubric.parse({"rubric": inner}).weight == 3
    assert Rubric.parse({"rubric": inner, "weight": 2}).weight == 2


def test_a_weight_for_several_rubrics_at_once_is_refused():
    assert "got 2 rubrics under 'rubric'" in _message({"rubric": ["honesty", "reasoning"], "weight": 2})


def test_one_rubric_and_several_both_parse_to_a_tuple():
    assert parse_rubrics(TEXT) == (RIGHT,)
    assert parse_rubrics([TEXT, RIGHT]) == (RIGHT, RIGHT)


def test_keys_that_arrow_pads_with_none_count_as_absent():
    from datasets import Dataset

    mappings = [
        {"criteria": "Is it right?", **LEVELS},
        {"criteria": "Is it short?", "scale": [1, 3], **{f"score{label}_description": "d" for label in (1, 2, 3)}},
        {"orig_criteria": "Is it right?", **COLLECTION},
        {"rubric": TEXT, "weight": 0.5},
    ]
    rows = Dataset.from_dict({"rubric": mappings})["rubric"]
    assert rows[1]["score5_description"] is None
    parsed = [Rubric.parse(row) for row in rows]
    assert [rubric.scale for rubric in parsed] == [ScoreScale(), ScoreScale(1, 3), ScoreScale(), ScoreScale()]
    assert [rubric.weight for rubric in parsed] == [1, 1, 1, 0.5]
    assert parsed[0] == parsed[2] == RIGHT


@pytest.mark.parametrize(
    ("criteria", "name"),
    [
        ("Is the answer, at all times, brief & right?", "is_the_answer_at_all_times"),
        ("是否正确?", "是否正确"),
        ("?!", "rubric"),
    ],
)
def test_an_unnamed_rubric_is_called_by_its_first_words(criteria, name):
    assert Rubric.parse({"criteria": criteria, **LEVELS}).name == name


@pytest.mark.parametrize("name", builtin_names())
def test_every_built_in_rubric_describes_one_to_five_and_round_trips(name):
    rubric = builtin_rubric(name)
    assert (rubric.name, rubric.scale, rubric.weight) == (name, ScoreScale(1, 5), 1.0)
    assert Rubric.parse(f" {name}\t") is rubric
    assert Rubric.parse(rubric.text).descriptions == rubric.descriptions


def test_the_built_in_rubrics_are_the_five_of_prometheus():
    assert builtin_names() == ["factual_validity", "harmlessness", "helpfulness", "honesty", "reasoning"]


def test_a_scale_of_thousands_is_refused_in_one_short_line():
    with pytest.raises(RubricError, match=r"^scale 1 to 5000: expected at most 101 scores$"):
        Rubric.parse("[Is it right?]\nScore 1: no\nScore 5000: yes")


def test_json_text_of_several_rubrics_is_several():
    written = json.dumps([{"criteria": "Is it right?", "weight": 1, **LEVELS}, {"rubric": "honesty", "weight": 2}])
    assert Rubric.parse(written) == (RIGHT, replace(builtin_rubric("honesty"), weight=2))


@pytest.mark.parametrize("ending", ["yaml", "YML", "json"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_files_path_is_a_rubric_wherever_one_is_expected(tmp_path, ending, kind):
    path = tmp_path / f"rubric.{ending}"
    path.write_text(json.dumps({"criteria": "Is it right?", **LEVELS}))
    assert Rubric.parse(kind(path)) == RIGHT
    assert Rubric.parse([kind(path), "honesty"]) == (RIGHT, builtin_rubric("honesty"))
    assert GradingRequest(instruction="i", response="r", rubric=kind(path)).rubric == RIGHT


def test_a_file_with_two_rubrics_is_refused_if_one_is_expected(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(json.dumps({name: {"criteria": "Is it right?", **LEVELS} for name in ("first", "second")}))
    assert [rubric.name for rubric in parse_rubrics(path)] == ["first", "second"]
    assert _message(path) == f"got 2 rubrics in {path} (first, second); expected one"
    with pytest.raises(RubricError, match="got 2 rubrics"):
        GradingRequest(instruction="i", response="r", rubric=str(path))


def test_a_file_that_is_no_rubric_is_named(tmp_path):
    path = tmp_path / "none.yaml"
    path.write_text("criteria: c\n")
    assert _message(path).startswith(f"{path}: rubric 'c' describes no score")
    with pytest.raises(ConfigError, match=r"missing\.yaml: cannot read"):
        Rubric.parse(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    "checklist",
    [
        [{"title": "Names yeast", "description": "Essential Criteria: names yeast.", "weight": 5}],
        [{"criterion": "Names yeast.", "points": 5, "tags": ["axis:accuracy"]}],
        json.dumps([{"criterion": "Names yeast.", "points": -5}]),
    ],
)
def test_a_checklist_is_refused_if_a_rubric_with_levels_is_expected(checklist):
    assert "got a checklist's criterion" in _message(checklist)
    assert "expected a rubric with levels" in _message(checklist)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"score1": "A", "score1_description": "B"}, "score 1 twice"),
        ({"score1": "A", "descriptions": {1: "B"}}, "score 1 twice"),
        ({"descriptions": {1: "A", 1.5: "B"}}, "expected a text for each score"),
        ({"score1": {"text": "A"}}, "expected a text"),
    ],
)
def test_levels_that_contradict_each_other_are_refused(more, message):
    with pytest.raises(RubricError, match=message):
        Rubric.parse({"criteria": "Is it kind?", **more})


def test_what_a_table_fills_with_nan_is_absent_and_no_text():
    nan = float("nan")
    assert Rubric.parse({"criteria": "Is it right?", "name": nan, "score6_description": nan, **LEVELS}) == RIGHT
    for levels in ({**LEVELS, "score3_description": nan}, {"descriptions": {**DESCRIPTIONS, 3: nan}}):
        with pytest.raises(RubricError, match=r"no description for \[3\]"):
            Rubric.parse({"criteria": "Is it right?", **levels})
