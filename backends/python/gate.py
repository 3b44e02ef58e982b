"""Parking and waking: who sleeps, and who is to be woken for a new task.

A worker parks by putting its seat on ``idle``, looking at the lanes once more, and then sleeping on
its own lock; whoever takes the seat off the list releases the lock. So a task that is queued before
the second look is seen, and one that is queued after it finds the seat.

One at a time is on its way (``waking``): it looks at the lanes when it is there and calls the next
if more is ready. A burst of submits then costs one wake-up, not one each.
"""

from __future__ import annotations

from _thread import allocate_lock
from time import monotonic_ns
from typing import TYPE_CHECKING

from .metrics import Tally

if TYPE_CHECKING:
    from . import Engine
    from .handle import Handle


class Seat:
    """A worker slot: its thread parks here, runs here, counts here."""

    __slots__ = (
        "busy_ns",
        "busy_since_ns",
        "called",
        "handle",
        "lock",
        "lost",
        "native_id",
        "outer",
        "parked",
        "retired",
        "slot",
        "started",
        "started_ns",
        "tally",
    )

    def __init__(self, slot: int, tally: Tally) -> None:
        self.slot = slot
        self.tally = tally
        self.lock = allocate_lock()
        self.lock.acquire()
        self.handle: Handle | None = None
        self.started_ns: int | None = None
        self.outer: list[Handle] = []  # tasks that wait on this thread while it runs another inline
        self.started = False  # a thread serves it, or has been asked for
        self.parked = False  # its thread sleeps, or is about to
        self.called = False  # its thread was started for a task, not just to be there in time
        self.retired = False
        self.lost = False
        self.native_id: int | None = None
        self.busy_ns = 0
        self.busy_since_ns: int | None = None

    def release(self) -> None:
        try:
            self.lock.release()
        except RuntimeError:  # called twice (rescue): it is awake
            pass

    def total_busy_ns(self) -> int:
        since_ns = self.busy_since_ns
        return self.busy_ns if since_ns is None else self.busy_ns + monotonic_ns() - since_ns


class Gate:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.idle: list[Seat] = []  # a stack: the one parked last has the warmest caches
        self.idle_reserve: list[Seat] = []
        self.waking = False

    def offer(self, lane: int) -> None:
        """A task was put into the lane."""
        if not self.waking:
            if self.idle:
                self.wake()
            else:
                self.busy(lane)

    def wake(self) -> None:
        """Call one idle worker, if there is one."""
        self.waking = True
        try:
            seat = self.idle.pop()
        except IndexError:
            self.waking = False
            return
        self._call(seat)

    def busy(self, lane: int) -> None:
        """No slot is free for a task: a CRITICAL one has the reserve, and policy may add slots."""
        if lane == 0 and self.idle_reserve:
            try:
                seat = self.idle_reserve.pop()
            except IndexError:
                pass
            else:
                self._call(seat)
                if self.idle_reserve and not self.idle_reserve[-1].started:
                    self.start_ahead(self.idle_reserve[-1])
        fn = self._engine.queue.backlog
        if fn is not None:
            self._engine.queue.backlog = None
            fn()

    def arrived(self, critical: bool, more: bool) -> None:
        """A woken worker has its task: call the next one if more is ready."""
        if critical or more:
            self.offer(0 if critical else 1)

    def rescue(self) -> None:
        """A signal handler raised in the middle of a call to here: nothing of it may be left half done.

        A seat that was taken off the list and not called is called now. One that somebody else is
        just calling is called twice: it looks twice.
        """
        self.waking = False
        workers = self._engine.workers
        for seat in workers.seats():
            if seat.lost or seat in self.idle or seat in self.idle_reserve:
                continue
            if seat.parked:
                seat.release()
            elif seat.started and seat.native_id is None:
                self._engine.config.spawn(seat.slot)  # Workers.serve turns the second thread away
            elif not seat.started and not seat.retired:
                (self.idle if seat.slot >= 0 else self.idle_reserve).insert(0, seat)
        if self._engine.queue.ready():
            self.offer(0)

    def _call(self, seat: Seat) -> None:
        if seat.started:
            seat.release()
        else:
            seat.called = True
            self.start_ahead(seat)

    def start_ahead(self, seat: Seat) -> None:
        """Start the seat's thread; of a reserve, so that it is parked when it is needed."""
        seat.started = True
        self._engine.config.spawn(seat.slot)
