import pytest

from prom_reward.data.doubts.dialogues import unread_dialogue
from prom_reward.data.formats import RowFormat

HH = "\n\nHuman: Hi?\n\nAssistant: Yes?\n\nHuman: Why?\n\nAssistant:"


@pytest.mark.parametrize(
    ("prompt", "speakers"),
    [
        ("Human: Hi?\nAssistant: Yes?\nHuman: Why?\nAssistant:", "Human: and Assistant:"),
        ("\n\nHuman: Hi?\nAssistant: Yes?\n\nHuman: Why?\n\nAssistant:", "Human: and Assistant:"),  # one turn is lost
        ("User: Hi?\nBot: Yes?\nUser: Why?", "User: and Bot:"),
        ("User: Hi?\n\nAssistant: Yes?\n\nUser: Why?", ""),  # as the judge reads messages
        ("User: Hi?\nAssistant: Yes?\nUser: Why?", "User: and Assistant:"),
        ("USER: Hi? \nASSISTANT:", "USER: and ASSISTANT:"),
        ("**User**: Hi?\n**AI**: Yes?", "User: and AI:"),
        ("H: Hi?\nA: Yes?\nH: Why?", "H: and A:"),
        ("user\nHi?\nassistant\nYes?\nuser\nWhy?\nassistant\n", "lines 'user' and 'assistant'"),
        ("system\nBe kind.\nuser\nWhy?", "lines 'system' and 'user'"),
        ("user\n\nWhy?\nmodel\n", "lines 'user' and 'model'"),
        ("user\nassistant\nsystem", ""),  # a list
        ("Roles:\nuser\nassistant", ""),
        ("system\nfailure\nmodel\nT-1000", ""),
        ("user\nguide", ""),
        (HH, ""),
        (HH.replace("Human", "H").replace("Assistant", "A"), ""),
        ("Q: 1 + 1?\nA: 2\nQ: 2 + 2?\nA:", ""),  # examples
        ("Go on with this text.\nUser: Hi?\nBot: Yes?", ""),  # it is about a dialogue
        ("User: Hi?\nUser: Are you there?", ""),
        ("Name a prime. User: and Bot: are words.", ""),
        ([{"role": "user", "content": "User: Hi?\nBot: Yes?"}], ""),
    ],
)
def test_a_dialogue_that_is_read_as_one_text_is_named_by_its_speakers(prompt, speakers):
    assert unread_dialogue(RowFormat(columns={}).example({"prompt": prompt, "response": "So."})) == speakers


def test_a_response_with_turns_of_others_is_named():
    row = {"prompt": "Why?", "response": "User: Hi?\n\nAssistant: Yes?"}
    assert unread_dialogue(RowFormat(columns={}).example(row)) == "User: and Assistant:"


@pytest.mark.parametrize("is_pair", [False, True])
def test_hhs_own_rows_are_silent(is_pair):
    row = {"chosen": f"{HH} So.", "rejected": f"{HH} No."} if is_pair else {"prompt": HH, "response": " So."}
    assert unread_dialogue(RowFormat(columns={}).example(row)) == ""
