"""Waiting, in a test, until every task has ended."""

from __future__ import annotations

from typing import Any

from .inline import system_of


def drain(target: Any, timeout_s: float = 30.0) -> None:
    """Wait until every task has ended; by a FrozenClock, move it to whatever is due next.

    Without one, what is due later than ``timeout_s`` is cancelled at once, as a shutdown would.
    TimeoutError: tasks have not ended; it names them.
    """
    from .clock import FrozenClock

    system = system_of(target)
    if isinstance(system.clock, FrozenClock):
        system.clock.run_all()
        return
    drained = system.drain(timeout_s)
    left = [*system.pending(), *system.running()]
    if drained:
        for handle in left:
            handle.cancel()
        return
    names = ", ".join(sorted({str(handle.plan.owner.name) for handle in left})) or "tasks between two states"
    raise TimeoutError(f"tasks had not ended after {timeout_s:g} s: {names}")
