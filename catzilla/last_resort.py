"""Exit without new threads: CPython 3.12 refuses to start any once the interpreter shuts down.

A script that submits and ends at once may get there before its first worker was started. The exiting
thread then runs what is ready by itself, bounded by an alarm where the platform has one.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from .errors import TaskInterrupted
from .interface import PENDING

if TYPE_CHECKING:
    from types import FrameType

    from .system import TaskSystem


DEEPEST: Final = 20_000  # frames: a task that waits runs the awaited one on this stack; CPython 3.12 guards C's itself
LOOK_NS: Final = 10_000_000
RING_S: Final = 0.02  # between two rings of the alarm: the task that hears one may go on nevertheless


def threads_can_start() -> bool:
    try:
        _thread.start_new_thread(int, ())
    except RuntimeError:
        return False
    return True


def run_ready(system: TaskSystem, timeout_s: float) -> None:
    """Run ready tasks on this thread until there are none, or the time is over."""
    end_ns = monotonic_ns() + int(timeout_s * 1e9)
    on_main = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")

    def end_task(_signal: int, _frame: FrameType | None) -> None:
        system.refuse_tasks()  # first: one that submits and waits would never come to an end
        if system.engine.workers.current() is not None:  # else the loops below look at the time
            raise TaskInterrupted

    before = signal.signal(signal.SIGALRM, end_task) if on_main else None
    deepest = sys.getrecursionlimit()
    sys.setrecursionlimit(max(deepest, DEEPEST))
    try:
        if on_main and timeout_s > 0:
            signal.setitimer(signal.ITIMER_REAL, timeout_s, RING_S)
        while monotonic_ns() < end_ns:
            if not system.supervisor.started:
                system.engine.queue.advance(system.now_ns())  # nobody else does
            if not _run_all(system, end_ns) and not _something_to_come(system, end_ns):
                return
    except TaskInterrupted:
        pass  # the alarm: the time is over
    finally:
        sys.setrecursionlimit(deepest)
        if on_main:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _run_all(system: TaskSystem, end_ns: int) -> bool:
    """What is ready now. False: nothing was."""
    ready = [handle for handle in reversed(system.engine.queue.pending()) if handle.state() == PENDING]
    found = bool(ready)
    try:
        while ready and monotonic_ns() < end_ns:
            system.engine.workers.run(ready.pop())
    finally:
        # Frames of exceptions lead back to this one, and a failure that nobody looks at is told when its handle goes.
        ready.clear()
    return found


def _something_to_come(system: TaskSystem, end_ns: int) -> bool:
    """Wait a moment for what is due in time, or runs on a thread that was there before."""
    due_ns = [handle.ready_ns for handle in system.engine.queue.pending() if handle.ready_ns < end_ns]
    if not due_ns and not system.running():
        return False
    wait_ns = min(min(due_ns, default=sys.maxsize) - monotonic_ns(), LOOK_NS)
    threading.Event().wait(max(0, wait_ns) / 1e9)
    return True
