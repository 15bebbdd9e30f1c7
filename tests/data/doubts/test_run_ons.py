import pytest

from prom_reward.data.doubts.run_ons import run_on
from prom_reward.data.formats import RowFormat
from prom_reward.data.recognition import Recognition
from prom_reward.data.rows import read_rows
from prom_reward.prompts.transcripts import DIALOGUE_OPENING


def found(response, prompt="Why is it so?"):
    return run_on(RowFormat(columns={}).example({"prompt": prompt, "response": response}))


@pytest.mark.parametrize(
    ("response", "mark"),
    [
        ("It is so.\n\nUser: And why is that?", "User:"),
        ("It is so.\nHuman: And why?\nAssistant: Because.", "Human:"),
        ("It is so.\n\n### Human: And why is that?\n\n### Assistant:", "Human:"),
        ("It is so.\n**User:** And why is that?", "User:"),
        ("It is so.\n\n### Instruction:\nName a prime.\n\n### Response:\nSeven.", "Instruction:"),
        ("It is so. USER: And why? ASSISTANT: Because.", "USER:"),
        ("It is so.\n[INST] And why? [/INST]", "[INST]"),
        ("It is so.\nuser\nAnd why is that?\nassistant\nBecause.", "a line 'user'"),
        ("72\nuser\nAnd why?\nmodel\nBecause.", "a line 'user'"),
        ("It is so.\nuser\nAnd why is that?", "a line 'user'"),
        ("It is so.\nassistant\nIt is still so.", "a line 'assistant'"),
        ("It is so.assistant\n\nIt is still so.", "the word 'assistant' and a blank line"),
        ("It is so.user\n\nAnd why?", "the word 'user' and a blank line"),
        ("```\nx = 1\n```\n\nHuman: And why is that?", "Human:"),
        ("It is so.\nHuman: And why?\nAI: Because.", "Human:"),
        ("1. So.\n2. Or so.\nUser: Go on.\nBot: 3. Or so.", "User:"),
        ("It is so. USER: Go on. ASSISTANT: It is.", "USER:"),
        ("It is so. USER: And why is that?", "USER:"),
        ("It costs 3.5 of them. See `x = 1`.\nIt is so (as told).user\n\nAnd why?", "the word 'user' and a blank line"),
        ("**It is so.**user\n\nAnd why?", "the word 'user' and a blank line"),
        ("Yes.user\n\nAnd why?", "the word 'user' and a blank line"),
        ("So $x = 5$ holds.assistant\n\nNext.", "the word 'assistant' and a blank line"),
        ("Divide by 2, so x = 5.user\n\nAnd why?", "the word 'user' and a blank line"),
        ("Here is your message.assistant\n\nIt is here.", "the word 'assistant' and a blank line"),
    ],
)
def test_the_next_turn_after_an_answer_is_found(response, mark):
    assert found(response) == mark
    assert found(response, f"{DIALOGUE_OPENING}\nUser: Why?\n\nAssistant: ") == mark
    assert found(response, [{"role": "user", "content": "Why?"}]) == mark
    assert found(response, "Write a dialogue about it.") == ""


@pytest.mark.parametrize(
    "response",
    [
        "Here is an example:\n\nUser: Why is it so?\nBot: Because.",  # an answer that shows one
        "**It could be:**\n\nHuman: Why is it so?\nAssistant: Because.",
        "User: Why is it so?\nAssistant: Because.\nUser: And why is that?",  # it is a dialogue
        "A form:\nName: Ada\nUser: ada of the team\nPassword: x",
        "Chromosomes.\nDog: 78 of them all\nHuman: 46 of them all\nCat: 38 of them all",
        "It needs two things.\nUser: admin",
        "```\nIt is so.\nUser: And why is that?\n```",
        "The roles are these.\nuser\nassistant\nsystem",
        "The table has columns:\nuser\nThe one who asks.",
        "FROM\nuser\nWHERE id = 3",
        "$ whoami\nuser\n$ ls -la",
        "An assistant\n\nhelps.",
        "It is so.\nThe user\nasks for more.",
        "It is so. The USER: part is over.",
        "It is so.\n### Instructions:\nMix it all well.",
        "The two differ in three ways.\n\n**Human:** learns from few examples.\n\n**AI:** needs many examples.",
        "The two differ.\n\nHuman: learns from few examples.\nIt is quick.\n\nChatGPT: needs many.\n\nIt is slow.",
        "The system has three roles.\n\nUser: can browse the pages.\nAgent: can reply.\nAdmin: can do all.",
        "The API has roles.\n\nSystem: sets the rules.\nUser: asks the question.\nAssistant: answers it.",
        "Laptop handed out.\nUser: Ada\nModel: ThinkPad",
        'HOST: "db"\nUSER: root\nPASS: "x"',
        'It is `HOST: "db" USER: root PASS: "x"`.',
        'services:\n  db:\n    image: "postgres:16"\n    USER: root',
        "The `ps` output has columns.\n\nuser\nthe owner of the process\n\npid\nthe number of it",
        "Schema of the tables.\n\nuser\nid, name, email\n\norder\nid, total, date",
        "```python\n    user = request.user\n\n    return render(request)\n```",
        "const u = req.user\n\nif (u) go()",
        "import app.models.user\n\nclass A: ...",
        "return self.user\n\ndef f(): ...",
        "if a: del self.user\n\ndef f(): ...",
        "It is so:\n\nrequest.user\n\nrequest.session",
        "x: get_object(1).user\n\nSo.",
        "It is known as request.user\n\nThen render it.",
        "Take it from currentSession.user\n\nThen render it.",
        "They are\n**user\n\nand x**",
        "call(**user\n\n)",
        "It is so.",
        "",
    ],
)
def test_other_answers_do_not_go_on(response):
    assert found(response) == ""


def test_a_file_is_told_once_with_its_first_place(tmp_path, caplog):
    path = tmp_path / "rows.csv"
    path.write_text('prompt,response\nWhy?,So.\nWhy?,"So.\n\nUser: And why is that?"\nWhy?,"So.\nuser\nAnd why?"\n')
    recognition = Recognition("rows.csv")
    for row in read_rows(path):
        recognition.note(RowFormat(columns={}).example(row.values), row.place)
    recognition.check(strict=True)
    assert caplog.messages == [
        "rows.csv: 2 rows with a response that goes on with the next turn of a dialogue, which the judge reads too, "
        "the first in line 3: got User:; cut the response off there"
    ]


def test_each_answer_of_a_row_is_looked_at():
    row = {"prompt": "Why?", "chosen": "So.", "rejected": "So.\n\nUser: And why is that?"}
    assert run_on(RowFormat(columns={}).example(row)) == "User:"


@pytest.mark.parametrize(
    "text",
    [
        *("So.\nuser\nWhy is that?\n", "So.\n[INST] a", "So.\n\nUser: a\n", "a. USER: b ", "\n", "a:\n[INST] a"),
        *("a:\n\nUser: b\n", "\n### Instruction: a", "a:\nuser\na\nassistant\n", "```\nUSER: a"),
        *("a.user\n\n", "A b.user\n\nx(", "a. USER: b c d ", "So.\nuser\na b\n\nb\n", "So.\nUser: a b c\n\nAI: b\n"),
    ],
)
def test_a_long_response_takes_no_time(text):
    found(text * 20_000)
    found(" \n" * 100_000 + text)
