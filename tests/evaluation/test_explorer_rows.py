from dataclasses import replace

from prom_reward import evaluate
from prom_reward.evaluation.explorer_rows import judged_rows, known_rubrics
from prom_reward.types import Rubric
from tests.evaluation.test_page import judge, rows


def test_rows_have_their_labels_and_the_second_judges_scores_and_stand_by_prompt():
    data = [*rows(3), {**rows(1)[0], "response": "quality 5"}]
    found = judged_rows(evaluate(data, judge=judge("a"), against=judge("b"), rubric="helpfulness", resamples=0))
    assert [one.row for one in found] == [0, 3, 1, 2]  # the first and the last have one prompt
    assert len({one.group for one in found}) == 3
    assert [one.label for one in found] == [1, 1, 1, 2]
    assert all(one.other_score == one.expected_score for one in found)
    assert found[1].error == found[1].expected_score - 1
    assert found[0].probs is not None


def test_pairs_are_groups_of_two_and_say_what_the_judge_prefers():
    pairs = [{"prompt": "q", "chosen": f"A quality {at}", "rejected": "quality 3"} for at in (2, 3, 4)]
    found = judged_rows(evaluate(pairs, judge=judge("a"), rubric="helpfulness", resamples=0))
    assert [one.member for one in found] == ["chosen", "rejected"] * 3
    assert [one.agreement for one in found[::2]] == ["disagrees", "tie", "agrees"]
    assert found[0].label is None


def test_rubrics_are_known_unless_two_have_one_name():
    honesty = Rubric.parse("honesty")
    data = [{**row, "rubric": honesty.to_dict()} for row in rows(2)]
    assert known_rubrics(evaluate(data, judge=judge("a"), resamples=0)) == {"honesty": honesty}
    data[1]["rubric"] = replace(honesty, criteria="Is it?").to_dict()
    assert known_rubrics(evaluate(data, judge=judge("a"), resamples=0)) == {}


def test_each_criterion_has_a_row_with_the_share_of_people_who_say_met():
    data = [
        {"instruction": f"q{at}", "response": f"quality {at % 2}", "rubric": ["Is it good?", "Is it true?"],
         "labels": [[True, at % 2 == 0], False]}
        for at in range(4)
    ]  # fmt: skip
    found = judged_rows(evaluate(data, judge=judge("a"), resamples=0))
    assert [one.rubric for one in found] == ["Is it good?", "Is it true?"] * 4
    assert [one.label for one in found[:4]] == [1, 0, 0.5, 0]
    assert len({one.group for one in found}) == 4
    scored = [one for one in found if one.outcome == "scored"]
    assert all(0 <= one.expected_score <= 1 and one.error == one.expected_score - one.label for one in scored)
    assert scored
