import pytest

from prom_reward.data.advice import of_request
from prom_reward.data.columns import Columns
from prom_reward.errors import RubricError
from prom_reward.rewards.batch import RowReader


@pytest.mark.parametrize(
    ("row", "advised", "in_request"),
    [
        ({"grading_notes": "Be kind."}, "--column rubric=grading_notes, or with rubric_column=", "send it as 'rubric'"),
        ({"criteria": "Is it kind?"}, "--column rubric=criteria, or with rubric_column=", "send it as 'rubric'"),
        ({"rubric": "x.yaml"}, "the file for all rows as --rubric or rubric=", "the rubric itself in a request"),
        ({"rubric": "mine", "rubric_digest": "1f"}, "give the text with --rubric or", "send the text as 'rubric'"),
    ],
)
def test_a_row_that_came_in_a_request_gets_advice_without_options(row, advised, in_request):
    with pytest.raises(RubricError, match=advised):
        Columns(row).own_rubrics()
    with of_request(), pytest.raises(RubricError, match=f"{in_request}$") as raised:
        Columns(row).own_rubrics()
    assert "--" not in str(raised.value)


def test_a_request_without_a_rubric_is_told_of_its_fields():
    with pytest.raises(RubricError, match="pass rubric= "):
        RowReader().requests(["Hi"], ["Ho"], {}, guard=True)
    with of_request(), pytest.raises(RubricError, match=r"send 'rubric' in each row .* or ask for a server with one$"):
        RowReader().requests(["Hi"], ["Ho"], {}, guard=True)
