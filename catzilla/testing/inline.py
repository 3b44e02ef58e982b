"""Tasks that run in place: ``with inline(app):`` a submit runs its task here, and returns it done."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from catzilla.errors import NotEnabled
from catzilla.in_turn import in_turn
from catzilla.interface import COMPLETED, DELAYED, LANES, PENDING

if TYPE_CHECKING:
    from catzilla.system import TaskSystem

LOOK_NS: Final = 1_000_000


def system_of(target: Any) -> TaskSystem:
    """The task system of an application or of a system. TypeError, NotEnabled: it has none."""
    tasks: TaskSystem | None = getattr(target, "tasks", target)
    if tasks is None:
        raise NotEnabled("the application has no task system yet: call enable_background_tasks() on it first")
    if not hasattr(tasks, "supervisor"):
        raise TypeError(f"a TaskSystem, or an application that has one, is wanted, and {target!r} is neither")
    return tasks


@contextmanager
def inline(target: Any) -> Iterator[TaskSystem]:
    """Run each task where it is submitted, at once, until the block is left.

    Arguments and options are checked as for queuing; delays, the waits before retries and limits are
    left out. An exception is in the result, as always. Coroutines run on the system's own event loop,
    and the submit waits for them. What was queued before waits until the block is left.
    """
    system = system_of(target)
    if system.in_place:
        raise RuntimeError("the tasks of this system run in place already")
    engine = system.engine
    engine.queue.pause(frozenset(range(LANES)))
    engine.queue.close()  # the native submit hands everything to policy now
    system.engine = _InlineEngine(system, engine)
    system.in_place = True
    try:
        yield system
    finally:
        system.in_place = False
        system.engine = engine
        if not system.closed:
            engine.queue.reopen()
        engine.queue.pause(system.paused_lanes())


class _InlineEngine:
    """The engine, with a queue in which nothing waits."""

    def __init__(self, system: TaskSystem, engine: Any) -> None:
        self._engine = engine
        self.queue: Any = _InlineQueue(system, engine)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


class _InlineQueue:
    def __init__(self, system: TaskSystem, engine: Any) -> None:
        self._system = system
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine.queue, name)

    def put(self, plan: Any, args: tuple[Any, ...], ext: Any, due_ns: int = 0, force: bool = False) -> Any:
        handle = self._engine.queue.put(plan, args, ext, 0, True)
        self._run(handle)
        return handle

    def put_many(self, plan: Any, rows: Sequence[tuple[Any, ...]], exts: Sequence[Any] | None = None) -> Any:
        return [self.put(plan, row, None if exts is None else exts[index]) for index, row in enumerate(rows)]

    def requeue(self, handle: Any, args: tuple[Any, ...], due_ns: int) -> None:
        follows = handle.state() == DELAYED  # a continuation; else a retry, which whoever submitted it looks for
        self._engine.queue.requeue(handle, args, 0 if follows else 1)
        if handle.plan.owner.is_async:
            self._engine.workers.run(handle)  # this only hands it to the loop, on whose thread we may be
        elif follows and (self._system.coroutines.on_loop_thread() or self._system.supervisor.on_own_thread()):
            threading.Thread(target=self._run, args=(handle,), name="catzilla-inline", daemon=True).start()
        elif follows:
            in_turn(lambda: self._run(handle))

    def _run(self, handle: Any) -> None:
        """To its end, with its retries."""
        if handle.plan.owner.is_async and self._system.coroutines.on_loop_thread():
            self._engine.workers.run(handle)  # it runs when the coroutine that submitted it awaits
            return
        while handle.state() < COMPLETED:
            if handle.state() != PENDING or not self._engine.workers.run(handle):
                handle.wait_ns(LOOK_NS)
