"""One thread per system that looks after it: due times, deadlines, new threads, rates, reports.

It sleeps until the next thing is due, and at most a second: an idle system wakes once a second.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections import deque
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from . import lifecycle
from .log import logger

if TYPE_CHECKING:
    from .system import TaskSystem

TICK_NS: Final = 1_000_000_000
BUSY_NS: Final = 25_000_000  # how often it looks while tasks find no free slot


class Supervisor:
    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self._lock = _thread.allocate_lock()
        self._lock.acquire()
        self._called = False
        self._stopped = False
        self._next_ns = 0
        self._thread_id = 0
        self.started = False
        self.quiet = False  # at exit: it is known that no thread can be started
        self.ended = _thread.allocate_lock()
        self.next_due_ns: int | None = None  # by the system's clock, as of the last look
        self.next_task_due_ns: int | None = None  # when the next task that was accepted becomes ready
        self._visitors: deque[threading.Event] = deque()

    def wake(self) -> None:
        """Look again now. From anywhere; never blocks."""
        if not self.started:
            self._start()
        self._called = True
        try:
            self._lock.release()
        except RuntimeError:  # released already: it will look, or is looking, and sees _called
            pass

    def wake_before(self, due_ns: int) -> None:
        if due_ns < self._next_ns or self._system.clock is not None:
            self.wake()

    def look_now(self, timeout_s: float) -> bool:
        """Wait until a look that began after this call is over. False: it took longer than that."""
        seen = threading.Event()
        self._visitors.append(seen)
        self.wake()
        return seen.wait(timeout_s)

    def stop(self, wait: bool = True) -> None:
        self._stopped = True
        if self.started:
            self.wake()
            if not wait or self.on_own_thread():
                return
            if self.ended.acquire(timeout=1.0):
                self.ended.release()

    def _start(self) -> None:
        # By way of a raw thread: the submit that comes first may be in a signal handler that interrupted
        # the threading module while it held its lock.
        if self._stopped:
            return
        self.started = True
        try:
            lifecycle.started(self._system)  # here and not on the new thread: an exit may be quicker than it
            self._next_ns = sys.maxsize
            _thread.start_new_thread(self._start_thread, ())
        except RuntimeError as error:
            self.started = False  # here: the submitter's stack may be too full for another call
            self._not_started(error)
        except BaseException:  # a signal's handler raised in the first submit
            self.started = False
            raise

    def _start_thread(self) -> None:
        name = f"{self._system.threads.name_prefix}-supervisor"
        try:
            threading.Thread(target=self._main, name=name, daemon=True).start()
        except RuntimeError as error:
            self._not_started(error)

    def _not_started(self, error: RuntimeError) -> None:  # "can't start new thread": the next wake tries again
        self.started = False
        if not self.quiet and "interpreter shutdown" not in str(error):
            logger.error("the supervisor thread could not be started (%s); trying again with the next task", error)

    def on_own_thread(self) -> bool:
        return threading.get_ident() == self._thread_id

    def _main(self) -> None:
        self._thread_id = threading.get_ident()
        if not self._system.reserve_made:
            self._system.reserve_made = True
            self._system.engine.workers.reserve(self._system.config.critical_reserve)
        with self.ended:
            while not self._stopped:
                visitors = [self._visitors.popleft() for _ in range(len(self._visitors))]
                try:
                    next_ns = self._look(monotonic_ns())
                except BaseException as error:  # what the user's code raises must not end this thread
                    self._system.fault(error)
                    next_ns = monotonic_ns() + BUSY_NS
                for seen in visitors:
                    seen.set()
                self._next_ns = next_ns
                if not self._called:
                    self._lock.acquire(timeout=max(0, next_ns - monotonic_ns()) / 1e9)
                else:
                    self._lock.acquire(blocking=False)
                self._called = False
                self._next_ns = sys.maxsize  # what comes while it looks may come too late for this look

    def _look(self, now_ns: int) -> int:
        system = self._system
        due = [system.ticker.tick(now_ns)]
        if not system.threads.start_wanted():
            due.append(now_ns + 4 * BUSY_NS)
        self.next_due_ns = self._look_at_clock(system.now_ns())
        if self.next_due_ns is not None and system.clock is None:  # another one calls when it has moved
            due.append(self.next_due_ns)
        due_ns = system.autoscaler.look(now_ns)
        if due_ns is not None:
            due.append(due_ns)
        system.reports.publish()
        return min(due)

    def _look_at_clock(self, now_ns: int) -> int | None:
        """What is due by the system's clock; when the next thing is."""
        system = self._system
        queue_ns = system.engine.queue.advance(now_ns)
        system.deadlines.expire(now_ns)
        limits_ns = system.limits.look(now_ns) if system.has_limits else None
        self.next_task_due_ns = min((due_ns for due_ns in (queue_ns, limits_ns) if due_ns is not None), default=None)
        schedules_ns = None if system.scheduler is None else system.scheduler.look()
        due = (self.next_task_due_ns, system.deadlines.next_ns(), schedules_ns)
        return min((due_ns for due_ns in due if due_ns is not None), default=None)
