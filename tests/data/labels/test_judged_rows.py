from prom_reward.data.formats import RowFormat
from prom_reward.data.labels.judged_rows import holds_judgment, judged_responses
from prom_reward.data.rows import BrokenRow, Row
from prom_reward.rewards.judgment_log import judgment_record
from prom_reward.types import Judgment, Outcome

GOOD = Judgment(outcome=Outcome.SCORED, score=4, expected_score=3.5)


def rows(*values):
    return [Row(f"line {at}", one) for at, one in enumerate(values, start=1)]


def test_a_log_is_read_back(request_of):
    record = judgment_record(request_of("Paris."), GOOD)
    [found], broken = judged_responses(rows(record))
    assert (found.response, found.judgments, broken) == ("Paris.", {record["rubric"]: GOOD}, [])
    assert holds_judgment(rows(record)[0])


def test_several_rubrics_of_one_response_come_together():
    one = {"prompt": "Q", "response": "A", "rubric_name": "a", "outcome": "scored", "score": 4}
    found, _ = judged_responses(rows(one, {**one, "rubric_name": "b"}, one, {**one, "response": "B"}))
    assert [(row.place, sorted(row.judgments)) for row in found] == [
        ("line 1", ["a", "b"]),
        ("line 3", ["a"]),
        ("line 4", ["a"]),
    ]


def test_rows_without_a_judgment_are_named():
    _, broken = judged_responses(
        [
            *rows({"response": "A"}, {"outcome": "scored", "score": 4}, {"outcome": "fine", "rubric": "a"}),
            BrokenRow("line 4", "bad"),
        ]
    )
    assert [row.place for row in broken] == ["line 1", "line 2", "line 3", "line 4"]
    assert "rubric's name" in broken[1].problem


def test_a_value_that_is_no_number_is_named():
    part = {"name": "a", "weight": 1, "value": "high"}
    row = {"prompt": "Q", "response": "A", "rubric": "list", "outcome": "scored", "score": 4}
    found, broken = judged_responses(rows({**row, "parts": [part]}, {**row, "expected_score": "3"}))
    assert (found, ["expected a number" in one.problem for one in broken]) == ([], [True, True])


def test_graded_rows_are_read_in_every_layout():
    verdict = {"rubric_name": "a", "outcome": "scored", "score": 4}
    talk = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A B"}]
    given = [{"messages": talk}, {"prompt": talk[:1], "completion": talk[1:]}, {"asked": "Q", "said": "A B"}]
    named = RowFormat(columns={"prompt": "asked", "response": "said"})
    found, broken = judged_responses(rows(*({**one, **verdict} for one in given)), named)
    assert ([(one.instruction, one.response) for one in found], broken) == ([("Q", "A B")] * 3, [])
    _, broken = judged_responses(rows({"prompt": "Q", "completions": ["A", "B"], **verdict}))
    assert "got several responses" in broken[0].problem
