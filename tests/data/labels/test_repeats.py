import pytest

from prom_reward.data.labels.human_labels import collect_labeled
from prom_reward.data.labels.repeats import repeated_labels
from prom_reward.data.rows import Row
from prom_reward.types import Rubric

HELPFUL = (Rubric.parse("helpfulness"),)
SCORED = {"instruction": "Say hi.", "response": "Hi.", "score": 3}
PAIR = {"prompt": "Say hi.", "chosen": "Hi.", "rejected": "No."}
TURNED = {"prompt": "Say hi.", "chosen": "No.", "rejected": "Hi."}
MET = {"prompt": "Say hi.", "completion": "Hi.", "rubric": [{"criterion": "It greets.", "points": 1}], "labels": [True]}


def labeled(*rows):
    numbered = (Row(f"line {at}", row) for at, row in enumerate(rows, 1))
    return collect_labeled(numbered, HELPFUL, where="rows.jsonl")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [SCORED, SCORED],
            "1 answer with a label in several rows (2 rows), 0 of them with different ones; each row co",
        ),
        ([SCORED, {**SCORED, "score": 5}, SCORED], "1 answer with a label in several rows (3 rows), 1 of them with di"),
        ([PAIR, PAIR, PAIR], "1 pair with a label in several rows (3 rows), 0 of them with different ones"),
        ([PAIR, TURNED], "1 pair with a label in several rows (2 rows), 1 of them with different ones"),
        ([MET, {**MET, "labels": [False]}], "1 answer with a label in several rows (2 rows), 1 of them"),
        ([SCORED, {**SCORED, "reference_answer": "Hello."}, {**SCORED, "rubric": "honesty"}], ""),
        ([PAIR, {**PAIR, "rejected": "Never."}], ""),
    ],
)
def test_answers_with_labels_in_several_rows_are_counted(rows, said, caplog):
    found = repeated_labels(labeled(*rows))
    assert (found.startswith(said), bool(found)) == (True, bool(said))
    assert caplog.messages == ([f"rows.jsonl: {found}"] if said else [])
