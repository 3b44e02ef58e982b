"""Run tasks on the calling thread, as the eager modes of Celery and RQ do. The system's lanes are paused for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from catzilla.interface import PENDING

if TYPE_CHECKING:
    from catzilla.system import TaskSystem

_LOOK_NS: Final = 1_000_000


def run_until_done(system: TaskSystem, handle: Any) -> None:
    """Run what is ready, here, until this one is done: it, and what it needs. Waits for what is due later."""
    while not handle.done():
        ran = False
        for pending in system.engine.queue.pending():
            if pending.state() == PENDING and system.engine.workers.run(pending):
                ran = True
            if handle.done():
                return
        if not ran:
            handle.wait_ns(_LOOK_NS)  # a coroutine runs on its loop, or a retry is due later
