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
    ],
)
def test_a_label_is_a_reference_or_columns(label, columns):
    assert label_columns(label) == columns
