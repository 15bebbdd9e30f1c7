import pytest

from prom_reward import ComparisonRequest, GradingRequest, PrometheusJudge, Rubric, ScriptedEngine
from prom_reward.errors import RowError, RubricError
from prom_reward.judging.asking import requests as requests_module

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


@pytest.fixture
def warnings_of_thoughts(caplog):
    requests_module._warn_of_thoughts.cache_clear()
    return lambda: [record.message for record in caplog.records if "to hold thoughts" in record.message]


@pytest.mark.parametrize(
    "response",
    [
        *("<think>Easy.</think>Paris.", "<think>\nCut off", "Easy.</think>Paris.", "<think>\n\n</think>\n\nParis."),
        *("<think>Easy.</think>", "<|channel|>analysis<|message|>Easy", "<|channel|>analysis<|message|>Easy.<|end|>"),
    ],
)
def test_thoughts_in_a_request_are_judged_and_named_once(response, warnings_of_thoughts):
    asked = judge()
    asked.grade([ROW, {**ROW, "response": response}, {**ROW, "response": response}])
    judge("[RESULT] A").compare([{**PAIR, "response_b": response}])
    assert len(warnings_of_thoughts()) == 1
    assert response.rpartition("|>")[2] in asked.engine.prompts[1].user  # the guard breaks up control tokens


@pytest.mark.parametrize(
    "response",
    [
        *("Paris.", " Paris.\n", "", "The mark `<think>` opens thoughts.", "[THINK] is Mistral's mark."),
        *("analysisResult = 3", "analysis(data frame) gives", "stop=</think>"),
    ],
)
def test_a_response_without_thoughts_is_not_named(response, warnings_of_thoughts):
    judge().grade([{**ROW, "response": response}])
    assert not warnings_of_thoughts()
