"""A ``concurrent.futures.Future`` that follows a task."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from .interface import CANCELLED, COMPLETED, RUNNING


class TaskFuture(Future[Any]):
    """Cancelling it cancels the task; the task's end ends it."""

    def __init__(self, handle: Any) -> None:
        super().__init__()
        self._handle = handle

    def cancel(self) -> bool:
        handle = self._handle
        if handle is None:
            return self.cancelled()
        return bool(handle.cancel())  # what is cancelled before it starts ends this future too, on this thread

    def running(self) -> bool:
        handle = self._handle
        return handle is not None and handle.state() == RUNNING

    def follow(self, done: Any) -> None:
        self._handle = None
        if done.state() == CANCELLED:
            super().cancel()
            self.set_running_or_notify_cancel()
            return
        if not self.set_running_or_notify_cancel():
            return
        if done.state() == COMPLETED:
            self.set_result(done.outcome())
        else:
            self.set_exception(done.error())


def future_of(handle: Any) -> Future[Any]:
    future = TaskFuture(handle)
    handle.on_done(future.follow)
    return future
