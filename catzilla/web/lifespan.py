"""How background tasks live and end with the server: start, drain, start again.

The order at shutdown: first drain, while the application's own resources are still there, because
tasks may use them; then the application's own shutdown; then close, which drains what that shutdown
submitted. Both together take no longer than the system's ``shutdown_timeout``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Protocol

from catzilla.log import logger
from catzilla.system import TaskSystem
from catzilla.web.interruptible import done_or_interrupted
from catzilla.web.turns import turns

LifespanContext = Callable[[Any], AbstractAsyncContextManager[Any]]


class Owner(Protocol):
    """What has background tasks, or gets them later."""

    tasks: TaskSystem | None


_entering: ContextVar[BackgroundLifespan | None] = ContextVar("catzilla_entering", default=None)


class BackgroundLifespan:
    """Wraps the lifespan contexts of one application.

    A context that holds a wrapped one may be wrapped again (including a router puts its lifespan
    around ours): the outermost does it all. Several servers may run one application: the first to
    start opens, only the last to leave drains and closes.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._entered = 0
        self._lock = threading.Lock()  # each TestClient runs its lifespan on a thread of its own
        self._deadline: float | None = None  # of drain and close together, time.monotonic()

    def wrap(self, inner: LifespanContext) -> LifespanContext:
        """A context that runs ``inner`` with background tasks around it."""

        @asynccontextmanager
        async def context(app: Any) -> AsyncIterator[Any]:
            if _entering.get() is self:
                async with inner(app) as state:
                    yield state
                return
            self._enter()
            turns.serve()
            orderly = True
            try:
                async with AsyncExitStack() as stack:
                    token = _entering.set(self)
                    try:
                        state = await stack.enter_async_context(inner(app))
                    finally:
                        _entering.reset(token)
                    if self._owner.tasks is not None:
                        self._owner.tasks.start_schedules()  # with what the application opened at its start
                    yield state
                    if self._entered == 1:
                        await self._drain()
            except Exception:
                raise
            except BaseException:
                # The server was forced to stop and its loop is being torn down: nothing can be
                # awaited any more. What is pending is left to the drain at the interpreter's exit.
                orderly = False
                raise
            finally:
                turns.leave()
                if self._leave() and orderly:
                    await self._close()

        return context

    def _enter(self) -> None:
        with self._lock:
            self._entered += 1
            if self._entered == 1:
                self._deadline = None
                if self._owner.tasks is not None:
                    self._owner.tasks.reopen()

    def _leave(self) -> bool:
        with self._lock:
            self._entered -= 1
            return not self._entered

    async def _drain(self) -> None:
        # Not "if it was there at the start": a startup hook may have enabled it.
        tasks = self._owner.tasks
        if tasks is None:
            return
        self._deadline = time.monotonic() + tasks.config.shutdown_timeout
        tasks.stop_schedules()
        drained = await done_or_interrupted(partial(tasks.drain, tasks.config.shutdown_timeout))
        if not drained.done():
            self._deadline = 0.0  # the user will not wait any longer

    async def _close(self) -> None:
        tasks = self._owner.tasks
        if tasks is None:
            return
        left_s = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        closed = await done_or_interrupted(partial(tasks.shutdown, timeout=left_s))
        if not closed.done():
            closed = await done_or_interrupted(partial(tasks.shutdown, timeout=0.0))
        report = closed.result()
        if report.cancelled or report.abandoned:
            logger.warning(
                "the server stopped before all tasks were done: %d were cancelled, %d still ran and were abandoned",
                len(report.cancelled),
                len(report.abandoned),
            )
