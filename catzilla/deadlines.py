"""Deadlines that free the slot and never hit another task.

Each attempt with a deadline is an entry of one dict, and popping it decides between the worker that
returns (``leave``) and the supervisor that finds it overdue (``expire``). Whoever loses knows it: a
thread that lost is condemned, runs no other task, and leaves. Only then, and only while it runs no
other task inside (``inline``), may it be sent an asynchronous exception: the exception is delivered
some time after it was sent, so on a thread that goes on working it would hit whatever comes next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import TaskInterrupted, TaskTimeout
from .interface import TIMED_OUT, Handle
from .log import logger

if TYPE_CHECKING:
    from .system import TaskSystem


class Attempt:
    """One run of a task against its deadline."""

    __slots__ = ("args", "condemned", "deadline_ns", "handle", "inline", "replaced", "stop", "thread_id")

    def __init__(
        self, handle: Handle, args: tuple[Any, ...], deadline_ns: int, stop: Callable[[], None] | None
    ) -> None:
        self.handle = handle
        self.args = args
        self.deadline_ns = deadline_ns
        self.thread_id = threading.get_ident()
        self.stop = stop  # how to end a coroutine; None: it is this thread
        self.inline = 0  # tasks that this thread runs inside the attempt, while it waits for them
        self.condemned = False
        self.replaced = False


class Deadlines:
    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self._running: dict[Attempt, None] = {}
        self._stuck: dict[Attempt, None] = {}
        self._interrupting = threading.RLock()  # an interrupt is sent, and received late, under it
        self._full = False

    def enter(
        self, handle: Handle, args: tuple[Any, ...], timeout_ns: int, stop: Callable[[], None] | None = None
    ) -> Attempt:
        attempt = Attempt(handle, args, self._system.now_ns() + timeout_ns, stop)
        self._system.ensure_ext(handle).attempt = attempt
        self._running[attempt] = None
        self._system.supervisor.wake_before(attempt.deadline_ns)
        return attempt

    def leave(self, attempt: Attempt) -> bool:
        """The attempt is over. False: too late, it was condemned."""
        try:
            del self._running[attempt]
        except KeyError:
            self._returned(attempt)
            return False
        return True

    def _returned(self, attempt: Attempt) -> None:
        with self._interrupting:  # from here on none is sent, and one that is on its way arrives now
            self._stuck.pop(attempt, None)
            if attempt.stop is None:
                _receive_interrupt()
        if attempt.stop is None and not attempt.replaced:
            attempt.replaced = True
            self._replace(attempt)

    def suspend(self, attempt: Attempt) -> bool:
        """Shield: out of the supervisor's sight. False: it is condemned already."""
        return self._running.pop(attempt, attempt) is None

    def resume(self, attempt: Attempt) -> None:
        self._running[attempt] = None
        self._system.supervisor.wake_before(attempt.deadline_ns)

    def shift(self, by_ns: int) -> None:
        """The system's clock was replaced by one that is so much ahead."""
        for attempt in self._running.copy():
            attempt.deadline_ns += by_ns

    def next_ns(self) -> int | None:
        return min((attempt.deadline_ns for attempt in self._running.copy()), default=None)

    def stuck(self) -> int:
        """Threads that were condemned and have not come back from their task."""
        return sum(1 for attempt in self._stuck.copy() if attempt.stop is None)

    def expire(self, now_ns: int) -> None:
        """Condemn what is overdue; interrupt what is condemned and still there. The supervisor's."""
        for attempt in self._running.copy():
            if attempt.deadline_ns <= now_ns and self._running.pop(attempt, attempt) is None:
                self._condemn(attempt)

    def interrupt_stuck(self) -> None:
        for attempt in self._stuck.copy():
            self._interrupt(attempt)

    def _interrupt(self, attempt: Attempt) -> None:
        with self._interrupting:
            if attempt in self._stuck and attempt.stop is None and not attempt.inline:
                _send_interrupt(attempt.thread_id)

    def thread_leaves(self) -> None:
        """The calling thread is done with tasks, perhaps because an interrupt came late."""
        me = threading.get_ident()
        with self._interrupting:
            mine = [attempt for attempt in self._stuck if attempt.thread_id == me and attempt.stop is None]
            for attempt in mine:
                del self._stuck[attempt]
            if mine:
                _receive_interrupt()

    def _condemn(self, attempt: Attempt) -> None:
        from .runner import retry_due_ns

        attempt.condemned = True  # before inline is read: whoever starts an inline task reads it after counting it
        self._system.compiling.stop(attempt.handle)
        self._stuck[attempt] = None
        handle = attempt.handle
        spec: Any = handle.plan.owner
        error = TaskTimeout(f"task {spec.name} ran out of its timeout_ms={spec.options.timeout_ms:g}")
        if attempt.stop is None and self.stuck() <= self._system.config.max_stuck_workers:
            attempt.replaced = True
            self._replace(attempt)
            self._full = False
        elif attempt.stop is None and not self._full:
            self._full = True
            logger.error(
                "%d threads are stuck in tasks that ran out of their time (max_stuck_workers=%d); "
                "no further one is replaced until some of them return",
                self.stuck(),
                self._system.config.max_stuck_workers,
            )
        try:
            due_ns = retry_due_ns(handle, spec, error)
        except BaseException as raised:  # by the user's retry_backoff
            self._system.fault(raised)
            due_ns = None
        if due_ns is not None:
            self._system.engine.queue.requeue(handle, attempt.args, due_ns)
        else:
            handle.settle(TIMED_OUT, error)
        if attempt.stop is not None:
            attempt.stop()
        else:
            self._interrupt(attempt)

    def _replace(self, attempt: Attempt) -> None:
        """A thread that lost its attempt never serves again: its slot gets another."""
        self._system.threads.replace(attempt.thread_id)


def _send_interrupt(thread_id: int) -> None:
    """Raise TaskInterrupted in that thread at its next bytecode. A thread that is gone is not found."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(TaskInterrupted))


def _receive_interrupt() -> None:
    """Let an interrupt that is still on its way to this thread arrive here, where it harms nothing.

    Taking it back (PyThreadState_SetAsyncExc with None) leaves CPython 3.11 with a pending flag that
    nobody clears: it is slower from then on, and hangs under ``sys.settrace``.
    """
    try:
        for _ in range(100):  # it arrives at a jump back
            pass
    except TaskInterrupted:
        pass


class Shield:
    """``with shield():`` inside a task: its deadline waits until the block is left."""

    __slots__ = ("_attempt", "_deadlines")

    def __init__(self, deadlines: Deadlines | None, attempt: Attempt | None) -> None:
        self._deadlines = deadlines
        self._attempt = attempt

    def __enter__(self) -> None:
        if self._attempt is not None and self._deadlines is not None and not self._deadlines.suspend(self._attempt):
            if not self._attempt.condemned:
                self._attempt = None  # an outer shield holds it already
            else:
                raise TaskInterrupted

    def __exit__(self, *_: object) -> None:
        if self._attempt is not None and self._deadlines is not None:
            self._deadlines.resume(self._attempt)
