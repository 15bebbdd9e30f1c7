import pytest

from prom_reward.errors import RowError
from prom_reward.serving.protocols.labels import label_columns


@pytest.mark.parametrize(
    ("label", "columns"),
    [
        (None, {}),
        ("", {}),
        ("Seven", {"reference_answer": "Seven"}),
        (7, {"reference_answer": 7}),
        ("{not json", {"reference_answer": "{not json"}),
        ('{"rubric": "honesty"}', {"rubric": "honesty"}),
        ({"rubric": "honesty"}, {"rubric": "honesty"}),
        ('{"criteria": "Is it kind?"}', {"criteria": "Is it kind?"}),
        ('{"name": "Ada", "age": 3}', {"reference_answer": '{"name": "Ada", "age": 3}'}),  # the answer is JSON
        ('{"reference_answer": null, "rubric": null}', {}),
        ({"reference_answer": None, "rubric": None, "prompt": ""}, {}),
        ('{"reference_answer": "{\\"answer\\": 7}"}', {"reference_answer": '{"answer": 7}'}),
        ("{}", {"reference_answer": "{}"}),
        ('[{"rubric": "honesty"}]', {"reference_answer": '[{"rubric": "honesty"}]'}),
        ({"rubric": "honesty", "name": None}, {"rubric": "honesty"}),  # Arrow pads objects
        ('{"id": 7, "rubric": "honesty"}', {"id": 7, "rubric": "honesty"}),
        ('{"criteria": "x", "score1_description": "y"}', {"criteria": "x", "score1_description": "y"}),
        ('{"grading_notes": "Be strict."}', {"grading_notes": "Be strict."}),  # refused by the reader of rows
    ],
)
def test_a_label_is_a_reference_or_columns(label, columns):
    assert label_columns(label) == columns


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (
            '{"rubrc": "honesty"}',
            "label: unknown key 'rubrc'; expected some of rubric, .* Did you mean 'rubric'[?] An a",
        ),
        ('{"Reference Answer": "7"}', "unknown key 'Reference Answer'; .*Did you mean 'reference_answer'"),
        ('{"rubric": "honesty", "referense": "7"}', "unknown key 'referense'; .*Did you mean 'reference'"),
        ({"rubrc": "honesty"}, "unknown key 'rubrc'; .*Did you mean 'rubric'"),
        ({"name": "Ada"}, "unknown key 'name'; expected some of rubric, .*goes under 'reference_answer', as text$"),
        *((f'{{"{key}": "7"}}', f"unknown key '{key}'; ") for key in ("answer", "gold", "expected", "Answer")),
        ({"answer": "7"}, "unknown key 'answer'; "),
        ('{"rubric": "honesty", "difficulty": 3}', "unknown key 'difficulty'; expected some of rubric, ref"),
        ({"criteria": "x", "score1_descripton": "y"}, "Did you mean 'score1_description'"),
    ],
)
def test_an_unknown_key_of_a_label_is_refused(label, message):
    with pytest.raises(RowError, match=message) as raised:
        label_columns(label)
    assert "\n" not in str(raised.value)


def test_a_label_may_hold_columns_that_the_server_was_told_of():
    label = '{"info": {"notes": ["honesty"]}}'
    assert label_columns(label, ["info.notes[0]"]) == {"info": {"notes": ["honesty"]}}
