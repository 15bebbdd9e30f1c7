"""The report in a real browser: no error, no request, filters and sorting that work, text that stays text."""

import random
import shutil
import time

import pytest

from prom_reward.engines.base import Generation
from prom_reward.labeling.labeling import label
from prom_reward.reports.data import load_report
from prom_reward.reports.page import report_page
from tests.labeling.label_inputs import scripted_judge, write_rows

pytestmark = pytest.mark.browser

HOSTILE = "</script><script>document.title = 'taken'</script><b>bold</b>"
CHROMIUM_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1360,1000",
)


def varied(prompt):
    draw = random.Random(prompt.user)
    logprobs = {score: draw.uniform(-4, 0) for score in prompt.labels}
    return Generation(
        text=f"Words. [RESULT] {max(logprobs, key=logprobs.get)}", finish_reason="result", score_logprobs=logprobs
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver_path, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver_path is None or chromium is None:
        pytest.skip("no chromium with chromedriver; apt-get install chromium chromium-driver")
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = chromium
    for option in (*CHROMIUM_OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=ChromeService(executable_path=driver_path))
    driver.set_page_load_timeout(280)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    def make(rows):
        folder = tmp_path_factory.mktemp("labels")
        source = write_rows(folder / "rows.jsonl", rows)
        label(source, judge=scripted_judge(varied), out=folder / "out", rubric="helpfulness")
        page = folder / "report.html"
        page.write_text(report_page(load_report(folder / "out")), encoding="utf-8")
        return page

    return make


@pytest.fixture(scope="module")
def page(page_of):
    rows = [
        {"prompt": f"Question {at}?", "chosen": f"Answer {at}.", "rejected": f"No {at}.", "source": f"part {at % 3}"}
        for at in range(150)
    ]
    return page_of([*rows, {"prompt": "Hostile?", "chosen": HOSTILE, "rejected": "Harmless.", "source": "part 0"}])


@pytest.fixture
def opened(browser, page):
    browser.get(page.as_uri())
    return browser


def texts(driver, column):
    script = (
        "const at = [...document.querySelectorAll('#heads th')].findIndex((head) => head.dataset.key === arguments[0]);"
        "return [...document.querySelectorAll('tr.one')].map((row) => row.children[at].textContent);"
    )
    return driver.execute_script(script, column)


def click(driver, selector):
    driver.execute_script("document.querySelector(arguments[0]).click()", selector)


def count(driver):
    return driver.execute_script("return document.getElementById('count').textContent")


def search(driver, words, expected):
    field = driver.find_element("id", "search")
    field.clear()
    field.send_keys(words)
    end = time.monotonic() + 20
    while count(driver) != expected and time.monotonic() < end:
        time.sleep(0.05)
    assert count(driver) == expected


def test_the_page_opens_from_disk_without_an_error_or_a_request(opened):
    assert opened.title == "rows.jsonl · prom_reward labeling report"
    assert [entry for entry in opened.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    requests = [entry["message"] for entry in opened.get_log("performance") if 'requestWillBeSent"' in entry["message"]]
    assert any('"url":"file://' in request for request in requests)
    assert not any('"url":"http' in request or '"url":"ws' in request for request in requests)
    plots = opened.execute_script("return document.querySelectorAll('.plot svg').length")
    assert plots >= 5
    assert count(opened) == "302 of 302"


def test_sorting_turns_around(opened):
    click(opened, "th[data-key=expected_score] button")
    down = [float(text) for text in texts(opened, "expected_score")]
    assert down == sorted(down, reverse=True)
    click(opened, "th[data-key=expected_score] button")
    up = [float(text) for text in texts(opened, "expected_score")]
    assert up == sorted(up)
    assert up[0] < down[0]
    assert opened.find_element("css selector", "th[data-key=expected_score]").get_attribute("aria-sort") == "ascending"


def test_search_and_choices_filter_together(opened):
    search(opened, "question 12", "24 of 302")  # 12, 112, and 120 to 129, both sides
    opened.execute_script(
        "const side = document.querySelector('select[data-key=side]'); side.value = 'chosen';"
        "side.dispatchEvent(new Event('change'))"
    )
    assert count(opened) == "12 of 302"
    assert set(texts(opened, "side")) == {"chosen"}
    click(opened, "#clear")
    assert count(opened) == "302 of 302"


def test_a_response_with_script_tags_is_shown_as_text(opened):
    search(opened, "hostile", "2 of 302")
    click(opened, "tr.one")
    shown = opened.execute_script("return [...document.querySelectorAll('.detail pre')].map((it) => it.textContent)")
    assert shown[:3] == ["Hostile?", HOSTILE, "Harmless."]
    assert opened.execute_script("return document.querySelectorAll('.detail b, .detail script').length") == 0
    assert opened.title == "rows.jsonl · prom_reward labeling report"


def test_the_keyboard_is_enough(opened):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    def press(*keys):
        for key in keys:
            ActionChains(opened).send_keys(key).perform()

    press("/")
    assert opened.switch_to.active_element.get_attribute("id") == "search"
    press(Keys.ESCAPE, "j", "j", Keys.ENTER)
    row = opened.switch_to.active_element
    assert (row.get_attribute("data-at"), row.get_attribute("aria-expanded")) == ("1", "true")
    assert "The other side (chosen" in opened.find_element("css selector", ".detail").text
    press("k", "n")
    assert opened.find_element("id", "page").text == "page 2 of 7"
    press("p")
    assert opened.find_element("id", "page").text == "page 1 of 7"


def test_a_judgment_that_needs_an_eye_leads_to_its_row(opened):
    click(opened, ".eye")
    prompt = opened.execute_script("return document.querySelector('.eye p').textContent")
    assert opened.execute_script("return document.querySelector('.detail pre').textContent") == prompt


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_no_wider_than_its_window(opened, width):
    try:
        opened.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        shown, whole = opened.execute_script(
            "const page = document.documentElement; return [page.clientWidth, page.scrollWidth]"
        )
        assert whole == shown
        plots = opened.execute_script(
            "return [...document.querySelectorAll('.plot svg')].map((plot) => plot.getBoundingClientRect().width)"
        )
        assert all(200 < plot <= min(640, width) for plot in plots)
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.full
def test_ten_thousand_judgments_stay_fluent(browser, page_of):
    rows = [
        {"prompt": f"Question {at}? " * 40, "chosen": f"Answer {at}. " * 60, "rejected": "No. " * 60}
        for at in range(5000)
    ]
    browser.get(page_of(rows).as_uri())
    assert count(browser) == "10,000 of 10,000"
    script = (
        "const start = performance.now(); document.querySelector('th[data-key=entropy] button').click();"
        "document.body.offsetHeight; return performance.now() - start"
    )
    assert min(browser.execute_script(script) for _ in range(3)) < 500  # milliseconds
    script = (
        "const field = document.getElementById('search'); field.value = 'answer 77'; const start = performance.now();"
        "field.dispatchEvent(new Event('input')); await new Promise((done) => setTimeout(done, 125));"
        "return [performance.now() - start - 125, document.getElementById('count').textContent]"
    )
    milliseconds, shown = browser.execute_script(script)
    assert (shown, milliseconds < 500) == ("95 of 10,000", True)
