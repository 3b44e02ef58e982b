"""Catzilla: one contender for each of its backends, and the C backend on jemalloc."""

from __future__ import annotations

import time
from array import array
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any

from harness import workloads
from harness.contender import (
    ARENAS,
    AWAIT,
    BULK,
    CALLS,
    KERNELS,
    LATENCY,
    NOOPS,
    OURS,
    PENDING,
    POOL,
    SCALES,
    TREE,
    URGENT,
    WAITS,
    Contender,
    Fn,
    Offer,
)

from catzilla import TaskSystem, registry
from catzilla.background_tasks import Task, TaskPriority
from catzilla.cli import jemalloc

QUEUE_SIZE = 10_000_000
SETTINGS = f"queue_size={QUEUE_SIZE}, no autoscaling unless said, compilation only for compiled tasks, statistics on"
EVERYTHING = frozenset(
    {NOOPS, CALLS, LATENCY, BULK, URGENT, PENDING, POOL, WAITS, AWAIT, TREE, SCALES, KERNELS, ARENAS, OURS}
)
COMPILE_WITHIN_S = 30


class Backend(Contender):
    def __init__(self, workers: int, backend: str, **options: Any) -> None:
        super().__init__(workers)
        options = {"enable_auto_scaling": False, "enable_c_compilation": False, "queue_size": QUEUE_SIZE} | options
        self.system = TaskSystem(backend=backend, workers=workers, **options)
        self._at: dict[tuple[Fn, int], Task[[], object]] = {}  # as a decorator makes them, once
        self._kernels: dict[str, Task[..., int]] = {}
        self._over_buffers: set[str] = set()  # kernels whose form for buffers has been built
        self.submit = self.system.add_task  # type: ignore[method-assign]

    def result(self, handle: Any) -> Any:
        return handle.wait()

    def submit_at(self, fn: Fn, priority: int) -> Any:
        task = self._at.get((fn, priority))
        if task is None:
            task = self._at[fn, priority] = self.system.task(fn, priority=TaskPriority(priority))
        return self.system.add_task(task)

    def awaitable(self, fn: Fn) -> Awaitable[object]:
        return self.system.add_task(fn)

    def burst(self, fn: Fn, n: int) -> float:
        add_task = self.system.add_task
        start = perf_counter()
        results = [add_task(fn) for _ in range(n)]
        _ = [result.wait() for result in results]
        return perf_counter() - start

    def bulk(self, fn: Fn, n: int) -> float:
        rows = [()] * n
        start = perf_counter()
        self.system.add_tasks(fn, rows).wait()
        return perf_counter() - start

    def compiled(self, kernel: str, form: str, n: int, turns: int = 0) -> float | None:
        task = self._kernel(kernel)
        args = (turns,) if kernel == "spin" else (n, 3)
        if form == "one":
            submit = task.submit
            start = perf_counter()
            results = [submit(*args) for _ in range(n)]
            _ = [result.wait() for result in results]
            return perf_counter() - start
        if form == "list":
            rows = [args] * n
            start = perf_counter()
            self.system.add_tasks(task, rows).wait()
            return perf_counter() - start
        if kernel not in self._over_buffers:
            few = tuple(array("q", [value]) * 8 for value in args)
            self._until_compiled(task, lambda: self.system.add_tasks(task, buffers=few).wait(), " it runs as C")
            self._over_buffers.add(kernel)
        buffers = tuple(array("q", [value]) * n for value in args)
        out = array("q", bytes(8 * n))
        start = perf_counter()
        self.system.add_tasks(task, buffers=buffers, out=out).wait()
        return perf_counter() - start

    def native_share(self) -> float:
        """Of all completed tasks, those that ran as C."""
        stats = self.system.stats()
        return stats.native_executions / max(1, stats.completed)

    def _kernel(self, name: str) -> Task[..., int]:
        if name not in self._kernels:
            task = self._kernels[name] = self.system.task(getattr(workloads, name), compile_to_c=True)
            args = (1,) if name == "spin" else (1, 3)
            self._until_compiled(task, lambda: task.submit(*args).wait(), " runs as C:")
        return self._kernels[name]

    @staticmethod
    def _until_compiled(task: Task[..., int], call: Callable[[], object], sign: str) -> None:
        """Calls it until ``explain`` has the sign. RuntimeError: it is not compiled, and why."""
        end = perf_counter() + COMPILE_WITHIN_S
        call()
        while sign not in (text := task.explain()):
            if perf_counter() > end:
                raise RuntimeError(f"not compiled within {COMPILE_WITHIN_S} s: {' '.join(text.split())}")
            time.sleep(0.01)
            call()

    def close(self) -> None:
        self.system.shutdown(cancel_pending=True)


def offers() -> list[Offer]:
    offers = [
        Offer(
            f"catzilla {attempt.name}",
            partial(Backend, backend=attempt.name),
            EVERYTHING,
            SETTINGS,
            absent="" if attempt.backend else f"{attempt.status}: {attempt.cause}",
            ours=True,
        )
        for attempt in registry.attempts()
    ]
    library, c = jemalloc.library(), next(offer for offer in offers if offer.name == "catzilla c")
    return [
        *offers,
        Offer(
            "catzilla c on jemalloc",
            c.open,
            frozenset({ARENAS}),
            f"as catzilla c, LD_PRELOAD={library}",
            absent=c.absent or ("" if library else "no jemalloc to preload (Debian: apt-get install libjemalloc2)"),
            ours=True,
            environ={"LD_PRELOAD": library or ""},
        ),
    ]
