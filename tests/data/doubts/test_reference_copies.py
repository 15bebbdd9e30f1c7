import pytest

from prom_reward.data.formats import RowFormat
from prom_reward.data.recognition import Recognition
from prom_reward.errors import InputError

Q, LONG = "How does one add two numbers?", "One adds two numbers by counting on from the first one of them."
CODE = "def add(first, second):\n    return first + second"


def recognized(*rows, reference=None):
    found = Recognition("rows.jsonl")
    for at, row in enumerate(rows, 1):
        found.note(RowFormat(columns={}, reference_answer=reference).example(row), f"line {at}")
    return found


@pytest.mark.parametrize(
    "row",
    [
        {
            "problem": Q,
            "solution": LONG,
            "messages": [{"role": "user", "content": Q}, {"role": "assistant", "content": LONG}],
        },
        {"input": Q, "output": f"<think>hm</think>```python\n{CODE}\n```", "solution": CODE},  # OpenCodeReasoning
        {"prompt": Q, "response": f" {LONG}\n", "reference_answer": LONG},
    ],
)
def test_responses_that_are_their_reference_are_counted(row, caplog):
    found = recognized(*[row] * 8)
    found.check()
    [told] = caplog.messages
    assert told.startswith(
        "rows.jsonl: 8 rows of 8 with the reference answer itself as the response, the first in line 1,"
    )
    with pytest.raises(InputError, match="8 rows of 8 with the reference answer itself"):
        found.check(strict=True)


def test_a_few_copies_and_short_ones_are_no_problem():
    row = {"prompt": Q, "response": LONG, "reference_answer": LONG}
    others = [{**row, "response": "One counts."}] * 2
    assert recognized(*[row] * 7).warnings() == []
    assert recognized(*[row] * 8, *others).warnings() == []
    assert "9 rows of 11" in recognized(*[row] * 9, *others).warnings()[0]
    assert recognized(*[{"prompt": Q, "response": "4", "reference_answer": "4"}] * 9).warnings() == []


def test_a_copy_now_and_then_and_a_reference_for_all_rows_are_no_problem():
    row = {"prompt": Q, "response": "One counts.", "reference_answer": LONG}
    assert recognized({**row, "response": LONG}, *[row] * 19).warnings() == []
    assert recognized({"prompt": Q, "response": LONG}, reference=LONG).warnings() == []
    assert recognized({"prompt": Q, "chosen": LONG, "rejected": "No.", "reference_answer": LONG}).warnings() == []
