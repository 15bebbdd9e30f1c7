import json

from hypothesis import given, strategies as st

from prom_reward.explorer.details import criteria_of, details_of
from prom_reward.explorer.judged import Meeting, Standing
from prom_reward.rubrics.checklists.checklist import Part
from tests.explorer.judged import judged


def test_criteria_judges_and_comparisons_are_one_text():
    one = judged(
        parts=(
            Part(name="short", weight=1, value=1.0, effect=0.123456, source="code"),
            Part(name="true", weight=-2, value=None, feedback="Who knows.", error="it cannot be told"),
        ),
        judge_scores={"cheap": 2.00001, "strong": None},
        standing=Standing(1, 0.5, 0.25, [Meeting(0, 0.75, (0.9, 0.6), ("Better.", "")), Meeting(4, None)]),
    )
    assert json.loads(details_of(one)) == {
        "parts": [
            ["short", 1, 1.0, 0.1235, "code", "", None],
            ["true", -2, None, None, "judge", "Who knows.", "it cannot be told"],
        ],
        "judges": {"cheap": 2.0, "strong": None},
        "standing": {
            "place": 1,
            "score": 0.5,
            "error": 0.25,
            "meetings": [[0, 0.75, 0.9, 0.6, "Better.", ""], [4, None, None, None]],
        },
    }


def test_criteria_that_a_judge_decides_are_told_apart_from_those_of_code_and_of_older_logs():
    short = Part(name="short", weight=1, value=1.0, source="code", text="At most ten words?")
    closed = Part(name="true", weight=-2, value=None, source="nobody", text="True\ud800?")
    old = Part(name="old", weight=1, value=0.5)
    assert json.loads(criteria_of(judged(parts=(short, closed, old)))) == [{"name": "true", "text": "True\ud800?"}]
    assert criteria_of(judged(parts=(short, old))) == ""


def test_a_judgment_without_any_has_no_text():
    assert details_of(judged()) == ""


@given(st.text(st.characters(exclude_categories=())))
def test_any_name_stays_what_it_is(name):
    found = details_of(judged(judge_scores={name: 1.0}, parts=(Part(name=name, weight=1, value=None),)))
    assert found.isascii()
    assert json.loads(found)["judges"] == {name: 1.0}


def test_judges_disagree_by_their_largest_difference():
    assert judged(judge_scores={"a": 1.5, "b": None, "c": 4.0}).disagreement == 2.5
    assert judged(judge_scores={"a": 1.5, "b": None}).disagreement is None
