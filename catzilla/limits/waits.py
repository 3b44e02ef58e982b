"""Tasks that wait for others inside, and the deadlocks that limits could make of that.

A task that has a place and waits for a parked one would wait for ever if that one can only go on when
the place is free: as a lock that is taken twice. Who waits does not run, so the one it waits for may
run in its place. Who waits for whom (waiters.py) says when all places of a limit are held by tasks
that cannot go on: then the parked one goes over the limit.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from catzilla import waiters
from catzilla.interface import COMPLETED

if TYPE_CHECKING:
    from .bucket import Claim

lock = threading.RLock()  # of every system's limits too: tasks of one wait for another's
in_use = False  # some system has limits


def after_fork() -> None:
    global lock
    lock = threading.RLock()


def untangle() -> None:
    """Let go each parked task that somebody waits for and that could never go on by itself."""
    if not waiters.any_waits():
        return
    with lock:
        looked_at: set[Any] = set()
        for awaited in waiters.all_awaited():
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
        awaited = waiters.awaited_by(handle)
        if len(awaited) == 1:
            todo.append(awaited[0])
        elif not any(_is_stuck(one, seen.copy()) for one in awaited):  # it needs all of them
            return False  # it runs, or a worker will run it
    return True
