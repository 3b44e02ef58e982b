"""``catzilla top``: what the tasks of a running application do, in a terminal."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from .command import Command, CommandError, Parameter
from .top_sections import sections
from .top_watch import Look, Unanswered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .output import Output

ANSWER_WITHIN_S = 10.0


def run(out: Output, *, url: str | None, demo: bool, once: bool, interval_ms: int, header: str | None) -> int:
    if demo == (url is not None):
        raise CommandError(
            "give the address of an application's dashboard (http://127.0.0.1:8000/tasks) or of an endpoint that "
            "returns its get_task_stats(), or --demo"
        )
    if interval_ms < 50:
        raise CommandError(f"--interval-ms {interval_ms} is too short: at least 50")
    with _demo() if url is None else _remote(url, header) as look:
        if once:
            for title, columns, rows in sections(look()):
                out.heading(title)
                out.table(columns, rows)
        else:
            _live(look, interval_ms / 1e3, url or "a task system of this process")
    return 0


def _live(look: Look, interval_s: float, source: str) -> None:
    try:
        from .top_screen import screen
    except ImportError as error:
        raise CommandError(
            f"a live view needs the cli extra ({error}): pip install -e '.[cli]' in a checkout of the project; "
            "--once works without"
        ) from error
    screen(look, interval_s, source)


@contextmanager
def _remote(url: str, header: str | None) -> Iterator[Look]:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise CommandError(f"{url!r} is no address: it must begin with http:// or https://")
    headers = {"Accept": "application/json"}
    if header is not None:
        name, colon, value = header.partition(":")
        if not colon:
            raise CommandError(f"--header {header!r} must look like 'Authorization: Bearer …'")
        headers[name.strip()] = value.strip()
    found: list[str] = []  # the address that answered with figures

    def look() -> dict[str, Any]:
        if found:
            figures = _figures(found[0], headers)
            if figures is None:  # it did give figures: another program has its port, or it is half way up
                raise Unanswered(f"{found[0]} answers, but with no figures any more")
            return figures
        for candidate in (url, f"{url.rstrip('/')}/-/snapshot"):
            figures = _figures(candidate, headers)
            if figures is not None:
                found.append(candidate)
                return figures
        _none(url)

    yield look


def _none(url: str) -> NoReturn:
    raise CommandError(
        f"{url} is neither a dashboard (app.enable_dashboard) nor returns the statistics of get_task_stats() as JSON"
    )


def _figures(url: str, headers: dict[str, str]) -> dict[str, Any] | None:
    """What it answers, if these are figures."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=ANSWER_WITHIN_S) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (401, 403):
                raise CommandError(f"{url} answers {error.code}: give what it asks for with --header") from error
            if error.code >= 500:  # a proxy whose server restarts says so for a while
                raise Unanswered(f"{url} answers {error.code} {error.reason}") from error
            return None
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"{url} does not answer: {_why(error)}") from error
    try:
        body = json.loads(text)
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    if "stats" in body and "lanes" in body:
        return body
    return {"stats": body} if "tasks_per_second" in body and "total_queued" in body else None


def _why(error: Exception) -> str:
    """urllib wraps what happened in brackets, and http.client may have no words for it."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return text or type(reason).__name__


@contextmanager
def _demo() -> Iterator[Look]:
    """A task system of this process with something to do."""
    import random
    import threading

    from catzilla.observe.live import LiveView
    from catzilla.priority import TaskPriority
    from catzilla.system import TaskSystem

    stop = threading.Event()

    def fetch_page(number: int) -> int:
        stop.wait(random.uniform(0.002, 0.03))
        if number % 40 == 0:
            raise ConnectionError(f"page {number} does not answer")
        return number

    def resize_image(number: int) -> int:
        return sum(value * value for value in range(20_000))

    def seen(page: Any) -> None:
        page.exception(0)  # else each failure would be logged, across the picture

    with TaskSystem(workers=4) as system:
        view = LiveView(system)
        system.observe(view)

        def feed() -> None:
            number = 0
            while not stop.wait(0.01):
                number += 1
                page: Any = system.add_task(
                    fetch_page, number, name="fetch_page", max_retries=number % 2, retry_base_ms=50
                )
                page.add_callback(seen)
                if number % 4 == 0:
                    system.add_task(resize_image, number, name="resize_image", priority=TaskPriority.LOW)

        feeder = threading.Thread(target=feed, name="demo-feed", daemon=True)
        feeder.start()
        first: Any = system.add_task(fetch_page, 1, name="fetch_page")
        first.wait(ANSWER_WITHIN_S)  # so that there is something to see
        try:
            yield view.snapshot
        finally:
            stop.set()
            feeder.join()
            system.shutdown(cancel_pending=True)


COMMAND = Command(
    "top",
    "Show what the tasks of a running application do.",
    run,
    (
        Parameter("url", "Its dashboard, or an endpoint that returns its statistics.", positional=True, required=False),
        Parameter("demo", "Show a task system of this process with something to do.", bool),
        Parameter("once", "Print it once and end.", bool),
        Parameter("interval_ms", "Milliseconds between two looks.", int, 1000),
        Parameter("header", "A header to send along, such as 'Authorization: Bearer …'."),
    ),
)
