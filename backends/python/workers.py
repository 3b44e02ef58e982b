"""The loop that worker threads run, and the list of them."""

from __future__ import annotations

import sys
from _thread import RLock
from collections.abc import Sequence
from contextvars import Context
from threading import get_native_id, local
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from catzilla.errors import TaskInterrupted
from catzilla.interface import (
    COMPLETED,
    CONDEMNED,
    DETACHED,
    FAILED,
    PENDING,
    RUNNING,
    SHARE,
    TARGET_NS,
    Again,
)

from .gate import Seat
from .handle import Handle
from .metrics import Tally

if TYPE_CHECKING:
    from . import Engine

HOT_NS = 5_000  # a plan whose runs are shorter is timed once in SAMPLE runs (clocks would cost more than it)
SAMPLE = 64
VISITOR = -1_000_000  # the slot of a thread that is no worker
LEAVE = object()
_NO_KWARGS: dict[str, Any] = {}


class WorkerView(NamedTuple):
    slot: int
    reserve: bool
    handle: Handle | None
    started_ns: int | None
    busy_ns: int
    native_id: int | None
    outer: bool


class Here(local):
    seat: Seat | None = None


class Workers:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._here = Here()
        self._seats: dict[int, Seat] = {}  # by slot; reserve slots are -1, -2, …
        self._visitors: dict[Seat, None] = {}  # threads that run one task and are no workers
        self.attention = False  # a worker looks up from its loop: pause, retirement, stop
        self._stopped = False
        self._slots_lock = RLock()  # slots come and go under it; taking and running tasks never takes it

    # -- slots ---------------------------------------------------------------------------------

    def resize(self, count: int) -> None:
        gate = self._engine.gate
        with self._slots_lock:
            for slot in range(count - 1, -1, -1):  # slot 0 ends up on top of the stack
                seat = self._seats.get(slot)
                if seat is None:
                    seat = self._seats[slot] = Seat(slot, self._engine.metrics.borrow())
                    gate.idle.insert(0, seat)
                elif seat.retired:
                    seat.retired = False
                    if not seat.started:
                        gate.idle.insert(0, seat)
            for slot, seat in self._seats.items():
                if slot >= count and not seat.retired:
                    seat.retired = True
                    try:
                        gate.idle.remove(seat)
                    except ValueError:
                        continue  # busy, or called: it sees that it is retired
                    if seat.started:
                        seat.release()
        self.look_again()
        if self._engine.queue.ready() and not gate.waking:
            gate.wake()

    def reserve(self, count: int) -> None:
        gate = self._engine.gate
        with self._slots_lock:
            for slot in range(-count, 0):
                seat = self._seats[slot] = Seat(slot, self._engine.metrics.borrow())
                gate.idle_reserve.append(seat)
            if count:
                gate.start_ahead(gate.idle_reserve[-1])

    def lose(self, slot: int) -> None:
        gate = self._engine.gate
        with self._slots_lock:
            old = self._seats[slot]
            old.lost = True
            fresh = Seat(slot, old.tally)  # the lost thread counts nothing any more
            fresh.busy_ns = old.total_busy_ns()
            fresh.retired = old.retired
            self._seats[slot] = fresh
            if not fresh.retired:
                (gate.idle if slot >= 0 else gate.idle_reserve).append(fresh)
        if self._engine.queue.ready():
            gate.offer(0)

    def spawn_failed(self, slot: int) -> None:
        gate = self._engine.gate
        with self._slots_lock:
            seat = self._seats[slot]
            seat.started = False
            if seat.called:
                seat.called = False
                (gate.idle if slot >= 0 else gate.idle_reserve).insert(0, seat)
        gate.waking = False

    def look_again(self) -> None:
        self.attention = True

    def stop(self) -> None:
        self._stopped = True
        self.look_again()
        gate = self._engine.gate
        for idle in (gate.idle, gate.idle_reserve):
            while idle:
                try:
                    seat = idle.pop()
                except IndexError:
                    break
                if seat.started:
                    seat.release()
        self._engine.queue.forget_dead()  # no worker comes by any more

    def reopen(self) -> None:
        gate = self._engine.gate
        with self._slots_lock:
            self._stopped = False
            gate.waking = False
            for slot, seat in list(self._seats.items()):
                if seat.started:
                    self.lose(slot)  # its thread has not left yet, or is stuck: another one serves the slot
                elif not seat.retired:
                    idle = gate.idle if slot >= 0 else gate.idle_reserve
                    if seat not in idle:  # it is, when it was never stopped: in a fork's child
                        idle.append(seat)
            if gate.idle_reserve:
                gate.start_ahead(gate.idle_reserve[-1])

    def seats(self) -> list[Seat]:
        return list(self._seats.copy().values())

    def snapshot(self) -> Sequence[WorkerView]:
        views = []
        for seat in (*self._seats.copy().values(), *self._visitors.copy()):
            busy_ns = seat.total_busy_ns()
            for outer in list(seat.outer):
                views.append(WorkerView(seat.slot, VISITOR < seat.slot < 0, outer, None, busy_ns, seat.native_id, True))
            views.append(
                WorkerView(
                    seat.slot, VISITOR < seat.slot < 0, seat.handle, seat.started_ns, busy_ns, seat.native_id, False
                )
            )
        return views

    # -- the loop ------------------------------------------------------------------------------

    def serve(self, slot: int) -> None:
        seat = self._seats[slot]
        with self._slots_lock:
            if seat.native_id is not None:
                return  # asked for twice (Gate.rescue)
            seat.started = True
            seat.native_id = get_native_id()
        self._here.seat = seat
        try:
            if slot < 0:
                self._serve_reserve(seat)
            else:
                self._serve(seat)
        finally:
            self._here.seat = None
            self._leave(seat)

    def _serve(self, seat: Seat) -> None:
        """Take the next task and run it, until told to leave.

        CRITICAL goes first; else the highest lane with work, but each SHARE-th pick goes to a lower
        lane that is overdue. The plain case is written out here, without a Python call between
        taking a task and running its function: one such call costs as much as all the rest.
        """
        engine = self._engine
        queue = engine.queue
        gate = engine.gate
        waiters = engine.waiters
        space = queue.space
        tally = seat.tally
        slot = seat.slot
        sample = SAMPLE if engine.config.profiling else sys.maxsize
        critical, high, normal, low = (lane.ready for lane in queue.lanes)
        context = Context()
        run = context.run
        picks = runs = 0
        gate.waking = False
        fresh = True  # just called: when it has its task, it calls the next worker if there is more
        handle: Any = None
        value: Any = None
        args: Any = None
        seat.busy_since_ns = monotonic_ns()
        while True:
            try:
                if self.attention:
                    if self._must_leave(seat):
                        return
                    picks += 1
                    handle = self._pick_carefully(picks)
                elif critical:
                    handle = critical.popleft()
                else:
                    picks += 1
                    if (
                        not picks % SHARE
                        and (high or normal)
                        and (low or (high and normal))  # work in two lanes at least
                        and (handle := self._overdue()) is not None
                    ):
                        pass
                    elif high:
                        handle = high.popleft()
                    elif normal:
                        handle = normal.popleft()
                    else:
                        handle = low.popleft()
            except IndexError:
                if not self._any_open():
                    handle = args = None  # while it sleeps, a worker keeps nothing alive
                    if self._park(seat):
                        gate.waking = False
                        fresh = True
                continue
            try:
                args = handle.args
                del handle.args
            except AttributeError:
                queue.lanes[handle.plan.lane].dead.pop(handle, None)
                continue
            plan = handle.plan
            handle._state = RUNNING  # before the settle claim exists: who has it must find RUNNING
            handle.worker = slot
            seat.handle = handle
            if plan.lane == 0:
                engine.config.critical_waiting(-1)
            if space:
                queue.freed(plan.lane)
            if fresh:
                fresh = False
                gate.arrived(bool(critical), bool(high or normal or low))
            runs += 1
            if handle.ext is not None or plan.runner is not None or plan.timed or not runs % sample:
                weight = 1 if plan.timed else (0 if runs % sample else SAMPLE)
                if self._execute(seat, handle, args, context, weight) is LEAVE:
                    return
            else:
                try:
                    value = run(plan.fn, *args)
                except BaseException as error:
                    self._fail(handle, error, tally, 1)
                else:
                    try:
                        del handle.worker
                    except AttributeError:
                        return  # abandoned by a shutdown
                    handle._value = value
                    value = None
                    tally.completed += 1
                    handle._state = COMPLETED
                    if waiters or handle.ext is not None:
                        handle._released()
            seat.handle = None
            if context:  # the task set a variable: the next one must not see it
                context = Context()
                run = context.run

    def _serve_reserve(self, seat: Seat) -> None:
        """A reserve takes CRITICAL only, when it is called because nobody else was free."""
        queue = self._engine.queue
        parked = self._engine.gate.idle_reserve
        critical = queue.lanes[0].ready
        called = seat.called  # else it was started to be there in time, and waits for its call
        seat.called = False
        while True:
            if not called:
                seat.parked = True
                seat.lock.acquire()
                seat.parked = False
            called = False
            while critical and 0 not in queue.paused:
                if self._must_leave(seat) or self._take_critical(seat) is LEAVE:
                    return
            if self._must_leave(seat):
                return
            parked.append(seat)
            if critical and 0 not in queue.paused:
                try:
                    parked.remove(seat)
                    called = True
                except ValueError:
                    pass  # called in this moment: the lock is, or will be, released

    def _take_critical(self, seat: Seat) -> object:
        lane = self._engine.queue.lanes[0]
        try:
            handle = lane.ready.popleft()
        except IndexError:
            return None
        try:
            args = handle.args
            del handle.args
        except AttributeError:
            lane.dead.pop(handle, None)
            return None
        self._engine.config.critical_waiting(-1)
        seat.busy_since_ns = monotonic_ns()
        self._engine.gate.arrived(bool(lane.ready), False)
        outcome = self._run_claimed(seat, handle, args)
        seat.busy_ns, seat.busy_since_ns = seat.total_busy_ns(), None
        return outcome

    def _park(self, seat: Seat) -> bool:
        """Sleep until called. False: there was something to do after all."""
        gate = self._engine.gate
        now_ns = monotonic_ns()
        if seat.busy_since_ns is not None:
            seat.busy_ns, seat.busy_since_ns = seat.busy_ns + now_ns - seat.busy_since_ns, None
        seat.parked = True
        gate.idle.append(seat)
        if self._must_leave(seat) or self._any_open():
            try:
                gate.idle.remove(seat)
            except ValueError:
                pass  # called in this moment: the lock is, or will be, released
            else:
                seat.parked = False
                seat.busy_since_ns = now_ns
                return False
        seat.lock.acquire()
        seat.parked = False
        seat.busy_since_ns = monotonic_ns()
        return True

    def _leave(self, seat: Seat) -> None:
        if seat.busy_since_ns is not None:
            seat.busy_ns, seat.busy_since_ns = seat.busy_ns + monotonic_ns() - seat.busy_since_ns, None
        seat.native_id = None
        seat.handle = None
        gate = self._engine.gate
        with self._slots_lock:
            if not seat.lost:
                seat.started = False
                if not seat.retired and not self._stopped:  # wanted again while it was leaving
                    (gate.idle if seat.slot >= 0 else gate.idle_reserve).insert(0, seat)
        if not self._stopped and not gate.waking and self._any_open():
            gate.wake()  # it may have been called for a task that it does not take

    # -- picking -------------------------------------------------------------------------------

    def _any_open(self) -> bool:
        paused = self._engine.queue.paused
        return any(lane.ready and index not in paused for index, lane in enumerate(self._engine.queue.lanes))

    def _overdue(self) -> Handle | None:
        """The head that is longest overdue, if it is in a lane below the highest one with work."""
        heads = []
        now_ns = monotonic_ns()
        above = False
        paused = self._engine.queue.paused
        for index, lane in enumerate(self._engine.queue.lanes[1:], start=1):
            if index in paused:
                continue
            try:
                head = lane.ready[0]
            except IndexError:
                continue
            overdue_ns = now_ns - head.ready_ns - TARGET_NS[index]
            if above and overdue_ns > 0:
                heads.append((overdue_ns, index))
            above = True
        if not heads:
            return None
        return self._engine.queue.lanes[max(heads)[1]].ready.popleft()

    def _must_leave(self, seat: Seat) -> bool:
        return self._stopped or seat.retired or seat.lost

    def _pick_carefully(self, picks: int) -> Handle:
        """The same order, while lanes are paused or slots come and go. IndexError: nothing to start."""
        self.attention = False  # first, so that whoever sets it while we look is not overruled
        paused = self._engine.queue.paused
        if paused or any(seat.retired and seat.started for seat in self._seats.copy().values()):
            self.attention = True
        lanes = self._engine.queue.lanes
        if lanes[0].ready and 0 not in paused:
            return lanes[0].ready.popleft()
        if not picks % SHARE and (handle := self._overdue()) is not None:
            return handle
        for index, lane in enumerate(lanes):
            if index not in paused and lane.ready:
                return lane.ready.popleft()
        raise IndexError("nothing to start")

    # -- running -------------------------------------------------------------------------------

    def run(self, handle: Handle) -> bool:
        if handle.state() != PENDING:
            return False
        args = self._engine.queue.take(handle)
        if args is None:
            return False
        seat = self._here.seat
        if seat is not None:
            try:
                self._run_claimed(seat, handle, args)
            finally:
                del handle, args  # the frames of the task's exception lead back to this one
            return True
        seat = self._here.seat = Seat(VISITOR, self._engine.metrics.borrow())
        self._visitors[seat] = None
        seat.native_id = get_native_id()
        seat.busy_since_ns = monotonic_ns()
        try:
            self._run_claimed(seat, handle, args)
        finally:
            del handle, args
            self._here.seat = None
            self._visitors.pop(seat, None)
            self._engine.metrics.give_back(seat.tally)
        return True

    def current(self) -> Handle | None:
        seat = self._here.seat
        return None if seat is None else seat.handle

    def _run_claimed(self, seat: Seat, handle: Handle, args: tuple[Any, ...]) -> object:
        """Run a task whose start claim is ours, on this thread, inside whatever it runs already."""
        outer, outer_started_ns = seat.handle, seat.started_ns
        if outer is not None:
            seat.outer.append(outer)
        handle._state = RUNNING
        handle.worker = seat.slot
        seat.handle = handle
        if self._engine.queue.space:
            self._engine.queue.freed(handle.plan.lane)
        weight = 1 if handle.plan.timed else 0
        try:
            return self._execute(seat, handle, args, Context(), weight)
        finally:
            handle = args = None  # type: ignore[assignment]
            seat.handle, seat.started_ns = outer, outer_started_ns
            if outer is not None:
                seat.outer.pop()

    def _execute(self, seat: Seat, handle: Handle, args: tuple[Any, ...], context: Context, weight: int) -> object:
        """Run with everything: the call's context and keywords, the plan's runner, clocks (weight > 0)."""
        plan = handle.plan
        ext = handle.ext
        kwargs = _NO_KWARGS
        if ext is not None:
            if ext.context is not None:
                context = ext.context.copy()  # a retry starts from the submitter's context again
            kwargs = ext.kwargs or _NO_KWARGS
        started_ns = 0
        value: Any = None
        failure: BaseException | None = None
        try:
            if weight:
                seat.started_ns = started_ns = monotonic_ns()
            if plan.runner is None:
                value = context.run(plan.fn, *args, **kwargs)
            else:
                value = context.run(plan.runner, handle, args, kwargs)
        except BaseException as error:
            failure = error
        if value is CONDEMNED or (plan.runner is not None and isinstance(failure, TaskInterrupted)):
            return LEAVE  # the interrupt of a condemned thread may arrive as late as here
        if weight:
            seat.started_ns = None
            if value is not DETACHED:
                self._observe(seat, handle, started_ns, monotonic_ns(), weight)
        if failure is not None:
            try:
                return self._fail(handle, failure, seat.tally, 1 if plan.runner is None else 2)
            finally:
                # The exception's own frames lead back to this one (f_back): it must not hold the handle.
                failure = handle = args = ext = kwargs = None  # type: ignore[assignment]
        if value is DETACHED:
            return None
        if type(value) is Again:
            self._engine.queue.requeue(handle, args, value.due_ns)
            return None
        try:
            del handle.worker
        except AttributeError:
            return LEAVE  # abandoned by a shutdown
        handle._value = value
        seat.tally.completed += 1
        handle._state = COMPLETED
        if self._engine.waiters or handle.ext is not None:
            handle._released()
        return None

    def _fail(self, handle: Handle, error: BaseException, tally: Tally, engine_frames: int) -> object:
        try:
            del handle.worker
        except AttributeError:
            return LEAVE  # abandoned by a shutdown
        tally.failed += 1
        handle._publish(FAILED, error, engine_frames, add=False)
        return None

    def _observe(self, seat: Seat, handle: Handle, started_ns: int, ended_ns: int, weight: int) -> None:
        took_ns = ended_ns - started_ns
        handle.times = (started_ns, ended_ns, seat.slot)
        seat.tally.observe(took_ns, max(0, started_ns - handle.ready_ns), weight)
        if self._engine.config.profiling != "full":
            handle.plan.timed = took_ns >= HOT_NS
