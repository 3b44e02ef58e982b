"""Drain, shutdown, interpreter exit, fork."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from . import blocking, last_resort, waiters
from .errors import TaskAbandoned, TaskCancelled, TaskLostInFork
from .interface import CANCELLED, DELAYED, RETRYING, Handle
from .parameters import A_YEAR_S
from .timeouts import check_timeout

if TYPE_CHECKING:
    from .system import TaskSystem

LOOK_NS: Final = 1_000_000  # a task that is between a lane and its worker shows nowhere: look again


class ShutdownReport:
    """What a shutdown did. ``completed``: how many tasks ended by themselves during it; the others are task ids."""

    __slots__ = ("abandoned", "cancelled", "completed")

    def __init__(self, completed: int, cancelled: tuple[str, ...], abandoned: tuple[str, ...]) -> None:
        self.completed = completed
        self.cancelled = cancelled
        self.abandoned = abandoned

    def __repr__(self) -> str:
        return (
            f"ShutdownReport(completed={self.completed}, cancelled={list(self.cancelled)}, "
            f"abandoned={list(self.abandoned)})"
        )


def _ns(timeout: float) -> int:
    """Of seconds; infinitely many are the longest timeout there is, and less than none are none."""
    return int(max(0, min(timeout, A_YEAR_S)) * 1e9)


def drain(system: TaskSystem, timeout: float | None) -> bool:
    """Wait for what is running, ready, and due within ``timeout`` seconds. False: it ran out first."""
    check_timeout(timeout)
    end_ns = None if timeout is None else monotonic_ns() + _ns(timeout)
    end_due_ns = None if timeout is None else system.now_ns() + _ns(timeout)
    me = system.engine.workers.current()
    while True:
        waiting = [handle for handle in (*system.pending(), *system.running()) if handle is not me]
        if end_due_ns is not None:
            waiting = [handle for handle in waiting if not _due_after(handle, end_due_ns)]
        for handle in waiting:
            left_ns = -1 if end_ns is None else max(0, end_ns - monotonic_ns())
            if not blocking.wait_ns(handle, left_ns):
                if end_due_ns is not None and _due_after(handle, end_due_ns):
                    continue  # a retry that is due too late
                return False
        if waiting:
            continue
        later = 0
        if end_due_ns is not None:
            later = sum(1 for handle in system.pending() if _due_after(handle, end_due_ns))
        if system.unfinished() <= later + (0 if me is None else 1):
            return True
        if end_ns is not None and monotonic_ns() >= end_ns:
            return False
        threading.Event().wait(LOOK_NS / 1e9)


def _due_after(handle: Handle, when_ns: int) -> bool:
    claim = None if handle.ext is None else handle.ext.claim
    if claim is not None and claim.parked:
        return bool(claim.delayed_until_ns > when_ns)
    return handle.state() in (DELAYED, RETRYING) and handle.ready_ns > when_ns


def withdraw(handle: Handle, error: BaseException) -> bool:
    """Handle.withdraw, also of a task that its limit holds back."""
    if handle.withdraw(error):
        return True
    ext = handle.ext
    return ext is not None and ext.claim is not None and ext.promise and handle.settle(CANCELLED, error)


def shutdown(system: TaskSystem, timeout: float | None, cancel_pending: bool) -> ShutdownReport:
    """See TaskSystem.shutdown."""
    check_timeout(timeout)  # before anything is refused
    engine = system.engine
    system.refuse_tasks()
    ended_before = system.ended_by_themselves()
    limit = system.config.shutdown_timeout if timeout is None else timeout
    end_ns = monotonic_ns() + _ns(limit)
    end_due_ns = system.now_ns() + _ns(limit)
    cancelled: list[str] = []
    error = TaskCancelled("the task system shut down before the task started")

    def cancel(handles: list[Handle]) -> None:
        for handle in handles:
            task_id: str = handle.task_id  # type: ignore[attr-defined]
            if withdraw(handle, error):
                cancelled.append(task_id)

    interrupted: BaseException | None = None
    try:
        if cancel_pending:
            cancel(system.pending())
        cancel([handle for handle in system.pending() if _due_after(handle, end_due_ns)])
        drain(system, limit)
    except KeyboardInterrupt as stop:  # a second Ctrl-C ends the drain
        interrupted = stop
    cancel(system.pending())
    engine.workers.stop()
    cancel(system.pending())  # what a running task's retry put back
    abandoned = _abandon(system, end_ns if interrupted is None else 0)
    cancel(system.pending())  # what follows a task that ended since: nobody runs it any more
    system.stop_threads()
    report = ShutdownReport(system.ended_by_themselves() - ended_before, tuple(cancelled), tuple(abandoned))
    flush_output()
    if interrupted is not None:
        raise interrupted
    return report


def _abandon(system: TaskSystem, end_ns: int) -> list[str]:
    """Wait for what still runs until the end, then give it up."""
    me = system.engine.workers.current()
    abandoned = []
    for handle in system.running():
        if handle is me:
            continue
        task: Any = handle
        if blocking.wait_ns(handle, max(0, end_ns - monotonic_ns())):
            continue
        task_id = task.task_id
        error = TaskAbandoned(
            f"task {task.name} still ran when the shutdown's time was over; its thread was left behind"
        )
        if handle.settle(CANCELLED, error):
            abandoned.append(task_id)
    return abandoned


def flush_output() -> None:
    """A server that re-raises SIGTERM ends the process without flushing what tasks printed."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass  # closed, or its reader is gone: nobody is left to see it


_started: weakref.WeakSet[TaskSystem] = weakref.WeakSet()
_known: weakref.WeakSet[TaskSystem] = weakref.WeakSet()
_registered = False


def know(system: TaskSystem) -> None:
    """From its construction on: forks are looked after."""
    global _registered
    _known.add(system)
    if not _registered:
        _registered = True
        os.register_at_fork(after_in_child=_after_fork)
        # Before the threading module waits for other threads, and while threads can still be started.
        threading._register_atexit(_at_exit)  # type: ignore[attr-defined]


def started(system: TaskSystem) -> None:
    """Its threads run now: at exit it has to be drained."""
    _started.add(system)


def started_systems() -> list[TaskSystem]:
    return list(_started)


def _at_exit() -> None:
    for system in list(_started):
        if system.closed and not system.unfinished():
            continue
        limit_s = system.config.shutdown_timeout
        try:
            if not last_resort.threads_can_start():
                began_ns = monotonic_ns()
                system.supervisor.quiet = True
                last_resort.run_ready(system, limit_s)
                limit_s = max(0.0, limit_s - (monotonic_ns() - began_ns) / 1e9)
            report = shutdown(system, limit_s, cancel_pending=False)
        except KeyboardInterrupt:
            continue
        if report.abandoned or report.cancelled:
            from .log import logger

            logger.warning(
                "at exit, after shutdown_timeout=%g s: %d tasks were cancelled, %d still ran and were abandoned",
                system.config.shutdown_timeout,
                len(report.cancelled),
                len(report.abandoned),
            )


def _after_fork() -> None:
    from .boost import boost

    boost.reset()
    _started.clear()
    waiters.forget_all()
    for system in list(_known):
        system.after_fork(
            TaskLostInFork("the task was submitted in the parent process of a fork; this child never gets its result")
        )
