"""The page in a real browser: what it shows under load, what its buttons do, keyboard, widths, colours.

Skipped where there is no Chromium, unless CATZILLA_TEST_BROWSER=1 says that there must be one.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the web extra")

from catzilla.background_tasks import TaskPriority
from catzilla.conformance.rig import PATIENCE_S, eventually

from .conftest import off_loop, served

REQUIRED = os.environ.get("CATZILLA_TEST_BROWSER") == "1"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        (pytest.fail if REQUIRED else pytest.skip)("there is no Chromium on this machine (apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        (pytest.fail if REQUIRED else pytest.skip)(f"playwright cannot be imported: {error}")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """A page of an application that is served; its errors and requests to other hosts fail the test."""
    problems: list[str] = []
    with ExitStack() as stack:

        def open_page(
            one: Any, cookie: bool = False, answer: Callable[[Any], None] | None = None, **options: Any
        ) -> Any:
            url = stack.enter_context(served(one.app))
            stack.callback(one.release)  # before the server drains
            if cookie:
                options["storage_state"] = {"cookies": [{"name": "key", "value": "secret", "url": url}], "origins": []}
            context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
            stack.callback(context.close)  # before the server goes
            page = context.new_page()
            page.set_default_timeout(PATIENCE_S * 1000)
            page.on("pageerror", lambda error: problems.append(f"error: {error}"))
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)

            def asked(request: Any) -> None:
                if not request.url.startswith((url, "data:")):
                    problems.append(request.url)

            page.on("request", asked)
            if answer is not None:
                page.route("**/snapshot", answer)
            page.goto(f"{url}/tasks")
            page.wait_for_selector("#state.live")
            return page

        yield open_page
        assert problems == []


def until(page: Any, expression: str) -> None:
    """Playwright's own wait_for_function needs eval, which the page's policy forbids."""
    eventually(lambda: page.evaluate(expression), expression)


@pytest.fixture
def authorized_by_cookie() -> Callable[..., None]:
    from fastapi import HTTPException, Request

    def authorized_by_cookie(request: Request) -> None:
        if request.cookies.get("key") != "secret":
            raise HTTPException(401, "who are you?")

    authorized_by_cookie.__annotations__["request"] = Request  # a closure's are not looked up
    return authorized_by_cookie


def test_it_shows_what_happens_and_does_what_is_clicked(
    busy: Callable[..., Any],
    open_page: Callable[..., Any],
    authorized_by_cookie: Callable[..., None],
) -> None:
    one = busy(auth=authorized_by_cookie, failures=8)
    page = open_page(one, cookie=True)
    page.wait_for_selector("details.failure")
    assert page.title() == "Parcels: tasks"
    # What is there
    tiles = page.locator("#tiles").inner_text()
    assert "2 of 3" in tiles
    assert page.locator("#tasks tbody tr").first.inner_text().startswith("weigh")
    assert page.locator("#pending tbody tr").count() == 3
    assert page.locator("#workers").get_by_text("load the van").count() == 2
    # A list of failures that is no longer than it must be
    assert page.locator("details.failure").count() == 5
    page.get_by_role("button", name="Show all 8").click()
    until(page, "document.querySelectorAll('details.failure').length === 8")
    # Text is text
    first = page.locator("details.failure").first
    first.locator("summary").click()
    assert "nobody is at <b>street</b> 7" in first.inner_text()
    assert page.locator("details.failure b").count() == 0
    assert first.locator("pre").inner_text().startswith("Traceback (most recent call last)")
    # It stays open while the figures change
    ran = one.system.stats().completed
    one.app.add_tasks(abs, [(1,)] * 50, name="weigh")
    until(page, f"document.querySelector('#tiles').innerText.includes('{ran + 50}')")
    assert first.get_attribute("open") is not None
    # Retry, cancel, pause, resume
    one.failing.clear()
    page.get_by_role("button", name="Retry deliver").first.click()
    until(page, "document.querySelector('#toast').innerText.startsWith('Submitted again')")
    eventually(lambda: one.system.stats().completed == ran + 51, "it ran again")
    page.get_by_role("button", name="Cancel invoice").first.click()
    until(page, "document.querySelectorAll('#pending tbody tr').length === 2")
    page.get_by_role("button", name="Pause lane HIGH").click()
    page.get_by_role("button", name="Resume lane HIGH").wait_for()
    assert int(TaskPriority.HIGH) in one.system.paused_lanes()
    page.get_by_role("button", name="Resume lane HIGH").click()
    page.get_by_role("button", name="Pause lane HIGH").wait_for()
    assert int(TaskPriority.HIGH) not in one.system.paused_lanes()


def test_it_follows_a_steady_load(
    busy: Callable[..., Any], open_page: Callable[..., Any], authorized_by_cookie: Callable[..., None]
) -> None:
    # Given tasks that come and go all the time while the page is looked at
    one = busy(auth=authorized_by_cookie)
    page = open_page(one, cookie=True)
    stop = threading.Event()

    def feed() -> int:
        fed = 0
        while not stop.is_set():
            fed += len(one.app.add_tasks(time.sleep, [(0.001,)] * 50, name="weigh").wait(PATIENCE_S))
        return fed

    before = one.system.stats().completed
    with ThreadPoolExecutor(1) as pool:
        feeding = pool.submit(feed)
        try:
            # Then its figures change again and again, and its buttons work
            shown: list[str] = []

            def changes() -> bool:
                text = page.locator("#tiles").inner_text()
                if text not in shown:
                    shown.append(text)
                return len(shown) >= 5

            eventually(changes, "five states of the figures")
            page.get_by_role("button", name="Pause lane HIGH").click()
            page.get_by_role("button", name="Resume lane HIGH").click()
            page.get_by_role("button", name="Pause lane HIGH").wait_for()
        finally:
            stop.set()
        fed = feeding.result(PATIENCE_S)
    # And in the end it shows exactly what ran
    assert one.system.stats().completed == before + fed
    until(page, f"document.querySelector('#tiles').innerText.includes('{before + fed:,}')")


def test_a_failure_that_is_read_stays_while_others_come(
    busy: Callable[..., Any], open_page: Callable[..., Any]
) -> None:
    one = busy()
    page = open_page(one)
    page.wait_for_selector("details.failure")
    read = page.locator("details.failure").filter(has_text="street</b> 0")
    read.locator("summary").click()

    def fail() -> None:
        raise ConnectionError("of many")

    off_loop(lambda: [one.app.add_task(fail, name="late").exception(PATIENCE_S) for _ in range(8)])
    until(page, "document.querySelector('#failures').innerText.includes('of many')")
    assert read.get_attribute("open") is not None
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_read_only_has_no_buttons_that_act(busy_somewhere: Callable[..., Any], open_page: Callable[..., Any]) -> None:
    page = open_page(busy_somewhere())
    page.wait_for_selector("details.failure")
    assert "read only" in page.locator("#engine").inner_text()
    page.locator("details.failure summary").first.click()
    assert page.locator("main button:visible").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_cut_off_and_colours_can_be_told_apart(
    busy_somewhere: Callable[..., Any], open_page: Callable[..., Any], scheme: str, width: int
) -> None:
    page = open_page(busy_somewhere(), color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_selector("details.failure")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    cut_off = page.evaluate(
        "[...document.querySelectorAll('#tiles dt, #tiles dd, h2, .facts dt, .facts dd')]"
        ".filter(node => node.scrollWidth > node.clientWidth + 1).map(node => node.innerText)"
    )
    assert cut_off == []
    # What scrolls sideways would hide a table's last columns, and its buttons
    scrolls = "[...document.querySelectorAll('.scroll')].filter(node => node.scrollWidth > node.clientWidth).length"
    assert page.evaluate(scrolls) == 0
    rate = "document.querySelector('#rate .top').getBoundingClientRect().bottom"
    assert page.evaluate(f"{rate} <= document.querySelector('#rate svg').getBoundingClientRect().top")
    assert "0.00" not in page.locator("main").inner_text()
    low = page.evaluate(CONTRAST)
    assert low == []


CONTRAST = """() => {
  const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = (color) => {
    const [r, g, b] = color.match(/[0-9.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  };
  const behind = (node) => {
    while (node) {
      const color = getComputedStyle(node).backgroundColor;
      if (!/, 0\\)$|transparent/.test(color)) return color;
      node = node.parentElement;
    }
    return "rgb(255, 255, 255)";
  };
  const low = [];
  for (const node of document.querySelectorAll("dt, dd, th, td, h1, h2, small, summary span, button, p")) {
    if (!node.innerText || !node.offsetParent) continue;
    const [one, other] = [luminance(getComputedStyle(node).color), luminance(behind(node))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) low.push(`${node.innerText.slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return low;
}"""


def test_a_narrow_table_says_what_each_cell_is(
    busy_somewhere: Callable[..., Any], open_page: Callable[..., Any]
) -> None:
    page = open_page(busy_somewhere())
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_selector("details.failure")
    label = "getComputedStyle(document.querySelector('#lanes tbody tr').children[6], '::before').content"
    assert page.evaluate(label) == '"Wait p99"'
    assert page.get_by_role("columnheader", name="Wait p99").count() == 1  # it is a table to who cannot see it
    assert page.locator("#lanes").get_by_role("rowheader").count() == 4


@pytest.mark.parametrize(
    ("figures", "oldest_s", "expected"),
    [
        ({"stuck_workers": 2, "total_queued": 0}, None, ["2 stuck, ", "nothing waits"]),
        ({"stuck_workers": 0, "total_queued": 3}, None, ["none is ready to start"]),
        ({"stuck_workers": 0, "total_queued": 3}, 0, ["came just now"]),
        ({"stuck_workers": 0, "total_queued": 3}, 2.5, ["the oldest for 2.50 s"]),
    ],
)
def test_notes_under_the_figures(
    busy_somewhere: Callable[..., Any],
    open_page: Callable[..., Any],
    figures: dict[str, int],
    oldest_s: float | None,
    expected: list[str],
) -> None:
    def answer(route: Any) -> None:
        now = route.fetch().json()
        now["stats"].update(figures)
        for lane in now["lanes"]:
            lane["oldest_s"] = oldest_s
        route.fulfill(json=now)

    page = open_page(busy_somewhere(failures=0), answer=answer)
    for text in expected:
        until(page, f"document.querySelector('#tiles').innerText.includes('{text}')")
    assert ("stuck" in page.locator("#tiles").inner_text()) == bool(figures["stuck_workers"])


def test_the_keyboard_is_enough(busy_somewhere: Callable[..., Any], open_page: Callable[..., Any]) -> None:
    page = open_page(busy_somewhere())
    page.wait_for_selector("details.failure")
    seen: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        what = page.evaluate("(document.activeElement.id || document.activeElement.tagName).toLowerCase()")
        seen.append(what)
        if what == "summary":
            break
    assert {"hold", "theme", "summary"} <= set(seen)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("details.failure[open]")
    page.locator("#theme").focus()
    page.keyboard.press("Enter")
    assert page.locator("html").get_attribute("data-theme") == "light"
    page.locator("#hold").focus()
    page.keyboard.press("Space")
    assert page.locator("#hold").get_attribute("aria-pressed") == "true"


def test_the_keyboard_alone_acts_and_keeps_its_place(
    busy_somewhere: Callable[..., Any], open_page: Callable[..., Any], authorized_by_cookie: Callable[..., None]
) -> None:
    one = busy_somewhere(auth=authorized_by_cookie)
    page = open_page(one, cookie=True)
    page.wait_for_selector("details.failure")
    focused = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.tagName"

    def tab_to(label: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(focused) == label:
                return
        pytest.fail(f"Tab does not come to {label}")

    tab_to("Pause lane HIGH")
    page.keyboard.press("Enter")
    until(page, f"({focused}) === 'Resume lane HIGH'")  # the same button, with the focus
    assert int(TaskPriority.HIGH) in one.system.paused_lanes()
    tab_to("SUMMARY")
    page.keyboard.press("Enter")
    page.wait_for_selector("details.failure[open]")
    one.failing.clear()
    completed = one.system.stats().completed
    tab_to("Traceback")  # it scrolls, so it takes the focus
    tab_to("Retry deliver")
    page.keyboard.press("Space")
    eventually(lambda: one.system.stats().completed == completed + 1, "it ran again")
    tab_to("Cancel invoice")
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('#pending tbody tr').length === 2")
    # Its row is gone; who goes on is at the next one, not at the top of the page.
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Cancel invoice"


def test_a_long_name_breaks_between_its_words(
    busy_somewhere: Callable[..., Any], open_page: Callable[..., Any]
) -> None:
    one = busy_somewhere(failures=0)
    name = "shop.orders.charge_customer_for_an_order_with_a_long_name"
    one.app.add_task(abs, -1, name=name)
    page = open_page(one)
    page.set_viewport_size({"width": 400, "height": 800})
    until(page, f"document.querySelector('#tasks').innerText.includes('{name}')")
    heading = f"[...document.querySelectorAll('#tasks tbody th')].find((one) => one.textContent === '{name}')"
    parts = page.evaluate(f"[...({heading}).childNodes].map((part) => part.textContent).filter((text) => text)")
    assert parts[:4] == ["shop.", "orders.", "charge_", "customer_"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_says_when_the_server_is_gone_and_comes_back_to_life(
    busy_somewhere: Callable[..., Any], browser: Any
) -> None:
    one = busy_somewhere(failures=0)
    with ExitStack() as stack:
        url = stack.enter_context(served(one.app))
        stack.callback(one.release)
        context = browser.new_context()
        stack.callback(context.close)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.goto(f"{url}/tasks")
        page.wait_for_selector("#state.live")
        context.set_offline(True)
        page.wait_for_selector("#state.lost")
        context.set_offline(False)
        page.wait_for_selector("#state.live")
