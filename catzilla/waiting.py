"""Waiting for a task, also inside another task, without ever using up the workers.

A worker that waits runs the awaited task itself when that is safe (plain, no deadline, no time limit
of the wait, not too deep), in the awaited task's own context. Else, if the awaited task has not
started, a helper thread runs exactly that task. So waits nest to any depth with one worker, and with
few threads: a pool that just grew by one thread for each blocked worker would need thousands.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from . import blocking, lifecycle
from .errors import TaskInterrupted, WaitLimit
from .ext import Ext
from .interface import COMPLETED, DELAYED, PENDING, RETRYING, Handle
from .limits import waits
from .log import logger
from .waiters import Waiting as Waiters

if TYPE_CHECKING:
    from .system import TaskSystem

INLINE_DEPTH: Final = 32
MOST_HELPERS: Final = 4_096
LONGEST_S: Final = 100 * 365 * 86_400  # a longer timeout is none (and inf cannot be an int)
IDLE_HELPER_S: Final = 1.0
_PAUSED_NS: Final = 20_000_000
_HANDOVER_NS: Final = 1_000_000


class _Here(threading.local):
    def __init__(self) -> None:
        self.outer: list[Handle] = []  # the tasks of this thread that run the ones they wait for, outermost first


_here = _Here()


class Waiting:
    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self._jobs: SimpleQueue[Handle] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self.helpers = 0
        self._warned: set[str] = set()

    def wait(self, handle: Handle, timeout: float | None) -> bool:
        """Until it is done or ``timeout`` seconds are over; False: they are."""
        timeout_ns = -1 if timeout is None or timeout > LONGEST_S else int(max(0, timeout) * 1e9)
        if handle.state() >= COMPLETED or timeout_ns == 0:
            return handle.wait_ns(0)
        if not self._system.supervisor.started:
            self._system.wake()  # its start failed in the submit, whose stack was full, say
        self._check_loop()
        # Of several systems, if one runs inside another: its workers may wait for ours.
        current = (system.engine.workers.current() for system in lifecycle.started_systems())
        waiters = [task for task in current if task is not None]
        if not waiters:
            return blocking.wait_ns(handle, timeout_ns)
        try:
            if not waits.in_use:
                return self.wait_inside(handle, timeout_ns, waiters)
            with Waiters(waiters.copy(), handle, is_limited=timeout_ns >= 0):
                waits.untangle()
                return self.wait_inside(handle, timeout_ns, [])
        finally:
            waiters.clear()  # the frames of an exception of the awaited task may lead back to this one

    def _check_loop(self) -> None:
        """Blocking an event loop's thread is a mistake; on the system's own loop it is a deadlock."""
        asyncio = sys.modules.get("asyncio")
        if asyncio is None or asyncio._get_running_loop() is None:
            return
        if self._system.coroutines.on_loop_thread():
            raise RuntimeError("wait() would block the loop that runs this task: use `await result` in an async task")
        self.warn_once(
            "wait", "wait() blocks the event loop of this thread until the task is done: use `await result` instead"
        )

    def warn_once(self, kind: str, message: str) -> None:
        import warnings

        if kind in self._warned:
            return
        self._warned.add(kind)
        level = 2
        frame = sys._getframe(1)
        while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("catzilla."):
            frame = frame.f_back
            level += 1
        warnings.warn(message, RuntimeWarning, stacklevel=level)  # at the first line that is not ours

    def wait_inside(self, handle: Handle, timeout_ns: int, waiters: list[Handle]) -> bool:
        """``waiters``: whose wait is to be noted when it blocks this thread."""
        end_ns = None if timeout_ns < 0 else monotonic_ns() + timeout_ns
        path = [handle]  # what has to end first comes last: a chain may be longer than the stack is deep
        while handle.state() < COMPLETED:
            last: Any = path[-1]
            if last.state() >= COMPLETED:
                path.pop()
                continue
            first = None if last.ext is None else last.ext.follows
            if first is None or last.state() not in (PENDING, DELAYED, RETRYING):
                waiting: Waiting = last.plan.owner.system.waiting
                if not waiting._wait_for_one(last, end_ns, waiters, handle):
                    return False
            elif first.state() < COMPLETED:  # nobody can run it before the task that it follows has ended
                path.append(first)
            else:
                last.wait_ns(_HANDOVER_NS)  # the settling thread is about to queue it
                if end_ns is not None and monotonic_ns() >= end_ns:
                    return handle.wait_ns(0)
        return handle.wait_ns(0)

    def _wait_for_one(self, handle: Handle, end_ns: int | None, waiters: list[Handle], awaited: Handle) -> bool:
        """One that follows no other, or runs; ``awaited`` is it, or follows it."""
        while handle.state() < COMPLETED:
            state = handle.state()
            if state not in (PENDING, DELAYED, RETRYING):
                break
            claim = None if handle.ext is None else handle.ext.claim
            if claim is not None and claim.parked:
                return self._wait_with_stand_in(handle, end_ns)
            if handle.plan.lane in self._system.paused_lanes():
                left_ns = _PAUSED_NS if end_ns is None else min(_PAUSED_NS, end_ns - monotonic_ns())
                if left_ns <= 0:
                    return False
                handle.wait_ns(left_ns)
            elif state == PENDING and end_ns is None and self._may_run_inline(handle):
                self._run_inline(handle, self._system.engine.workers.run)
            elif state != PENDING and self._system.clock is not None:
                return self._wait_with_stand_in(handle, end_ns)
            elif self._send_helper(handle) or (end_ns is not None and self._system.threads.serve()):
                break  # where no thread can be started, a wait with a limit waits for a worker if there is one
            else:
                self._run_inline(handle, self._run_when_due)
        left_ns = -1 if end_ns is None else max(0, end_ns - monotonic_ns())
        if not waiters or handle.state() >= COMPLETED:
            return handle.wait_ns(left_ns)
        with Waiters([*_here.outer, *waiters], awaited, is_limited=end_ns is not None):
            return handle.wait_ns(left_ns)

    def _wait_with_stand_in(self, handle: Handle, end_ns: int | None) -> bool:
        """Nobody can tell when its limit, or a replaced clock, lets it go: until then there is a worker more."""
        scaler = self._system.autoscaler
        with self._lock:
            scaler.blocked_submitters += 1
            scaler.apply()
        try:
            return handle.wait_ns(-1 if end_ns is None else max(0, end_ns - monotonic_ns()))
        finally:
            with self._lock:
                scaler.blocked_submitters -= 1
                scaler.apply()

    def _may_run_inline(self, handle: Handle) -> bool:
        return handle.plan.runner is None and len(_here.outer) < INLINE_DEPTH

    def _run_inline(self, handle: Handle, run: Callable[[Handle], object]) -> None:
        running = (system.engine.workers.current() for system in lifecycle.started_systems())
        outer = next((task for task in running if task is not None), None)
        ext: Ext | None = None if outer is None else outer.ext
        attempt = None if ext is None else ext.attempt
        _here.outer.append(outer or handle)
        if attempt is not None:
            attempt.inline += 1
        try:
            if attempt is not None and attempt.condemned:
                raise TaskInterrupted  # an interrupt is on its way here, and must not hit the inner task
            run(handle)
        finally:
            _here.outer.pop()
            del outer, handle  # the frames of an exception of the inner task lead back to this one
            if attempt is not None:
                attempt.inline -= 1

    # -- helpers -------------------------------------------------------------------------------

    def _send_helper(self, handle: Handle) -> bool:
        """Let another thread run it. False: none can be started."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1  # reserved: it takes this job
                start = False
            elif self.helpers >= MOST_HELPERS:
                raise WaitLimit(
                    f"{self.helpers} helper threads run tasks that other tasks wait for, which is the limit; "
                    "let tasks wait for fewer others, or chain them with then()"
                )
            else:
                self.helpers += 1
                start = True
        if start:
            name = f"{self._system.threads.name_prefix}-helper"
            try:
                threading.Thread(target=self._help, name=name, daemon=True).start()
            except RuntimeError as error:
                with self._lock:
                    self.helpers -= 1
                if "interpreter shutdown" not in str(error):
                    logger.error("no helper thread could be started (%s): the thread that waits does its work", error)
                return False
        self._jobs.put(handle)
        return True

    def _help(self) -> None:
        while True:
            try:
                handle = self._jobs.get(timeout=IDLE_HELPER_S)
            except Empty:
                with self._lock:
                    if self._idle > 0:
                        self._idle -= 1
                        self.helpers -= 1
                        return
                continue  # a job is on its way to us
            try:
                self._run_when_due(handle)
            except TaskInterrupted:
                pass  # the interrupt of a deadline that came as late as here
            self._system.deadlines.thread_leaves()
            del handle
            with self._lock:
                self._idle += 1

    def _run_when_due(self, handle: Handle) -> None:
        while (state := handle.state()) < COMPLETED:
            if state == PENDING:
                if handle.plan.lane in self._system.paused_lanes():
                    handle.wait_ns(_PAUSED_NS)
                elif self._system.engine.workers.run(handle):
                    continue  # perhaps it is to be retried
                else:
                    handle.wait_ns(-1 if handle.plan.runner is None else _PAUSED_NS)
            elif state in (DELAYED, RETRYING):
                handle.wait_ns(max(1, handle.ready_ns - monotonic_ns()))
            elif handle.plan.runner is None:
                return  # it runs elsewhere, and is never retried
            else:
                handle.wait_ns(_PAUSED_NS)
