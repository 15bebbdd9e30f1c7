import pytest

from prom_reward.errors import RowError
from prom_reward.prompts.messages import read_messages
from prom_reward.prompts.unread_words import _warn_of_words

WILDCHAT = {
    "language": "English",
    "toxic": False,
    "country": "Chile",
    "header": {"user-agent": "Mozilla"},
    "redacted": False,
}
SHAREGPT = {"weight": 1, "loss": True, "id": "a1", "model": "m", "finish_reason": "stop", "timestamp": "2024-01-01"}
INVOCATION = {"state": "result", "toolName": "add", "args": {"a": 1}, "result": "3"}


@pytest.mark.parametrize(
    "others",
    [
        {"attachments": [{"text": "1 2"}]},
        {"toolInvocations": [INVOCATION]},
        {"output": "3"},
        {"documents": ["1 2"]},
        {"image_path": "a.png"},
    ],
)
def test_words_under_another_key_are_told_once_or_refused(others, caplog):
    _warn_of_words.cache_clear()
    [key] = others
    for _ in range(2):
        assert read_messages([{"role": "user", "content": "Sum.", **others}])[0].text == "Sum."
    assert [f"words under {key!r}" in message for message in caplog.messages] == [True]
    for empty in (None, ""):
        with pytest.raises(RowError, match=f"messages, message 1: got no content, but words under {key!r}"):
            read_messages([{"role": "assistant", "content": empty, **others}])


def test_a_message_may_do_nothing_but_offer_tools(caplog):
    _warn_of_words.cache_clear()
    assert read_messages([{"role": "system", "content": "", "tools": '[{"name": "add"}]'}])[0].text == ""
    assert "words under 'tools'" in caplog.text


FACTS = {"tool_use_id": "abc", "tool_id": "a", "tool_ids": ["a"], "tool_status": "done", "toolName": "add"}


@pytest.mark.parametrize(
    "others",
    [
        WILDCHAT,
        SHAREGPT,
        FACTS,
        {"tool_name": "add", "tool_type": "mcp", "toolUseId": "a", "tool_choice": "auto"},
        {"attachments": None, "files": [], "output": [{"text": None}]},
    ],
)
@pytest.mark.parametrize("content", ["Sum.", "", None])
def test_facts_about_a_message_are_no_words_of_it(others, content, caplog):
    _warn_of_words.cache_clear()
    assert read_messages([{"role": "user", "content": content, **others}])[0].text == (content or "")
    assert not caplog.messages
