from prom_reward.reports.judgments import Judged
from prom_reward.reports.selection import Selection


def judged(row, *, entropy=0.1, score=3.0, agreement=None, margin=None, side="response"):
    texts = {"rubric": "r", "outcome": "scored", "prompt": f"p{row}", "response": "x", "feedback": ""}
    return Judged(
        row=row, side=side, score=score, expected_score=score, probs=None, entropy=entropy, length=1, margin=margin,
        agreement=agreement, **texts,
    )  # fmt: skip


def kept(judgments, size):
    selection = Selection(size)
    for one in judgments:
        selection.offer(one)
    return selection.kept()


def test_a_few_judgments_are_all_kept_in_order():
    rows = [judged(row, side=side) for row in (2, 0, 1) for side in ("rejected", "chosen")]
    assert [(one.row, one.side) for one in kept(rows, 10)] == [
        (row, side) for row in range(3) for side in ("chosen", "rejected")
    ]


def test_half_are_those_most_in_need_of_a_look():
    rows = [judged(row) for row in range(1000)]
    rows[400] = judged(400, score=None, entropy=None)
    rows[500] = judged(500, agreement="disagrees", margin=-3.0)
    rows[600] = judged(600, entropy=1.6)
    found = kept(rows, 20)
    assert len(found) == 20
    assert {400, 500, 600} <= {one.row for one in found}


def test_the_others_are_drawn_evenly():
    rows = [one.row for one in kept([judged(row, entropy=1.6 if row < 100 else 0.1) for row in range(1000)], 200)]
    drawn = [row for row in rows if row >= 100]
    assert len(drawn) == 100
    assert 40 < sum(row < 550 for row in drawn) < 60
