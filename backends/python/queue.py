"""Four lanes of ready tasks, and the tasks that are not due yet.

No lock: a deque's append and popleft, a dict's setitem and pop are each one atomic step under the
GIL, and every race below is decided by one of them or by a handle's own claim (handle.py). So a
submit may come from a signal handler or a ``__del__`` that interrupts another submit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from heapq import heapify, heappop, heappush
from itertools import count
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from catzilla.interface import COMPLETED, DELAYED, LANES, PENDING, RETRYING, Plan

from .handle import Handle, new_handle
from .metrics import consume
from .rows import pack_rows, unpack_rows

if TYPE_CHECKING:
    from . import Engine

NEVER_NS = (1 << 63) - 1
PROMISED = -2_000_000  # the "slot" of a promise


class Lane:
    """Tasks of one priority. ``dead`` are cancelled ones that still lie in ``ready``: popping the
    middle of a deque is slow, so whoever meets one at the head drops it, and ``advance`` sweeps."""

    __slots__ = ("dead", "held", "ready")

    def __init__(self) -> None:
        self.ready: deque[Handle] = deque()
        self.dead: dict[Handle, None] = {}
        self.held: dict[Handle, bool] = {}  # delayed and retrying: they keep their slot in the lane

    def size(self) -> int:
        return max(0, len(self.ready) - len(self.dead)) + len(self.held)


class Queue:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._capacity = engine.config.queue_size
        self.lanes = tuple(Lane() for _ in range(LANES))
        self.paused: frozenset[int] = frozenset()
        self._heap: list[tuple[int, int, Handle]] = []  # the supervisor's alone
        self._inbox: deque[tuple[int, int, Handle]] = deque()
        self._order = count().__next__
        self._next_due_ns: int | None = None
        self.space: deque[tuple[int, Callable[[], None]]] = deque()  # who waits for room in which lane
        self.closed = False
        self.backlog: Callable[[], None] | None = None

    # -- accepting -----------------------------------------------------------------------------

    def submitter(self, plans: dict[Any, Any], fallback: Callable[..., Any]) -> Callable[..., Any]:
        engine = self._engine
        cls = engine.handle_type
        find = plans.get
        lanes = self.lanes
        capacity = self._capacity
        accepted = engine.metrics.shared["submitted"].bump
        gate = engine.gate
        idle = gate.idle
        make_ext = engine.config.make_ext

        def add_task(fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            try:
                plan = None if kwargs or self.closed else find(fn)
            except TypeError:  # not hashable
                plan = None
            if plan is None:
                return fallback(fn, *args, **kwargs)
            arity = plan.arity
            lane = lanes[plan.lane]
            ready = lane.ready
            if arity is None or not arity[0] <= len(args) <= arity[1] or len(ready) + len(lane.held) >= capacity:
                return fallback(fn, *args)
            context = copy_context()
            handle = cls()
            handle.plan = plan
            handle.args = args
            handle.ext = make_ext(context, None) if context else None
            handle.ready_ns = monotonic_ns()
            handle._state = PENDING
            try:
                accepted()
                if plan.lane == 0:
                    engine.config.critical_waiting(1)
                ready.append(handle)
                if len(ready) > capacity and not self._keep(lane, handle):
                    return fallback(fn, *args)
                if self.closed and self.take(handle) is not None:  # closed since we looked: policy refuses it
                    engine.metrics.add("withdrawn")
                    return fallback(fn, *args)
                if not gate.waking:
                    if idle:
                        gate.wake()
                    elif plan.lane == 0 or self.backlog is not None:
                        gate.busy(plan.lane)
            except BaseException:
                self._interrupted([handle])
                raise
            return handle

        return add_task

    def put(self, plan: Plan, args: tuple[Any, ...], ext: Any, due_ns: int = 0, force: bool = False) -> Handle | None:
        lane = self.lanes[plan.lane]
        if not force and not self._room(lane, 1):
            return None
        handle = new_handle(self._engine.handle_type, plan, args, ext, due_ns or monotonic_ns())
        accepted = self._engine.metrics.shared["submitted"].bump
        try:
            accepted()
            if due_ns:
                handle._state = DELAYED
                self._hold(handle, due_ns)
                return handle
            if plan.lane == 0:
                self._engine.config.critical_waiting(1)
            lane.ready.append(handle)
            if not force and len(lane.ready) > self._capacity and not self._keep(lane, handle):
                return None
            self._engine.gate.offer(plan.lane)
        except BaseException:
            self._interrupted([handle])
            raise
        return handle

    def put_many(
        self, plan: Plan, rows: Sequence[tuple[Any, ...]], exts: Sequence[Any] | None = None
    ) -> Sequence[Handle] | None:
        lane = self.lanes[plan.lane]
        cls = self._engine.handle_type
        now_ns = monotonic_ns()
        if exts is None:
            handles = [new_handle(cls, plan, row, None, now_ns) for row in rows]
        else:
            handles = [new_handle(cls, plan, row, ext, now_ns) for row, ext in zip(rows, exts, strict=True)]
        if not self._room(lane, len(handles)):
            return None
        accepted = self._engine.metrics.shared["submitted"].several(len(handles))
        try:
            consume(accepted)
            if plan.lane == 0:
                self._engine.config.critical_waiting(len(handles))
            lane.ready.extend(handles)  # one step: nobody sees half a batch
            if handles:
                self._engine.gate.offer(plan.lane)
        except BaseException:
            self._interrupted(handles)
            raise
        return handles

    def pack_rows(
        self,
        rows: Sequence[Any],
        type_code: bytes,
        defaults: tuple[Any, ...],
        begin: int,
        end: int,
        columns: tuple[Any, ...],
    ) -> list[int] | None:
        return pack_rows(rows, type_code, defaults, begin, end, columns)

    def unpack_rows(self, column: Any, letter: str, begin: int, end: int) -> list[Any]:
        return unpack_rows(column, letter, begin, end)

    def finished(self, plan: Plan, values: list[Any], ready_ns: int) -> list[Handle]:
        handles = []
        for value in values:
            handle = self._engine.handle_type()
            handle.plan = plan
            handle.ext = None
            handle.ready_ns = ready_ns
            handle._value = value
            handle._state = COMPLETED
            handles.append(handle)
        return handles

    def promise(self, plan: Plan, ext: Any) -> Handle:
        handle = self._engine.handle_type()
        handle.plan = plan
        handle.ext = ext
        handle.ready_ns = NEVER_NS
        handle._state = DELAYED
        handle.worker = PROMISED  # the settle claim: settle() and requeue() compete for it
        self._engine.metrics.add("submitted")
        return handle

    def requeue(self, handle: Handle, args: tuple[Any, ...], due_ns: int) -> None:
        # No start claim exists until args is set, so nothing before that can race with a start or cancel.
        promised = handle._state == DELAYED
        try:
            del handle.worker
        except AttributeError:
            return  # settled meanwhile
        if not promised:
            self._engine.metrics.add("retried")
        handle.ready_ns = due_ns or monotonic_ns()
        handle._state = (DELAYED if promised else RETRYING) if due_ns else PENDING
        handle.args = args
        if due_ns:
            self._hold(handle, due_ns)
        else:
            self._make_ready(handle)

    def _make_ready(self, handle: Handle) -> None:
        if handle.plan.lane == 0:
            self._engine.config.critical_waiting(1)
        self.lanes[handle.plan.lane].ready.append(handle)
        self._engine.gate.offer(handle.plan.lane)

    def _hold(self, handle: Handle, due_ns: int) -> None:
        self.lanes[handle.plan.lane].held[handle] = True
        self._inbox.append((due_ns, self._order(), handle))
        next_due_ns = self._next_due_ns
        if next_due_ns is None or due_ns < next_due_ns:
            self._engine.config.wake()

    def _room(self, lane: Lane, wanted: int) -> bool:
        return lane.size() + wanted <= self._capacity

    def _keep(self, lane: Lane, handle: Handle) -> bool:
        """Threads that passed the check together overfilled the lane: the later ones step back.

        False: the handle was taken back, as if it had never been queued.
        """
        if lane.size() <= self._capacity or self.take(handle) is None:
            return True
        self._engine.metrics.add("withdrawn")
        return False

    def _interrupted(self, handles: Sequence[Handle]) -> None:
        """A signal handler raised (Ctrl-C) anywhere between counting and waking: as if never accepted.

        The caller gets the exception and no handle. What a worker has started already stays accepted.
        """
        lane = self.lanes[handles[0].plan.lane] if handles else None
        taken = [handle for handle in handles if self.take(handle) is not None]
        if lane is not None and taken:
            queued = set(lane.ready.copy())
            for handle in taken:
                if handle not in queued:  # no worker will meet it
                    lane.dead.pop(handle, None)
        self._engine.metrics.add("withdrawn", len(taken))
        self._engine.gate.rescue()

    # -- giving --------------------------------------------------------------------------------

    def take(self, handle: Handle, claim: int | None = None) -> tuple[Any, ...] | None:
        """Claim a task that was not started, from wherever it waits; None: it is too late.

        ``claim`` becomes its ``worker`` in the same step, as far as signal handlers can tell: none
        runs between the lines that call nothing.

        It is listed as dead before the claim: a worker that pops it and finds it claimed must find
        it in the list to take it off.
        """
        if not hasattr(handle, "args"):
            return None
        lane = self.lanes[handle.plan.lane]
        lane.dead[handle] = None
        try:
            args = handle.args
            del handle.args
            if claim is not None:
                handle.worker = claim
        except AttributeError:
            if handle not in lane.ready.copy():  # else another take was quicker, and the mark is its
                lane.dead.pop(handle, None)
            return None
        if lane.held.pop(handle, None):
            lane.dead.pop(handle, None)
        elif handle.plan.lane == 0:
            self._engine.config.critical_waiting(-1)
        return args

    def freed(self, lane: int) -> None:
        """The lane has room again: the first who waits for it has the turn."""
        for entry in list(self.space):
            if entry[0] == lane:
                try:
                    self.space.remove(entry)
                except ValueError:
                    continue
                entry[1]()
                return

    def evict_oldest(self, lane: int, error: BaseException) -> Handle | None:
        own = self.lanes[lane]
        while True:
            try:
                handle = own.ready[0] if own.ready else next(iter(own.held))
            except (IndexError, StopIteration):
                return None
            except RuntimeError:  # the delayed ones changed while we looked
                continue
            won = handle.withdraw(error)
            try:
                own.ready.remove(handle)  # at the head: one step
            except ValueError:
                pass  # a worker popped it meanwhile, and takes it off the dead itself
            else:
                own.dead.pop(handle, None)
            if won:
                return handle

    def on_space(self, lane: int, fn: Callable[[], None]) -> None:
        self.space.append((lane, fn))
        if self.lanes[lane].size() < self._capacity:
            self.freed(lane)

    def off_space(self, lane: int, fn: Callable[[], None]) -> None:
        try:
            self.space.remove((lane, fn))
        except ValueError:
            if self.lanes[lane].size() < self._capacity:
                self.freed(lane)  # fn had the turn and does not use it

    # -- looking -------------------------------------------------------------------------------

    def sizes(self) -> tuple[int, int, int, int]:
        critical, high, normal, low = (lane.size() for lane in self.lanes)
        return critical, high, normal, low

    def ready(self) -> int:
        return sum(
            max(0, len(lane.ready) - len(lane.dead))
            for index, lane in enumerate(self.lanes)
            if index not in self.paused
        )

    def oldest_ready_ns(self) -> tuple[int | None, int | None, int | None, int | None]:
        critical, high, normal, low = (self._head_ns(lane) for lane in self.lanes)
        return critical, high, normal, low

    @staticmethod
    def _head_ns(lane: Lane) -> int | None:
        if not lane.dead:
            try:
                return lane.ready[0].ready_ns
            except IndexError:
                return None
        return next((handle.ready_ns for handle in lane.ready.copy() if hasattr(handle, "args")), None)

    def pending(self) -> list[Handle]:
        return [
            handle
            for lane in self.lanes
            for handle in (*lane.ready.copy(), *lane.held.copy())
            if hasattr(handle, "args")
        ]

    def pause(self, lanes: frozenset[int]) -> None:
        self.paused = lanes
        self._engine.workers.look_again()
        if self.ready():
            self._engine.gate.wake()

    def on_backlog(self, fn: Callable[[], None] | None) -> None:
        self.backlog = fn

    def close(self) -> None:
        self.closed = True

    def reopen(self) -> None:
        self.closed = False

    # -- time ----------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> int | None:
        heap = self._heap
        while self._inbox:
            heappush(heap, self._inbox.popleft())
        while heap and heap[0][0] <= now_ns:
            self._ripen(heappop(heap)[2])
        if len(heap) > 1024 and len(heap) > 2 * sum(len(lane.held) for lane in self.lanes):
            self._heap = heap = [entry for entry in heap if entry[2] in self.lanes[entry[2].plan.lane].held]
            heapify(heap)
        for lane in self.lanes:
            if len(lane.dead) > 1024 and 2 * len(lane.dead) > len(lane.ready):
                self._sweep(lane)
        self._next_due_ns = next_due_ns = heap[0][0] if heap else None
        if self._inbox:  # came while we looked, and may have been compared with the old due time
            return now_ns
        return next_due_ns

    def _ripen(self, handle: Handle) -> None:
        lane = self.lanes[handle.plan.lane]
        if not lane.held.pop(handle, None):
            return  # cancelled: the pop decides between cancel and us
        # The state stays DELAYED or RETRYING: Handle.state() sees that the time has come. Writing it
        # here could undo the CANCELLED of somebody who claims the handle in this moment.
        self._make_ready(handle)

    def forget_dead(self) -> None:
        for lane in self.lanes:
            if lane.dead:
                self._sweep(lane)

    def _sweep(self, lane: Lane) -> None:
        """Drop dead handles from the middle. On the supervisor's thread, which no Ctrl-C interrupts:
        between the pops and the extendleft the living are in our hands alone."""
        living = []
        for _ in range(len(lane.ready)):
            try:
                handle = lane.ready.popleft()
            except IndexError:
                break
            if handle in lane.dead and not hasattr(handle, "args"):
                lane.dead.pop(handle, None)
            else:
                living.append(handle)
        living.reverse()
        lane.ready.extendleft(living)
        for handle in list(lane.dead):
            if handle not in lane.ready and not hasattr(handle, "args"):
                lane.dead.pop(handle, None)  # left behind by a caller that an exception interrupted
        if living:
            self._engine.gate.offer(living[0].plan.lane)
