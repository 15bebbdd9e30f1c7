"""Headless Chromium, and axe-core if `npm install axe-core` put it into the repository's root."""

import shutil
from pathlib import Path

import pytest

from tests.integration.browser.driving import wait

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


@pytest.fixture(scope="session")
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


@pytest.fixture
def opened(browser, request):
    """Open the page at the state of a link, with all texts read."""

    def go(link="", at=None):
        at = at or request.getfixturevalue("page")
        browser.get("about:blank")
        browser.get(at.as_uri() + link)
        wait(browser, "document.documentElement.dataset.ready === 'texts'")
        return browser

    return go


@pytest.fixture(scope="session")
def axe():
    """The script of axe-core."""
    path = Path(__file__).parents[3] / "node_modules/axe-core/axe.min.js"
    if not path.exists():
        pytest.skip("no axe-core; npm install --no-save axe-core")
    return path.read_text(encoding="utf-8")


@pytest.fixture
def seen_as(browser):
    """Set the window's size and color scheme for a test."""

    def look(width, scheme="light"):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    yield look
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
