"""What stands below a score: criteria, judges and comparisons of a group, in a real browser."""

import re
from types import SimpleNamespace

import pytest

from prom_reward import GroupReward, PrometheusReward, load_report
from prom_reward.judging.composed.cascade import CascadeJudge
from prom_reward.reports.page import report_page
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.checklists.checks import CodeCheck
from prom_reward.rubrics.checklists.criterion import Criterion
from tests.integration.browser.driving import click, errors, is_wider_than_window, texts, violations, wait
from tests.labeling.label_inputs import scripted_judge

pytestmark = pytest.mark.browser

HOSTILE = "</script><b>x</b>\u2028\u202e"
FACTS = Checklist(
    name="facts",
    criteria=(
        Criterion(text="True?", name=HOSTILE, weight=2),
        Criterion(text="Short?", name="short", check=CodeCheck("max_words", 3)),
        Criterion(text="Rude?", name="rude", weight=-1),
    ),
)
BATCH = {"prompts": ["p"] * 3, "completions": ["one", "two words", "and now it has five"]}


def page_of(reward, folder):
    reward(**BATCH)
    page = folder / "report.html"
    page.write_text(report_page(load_report(reward.log.path)), encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checklists")
    cheap, strong = (scripted_judge(name=name) for name in ("cheap", "strong"))
    judge = CascadeJudge(cheap, strong, budget=1)
    return page_of(PrometheusReward(judge, [FACTS, "helpfulness"], log_path=folder / "log.jsonl"), folder)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    reward = GroupReward(
        scripted_judge(), "helpfulness", topology="round_robin", num_generations=3, log_path=folder / "log.jsonl"
    )
    return page_of(reward, folder)


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """A training that answers one prompt at two steps."""
    folder = tmp_path_factory.mktemp("steps")
    reward = GroupReward(scripted_judge(), "helpfulness", num_generations=3, log_path=folder / "log.jsonl")
    for step in range(2):
        completions = [f"{said} at step {step}" for said in BATCH["completions"]]
        reward(prompts=BATCH["prompts"], completions=completions, trainer_state=SimpleNamespace(global_step=step))
    page = folder / "report.html"
    page.write_text(report_page(load_report(reward.log.path), since=1), encoding="utf-8")
    return page


def test_criteria_are_rows_and_say_what_code_decided(opened):
    driver = opened("#view=groups&group=1")
    wait(driver, "document.querySelector('.matrix')")
    shown = HOSTILE.replace("\u2028", "\\u{2028}").replace("\u202e", "\\u{202e}")
    assert texts(driver, ".criterion th") == [f"{shown} weight 2", "short weight 1", "rude pitfall -1"]
    assert texts(driver, ".criterion:nth-child(3) .met") == ["1.00code", "1.00code", "0.00code"]
    assert len(texts(driver, ".criterion .met.pitfall")) == 3
    assert texts(driver, ".judgment tbody tr td:nth-child(5)") == ["judge", "code", "judge"]
    assert "Feedback" in texts(driver, ".judgment tbody tr:first-child td:last-child")[0]
    click(driver, ".matrix tr:nth-child(5) .cell")  # helpfulness, by both judges
    wait(driver, "document.querySelector('.judges')")
    assert texts(driver, ".judges dt") == ["cheap", "strong"]
    assert [text.endswith("its score counts") for text in texts(driver, ".judges dd")] == [False, True]
    assert errors(driver) == []


def test_a_checklist_is_not_labeled_as_a_whole(opened):
    driver = opened("#view=label")
    assert "of 3 rows" in texts(driver, "#label-progress")[0]
    assert texts(driver, ".label-choices > h2") == ["helpfulness"]


def test_comparisons_show_who_beats_whom_in_both_orders(opened, compared):
    driver = opened("#view=groups&group=1", at=compared)
    wait(driver, "document.querySelector('.versus')")
    assert texts(driver, ".versus thead th") == ["#1", "#2", "#3"]
    probs = [[float(text) for text in texts(driver, f".versus tbody tr:nth-child({row}) b")] for row in (1, 2, 3)]
    assert [len(row) for row in probs] == [2, 2, 2]
    assert probs[0][0] == pytest.approx(1 - probs[1][0])
    told = driver.execute_script("return document.querySelector('.versus td[title]').title")
    prob, first, second = map(float, re.findall(r"\d\.\d+", told))
    assert prob == pytest.approx((first + second) / 2, abs=0.006)
    assert all(re.fullmatch(r"[+−]\d\.\d\d ± \d\.\d\d", text) for text in texts(driver, ".figures-row:nth-child(2) td"))
    assert errors(driver) == []


def test_two_sides_stand_beside_each_other_and_only_their_own_comparisons_are_shown(opened, twice):
    driver = opened("#view=groups&group=1", at=twice)
    wait(driver, "document.querySelector('.versus')")
    assert texts(driver, ".matrix thead th") == ["A #1", "A #2", "A #3", "B #1", "B #2", "B #3"]
    assert texts(driver, ".versus thead th") == ["A #1", "A #2", "A #3"]
    assert "helpfulness: B" in texts(driver, ".group-head p")[0]
    assert "mark what A #" in texts(driver, ".toggle")[0]
    click(driver, ".matrix tr:first-child td:last-child .cell")
    wait(driver, "document.querySelector('.versus thead th').textContent === 'B #1'")
    assert errors(driver) == []


@pytest.mark.parametrize(
    ("name", "width", "scheme"), [("page", 390, "light"), ("page", 1280, "dark"), ("compared", 390, "dark")]
)
def test_they_fit_the_window_and_axe_finds_nothing(opened, seen_as, axe, request, name, width, scheme):
    seen_as(width, scheme)
    driver = opened("#view=groups&group=1", at=request.getfixturevalue(name))
    wait(driver, "document.querySelector('.matrix')")
    assert not is_wider_than_window(driver)
    assert violations(driver, axe) == []
