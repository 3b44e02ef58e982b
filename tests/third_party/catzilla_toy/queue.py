"""Four deques, one heap, and who waits for room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from heapq import heappop, heappush
from itertools import count
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from catzilla.interface import DELAYED, LANES, PENDING, RETRYING, RUNNING, SHARE, TARGET_NS, Plan

from .handle import ToyHandle

if TYPE_CHECKING:
    from . import ToyEngine

NEVER_NS = (1 << 63) - 1


class ToyQueue:
    def __init__(self, engine: ToyEngine) -> None:
        self.engine = engine
        # A handle stays in its deque when it is claimed from elsewhere; ``args`` is None then.
        self.lanes: list[deque[ToyHandle]] = [deque() for _ in range(LANES)]
        self.heap: list[tuple[int, int, ToyHandle]] = []
        self.order = count()
        self.size = [0] * LANES  # ready and held
        self.held = [0] * LANES  # delayed and retrying
        self.paused: frozenset[int] = frozenset()
        self.space: list[tuple[int, Callable[[], None]]] = []
        self.closed = False
        self.picks = 0

    # Accepting

    def submitter(self, plans: dict[Any, Plan], fallback: Callable[..., Any]) -> Callable[..., Any]:
        def add_task(fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            if not kwargs and not self.closed:
                try:
                    plan = plans.get(fn)
                except TypeError:  # unhashable
                    plan = None
                if plan is not None and plan.arity is not None and plan.arity[0] <= len(args) <= plan.arity[1]:
                    context = copy_context()
                    ext = self.engine.config.make_ext(context, None) if context else None
                    handle = self.put(plan, args, ext)
                    if handle is not None:
                        return handle
            return fallback(fn, *args, **kwargs)

        return add_task

    def put(
        self, plan: Plan, args: tuple[Any, ...], ext: Any, due_ns: int = 0, force: bool = False
    ) -> ToyHandle | None:
        with self.engine.lock:
            if not force and self.size[plan.lane] >= self.engine.config.queue_size:
                return None
            handle = ToyHandle(self.engine, plan, args, ext, due_ns or monotonic_ns())
            self.engine.metrics.add("submitted")
            self.size[plan.lane] += 1
            if due_ns:
                self.hold(handle, DELAYED)
                return handle
            self.lanes[plan.lane].append(handle)
        self.announce(plan.lane, 1)
        return handle

    def put_many(
        self, plan: Plan, rows: Sequence[tuple[Any, ...]], exts: Sequence[Any] | None = None
    ) -> Sequence[ToyHandle] | None:
        with self.engine.lock:
            if self.size[plan.lane] + len(rows) > self.engine.config.queue_size:
                return None
            now_ns = monotonic_ns()
            handles = [
                ToyHandle(self.engine, plan, row, ext, now_ns)
                for row, ext in zip(rows, exts or [None] * len(rows), strict=True)
            ]
            self.engine.metrics.add("submitted", len(rows))
            self.size[plan.lane] += len(rows)
            self.lanes[plan.lane].extend(handles)
        self.announce(plan.lane, len(rows))
        return handles

    def promise(self, plan: Plan, ext: Any) -> ToyHandle:
        handle = ToyHandle(self.engine, plan, None, ext, NEVER_NS)
        handle.current_state = DELAYED
        handle.promised = True
        self.engine.metrics.add("submitted")
        return handle

    def requeue(self, handle: Any, args: tuple[Any, ...], due_ns: int) -> None:
        lane = handle.plan.lane
        with self.engine.lock:
            promised, handle.promised = handle.promised, False
            if not promised and handle.current_state != RUNNING:
                return
            if not promised:
                self.engine.metrics.add("retried")
            handle.args = args
            handle.ready_ns = due_ns or monotonic_ns()
            self.size[lane] += 1
            if due_ns:
                self.hold(handle, DELAYED if promised else RETRYING)
                return
            handle.current_state = PENDING
            self.lanes[lane].append(handle)
        self.announce(lane, 1)

    def hold(self, handle: ToyHandle, state: int) -> None:
        handle.current_state = state
        self.held[handle.plan.lane] += 1
        earlier = not self.heap or handle.ready_ns < self.heap[0][0]
        heappush(self.heap, (handle.ready_ns, next(self.order), handle))
        if earlier:
            self.engine.config.wake()

    def announce(self, lane: int, n: int) -> None:
        if lane == 0 and n:
            self.engine.config.critical_waiting(n)
        for _ in range(min(n, self.engine.workers.most())):
            self.engine.workers.call(lane)

    # Giving

    def claim(self, handle: ToyHandle) -> tuple[Any, ...] | None:
        """Under the lock: take a task that was not started, from wherever it waits."""
        args = handle.args
        if args is None:
            return None
        handle.args = None
        lane = handle.plan.lane
        self.size[lane] -= 1
        if handle.current_state != PENDING:
            self.held[lane] -= 1
        elif lane == 0:
            self.engine.config.critical_waiting(-1)
        return args

    def head(self, lane: int) -> ToyHandle | None:
        deque_ = self.lanes[lane]
        while deque_ and (deque_[0].args is None or deque_[0].current_state != PENDING):
            deque_.popleft()
        return deque_[0] if deque_ else None

    def pick(self, critical_only: bool) -> ToyHandle | None:
        """Under the lock: CRITICAL, else the highest lane; each SHARE-th pick is an overdue lower one's."""
        heads = [
            (lane, head)
            for lane in range(1 if critical_only else LANES)
            if lane not in self.paused and (head := self.head(lane)) is not None
        ]
        if not heads:
            return None
        if heads[0][0] != 0:
            self.picks += 1
            if self.picks % SHARE == 0:
                now_ns = monotonic_ns()
                overdue = [(now_ns - head.ready_ns - TARGET_NS[lane], lane) for lane, head in heads[1:]]
                if overdue and max(overdue)[0] > 0:
                    return self.head(max(overdue)[1])
        return heads[0][1]

    def evict_oldest(self, lane: int, error: BaseException) -> ToyHandle | None:
        while True:
            with self.engine.lock:
                head = self.head(lane)
            if head is None or head.withdraw(error):
                return head

    # Room

    def has_room(self, lane: int) -> bool:
        return self.size[lane] < self.engine.config.queue_size

    def freed(self, lane: int) -> None:
        with self.engine.lock:
            entry = next((entry for entry in self.space if entry[0] == lane), None)
            if entry is None or not self.has_room(lane):
                return
            self.space.remove(entry)
        entry[1]()

    def on_space(self, lane: int, fn: Callable[[], None]) -> None:
        with self.engine.lock:
            self.space.append((lane, fn))
        self.freed(lane)

    def off_space(self, lane: int, fn: Callable[[], None]) -> None:
        with self.engine.lock:
            if (lane, fn) in self.space:
                self.space.remove((lane, fn))
                return
        self.freed(lane)

    # Looking

    def sizes(self) -> tuple[int, int, int, int]:
        critical, high, normal, low = self.size
        return critical, high, normal, low

    def ready(self) -> int:
        return sum(self.size[lane] - self.held[lane] for lane in range(LANES) if lane not in self.paused)

    def oldest_ready_ns(self) -> tuple[int | None, int | None, int | None, int | None]:
        with self.engine.lock:
            heads = [self.head(lane) for lane in range(LANES)]
        critical, high, normal, low = (None if head is None else head.ready_ns for head in heads)
        return critical, high, normal, low

    def pending(self) -> list[Any]:
        with self.engine.lock:
            found = {id(handle): handle for lane in self.lanes for handle in lane if handle.args is not None}
            found.update({id(handle): handle for _, _, handle in self.heap if handle.args is not None})
            return list(found.values())

    def advance(self, now_ns: int) -> int | None:
        due: list[int] = []
        with self.engine.lock:
            while self.heap and (self.heap[0][0] <= now_ns or self.heap[0][2].args is None):
                handle = heappop(self.heap)[2]
                if handle.args is not None:
                    handle.current_state = PENDING
                    self.held[handle.plan.lane] -= 1
                    self.lanes[handle.plan.lane].append(handle)
                    due.append(handle.plan.lane)
            next_ns = self.heap[0][0] if self.heap else None
        for lane in due:
            self.announce(lane, 1)
        return next_ns

    def pause(self, lanes: frozenset[int]) -> None:
        self.paused = lanes
        self.engine.workers.call_for_backlog()

    def on_backlog(self, fn: Callable[[], None] | None) -> None:
        self.engine.workers.backlog = fn

    def close(self) -> None:
        self.closed = True

    def reopen(self) -> None:
        self.closed = False
