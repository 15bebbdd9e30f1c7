import pytest

from prom_reward.errors import InputError
from prom_reward.reports.prompt_difference import compare_prompts
from tests.explorer.judged import judged


def run(step, *scores, prompt="p", rubric="r", said="Response"):
    """A group's judgments at a step, in a run of its own kind of responses."""
    return [
        judged(step=step, member=at, score=score, prompt=prompt, rubric=rubric, group=f"{step} {prompt}",
               response=f"{said} {at} of {step}")
        for at, score in enumerate(scores, start=1)
    ]  # fmt: skip


def compared(first, second):
    return compare_prompts(first, second, names=("one", "two"))


def test_the_latest_groups_of_a_prompt_stand_side_by_side():
    found = compared([*run(1, 1.0, 1.0), *run(2, 2.0, 3.0)], [*run(5, 5.0), *run(4, 1.0), *run(3, 9.0, prompt="q")])
    assert [(one.member, one.source, one.expected_score, one.shift) for one in found.judgments] == [
        ("A #1", "A", 2.0, 2.5), ("A #2", "A", 3.0, 2.5), ("B #1", "B", 5.0, 2.5),
    ]  # fmt: skip
    assert len({one.group for one in found.judgments}) == 1
    assert (found.num_prompts, found.num_alone) == (1, 1)


def test_a_rubrics_change_is_over_prompts_and_not_over_responses():
    first = [*run(1, 1.0, 2.0, 3.0, prompt="p"), *run(1, 4.0, prompt="q")]
    second = [*run(2, 4.0, prompt="p"), *run(2, 3.0, 3.0, prompt="q"), *run(2, 5.0, prompt="p", rubric="new")]
    [row] = compared(first, second).rows  # the rubric that one side lacks has no change
    assert (row.rubric, row.num_prompts, row.first, row.second) == ("r", 2, 3.0, 3.5)
    assert (row.change.value, row.share_up) == (0.5, 0.5)


def test_without_a_prompt_in_common_it_is_one_line():
    with pytest.raises(InputError, match="one and two have no prompt in common"):
        compared(run(1, 1.0), run(2, 1.0, prompt="q"))
