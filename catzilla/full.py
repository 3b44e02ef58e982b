"""What happens to a submit that finds its lane, or the memory pool, full: the policies of ``on_full``."""

from __future__ import annotations

import _thread
import functools
import sys
import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn

from .errors import MemoryPoolFull, QueueFull, SystemClosed, TaskDropped
from .ext import Ext
from .interface import Handle
from .log import logger
from .memory import CELL_BYTES, call_bytes
from .plan import Plan
from .priority import TaskPriority

if TYPE_CHECKING:
    from .submitting import Submitting
    from .system import TaskSystem


class Full(Enum):
    LANE = "lane"
    MEMORY = "memory"
    PARKED = "parked"  # the lane, with tasks that their limits hold back


class FullLanes:
    def __init__(self, system: TaskSystem, submitting: Submitting) -> None:
        self._system = system
        self._submitting = submitting
        self._memory_waiters: deque[Callable[[], None]] = deque()
        self._blocked: dict[Callable[[], None], None] = {}
        self._grow = threading.Lock()

    def solve(self, full: Full, plan: Plan, args: tuple[Any, ...], ext: Ext | None) -> Handle:
        policy = self._system.config.on_full
        if policy in ("block", "drop_oldest") and self._never_fits(full, args, ext):
            self._refuse(full, plan)
        if policy == "block":
            return self._block(full, plan, args, ext)
        if policy == "caller_runs":
            return self._run_here(plan, args, ext)
        if policy == "drop_oldest":
            return self._drop_oldest(full, plan, args, ext)
        self._refuse(full, plan)

    async def solve_async(self, full: Full, plan: Plan, args: tuple[Any, ...], ext: Ext | None) -> Handle:
        if self._system.config.on_full != "block" or self._never_fits(full, args, ext):
            return self.solve(full, plan, args, ext)
        import asyncio

        loop = asyncio.get_running_loop()
        while True:
            event = asyncio.Event()

            def look_again(event: asyncio.Event = event) -> None:
                try:
                    loop.call_soon_threadsafe(event.set)
                except RuntimeError:
                    pass  # the loop is closed, and with it whoever waited

            self._wait_for_room(full, plan.lane, look_again)
            try:
                outcome = self._try(plan, args, ext)
                if not isinstance(outcome, Full):
                    return outcome
                full = outcome
                await event.wait()
            finally:
                self._stop_waiting(full, plan.lane, look_again)

    def _never_fits(self, full: Full, args: tuple[Any, ...], ext: Ext | None) -> bool:
        """It is more than the whole memory pool: no room that comes or is made would do."""
        limit = self._system.engine.allocator.limit_bytes
        if full is not Full.MEMORY or limit is None:
            return False
        return CELL_BYTES + call_bytes(args, None if ext is None else ext.kwargs) > limit

    # -- raise ---------------------------------------------------------------------------------

    def _refuse(self, full: Full, plan: Plan, wanted: int = 1) -> NoReturn:
        system = self._system
        system.engine.metrics.add("rejected", wanted)
        tasks = "the task was" if wanted == 1 else f"none of the {wanted} tasks was"
        remedy = "wait for results, raise it, or choose on_full='block', 'caller_runs' or 'drop_oldest'"
        if full is Full.MEMORY:
            used = system.engine.allocator.stats()["charged_bytes"] / 2**20
            raise MemoryPoolFull(
                f"{tasks} not queued: the memory pool holds {used:.1f} MB of memory_pool_mb="
                f"{system.config.memory_pool_mb:g}; {remedy}"
            )
        lane = TaskPriority(plan.lane).name
        raise QueueFull(
            f"{tasks} not queued: lane {lane} holds {system.queue_sizes()[plan.lane]} of "
            f"queue_size={system.config.queue_size} tasks; {remedy}"
        )

    # -- block ---------------------------------------------------------------------------------

    def _block(self, full: Full, plan: Plan, args: tuple[Any, ...], ext: Ext | None) -> Handle:
        asyncio = sys.modules.get("asyncio")
        if asyncio is not None and asyncio._get_running_loop() is not None:
            self._system.waiting.warn_once(
                "block",
                "add_task() blocks the event loop of this thread until there is room: use `await add_task_async()`",
            )
        inside = self._system.engine.workers.current() is not None
        if inside:
            self._resize(1)
        try:
            while True:
                lock = _thread.allocate_lock()
                lock.acquire()
                look_again = functools.partial(_release, lock)
                self._wait_for_room(full, plan.lane, look_again)
                try:
                    outcome = self._try(plan, args, ext)
                    if not isinstance(outcome, Full):
                        return outcome
                    full = outcome
                    lock.acquire()  # interruptible by signals, as every lock of the main thread
                finally:
                    self._stop_waiting(full, plan.lane, look_again)
        finally:
            if inside:
                self._resize(-1)

    def _try(self, plan: Plan, args: tuple[Any, ...], ext: Ext | None) -> Handle | Full:
        if self._system.closed:
            raise SystemClosed("the task system shut down while the task waited for room; it was not queued")
        return self._submitting.accept(plan, args, ext)

    def _resize(self, change: int) -> None:
        """A worker that waits for room has a stand-in meanwhile: somebody must make the room."""
        with self._grow:
            self._system.autoscaler.blocked_submitters += change
            self._system.autoscaler.apply()

    def _wait_for_room(self, full: Full, lane: int, fn: Callable[[], None]) -> None:
        self._blocked[fn] = None
        if full is Full.LANE:
            self._system.engine.queue.on_space(lane, fn)
        else:
            self._memory_waiters.append(fn)

    def _stop_waiting(self, full: Full, lane: int, fn: Callable[[], None]) -> None:
        self._blocked.pop(fn, None)
        self._system.engine.queue.off_space(lane, fn)
        try:
            self._memory_waiters.remove(fn)
        except ValueError:
            pass  # called, and with it everybody else

    def memory_freed(self) -> None:
        """From a handle's dealloc: whoever waits now looks again, as one may need less than another."""
        for _ in range(len(self._memory_waiters)):
            try:
                fn = self._memory_waiters.popleft()
            except IndexError:
                return
            fn()

    def wake_all(self) -> None:
        for fn in self._blocked.copy():
            fn()

    # -- caller_runs, drop_oldest --------------------------------------------------------------

    def _run_here(self, plan: Plan, args: tuple[Any, ...], ext: Ext | None) -> Handle:
        handle = self._submitting.accept(plan, args, ext, force=True)
        assert not isinstance(handle, Full)
        self._system.engine.workers.run(handle)  # unless a worker was faster
        return handle

    def _drop_oldest(self, full: Full, plan: Plan, args: tuple[Any, ...], ext: Ext | None) -> Handle:
        while True:
            evicted = self._evict(full, plan)
            outcome = self._submitting.accept(plan, args, ext)
            if not isinstance(outcome, Full):
                return outcome
            if not evicted:  # workers had not emptied it meanwhile either: nothing pending could make room
                self._refuse(outcome, plan)
            full = outcome

    def _evict(self, full: Full, plan: Plan) -> bool:
        engine = self._system.engine
        lanes = [3, 2, 1, 0] if full is Full.MEMORY else [plan.lane]
        for lane in lanes:
            error = TaskDropped(
                f"the task was the oldest of lane {TaskPriority(lane).name} and was dropped to make room "
                "(on_full='drop_oldest')"
            )
            dropped = engine.queue.evict_oldest(lane, error)
            if dropped is None and full is Full.PARKED:
                dropped = self._system.limits.drop_oldest(lane)
            if dropped is not None:
                engine.metrics.add("dropped")
                owner: Any = dropped.plan.owner
                logger.warning("dropped task %s, the oldest of the full lane %s", owner.name, TaskPriority(lane).name)
                return True
        return False

    # -- batches -------------------------------------------------------------------------------

    def many(self, plan: Plan, rows: list[tuple[Any, ...]], exts: list[Any] | None) -> list[Handle]:
        """All of them or none; "block" feeds them in as room comes, "drop_oldest" makes the room."""
        config = self._system.config
        outcome = self._submitting.accept_many(plan, rows, exts)
        if not isinstance(outcome, Full):
            return list(outcome)
        if config.on_full == "raise" or (config.on_full == "drop_oldest" and len(rows) > config.queue_size):
            self._refuse(outcome, plan, len(rows))
        if config.on_full != "caller_runs" and any(self._never_fits(outcome, row, None) for row in rows):
            self._refuse(outcome, plan, len(rows))
        accepted: list[Handle] = []
        for index, row in enumerate(rows):
            ext = None if exts is None else exts[index]
            one = self._submitting.accept(plan, row, ext)
            accepted.append(self.solve(one, plan, row, ext) if isinstance(one, Full) else one)
        return accepted


def _release(lock: _thread.LockType) -> None:
    """Room came and a shutdown too: whoever is second finds it released."""
    try:
        lock.release()
    except RuntimeError:
        pass
