"""The pages in a real browser: light, dark, on a phone, without JavaScript. PYBOTS_SCREENSHOTS=DIR keeps pictures."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from pybots.database.engine import Sessions
from pybots.site.application import make_application

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
]
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 860}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 860}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "is_mobile": True},
    "narrow": {"color_scheme": "dark", "viewport": {"width": 320, "height": 640}, "is_mobile": True},
    "plain": {"java_script_enabled": False, "viewport": {"width": 1280, "height": 860}},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on the PATH")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)


@pytest.fixture(scope="module")
def address(filled: Sessions, site_rows: Any) -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    application = make_application(filled, lambda: site_rows.NOW, "Pybots")
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def pages(address: str) -> dict[str, str]:
    found = httpx.get(f"{address}/api/runs?project=click&limit=200", timeout=20).json()
    run = next(run for run in found if run["status"] == "tests-failed")
    return {
        "home": "/",
        "project": "/project/twisted",
        "run": f"/run/{run['key']}",
        "interpreter": f"/interpreter/{run['interpreter']}",
        "commit": f"/commit/{run['commit']}",
        "queue": "/queue",
        "workers": "/workers",
        "environment": f"/environment/{run['environment']}",
        "api": "/api",
    }


@pytest.mark.parametrize("look", LOOKS)
def test_pages_fit_and_say_nothing_to_the_console(
    browser: Any, address: str, pages: dict[str, str], look: str
) -> None:
    complaints: list[str] = []
    context = browser.new_context(**LOOKS[look])
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith(address) or complaints.append(asked.url))
    for name, path in pages.items():
        answer = page.goto(address + path)
        assert answer.status == 200, path
        keep(page, f"{name}-{look}.png")
        if look != "plain":
            wide = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
            assert wide[0] <= wide[1], f"{name} has to be scrolled sideways"
    context.close()
    assert complaints == []


def keep(page: Any, name: str) -> None:
    folder = os.environ.get("PYBOTS_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder, name)), full_page=True)


def test_without_javascript_everything_is_there_but_the_filter(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("tr[data-name]").count() == 5
    assert not page.locator("#filter").is_visible()
    page.locator("tr[data-name=click] a.box.look").click()
    assert page.locator("h1").inner_text().strip() == "tests failed"
    # The third failing test is folded; it opens by itself.
    folded = page.locator("details").nth(2)
    assert not folded.locator("pre").is_visible()
    folded.locator("summary").click()
    assert folded.locator("pre").is_visible()
    context.close()


def test_the_filter_and_local_times(browser: Any, address: str) -> None:
    context = browser.new_context(timezone_id="Asia/Tokyo", locale="en-GB")
    page = context.new_page()
    page.goto(address)
    page.locator("#filter input[type=search]").fill("tw")
    assert page.locator("tr[data-name]:visible").count() == 1
    page.locator("#filter input[type=search]").fill("")
    page.locator("#filter input[type=checkbox]").check()
    assert [row.get_attribute("data-name") for row in page.locator("tr[data-name]:visible").all()] == [
        "click",
        "django",
        "markupsafe",
    ]
    made = page.locator("footer time[data-exact]")
    assert "23:30" in made.inner_text()
    assert made.get_attribute("title") == "2026-11-22 14:30:00 UTC"
    context.close()
