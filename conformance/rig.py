"""An engine without a task system above it: what the white-box classes drive.

The policy above the waist gives an engine threads, a supervisor and a few callbacks. The rig gives
the least of each that is correct, and records what the engine asked for.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextvars import Context
from types import TracebackType
from typing import Any, Final

from catzilla.errors import TaskCancelled
from catzilla.interface import COMPLETED, Backend, Engine, Handle, Runner

CRITICAL: Final = 0
HIGH: Final = 1
NORMAL: Final = 2
LOW: Final = 3

SECOND_NS: Final = 1_000_000_000
# How long something that must happen may take on a loaded machine.
PATIENCE_S: Final = float(os.environ.get("CATZILLA_TEST_PATIENCE", "20"))
PATIENCE_NS: Final = int(PATIENCE_S * SECOND_NS)


class RigPlan:
    """interface.Plan, the way policy makes one per task and options."""

    def __init__(
        self,
        fn: Callable[..., object],
        lane: int = NORMAL,
        runner: Runner | None = None,
        arity: tuple[int, int] | None = None,
        timed: bool = True,
    ) -> None:
        self.fn = fn
        self.lane = lane
        self.runner = runner
        self.arity = arity
        self.kernel = None
        self.timed = timed
        self.owner: object = None


class RigExt:
    """interface.Ext, made by the engine's submitter (a context) or by a test (any of the three)."""

    def __init__(
        self,
        context: Context | None = None,
        kwargs: dict[str, Any] | None = None,
        on_settled: Callable[[Handle], None] | None = None,
    ) -> None:
        self.context = context
        self.kwargs = kwargs
        self.on_settled = on_settled


class Rig:
    """interface.EngineConfig and the threads; a context manager that leaves no thread behind."""

    def __init__(
        self,
        backend: Backend,
        *,
        workers: int = 0,
        reserve: int = 0,
        queue_size: int = 100_000,
        memory_limit_bytes: int | None = None,
        profiling: bool | str = "full",
    ) -> None:
        self.queue_size = queue_size
        self.memory_limit_bytes = memory_limit_bytes
        self.profiling = profiling
        self.use_jemalloc = True
        self.spawned: list[int] = []  # every slot that asked for a thread, in order
        self.threads: list[threading.Thread] = []
        self.wakes = 0
        self.critical = 0  # CRITICAL tasks that wait to start, as the engine says
        self.lowest_critical = 0
        self.lost_failures: list[tuple[Any, BaseException]] = []
        self.faults: list[BaseException] = []  # raised by callbacks of policy
        self.told: list[tuple[Any, int]] = []  # the plan of what failed, and the handle's state at that time
        self.refuse_threads = False
        self.refused: list[int] = []  # slots that asked for a thread and got none
        self._lock = threading.Lock()
        self._gates: list[threading.Event] = []
        self.engine: Engine = backend.open(self)
        self.queue = self.engine.queue
        self.workers = self.engine.workers
        self.metrics = self.engine.metrics
        self.allocator = self.engine.allocator
        if workers:
            self.workers.resize(workers)
        if reserve:
            self.workers.reserve(reserve)

    # What the engine calls.

    def spawn(self, slot: int) -> None:
        if self.refuse_threads:
            self.refused.append(slot)
            self.workers.spawn_failed(slot)
            return
        thread = threading.Thread(target=self._serve, args=(slot,), name=f"catzilla-rig-{slot}", daemon=True)
        with self._lock:
            self.spawned.append(slot)
            self.threads.append(thread)
        thread.start()

    def _serve(self, slot: int) -> None:
        self.workers.serve(slot)

    def wake(self) -> None:
        self.wakes += 1

    def make_ext(self, context: Any, kwargs: dict[str, Any] | None) -> RigExt:
        return RigExt(context, kwargs)

    def critical_waiting(self, change: int) -> None:
        with self._lock:
            self.critical += change
            self.lowest_critical = min(self.lowest_critical, self.critical)

    def unretrieved(self, plan: Any, error: BaseException) -> None:
        self.lost_failures.append((plan, error))

    def failed(self, handle: Any) -> None:
        self.told.append((handle.plan, handle.state()))

    def fault(self, error: BaseException) -> None:
        self.faults.append(error)

    # What a test calls.

    def put(
        self,
        fn: Callable[..., object],
        *args: Any,
        lane: int = NORMAL,
        runner: Runner | None = None,
        ext: RigExt | None = None,
        due_ns: int = 0,
        force: bool = False,
    ) -> Handle:
        """Accept one task that must be accepted."""
        handle = self.queue.put(RigPlan(fn, lane, runner, timed=self.profiling == "full"), args, ext, due_ns, force)
        assert handle is not None, "there is room, yet put refused the task"
        return handle

    def block_worker(self, lane: int = NORMAL) -> Blocker:
        """Occupy one worker until released; returns when it runs."""
        blocker = Blocker()
        self._gates.append(blocker.gate)
        blocker.handle = self.put(blocker, lane=lane)
        assert blocker.running.wait(PATIENCE_S), "a worker that was free did not take the task"
        return blocker

    def hold(self) -> None:
        """Start nothing, in any lane, until release()."""
        self.queue.pause(frozenset((CRITICAL, HIGH, NORMAL, LOW)))

    def release(self) -> None:
        self.queue.pause(frozenset())

    def close(self) -> None:
        for gate in self._gates:
            gate.set()
        self.queue.close()
        self.workers.stop()
        for thread in self.threads:
            thread.join(PATIENCE_S)
        stuck = [thread.name for thread in self.threads if thread.is_alive()]
        assert not stuck, f"after stop() these threads still serve: {stuck}"

    def __enter__(self) -> Rig:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Blocker:
    """A task that says when it runs and returns when it may."""

    handle: Handle

    def __init__(self) -> None:
        self.running = threading.Event()
        self.gate = threading.Event()

    def __call__(self) -> str:
        self.running.set()
        assert self.gate.wait(PATIENCE_S)
        return "released"

    def release(self) -> None:
        self.gate.set()


def finish(*handles: Handle) -> None:
    """Wait until each is done."""
    for handle in handles:
        assert handle.wait_ns(PATIENCE_NS), "a task that was accepted never came to an end"


def value_of(handle: Handle) -> object:
    """Wait for one that must complete, and give its value."""
    finish(handle)
    assert handle.state() == COMPLETED, handle.error()
    return handle.outcome()


def withdraw(handle: Handle) -> bool:
    """Cancel a task that has not started."""
    return handle.withdraw(TaskCancelled("withdrawn by the test"))


def eventually(condition: Callable[[], bool], what: str) -> None:
    """For what no event tells: poll until true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.002)
