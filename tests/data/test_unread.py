import pytest

from prom_reward.data.formats import RowFormat
from prom_reward.data.unread import unread_columns
from prom_reward.rubrics.rubric import Rubric

HELPFUL = (Rubric.parse("helpfulness"),)
ASK, YES = [{"role": "user", "content": "Hi?"}], [{"role": "assistant", "content": "Yes."}]


def example(values):
    return RowFormat(columns={}).example(values)


@pytest.mark.parametrize(
    ("more", "unread"),
    [
        ({"question": "Another question?"}, ["question"]),
        ({"answer": "42"}, ["answer"]),
        ({"instruction": "Hi?"}, []),  # it repeats the prompt
        ({"messages": ASK + YES}, []),
        ({"system": ""}, []),
        ({"tools": [{"name": "search"}]}, ["tools"]),
        ({"responses": ["Another one."]}, ["responses"]),
        ({"choices": ["Rome", "Oslo"]}, ["choices"]),
        ({"retrieved_contexts": ["Rome is old."]}, ["retrieved_contexts"]),
        ({"image": {"bytes": b"GIF", "path": None}, "images": []}, ["image"]),
        ({"Reference Answer": "No.", "System": "Be brief."}, ["System", "Reference Answer"]),
    ],
)
def test_columns_of_known_meaning_that_stay_unread_are_named(more, unread):
    found = example({"prompt": "Hi?", "response": "Yes.", **more})
    found.requests(HELPFUL)
    assert unread_columns(found.columns) == unread


def test_a_system_text_of_each_response_is_named_as_unread():
    answers = [{"response": "Yes.", "custom_system_prompt": "Be kind."}, {"response": "No."}]
    found = example({"instruction": "Hi?", "completions": answers})
    assert unread_columns(found.columns) == ["completions[0].custom_system_prompt"]
