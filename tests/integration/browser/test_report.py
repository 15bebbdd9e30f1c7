"""The explorer in a real browser: no error, no request, group, filter, sorting, keyboard, text that stays text."""

import json

import pytest

from prom_reward.data.labels.human_labels import read_labeled
from prom_reward.labeling.labeling import label
from prom_reward.reports.comparison import compare
from prom_reward.reports.data import load_report
from prom_reward.reports.page import report_page
from prom_reward.types import Rubric
from tests.integration.browser.driving import (
    click,
    column,
    errors,
    is_wider_than_window,
    press,
    saved,
    texts,
    violations,
    wait,
    write,
)
from tests.integration.browser.training_log import HOSTILE, RUBRICS, SHOWN, SIZE, write_log
from tests.labeling.label_inputs import pairs, scripted_judge, write_rows

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    page = folder / "report.html"
    page.write_text(report_page(load_report(write_log(folder / "log.jsonl"))), encoding="utf-8")
    return page


def test_the_page_opens_from_disk_without_an_error_or_a_request(opened):
    driver = opened()
    assert driver.title == "log.jsonl · prom_reward training report"
    for view in ("groups", "judgments", "overview"):
        click(driver, f"[data-tab={view}]")
        wait(driver, f"!document.getElementById('{view}').hidden")
    assert errors(driver) == []
    requests = [entry["message"] for entry in driver.get_log("performance") if 'requestWillBeSent"' in entry["message"]]
    assert any('"url":"file://' in request for request in requests)
    assert not any('"url":"http' in request or '"url":"ws' in request for request in requests)
    assert driver.execute_script("return document.querySelectorAll('.plot svg').length") >= 5


def test_a_group_shows_responses_in_columns_and_rubrics_in_rows(opened):
    driver = opened("#view=groups&group=2")
    wait(driver, "document.querySelector('#group h2')")
    assert texts(driver, "#group h2") == ["Step 1, group 2"]
    assert texts(driver, ".matrix thead th") == ["#5", "#6", "#7", "#8"]
    assert texts(driver, ".matrix tbody th") == [*RUBRICS, "reward", "advantage", "characters"]
    assert len(texts(driver, ".matrix .cell .bars i")) == 5 * SIZE * len(RUBRICS)
    rewards, advantages = (
        [float(text.replace("−", "-")) for text in texts(driver, f".matrix tr:nth-child({row}) td")] for row in (3, 4)
    )
    mean = sum(rewards) / SIZE
    assert advantages == [pytest.approx(reward - mean, abs=0.006) for reward in rewards]
    assert len(texts(driver, ".responses li")) == SIZE
    assert len(texts(driver, ".responses mark")) == SIZE - 1  # the number is the only difference to the best one
    click(driver, ".matrix tr:nth-child(2) td:nth-child(3) .cell")
    wait(driver, "document.querySelector('.judgment h3').textContent.startsWith('honesty, #6')")
    assert "Feedback by honesty." in texts(driver, ".judgment .text")
    assert "at=" in driver.current_url


def test_what_stands_out_leads_to_its_rows(opened):
    driver = opened()
    assert texts(driver, ".findings a") == ["Flagged responses"]
    click(driver, ".findings a")
    wait(driver, "!document.getElementById('judgments').hidden")
    assert texts(driver, "#count") == ["2 of 720 judgments"]


def test_words_and_conditions_filter_together_and_stay_in_the_link(opened):
    driver = opened("#view=judgments")
    write(driver, "find", "answer step 7", "72 of 720 judgments")
    write(driver, "where", 'rubric == "honesty"', "36 of 720 judgments")
    assert set(column(driver, "rubric")) == {"honesty"}
    link = driver.current_url
    driver = opened(link[link.index("#") :])
    assert texts(driver, "#count") == ["36 of 720 judgments"]
    assert driver.find_element("id", "where").get_attribute("value") == 'rubric == "honesty"'
    click(driver, "[data-tab=groups]")
    wait(driver, "document.getElementById('count').textContent === '9 of 90 groups'")
    click(driver, "#clear")
    wait(driver, "document.getElementById('count').textContent === '90 of 90 groups'")


def test_a_condition_that_is_wrong_says_so(opened):
    driver = opened("#view=judgments")
    write(driver, "where", "scoer < 2", "720 of 720 judgments")
    wait(driver, "document.getElementById('where-error').textContent.startsWith('no column scoer; expected one of')")
    assert driver.find_element("id", "where").get_attribute("aria-invalid") == "true"


def test_sorting_turns_around(opened):
    driver = opened("#view=judgments")
    for is_down in (True, False):
        click(driver, "[data-name=score] button")
        found = [float(text) for text in column(driver, "score")]
        assert found == sorted(found, reverse=is_down)
        assert len(set(found)) > 1
    assert driver.find_element("css selector", "[data-name=score]").get_attribute("aria-sort") == "ascending"


def test_text_stays_text(opened):
    driver = opened("#view=groups&group=1")
    wait(driver, "document.querySelector('.responses')")
    assert texts(driver, ".responses li:last-child .text") == [SHOWN]
    assert texts(driver, ".hidden-character") == ["\\u{202e}", "\\u{200b}"]
    assert driver.execute_script("return document.querySelectorAll('#group b + b, #group script').length") == 0
    assert driver.title == "log.jsonl · prom_reward training report"
    assert errors(driver) == []


def test_the_keyboard_is_enough(opened):
    from selenium.webdriver.common.keys import Keys

    driver = opened()
    press(driver, "/")
    assert driver.switch_to.active_element.get_attribute("id") == "find"
    press(driver, Keys.ESCAPE, "j", "j")
    wait(driver, "document.querySelector('#group h2')?.textContent === 'Step 1, group 3'")
    press(driver, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    wait(driver, "document.querySelector('.judgment h3').textContent.startsWith('honesty, #10')")
    press(driver, "d")
    wait(driver, "!document.querySelector('.responses mark')")
    press(driver, "t", "j", "j", "j", Keys.ENTER)
    wait(driver, "document.querySelector('.judgment h3').textContent.startsWith('honesty, #2')")
    press(driver, "?")
    assert driver.execute_script("return document.getElementById('help').open")
    press(driver, Keys.ESCAPE, "o")
    assert not driver.execute_script("return document.getElementById('overview').hidden")


def test_labels_are_given_blind_by_keys_and_read_by_evaluate(opened, tmp_path):
    driver = opened('#view=label&where=rubric+%3D%3D+"honesty"')
    driver.execute_script("localStorage.clear()")
    driver = opened('#view=label&where=rubric+%3D%3D+"honesty"')
    shown = texts(driver, ".label-texts .text")
    assert shown[1] == SHOWN  # flagged, so it comes first
    assert "The judge" not in driver.find_element("id", "label").text
    press(driver, "1")
    wait(driver, "document.getElementById('label-progress').textContent.startsWith('1 label, 0 not sure, of 360')")
    second = texts(driver, ".label-texts .text")
    press(driver, "x", "4", "9", "k", "z", "5")
    wait(driver, "document.getElementById('label-progress').textContent.startsWith('2 labels, 1 not sure')")
    assert second != shown
    path = tmp_path / "labels.jsonl"
    path.write_text(saved(driver), encoding="utf-8")
    assert all(json.loads(line)["rubric_name"] == "honesty" for line in path.read_text().splitlines())
    labeled = read_labeled(path, (Rubric.parse("honesty"),))  # the log has its name alone, which may be another's
    assert labeled.problems == []
    assert sorted(row.scores for row in labeled.rows) == [(1.0,), (5.0,)]
    assert {row.request.rubric for row in labeled.rows} == {Rubric.parse("honesty")}
    assert HOSTILE in {row.request.response for row in labeled.rows}  # byte for byte, hidden characters too
    press(driver, "b")
    wait(driver, "document.getElementById('label-figures').textContent.includes('weighted kappa')")
    assert "The judge: " in driver.find_element("id", "label-item").text
    driver = opened("#view=label")  # kept in the browser
    assert texts(driver, "#label-progress")[0].startswith("2 labels, 1 not sure, of 720")
    assert errors(driver) == []


def test_a_rubric_may_have_a_name_of_javascripts_own(opened, tmp_path):
    page, log = tmp_path / "report.html", write_log(tmp_path / "log.jsonl", steps=1, rubrics=("constructor",))
    page.write_text(report_page(load_report(log)), encoding="utf-8")
    assert errors(opened("#view=label", at=page)) == []


def test_pairs_are_groups_of_two(opened, tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", pairs(12))
    label(source, judge=scripted_judge(), out=tmp_path / "out", rubric="helpfulness")
    page = tmp_path / "report.html"
    page.write_text(report_page(load_report(tmp_path / "out")), encoding="utf-8")
    driver = opened("#view=groups&group=2", at=page)
    wait(driver, "document.querySelector('.matrix')")
    assert texts(driver, ".matrix thead th") == ["chosen", "rejected"]
    assert texts(driver, "#group h2") == ["Row 2, group 2"]
    assert errors(driver) == []


def test_a_second_source_stands_beside_and_the_largest_change_comes_first(opened, tmp_path):
    first = write_log(tmp_path / "first.jsonl", steps=3)
    second = tmp_path / "second.jsonl"
    records = [json.loads(line) for line in first.read_text(encoding="utf-8").splitlines()]
    for at, record in enumerate(records):
        record |= {"expected_score": min(5, record["expected_score"] + 0.5) if at != 40 else 1.0, "feedback": "Second."}
    second.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    page = tmp_path / "report.html"
    data = load_report(first)
    page.write_text(report_page(data, comparison=compare(data, against=load_report(second))), encoding="utf-8")
    driver = opened("#view=judgments&sort=gap&down=1", at=page)
    found = [float(text.replace("−", "-")) for text in column(driver, "change")]
    assert found[0] < -0.5
    assert set(found[1:10]) == {0.5}
    press(driver, "j", "k")
    driver.execute_script("document.querySelector('#judgment-rows .row').click()")
    wait(driver, "document.querySelector('.judgment h4 + .text')")
    assert "Second." in texts(driver, ".judgment .text")
    assert len(texts(driver, ".matrix .change-mark")) == SIZE * len(RUBRICS)
    assert errors(driver) == []


@pytest.mark.parametrize("link", ["", "#view=groups&group=1", "#view=judgments", "#view=label"])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_view_fits_its_window_and_axe_finds_nothing(opened, seen_as, axe, width, scheme, link):
    seen_as(width, scheme)
    driver = opened(link)
    assert not is_wider_than_window(driver)
    assert violations(driver, axe) == []


@pytest.mark.full
def test_a_hundred_thousand_judgments_are_drawn_on_demand(opened, tmp_path):
    page = tmp_path / "report.html"
    page.write_text(report_page(load_report(write_log(tmp_path / "log.jsonl", steps=1000, prompts=7, size=7))), "utf-8")
    driver = opened("#view=judgments", at=page)
    write(driver, "find", "answer 3 999", "26 of 98,000 judgments")
    write(driver, "find", "answer", "97,998 of 98,000 judgments")  # all but the hostile response
    driver.execute_script("const box = document.getElementById('judgment-table'); box.scrollTop = box.scrollHeight")
    wait(driver, "document.querySelector('#judgment-rows .row:last-child').dataset.index === '97997'")
    assert len(texts(driver, "#judgment-rows .row")) < 60
