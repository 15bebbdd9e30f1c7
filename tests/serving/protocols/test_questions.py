import pytest

from prom_reward.errors import RowError
from prom_reward.serving.protocols.questions import content_text, question_rubric


def test_content_is_a_text_or_json():
    assert content_text({"a": 1}, "state") == '{\n "a": 1\n}'
    assert content_text([{"type": "input_json", "data": {"a": 1}}], "input") == '{\n "a": 1\n}'
    with pytest.raises(RowError):
        question_rubric("q", "?", ["one"])
