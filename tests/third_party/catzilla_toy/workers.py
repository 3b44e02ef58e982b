"""Seats, and the loop of the thread that sits on one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from threading import Lock, get_native_id, local
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from catzilla.interface import COMPLETED, CONDEMNED, DETACHED, FAILED, PENDING, RUNNING, Again

from .handle import ToyHandle

if TYPE_CHECKING:
    from . import ToyEngine

VISITOR = -1_000_000  # the slot of a thread that is no worker; reserves are -1, -2, ...


@dataclass(eq=False)
class Seat:
    slot: int
    reserve: bool
    asked: bool = False  # it has a thread, or has asked for one
    gone: bool = False  # retired or lost: its thread leaves
    parked: Lock | None = None
    stack: list[tuple[ToyHandle, int]] = field(default_factory=list)
    busy_ns: int = 0
    native_id: int | None = None


def unpark(seat: Seat) -> bool:
    """Under the lock. Taken off before it is released: a signal handler may come in between."""
    parked, seat.parked = seat.parked, None
    if parked is not None:
        parked.release()
    return parked is not None


@dataclass
class View:
    slot: int
    reserve: bool
    handle: ToyHandle | None
    started_ns: int | None
    busy_ns: int
    native_id: int | None
    outer: bool


class ToyWorkers:
    def __init__(self, engine: ToyEngine) -> None:
        self.engine = engine
        self.seats: dict[int, Seat] = {}
        self.visitors: list[Seat] = []
        self.here = local()
        self.stopped = False
        self.backlog: Callable[[], None] | None = None

    # Slots

    def resize(self, count: int) -> None:
        with self.engine.lock:
            for slot in range(count):
                if slot not in self.seats:
                    self.seats[slot] = Seat(slot, reserve=False)
            for slot, seat in list(self.seats.items()):
                if not seat.reserve and slot >= count:
                    self.seats.pop(slot)
                    self.dismiss(seat)
        self.call_for_backlog()

    def reserve(self, count: int) -> None:
        with self.engine.lock:
            for slot in range(-count, 0):
                self.seats[slot] = Seat(slot, reserve=True)
        self.call_for_backlog()

    def lose(self, slot: int) -> None:
        with self.engine.lock:
            old = self.seats.get(slot)
            if old is None:
                return
            self.seats[slot] = Seat(slot, old.reserve, busy_ns=old.busy_ns)
            self.dismiss(old)
        self.call_for_backlog()

    def spawn_failed(self, slot: int) -> None:
        self.seats[slot].asked = False

    def stop(self) -> None:
        with self.engine.lock:
            self.stopped = True
            for seat in self.seats.values():
                self.dismiss(seat)

    def reopen(self) -> None:
        with self.engine.lock:
            self.stopped = False
            for slot, seat in self.seats.items():
                self.seats[slot] = Seat(slot, seat.reserve, busy_ns=seat.busy_ns)
        self.call_for_backlog()

    def dismiss(self, seat: Seat) -> None:
        seat.gone = True
        unpark(seat)

    def most(self) -> int:
        return len(self.seats)

    # Waking

    def call(self, lane: int) -> None:
        """Get one thread for a task of the lane: one that is parked, else one that is not there yet."""
        spawn = backlog = None
        with self.engine.lock:
            free = [
                seat
                for seat in self.seats.values()
                if not seat.gone and (seat.parked is not None or not seat.asked) and (not seat.reserve or lane == 0)
            ]
            if free:
                seat = min(free, key=lambda seat: (seat.reserve, seat.parked is None))
                if not unpark(seat) and not seat.asked:
                    seat.asked = True
                    spawn = seat.slot
            else:
                backlog, self.backlog = self.backlog, None
        if spawn is not None:
            self.engine.config.spawn(spawn)
        if backlog is not None:
            backlog()

    def call_for_backlog(self) -> None:
        for lane, size in enumerate(self.engine.queue.sizes()):
            for _ in range(min(size, self.most())):
                self.call(lane)

    # The loop

    def serve(self, slot: int) -> None:
        seat = self.seats.get(slot)
        if seat is None:
            return
        seat.native_id = get_native_id()
        self.here.seat = seat
        while True:
            handle: ToyHandle | None = None
            with self.engine.lock:
                if seat.gone:
                    break
                handle = self.engine.queue.pick(seat.reserve)
                args = () if handle is None else self.begin(seat, handle)
                if handle is None:
                    parked = seat.parked = Lock()
                    parked.acquire()
            if handle is None:
                parked.acquire()
            elif args is not None:
                stays = self.execute(seat, handle, args)
                args = ()
                if not stays:
                    break
        handle = None
        if not self.stopped:
            self.call_for_backlog()  # it may have been called for a task that it did not take

    def begin(self, seat: Seat, handle: ToyHandle) -> tuple[Any, ...] | None:
        """Under the lock: RUNNING, on this seat."""
        args = self.engine.queue.claim(handle)
        if args is not None:
            handle.current_state = RUNNING
            handle.slot = seat.slot
            seat.stack.append((handle, monotonic_ns()))
        return args

    def run(self, handle: Any) -> bool:
        seat = getattr(self.here, "seat", None)
        visitor = seat is None
        if seat is None:
            seat = self.here.seat = Seat(VISITOR, reserve=False, native_id=get_native_id())
            self.visitors.append(seat)
        try:
            with self.engine.lock:
                args = self.begin(seat, handle) if handle.current_state == PENDING else None
            if args is not None:
                self.execute(seat, handle, args)
        finally:
            if visitor:
                self.here.seat = None
                self.visitors.remove(seat)
        return args is not None

    def execute(self, seat: Seat, handle: ToyHandle, args: tuple[Any, ...]) -> bool:
        """Run a task that was begun. False: the thread must leave."""
        self.engine.queue.freed(handle.plan.lane)
        plan, ext = handle.plan, handle.ext
        context = Context() if ext is None or ext.context is None else ext.context.copy()
        kwargs = {} if ext is None or ext.kwargs is None else ext.kwargs
        state, value = COMPLETED, None
        started_ns = monotonic_ns()
        try:
            if plan.runner is None:
                value = context.run(plan.fn, *args, **kwargs)
            else:
                value = context.run(plan.runner, handle, args, kwargs)
        except BaseException as error:
            state, value = FAILED, error
            frames = error.__traceback__
            for _ in range(1 if plan.runner is None else 2):  # ours, and the runner's own
                frames = frames.tb_next if frames is not None else None
            error.__traceback__ = frames
        ended_ns = monotonic_ns()
        with self.engine.lock:
            seat.stack.pop()
            if not seat.stack:
                seat.busy_ns += ended_ns - started_ns
        if value is CONDEMNED:
            return False
        if value is DETACHED:
            return True
        handle.times = started_ns, ended_ns
        if self.engine.config.profiling and handle.current_state == RUNNING:
            self.engine.metrics.observe(ended_ns - started_ns, max(0, started_ns - handle.ready_ns))
        if type(value) is Again:
            self.engine.queue.requeue(handle, args, value.due_ns)
        else:
            handle.settle(state, value)
        return not seat.gone

    def current(self) -> ToyHandle | None:
        seat = getattr(self.here, "seat", None)
        return seat.stack[-1][0] if seat is not None and seat.stack else None

    def snapshot(self) -> Sequence[Any]:
        views = []
        with self.engine.lock:
            for seat in (*self.seats.values(), *self.visitors):
                busy_ns = seat.busy_ns + (monotonic_ns() - seat.stack[0][1] if seat.stack else 0)
                stack: list[tuple[Any, Any]] = list(seat.stack) or [(None, None)]
                for depth, (handle, started_ns) in enumerate(stack, start=1):
                    outer = depth < len(stack)
                    views.append(View(seat.slot, seat.reserve, handle, started_ns, busy_ns, seat.native_id, outer))
        return views
