"""Background tasks live as long as the server, and no task that was accepted is lost with it."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import time
import warnings
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, Request

from catzilla import Catzilla
from catzilla.background_tasks import TaskAbandoned, TaskCancelled
from catzilla.conformance.rig import PATIENCE_S

SLOW_S = 0.002
MANY = 100


class Resource:
    """Something that an application opens for its requests and tasks, such as a connection pool."""

    def __init__(self):
        self.open = False
        self.used = 0
        self.used_when_closed = 0

    def use(self):
        time.sleep(SLOW_S)
        if self.open:
            self.used += 1
        else:
            self.used_when_closed += 1

    @asynccontextmanager
    async def lifespan(self, app):
        self.open = True
        yield {"resource": self}
        self.open = False


@pytest.fixture
def resource():
    return Resource()


def test_what_is_queued_runs_before_the_server_is_gone(client_of, resource):
    app = Catzilla(lifespan=resource.lifespan)
    app.enable_background_tasks(workers=1)

    with client_of(app):
        results = [app.add_task(resource.use) for _ in range(MANY)]

    assert all(result.done() for result in results)
    assert app.get_task_stats().completed == MANY


def test_tasks_that_drain_still_have_what_the_applications_lifespan_opened(client_of, resource):
    app = Catzilla(lifespan=resource.lifespan)
    app.enable_background_tasks(workers=1)
    with client_of(app):
        for _ in range(MANY):
            app.add_task(resource.use)
    assert (resource.used, resource.used_when_closed) == (MANY, 0)


def test_tasks_that_drain_still_have_what_an_included_routers_lifespan_opened(client_of, resource):
    app = Catzilla()
    app.enable_background_tasks(workers=1)
    app.include_router(APIRouter(lifespan=resource.lifespan))
    with client_of(app):
        for _ in range(MANY):
            app.add_task(resource.use)
    assert (resource.used, resource.used_when_closed) == (MANY, 0)


def test_the_state_of_the_users_lifespan_reaches_requests(client_of, resource):
    app = Catzilla(lifespan=resource.lifespan)
    app.enable_background_tasks()

    @app.get("/open")
    def is_open(request: Request) -> bool:
        return request.state.resource.open

    with client_of(app) as client:
        assert client.get("/open").json() is True


def test_event_hooks_run_and_may_submit(client_of):
    # Given an application with hooks of the older kind
    app = Catzilla()
    app.enable_background_tasks()
    ran = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        app.on_event("startup")(lambda: app.add_task(ran.append, "at startup"))
        app.on_event("shutdown")(lambda: app.add_task(ran.append, "at shutdown"))

    # When it is started and stopped, twice
    for _ in range(2):
        with client_of(app):
            pass

    # Then what each hook submitted has run
    assert ran == ["at startup", "at shutdown"] * 2


def test_a_second_start_reopens(client_of):
    app = Catzilla()
    app.enable_background_tasks()
    add_task = app.add_task

    for value in (1, 2, 3):
        with client_of(app):
            assert app.add_task(abs, -value).wait(PATIENCE_S) == value
        with pytest.raises(RuntimeError):
            app.add_task(abs, -1)

    assert app.add_task is add_task


def test_enabled_by_a_startup_hook_it_drains_too(client_of, resource):
    @asynccontextmanager
    async def lifespan(app):
        app.enable_background_tasks(workers=1)
        async with resource.lifespan(app):
            yield

    app = Catzilla(lifespan=lifespan)
    with client_of(app):
        for _ in range(MANY):
            app.add_task(resource.use)
    assert (resource.used, resource.used_when_closed) == (MANY, 0)


def test_not_enabled_it_is_just_fastapi(client_of, resource):
    app = Catzilla(lifespan=resource.lifespan)
    app.get("/")(lambda: "here")
    with client_of(app) as client:
        assert client.get("/").json() == "here"
    assert not resource.open


def test_of_two_servers_only_the_last_to_leave_closes(client_of):
    app = Catzilla()
    app.enable_background_tasks()
    first, second = client_of(app), client_of(app)
    with second:
        with first:
            pass
        assert app.add_task(abs, -1).wait(PATIENCE_S) == 1
    with pytest.raises(RuntimeError):
        app.add_task(abs, -1)


def test_a_startup_that_fails_is_reported_and_the_next_one_works(client_of):
    attempts = []

    @asynccontextmanager
    async def lifespan(app):
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("no database")
        yield

    app = Catzilla(lifespan=lifespan)
    app.enable_background_tasks()
    with pytest.raises(OSError, match="no database"), client_of(app):
        pass
    with client_of(app):
        assert app.add_task(abs, -1).wait(PATIENCE_S) == 1


def test_the_context_itself_can_be_entered(resource):
    # Some test tools enter router.lifespan_context and run no server.
    app = Catzilla(lifespan=resource.lifespan)
    app.enable_background_tasks(workers=1)

    async def use():
        async with app.router.lifespan_context(app):
            for _ in range(MANY):
                app.add_task(resource.use)

    asyncio.run(use())
    assert (resource.used, resource.used_when_closed) == (MANY, 0)


def test_an_error_inside_is_not_hidden(resource):
    app = Catzilla(lifespan=resource.lifespan)
    app.enable_background_tasks()

    async def fail():
        async with app.router.lifespan_context(app):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        asyncio.run(fail())


def test_a_task_that_is_not_done_in_time_does_not_keep_the_server(client_of, caplog):
    # Given a task that does not end within the time a shutdown may take, and one behind it
    app = Catzilla()
    app.enable_background_tasks(workers=1, enable_auto_scaling=False, shutdown_timeout=0.2)
    started, never = threading.Event(), threading.Event()

    def stick():
        started.set()
        never.wait()

    # When the server stops
    with client_of(app):
        stuck = app.add_task(stick)
        assert started.wait(PATIENCE_S)
        pending = app.add_task(abs, -1)
    never.set()

    # Then both handles and the log say what became of them
    assert isinstance(stuck.exception(0), TaskAbandoned)
    assert isinstance(pending.exception(0), TaskCancelled)
    assert "1 were cancelled, 1 still ran and were abandoned" in caplog.text


def test_output_of_tasks_is_flushed(client_of, monkeypatch):
    class Buffered(io.StringIO):
        flushed = ""

        def flush(self):
            self.flushed = self.getvalue()

    app = Catzilla()
    app.enable_background_tasks()
    out = Buffered()
    with client_of(app):
        monkeypatch.setattr(sys, "stdout", out)
        app.add_task(print, "from a task").wait(PATIENCE_S)
    assert "from a task\n" in out.flushed
