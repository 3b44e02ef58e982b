"""An application with a dashboard, and something of everything that it can show."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Annotated, Any

import pytest

pytest.importorskip("fastapi", reason="needs the web extra")

import uvicorn
from fastapi import Header, HTTPException

from catzilla import Catzilla
from catzilla.background_tasks import TaskPriority, TaskStatus
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.observe import Observer


def authorized(authorization: Annotated[str | None, Header()] = None) -> None:
    if authorization != "Bearer secret":
        raise HTTPException(401, "who are you?")


class Told(Observer):
    """Told after the dashboard, which observes for longer."""

    def __init__(self) -> None:
        self.failures = 0

    def finished(self, record: Any, task: Any, status: TaskStatus) -> None:
        self.failures += status is TaskStatus.FAILED


class Busy:
    """An application in which tasks ran, failed, run and wait; ``gate`` lets the running ones end."""

    def __init__(self, backend: str, **dashboard: Any) -> None:
        self.gate = threading.Event()
        self.failing = threading.Event()
        self.failing.set()
        self.app = app = Catzilla("Parcels", backend=backend)
        app.enable_background_tasks(workers=3, enable_auto_scaling=False)
        assert app.tasks is not None
        self.system = app.tasks
        app.enable_dashboard("/tasks", **dashboard)
        self.told = Told()
        app.observe(self.told)

        @app.get("/tasks/stats")
        def stats() -> Any:
            return app.get_task_stats().as_dict()

        @app.get("/tasks/{task_id}")
        def one(task_id: str) -> str:
            return f"the application's own {task_id}"

    def work(self, failures: int = 2, pending: int = 3) -> None:
        app, gate, failing = self.app, self.gate, self.failing
        app.add_tasks(abs, [(-number,) for number in range(200)], name="weigh").wait(PATIENCE_S)

        def deliver(address: str, *, secret: str = "") -> str:
            if failing.is_set():
                raise ConnectionError(f"nobody is at {address}")
            return "delivered"

        def wait_at_gate(number: int) -> None:
            gate.wait()  # end() opens it, and a browser may take a while to have looked

        for number in range(failures):
            result = app.add_task(
                deliver, f"<b>street</b> {number}", secret="1234", name="deliver", max_retries=1, retry_base_ms=0
            )
            assert isinstance(result.exception(PATIENCE_S), ConnectionError)
            # A waiter may be there first, and the next failure must not overtake this one
            eventually(lambda: self.told.failures > number, "observers are told")  # noqa: B023
        self.running = [app.add_task(wait_at_gate, number, name="load the van") for number in range(2)]
        eventually(lambda: len(app.running()) == 2, "two tasks run")
        app.pause(TaskPriority.LOW)
        self.waiting = [
            app.add_task(abs, number, name="invoice", priority=TaskPriority.LOW) for number in range(pending)
        ]

    def release(self) -> None:
        """Let everything run to its end, so that a server's drain is quick."""
        self.gate.set()
        self.system.resume()

    def end(self) -> None:
        self.gate.set()
        self.system.shutdown(timeout=10, cancel_pending=True)


def off_loop(work: Callable[[], object]) -> None:
    """On a thread of its own: what drives the browser has an event loop on the test's."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


@contextmanager
def maker(backend: str) -> Iterator[Callable[..., Busy]]:
    made: list[Busy] = []

    def make(failures: int = 2, pending: int = 3, **dashboard: Any) -> Busy:
        made.append(Busy(backend, **dashboard))
        off_loop(lambda: made[-1].work(failures, pending))
        return made[-1]

    yield make
    for one in made:
        off_loop(one.end)


@pytest.fixture
def busy(backend_name: str) -> Iterator[Callable[..., Busy]]:
    """Makes one, on each backend in turn; ends it after the test."""
    with maker(backend_name) as make:
        yield make


@pytest.fixture
def busy_somewhere(one_backend_name: str) -> Iterator[Callable[..., Busy]]:
    """The same on one backend only: for what is a matter of the page alone."""
    with maker(one_backend_name) as make:
        yield make


@contextmanager
def served(app: Any) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def serve() -> Callable[[Any], Any]:
    """``with serve(app) as url``: uvicorn on a free port of loopback."""
    return served
