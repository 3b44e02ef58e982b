"""Catzilla: one contender for each of its backends."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Any

from harness.contender import Contender, Fn, Offer

from catzilla import TaskSystem, registry
from catzilla.background_tasks import Task, TaskPriority

QUEUE_SIZE = 1_000_000
SETTINGS = f"queue_size={QUEUE_SIZE}, enable_auto_scaling=False, else defaults (statistics on)"


class Backend(Contender):
    def __init__(self, workers: int, backend: str) -> None:
        super().__init__(workers)
        self._system = TaskSystem(backend=backend, workers=workers, queue_size=QUEUE_SIZE, enable_auto_scaling=False)
        self._critical: dict[Fn, Task[[], object]] = {}  # as a decorator makes them, once
        self.submit = self._system.add_task  # type: ignore[method-assign]

    def result(self, handle: Any) -> object:
        return handle.wait()

    def urgent(self, fn: Fn) -> Any:
        if fn not in self._critical:
            self._critical[fn] = self._system.task(fn, priority=TaskPriority.CRITICAL)
        return self._system.add_task(self._critical[fn])

    def burst(self, fn: Fn, n: int) -> float:
        add_task = self._system.add_task
        start = perf_counter()
        results = [add_task(fn) for _ in range(n)]
        _ = [result.wait() for result in results]
        return perf_counter() - start

    def close(self) -> None:
        self._system.shutdown(cancel_pending=True)


def offers() -> list[Offer]:
    return [
        Offer(
            f"catzilla {attempt.name}",
            partial(Backend, backend=attempt.name),
            SETTINGS,
            absent="" if attempt.backend else f"{attempt.status}: {attempt.cause}",
            ours=True,
        )
        for attempt in registry.attempts()
    ]
