import pytest

from prom_reward.errors import RowError
from prom_reward.rewards.groups.members import MemberReader, grouped
from prom_reward.types import GradingRequest


def members(prompts, reader=None, **columns):
    requests = [[GradingRequest(instruction=str(one), response="A", rubric="helpfulness")] for one in prompts]
    return (reader or MemberReader()).members(prompts, requests, columns)


def test_groups_are_found_by_prompt_in_any_order():
    assert grouped(members(["p", "q", "p", "q"]), None) == [[0, 2], [1, 3]]


def test_messages_are_prompts():
    said = [{"role": "user", "content": "Hi"}]
    assert grouped(members([said, list(said), "Hi"]), None) == [[0, 1], [2]]


def test_a_prompt_that_stands_twice_is_two_groups_if_the_size_is_known():
    assert grouped(members(["p"] * 4 + ["q"] * 2), 2) == [[0, 1], [2, 3], [4, 5]]
    assert grouped(members(["p"] * 4), None) == [[0, 1, 2, 3]]


@pytest.mark.parametrize("prompts", ["pqpq", "ppq", ""])
def test_a_size_that_the_rows_do_not_follow_is_no_size(prompts):
    """Online DPO, for example, gives all first answers before all second ones."""
    assert grouped(members(list(prompts)), 2) == grouped(members(list(prompts)), None)


def test_thoughts_in_a_baseline_are_left_out():
    written = ["<think>Hm.</think>4", "4", None, ""]
    for include_reasoning, shown in ((False, ["4", "4", None, ""]), (True, written)):
        reader = MemberReader(baseline_column="old", include_reasoning=include_reasoning)
        assert [one.baseline for one in members("pppp", reader, old=written)] == shown
    with pytest.raises(RowError, match="got thoughts without an answer in 'old'"):
        members("p", MemberReader(baseline_column="old"), old=["<think>Hm."])


def test_other_rubrics_and_references_make_other_groups():
    asked = {"instruction": "p", "response": "A"}
    requests = [
        [GradingRequest(**asked, rubric="helpfulness")],
        [GradingRequest(**asked, rubric="honesty")],
        [GradingRequest(**asked, rubric="honesty", reference_answer="R")],
        [GradingRequest(**asked, rubric="helpfulness")],
    ]
    assert grouped(MemberReader().members(["p"] * 4, requests, {}), None) == [[0, 3], [1], [2]]


def test_ids_and_baselines_come_from_columns():
    reader = MemberReader(group_column="gid", baseline_column="base")
    found = members(["p"] * 4, reader, gid=[1, 1, 2, 2], base=["b", None, "b", "b"])
    assert [one.baseline for one in found] == ["b", None, "b", "b"]
    assert grouped(found, None) == [[0], [1], [2, 3]]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({}, "no such column"),
        ({"base": ["b"]}, "list of 2"),
        ({"base": "bb"}, "got str"),
        ({"base": ["b", 3]}, "got 3; expected a text"),
    ],
)
def test_a_column_that_cannot_be_read_is_refused(columns, told):
    with pytest.raises(RowError, match=rf"^column 'base': .*{told}"):
        members(["p", "p"], MemberReader(baseline_column="base"), **columns)
