import random
from urllib.parse import parse_qs

from prom_reward.explorer.links import condition, explorer_link
from prom_reward.reports.overview.findings import findings
from prom_reward.reports.overview.rubric_rows import rubric_rows
from prom_reward.reports.report_data import ReportData
from tests.explorer.judged import UNSCORED, judged


def found(rows):
    """Return the findings of a training by title."""
    data = ReportData(title="t", is_training=True, judgments=list(rows))
    for one in data.judgments:
        data.count(one)
        data.count_step(one)
    return {one.title: one for one in findings(data, rubric_rows(data.judgments))}


def training(score, steps=30, size=4, **changes):
    """A training with a score for each step and member, and lengths and rewards at random."""
    draw = random.Random(0)
    return [
        judged(
            step=step,
            member=member,
            score=score(step, member),
            length=draw.randrange(100),
            reward=draw.random(),
            **changes,
        )
        for step in range(1, steps + 1)
        for member in range(size)
    ]


def noise(step, member):
    return random.Random(step * 100 + member).uniform(2, 4)


def test_nothing_stands_out_of_a_healthy_training():
    assert found(training(noise)) == {}


def test_a_rubric_that_always_gives_the_same():
    [one] = found(training(lambda step, member: 4.9)).values()
    assert one.title == "r always gives 5"
    assert parse_qs(one.link[1:])["where"] == ['rubric == "r"']


def test_a_rubric_that_follows_length():
    rows = [judged(step=1 + at // 4, member=at % 4, score=1 + at / 25, length=at, reward=at % 4) for at in range(100)]
    assert "r follows length" in found(rows)


def test_a_judge_that_shifts_at_a_step():
    [one] = found(training(lambda step, member: noise(step, member) - (1.2 if step >= 20 else 0))).values()
    assert one.title == "r shifts at step 20"


def test_flagged_and_unscored_judgments():
    rows = training(noise)
    rows += [judged(step=31, member=at, reward=at, flags=("score_claim",), score=4.8) for at in range(2)]
    rows += [judged(step=31, member=at, reward=at, **UNSCORED, outcome="no_result") for at in (2, 3)]
    one, other = found(rows).values()
    assert (one.title, one.mood, one.detail) == ("Judgments without a score", "fail", "2 no_result.")
    assert other.title == "Flagged responses"
    assert "score_claim 2" in other.detail
    assert "4.80" in other.detail


def test_a_prompt_twice_in_a_batch():
    rows = training(noise) + [judged(step=5, member=at, score=noise(5, at), reward=at / 9) for at in range(4, 8)]
    [one] = found(rows).values()
    assert one.title == "A prompt twice in a batch"
    assert parse_qs(one.link[1:])["where"] == ["size >= 8"]


def test_a_prompt_that_comes_far_more_often_than_others():
    rows = training(noise)
    rows += [
        judged(step=40 + at, prompt="again", member=m, score=noise(at, m), reward=m)
        for at in range(5)
        for m in range(4)
    ]
    [one] = found(rows).values()
    assert (one.title, one.link) == ("Repeated prompts", "#view=groups&where=seen+%3E%3D+5")


def test_groups_without_spread():
    rows = [judged(step=step, member=at, score=noise(step, at), reward=0.5) for step in range(1, 30) for at in range(4)]
    assert "Groups without spread" in found(rows)


def test_conditions_survive_quotes_of_any_kind():
    assert condition("rubric", "a") == 'rubric == "a"'
    assert condition("rubric", 'say "a"') == "rubric == 'say \"a\"'"
    assert condition("rubric", 'it\'s "so" long') == 'rubric ~ "it\'s "'
    assert explorer_link(view="groups", where='a == "&"') == "#view=groups&where=a+%3D%3D+%22%26%22"
