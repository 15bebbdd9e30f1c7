import pytest

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
        ("{}", {"reference_answer": "{}"}),
        ('[{"rubric": "honesty"}]', {"reference_answer": '[{"rubric": "honesty"}]'}),
        ({"name": "Ada"}, {"name": "Ada"}),
    ],
)
def test_a_label_is_a_reference_or_columns(label, columns):
    assert label_columns(label) == columns


def test_a_label_may_hold_columns_that_the_server_was_told_of():
    label = '{"info": {"notes": ["honesty"]}}'
    assert label_columns(label, ["info.notes[0]"]) == {"info": {"notes": ["honesty"]}}
