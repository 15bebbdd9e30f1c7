"""What the browser tests do with a page."""

import json
import time


def wait(driver, condition, seconds=20):
    end = time.monotonic() + seconds
    while not driver.execute_script(f"return {condition}"):
        assert time.monotonic() < end, condition
        time.sleep(0.02)


def errors(driver):
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def texts(driver, selector):
    return driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((it) => it.textContent)", selector
    )


def click(driver, selector):
    driver.execute_script("document.querySelector(arguments[0]).click()", selector)


def column(driver, name):
    at = driver.execute_script(
        "const heads = [...document.querySelectorAll('#judgment-heads > *')];"
        "return heads.findIndex((it) => it.dataset.name === arguments[0])",
        name,
    )
    return texts(driver, f"#judgment-rows .row > :nth-child({at + 1})")


def write(driver, field, text, expected):
    box = driver.find_element("id", field)
    box.clear()
    box.send_keys(text)
    wait(driver, f"document.getElementById('count').textContent === {json.dumps(expected)}")


def press(driver, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    for key in keys:
        ActionChains(driver).send_keys(key).perform()


def saved(driver):
    """Press Save and return the lines that the page would write."""
    driver.execute_script(
        "const make = URL.createObjectURL; URL.createObjectURL = (blob) => {"
        "blob.text().then((text) => { window.saved = text; }); return make(blob); }"
    )
    press(driver, "s")
    wait(driver, "window.saved")
    return driver.execute_script("return window.saved")


def violations(driver, axe):
    """Return what axe-core finds on the page as it is shown: rule, and the first element."""
    driver.execute_script(axe)
    return driver.execute_async_script(
        "const done = arguments[0];"
        "axe.run(document).then(({ violations }) => done(violations.map(({ id, nodes }) => [id, nodes[0].html])))"
    )


def is_wider_than_window(driver):
    return driver.execute_script("const page = document.documentElement; return page.scrollWidth > page.clientWidth")
