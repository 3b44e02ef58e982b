"""Tasks that wait for others inside, and the deadlocks that limits could make of that.

A task that has a place and waits for a parked one would wait for ever if that one can only go on when
the place is free: as a lock that is taken twice. Who waits does not run, so the one it waits for may
run in its place. This graph (who waits for whom) says when all places of a limit are held by tasks
that cannot go on: then the parked one goes over the limit.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from catzilla.interface import COMPLETED

if TYPE_CHECKING:
    from .bucket import Claim

lock = threading.RLock()  # of every system's limits too: tasks of one wait for another's
in_use = False  # some system has limits
_waits: dict[Any, list[Any]] = {}  # a thread's waits lie one inside the other: the last one is what it waits for


def after_fork() -> None:
    global lock
    lock = threading.RLock()
    _waits.clear()


@contextmanager
def waiting(waiters: list[Any], awaited: Any) -> Iterator[None]:
    """While the tasks ``waiters``, which one thread runs, wait for ``awaited``."""
    with lock:
        for waiter in waiters:
            _waits.setdefault(waiter, []).append(awaited)
    try:
        untangle()
        yield
    finally:
        with lock:
            for waiter in waiters:
                targets = _waits.get(waiter, [])
                if awaited in targets:  # else a fork has cleared them
                    targets.remove(awaited)
                if not targets:
                    _waits.pop(waiter, None)


def untangle() -> None:
    """Let go each parked task that somebody waits for and that could never go on by itself."""
    if not _waits:
        return
    with lock:
        looked_at: set[Any] = set()
        for targets in list(_waits.values()):
            for awaited in targets:
                claim = _parked_behind(awaited)
                if claim is None or claim.bucket in looked_at:
                    continue
                looked_at.add(claim.bucket)
                if _is_stuck(claim.handle, set()):
                    claim.handle.plan.owner.system.limits.go(claim)


def _parked_behind(handle: Any) -> Claim | None:
    """The parked task that this one is or follows."""
    while handle.ext is not None and handle.ext.follows is not None:
        handle = handle.ext.follows
    claim: Claim | None = None if handle.ext is None else handle.ext.claim
    return claim if claim is not None and claim.parked else None


def _is_stuck(first: Any, seen: set[Any]) -> bool:
    """Whether it can go on only after something that waits for it. Assumed of what is being asked already."""
    todo = [first]
    while todo:  # all of these must be stuck; a loop, as chains of waits are long
        handle = todo.pop()
        if handle in seen:
            continue
        seen.add(handle)
        if handle.state() >= COMPLETED:
            return False
        ext = handle.ext
        if ext is not None and ext.follows is not None:
            todo.append(ext.follows)
            continue
        claim: Claim | None = None if ext is None else ext.claim
        if claim is not None and claim.parked and claim.bucket is not None:
            if claim.delayed_until_ns or claim.bucket.has_place(claim.limit):
                return False  # time lets it go
            todo.extend(claim.bucket.holders)
            continue
        targets = _waits.get(handle)
        if not targets:
            return False  # it runs, or a worker will run it
        todo.append(targets[-1])
    return True
