from prom_reward.reports.selection import Selection
from tests.explorer.judged import judged


def kept(judgments, size, **settings):
    selection = Selection(size, **settings)
    for one in judgments:
        selection.offer(one)
    return selection.kept()


def test_a_few_judgments_are_all_kept_in_order():
    rows = [judged(step=row, side=side, member=side) for row in (2, 0, 1) for side in ("rejected", "chosen")]
    assert [(one.row, one.side) for one in kept(rows, 10)] == [
        (row, side) for row in range(3) for side in ("chosen", "rejected")
    ]


def test_numbered_responses_are_in_order_of_their_numbers_and_ranks():
    members = ["10", "2", "1.3", "1", "1.1"]
    assert [one.member for one in kept([judged(member=name) for name in members], 10)] == [
        "1", "2", "10", "1.1", "1.3",
    ]  # fmt: skip


def test_groups_stay_whole_however_their_responses_come():
    rows = [judged(step=row, member=number) for number in range(8) for row in range(100)]
    found = kept(rows, 200)
    groups = {one.row: [other.member for other in found if other.row == one.row] for one in found}
    assert len(found) == 200
    assert set(map(tuple, groups.values())) == {tuple(map(str, range(8)))}


def test_one_group_stays_even_if_it_is_too_large():
    assert len(kept([judged(member=number) for number in range(50)], 10)) == 50


def test_groups_are_drawn_evenly():
    rows = [one.row for one in kept([judged(step=row) for row in range(2000)], 400)]
    assert len(rows) == 400
    assert 160 < sum(row < 1000 for row in rows) < 240


def test_the_steps_of_a_prompt_stay_or_go_together():
    rows = [judged(step=step, group=f"{step} prompt{number}") for step in range(10) for number in range(40)]
    found = kept(rows, 100, by_prompt=True)
    steps = {one.group.partition(" ")[2]: set() for one in found}
    for one in found:
        steps[one.group.partition(" ")[2]].add(one.row)
    assert (len(found), len(steps)) == (100, 10)
    assert all(ran == set(range(10)) for ran in steps.values())
    assert [one.row for one in found] == sorted(one.row for one in found)
    assert len({one.group for one in kept(rows, 100)}) == 100
    assert len(kept([judged(step=row, group=str(row)) for row in range(9)], 5, by_prompt=True)) == 5  # no training's


def test_responses_without_a_name_get_one_for_each_rubric():
    rows = [judged(member="", rubric=rubric) for _ in range(2) for rubric in ("a", "b")]
    assert [(one.member, one.rubric) for one in kept(rows, 10)] == [("1", "a"), ("1", "b"), ("2", "a"), ("2", "b")]


def test_requests_that_count_their_rows_anew_are_different_responses():
    rows = [judged(member="1", rubric=rubric, response=text) for text in "xyy" for rubric in ("a", "b")]
    rows.append(judged(member="1", rubric="b", response="z"))
    found = [one.response + one.member + one.rubric for one in kept(rows, 10)]
    assert found == ["x1a", "x1b", "y2a", "y2b", "y3a", "y3b", "z4b"]
