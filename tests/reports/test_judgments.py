"""Lines of logs become judgments with all that stands below a score."""

import json
import re
from dataclasses import replace

import pytest

from prom_reward import GroupReward, PrometheusJudge, PrometheusReward, ScriptedEngine, load_report
from prom_reward.errors import InputError
from prom_reward.explorer.judged import Meeting
from prom_reward.judging.composed.cascade import CascadeJudge
from prom_reward.reports.page import report_page
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.checklists.checks import CodeCheck
from prom_reward.rubrics.checklists.criterion import Criterion
from prom_reward.types import Rubric
from tests.labeling.label_inputs import scripted_judge
from tests.rewards.groups.quality_judge import QualityJudge

FACTS = Checklist(
    name="facts",
    criteria=(Criterion(text="True?", weight=2), Criterion(text="Short", check=CodeCheck("max_words", 3))),
)
BATCH = {"prompts": ["p"] * 3, "completions": ["one", "two words", "and now it has five"]}


def logged(reward, **batch):
    reward(**{**BATCH, **batch})
    return load_report(reward.log.path)


def rewritten(path, change):
    """Change every record of a log."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(change(record)) + "\n" for record in records))
    return path


def test_the_criteria_of_a_checklist_say_who_decided(tmp_path):
    data = logged(PrometheusReward(scripted_judge(), FACTS, log_path=tmp_path / "log.jsonl"))
    parts = [one.parts for one in data.judgments]
    assert [[part.source for part in some] for some in parts] == [["judge", "code"]] * 3
    assert [some[1].value for some in parts] == [1, 1, 0]
    assert [part.weight for part in parts[0]] == [2, 1]
    assert data.scale == (0, 1)
    assert "0 %" not in report_page(data).partition('<th scope="row"><a')[2].partition("</tr>")[0]  # no integers


def test_comparisons_of_a_group_have_both_orders(tmp_path):
    data = logged(GroupReward(scripted_judge(), "helpfulness", num_generations=3, log_path=tmp_path / "log.jsonl"))
    first, second, third = [one.standing for one in data.judgments]
    assert [one.place for one in (first, second, third)] == [0, 1, 2]
    assert all(one.standard_error > 0 for one in (first, second, third))
    back = {one.other: one for one in second.meetings}
    for meeting in first.meetings:
        assert meeting.prob == pytest.approx(sum(meeting.orders) / 2)
    [meeting] = [one for one in first.meetings if one.other == 1]
    assert back[0].orders == (pytest.approx(1 - meeting.orders[1]), pytest.approx(1 - meeting.orders[0]))


def test_each_call_without_a_trainer_has_its_own_groups(tmp_path):
    reward = GroupReward(scripted_judge(), "helpfulness", num_generations=3, log_path=tmp_path / "log.jsonl")
    reward(**BATCH)
    data = logged(reward, completions=["other", "words", "here"])
    groups = [one.group for one in data.judgments]
    assert [groups.count(one) for one in dict.fromkeys(groups)] == [3, 3]
    assert sorted(one.standing.place for one in data.judgments) == [0, 0, 1, 1, 2, 2]


def test_the_feedback_on_a_comparison_stands_at_one_of_the_two(tmp_path):
    def says_the_order(prompt):
        return f"{re.findall(r'quality [0-9]', prompt.user)}. [RESULT] {prompt.labels[0]}"

    judge = PrometheusJudge(ScriptedEngine(says_the_order))
    reward = GroupReward(judge, "helpfulness", topology="round_robin", log_path=tmp_path / "log.jsonl")
    data = logged(reward, completions=["quality 1", "quality 2", "quality 3"])
    said = {one.member: {met.other: met.feedback for met in one.standing.meetings} for one in data.judgments}
    assert said["1"][1] == ("['quality 1', 'quality 2'].", "['quality 2', 'quality 1'].")
    assert (said["2"][0], said["3"]) == (("", ""), {0: ("", ""), 1: ("", "")})
    assert said["2"][2][0] == "['quality 2', 'quality 3']."


def test_comparisons_of_grades_do_not_repeat_their_feedback(tmp_path):
    reward = GroupReward(scripted_judge(), FACTS, log_path=tmp_path / "log.jsonl")
    reward(**BATCH)
    records = [json.loads(line) for line in reward.log.path.read_text().splitlines()]
    assert all(one["comparisons"] and "comparison_feedback" not in one for one in records)


def test_tokens_are_those_of_the_grade_and_of_the_comparisons_that_stand_at_it(tmp_path):
    judge = QualityJudge()
    reward = GroupReward(judge, "helpfulness", num_generations=3, log_path=tmp_path / "log.jsonl")
    data = logged(reward, completions=["one 1", "two 2", "three 3"])
    assert data.num_with_tokens == 0  # its grades do not tell
    assert "tokens read" not in report_page(data)
    grades = {"num_prompt_tokens": 10, "num_computed_tokens": 4, "num_generated_tokens": 2}
    data = load_report(rewritten(reward.log.path, lambda one: one | grades))
    num_orders = sum(map(len, judge.compared))
    assert num_orders > 0
    assert data.tokens == {"read": 30 + 7 * num_orders, "computed": 12 + 5 * num_orders, "written": 6 + num_orders}
    assert "tokens read" in report_page(data)
    assert [one.tokens["read"] for one in data.judgments][-1] == 10  # the pair with the last one stands at the first


def test_a_log_with_the_mean_of_both_orders_alone_is_read(tmp_path):
    reward = GroupReward(scripted_judge(), "helpfulness", num_generations=3, log_path=tmp_path / "log.jsonl")
    logged(reward)
    means = lambda one: {"comparisons": [pair[:2] for pair in one["comparisons"]], "comparison_feedback": None}  # noqa: E731
    path = rewritten(reward.log.path, lambda one: one | means(one))
    [meeting, *_] = load_report(path).judgments[0].standing.meetings
    assert meeting == Meeting(meeting.other, pytest.approx(meeting.prob), (None, None))


def test_one_prompt_is_two_groups_if_the_reward_compared_it_in_two(tmp_path):
    reward = GroupReward(scripted_judge(), "helpfulness", num_generations=3, log_path=tmp_path / "log.jsonl")
    twice = {name: values * 2 for name, values in BATCH.items()}
    assert len({one.group for one in logged(reward, **twice).judgments}) == 2


def test_a_cascade_says_who_gave_the_score(tmp_path):
    cheap, strong = (scripted_judge(name=name) for name in ("cheap", "strong"))
    reward = PrometheusReward(CascadeJudge(cheap, strong, budget=1), "helpfulness", log_path=tmp_path / "log.jsonl")
    [one, *_] = logged(reward).judgments
    assert one.given_by == "strong"
    assert one.judge_scores.keys() == {"cheap", "strong"}


def test_a_rubric_is_known_by_its_digest_and_not_by_its_name(tmp_path):
    own = replace(Rubric.parse("honesty"), name="helpfulness")
    reward = PrometheusReward(scripted_judge(), own, log_path=tmp_path / "log.jsonl")
    data = logged(reward)
    assert data.known_rubrics == {}
    told = (
        "the text of the rubric helpfulness: the log has another digest than the built-in one's; give it with --rubric"
    )
    assert data.missing == [told]
    assert load_report(reward.log.path, rubrics=own).known_rubrics == {"helpfulness": own}
    with pytest.raises(
        InputError, match=r"its rubric 'helpfulness' has another text than the given one \(digest \w+; "
    ):
        load_report(reward.log.path, rubrics="helpfulness")


def test_a_log_without_digests_says_that_its_rubrics_are_unknown(tmp_path):
    reward = PrometheusReward(scripted_judge(), "helpfulness", log_path=tmp_path / "log.jsonl")
    assert logged(reward).known_rubrics == {"helpfulness": Rubric.parse("helpfulness")}
    path = rewritten(reward.log.path, lambda one: {k: v for k, v in one.items() if k != "rubric_digest"})
    data = load_report(path)
    assert data.known_rubrics == {}
    assert data.missing == ["the text of the rubric helpfulness: the log has no digest of it; give it with --rubric"]
    assert load_report(path, rubrics="helpfulness").known_rubrics == {"helpfulness": Rubric.parse("helpfulness")}


def test_a_checklist_can_be_given_and_is_held_to_its_digest(tmp_path):
    reward = PrometheusReward(scripted_judge(), replace(FACTS, weight=3.0), log_path=tmp_path / "log.jsonl")
    logged(reward)
    assert load_report(reward.log.path, rubrics=FACTS).known_rubrics == {FACTS.name: FACTS}
    with pytest.raises(InputError, match="another text"):
        load_report(reward.log.path, rubrics=replace(FACTS, saturate=0.5))


@pytest.mark.parametrize(
    "change",
    [
        *({"comparisons": value} for value in ([[0]], [["a", 0.5]], 3, [[0, 0.5, 0.5]])),
        *({"parts": [value]} for value in ({}, {"name": 1, "weight": 1}, {"name": "a", "weight": float("nan")})),
        *({"judge_scores": value} for value in ({"a": "b"}, [1])),
        {"place": None},
        {"rubric_digest": 4},
    ],
)
def test_broken_details_are_one_line(tmp_path, change):
    reward = GroupReward(scripted_judge(), "helpfulness", num_generations=3, log_path=tmp_path / "log.jsonl")
    logged(reward)
    path = rewritten(reward.log.path, lambda one: {**one, **change})
    with pytest.raises(InputError, match="not a judgment log"):
        load_report(path)
