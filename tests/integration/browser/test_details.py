"""What stands below a score: criteria, judges and comparisons of a group, in a real browser."""

import re
from types import SimpleNamespace

import pytest

from prom_reward import GroupReward, PrometheusReward, evaluate, load_report
from prom_reward.cli.parts.evaluation_tables import show_evaluation
from prom_reward.judging.composed.cascade import CascadeJudge
from prom_reward.reports.comparison import compare
from prom_reward.reports.page import report_page
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.checklists.checks import CodeCheck
from prom_reward.rubrics.checklists.criterion import Criterion
from tests.integration.browser.driving import click, errors, is_wider_than_window, press, saved, texts, violations, wait
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
    data = load_report(reward.log.path)
    page.write_text(report_page(data, comparison=compare(data, since=1)), encoding="utf-8")
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
    headings = texts(driver, ".judgment h4:first-child")
    assert any(re.search(r"tokens: \d+ read, \d+ computed, \d+ written", one) for one in headings)
    assert texts(driver, ".judges dt") == ["cheap", "strong"]
    click(driver, ".matrix tr:nth-child(5) .cell")  # helpfulness
    wait(driver, "document.querySelector('.judges') && !document.querySelector('.judgment tbody')")
    assert texts(driver, ".judges dt") == ["cheap", "strong"]
    assert [text.endswith("its score counts") for text in texts(driver, ".judges dd")] == [False, True]
    assert errors(driver) == []


@pytest.mark.parametrize("is_known", [False, True])
def test_verdicts_on_criteria_are_given_blind_by_keys_and_read_by_evaluate(opened, page, tmp_path, capsys, is_known):
    from selenium.webdriver.common.keys import Keys

    at = tmp_path / "page.html"
    log = page.parent / "log.jsonl"
    at.write_text(report_page(load_report(log, rubrics=FACTS if is_known else ())), encoding="utf-8")
    link = '#view=label&where=rubric+%3D%3D+"facts"'
    opened(link, at=at).execute_script("localStorage.clear()")
    driver = opened(link, at=at)
    assert texts(driver, ".criteria li > p:first-child") == ["True?", "Rude?"]  # code decides the third
    assert "P(met)" not in driver.find_element("id", "label").text
    press(driver, "2", "y")
    assert texts(driver, ".criteria .current > p:first-child") == ["Rude?"]
    press(driver, Keys.ARROW_UP, "z", Keys.ARROW_DOWN, "n", "y")  # back to the first: it has no verdict again
    wait(driver, "document.getElementById('label-progress').textContent.startsWith('2 labels, 0 not sure, of 3')")
    press(driver, "n", "x")  # the second response
    wait(driver, "document.getElementById('label-progress').textContent.startsWith('3 labels, 1 not sure')")
    path = tmp_path / "verdicts.jsonl"
    path.write_text(saved(driver), encoding="utf-8")
    found = evaluate(path, judge=scripted_judge(), resamples=0)
    assert found.problems == ()
    assert {one.labeled.request.rubric.name for one in found.checklists} == {"facts"}
    assert [dict(one.labeled.labels) for one in found.checklists] == [
        {HOSTILE: (True,), "rude": (False,)},
        {HOSTILE: (False,)},
    ]
    assert {text: one.num_verdicts for text, one in found.figures.criteria.items()} == {"True?": 2, "Rude?": 1}
    show_evaluation(found)
    told = capsys.readouterr().out
    assert all(name in told for name in ("True?", "accuracy", "kappa", "tpr", "tnr"))
    press(driver, "b")
    wait(driver, "document.getElementById('label-figures').textContent.includes('labels to go')")
    assert texts(driver, "#label-figures tbody th") == ["True?", "Rude?"]
    assert "P(met)" in driver.find_element("id", "label-item").text
    judged = [{part.name: part.is_met for part in one.judgment.parts} for one in found.checklists]
    same = sum(one[HOSTILE] == met for one, met in zip(judged, (True, False), strict=True)) / 2
    assert texts(driver, "#label-figures tbody tr:first-child td:nth-child(3)")[0].startswith(f"{same:.2f}")
    assert errors(driver) == []


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
    click(driver, ".met-feedback summary")
    assert texts(driver, ".met-feedback dt") == ["#1, then #2", "#2, then #1", "#1, then #3", "#3, then #1"]
    assert all(text.startswith("Feedback ") for text in texts(driver, ".met-feedback dd"))
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
    ("name", "link", "width", "scheme"),
    [
        ("page", "groups&group=1", 390, "light"),
        ("page", "groups&group=1", 1280, "dark"),
        ("page", "label&blind=off&at=1", 390, "dark"),
        ("page", "label&at=1", 1280, "light"),
        ("compared", "groups&group=1", 390, "dark"),
    ],
)
def test_they_fit_the_window_and_axe_finds_nothing(opened, seen_as, axe, request, name, link, width, scheme):
    seen_as(width, scheme)
    driver = opened(f"#view={link}", at=request.getfixturevalue(name))
    wait(driver, "document.querySelector('.matrix, .criteria .current')")
    assert not is_wider_than_window(driver)
    assert violations(driver, axe) == []
