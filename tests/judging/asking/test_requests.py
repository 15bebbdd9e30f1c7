import pytest

from prom_reward import ComparisonRequest, GradingRequest, PrometheusJudge, Rubric, ScriptedEngine
from prom_reward.errors import RowError, RubricError

ROW = {"instruction": "Capital?", "response": "Paris.", "rubric": "helpfulness"}
PAIR = {"instruction": "Capital?", "response_a": "Paris.", "response_b": "Lyon.", "rubric": "helpfulness"}


def judge(answer="[RESULT] 4"):
    return PrometheusJudge(ScriptedEngine([answer]))


def test_mappings_are_graded_and_compared_as_requests_are():
    request = GradingRequest(instruction="Capital?", response="Paris.", rubric=Rubric.parse("helpfulness"))
    assert judge().grade([ROW, request])[0] == judge().grade([request])[0]
    by_mapping, by_request = judge("[RESULT] A"), judge("[RESULT] A")
    assert by_mapping.compare([PAIR]) == by_request.compare([ComparisonRequest(**PAIR)])
    assert by_mapping.engine.prompts == by_request.engine.prompts


@pytest.mark.parametrize(
    ("requests", "error", "message"),
    [
        (ROW, RowError, "got dict; expected a list of requests"),
        (GradingRequest(**ROW), RowError, "got GradingRequest; expected a list of requests"),
        ("Paris.", RowError, "got str; expected a list of requests"),
        (None, RowError, "got NoneType; expected a list of requests"),
        (["Paris."], RowError, "got 'Paris.' as a request; expected a GradingRequest, or a mapping with instruction"),
        ([ComparisonRequest(**PAIR)], RowError, "as a request; expected a GradingRequest"),
        ([{**ROW, "respons": "x"}], RowError, "got 'respons' in a request; .* Did you mean 'response'?"),
        (
            [{"instruction": "Capital?"}],
            RowError,
            "got a request without response, rubric; expected instruction, response, rubric",
        ),
        ([{}], RowError, "got a request without instruction, response, rubric; expected"),
        ([{**ROW, "response": 3}], RowError, "got 3 as the response; expected a text"),
        ([{**ROW, "rubric": "helpfullness"}], RubricError, "Did you mean 'helpfulness'"),
    ],
)
def test_a_request_of_the_wrong_form_is_one_clear_line(requests, error, message):
    with pytest.raises(error, match=message) as raised:
        judge().grade(requests)
    assert "\n" not in str(raised.value)
