"""Exit without new threads: CPython 3.12 refuses to start any once the interpreter shuts down.

A script that submits and ends at once may get there before its first worker was started. The exiting
thread then runs what is ready by itself, bounded by an alarm where the platform has one.
"""

from __future__ import annotations

import _thread
import signal
import threading
from time import monotonic_ns
from typing import TYPE_CHECKING

from .errors import TaskInterrupted
from .interface import PENDING

if TYPE_CHECKING:
    from types import FrameType

    from .system import TaskSystem


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
    before = signal.signal(signal.SIGALRM, _end_task) if on_main else None
    try:
        if on_main and timeout_s > 0:
            signal.setitimer(signal.ITIMER_REAL, timeout_s)
        while monotonic_ns() < end_ns:
            if not system.supervisor.started:
                due_ns = system.engine.queue.advance(monotonic_ns())  # nobody else does
                if not system.engine.queue.ready() and due_ns is not None and due_ns < end_ns:
                    threading.Event().wait(max(0, due_ns - monotonic_ns()) / 1e9)
                    continue
            ready = [handle for handle in system.engine.queue.pending() if handle.state() == PENDING]
            if not ready:
                return
            for handle in ready:
                system.engine.workers.run(handle)
    except TaskInterrupted:
        pass  # the alarm: the time is over
    finally:
        if on_main:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _end_task(_signal: int, _frame: FrameType | None) -> None:
    raise TaskInterrupted
