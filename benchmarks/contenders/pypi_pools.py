"""Libraries that run tasks in this process or on this machine without a broker, each as its documentation says."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any

from brokers import calls
from harness.contender import BULK, CALLS, LATENCY, NOOPS, PENDING, URGENT, Contender, Fn, Offer, T
from harness.machine import version

RESULT_WITHIN_S = 50


class Bulk(Contender):
    """One that knows only lists of calls."""

    def burst(self, fn: Fn, n: int) -> float:
        return self.bulk(fn, n)


class Joblib(Bulk):
    def __init__(self, workers: int, prefer: str) -> None:
        from joblib import Parallel, delayed

        super().__init__(workers)
        self._parallel, self._delayed = Parallel(n_jobs=workers, prefer=prefer), delayed

    def bulk(self, fn: Fn, n: int) -> float:
        task = self._delayed(fn)
        start = perf_counter()
        self._parallel(task() for _ in range(n))
        return perf_counter() - start


class DaskThreads(Bulk):
    def bulk(self, fn: Fn, n: int) -> float:
        import dask

        task = dask.delayed(fn)
        start = perf_counter()
        dask.compute(*[task() for _ in range(n)], scheduler="threads", num_workers=self.workers)
        return perf_counter() - start


class StarletteTasks(Bulk):
    """One request's background tasks: sync functions, one after the other on AnyIO's threads."""

    def bulk(self, fn: Fn, n: int) -> float:
        from starlette.background import BackgroundTasks

        async def respond() -> float:
            start = perf_counter()
            tasks = BackgroundTasks()
            for _ in range(n):
                tasks.add_task(fn)
            await tasks()
            return perf_counter() - start

        return asyncio.run(respond())


class PebblePool(Contender):
    def __init__(self, workers: int) -> None:
        from pebble import ThreadPool

        super().__init__(workers)
        self._pool = ThreadPool(max_workers=workers)

    def submit(self, fn: Fn) -> Any:
        return self._pool.schedule(fn)

    def result(self, handle: Any) -> object:
        return handle.result()

    def close(self) -> None:
        self._pool.stop()
        self._pool.join()


class PebbleProcesses(PebblePool):
    def __init__(self, workers: int) -> None:
        from pebble import ProcessPool

        Contender.__init__(self, workers)
        self._pool = ProcessPool(max_workers=workers)


class HueyTasks(Contender):
    def __init__(self, workers: int, sqlite: bool) -> None:
        from huey import MemoryHuey, SqliteHuey

        super().__init__(workers)
        logging.getLogger("huey").setLevel(logging.ERROR)
        self._folder = tempfile.TemporaryDirectory()
        path = str(Path(self._folder.name) / "huey.db")
        self._huey: Any = SqliteHuey(filename=path, store_none=True) if sqlite else MemoryHuey(store_none=True)
        self._task = self._huey.task()(calls.call)
        self._consumer = self._huey.create_consumer(workers=workers, worker_type="thread", periodic=False)
        self._consumer.start()

    def submit(self, fn: Fn) -> Any:
        return self._task(*calls.by_name(fn))

    def result(self, handle: Any) -> object:
        return handle.get(blocking=True, timeout=RESULT_WITHIN_S)

    def close(self) -> None:
        self._consumer.stop(graceful=False)
        self._folder.cleanup()


class DramatiqStub(Contender):
    def __init__(self, workers: int) -> None:
        from brokers.dramatiq_app import broker, call
        from dramatiq import Worker

        super().__init__(workers)
        self._actor = call
        self._worker = Worker(broker, worker_threads=workers)
        self._worker.start()

    def submit(self, fn: Fn) -> Any:
        return self._actor.send(*calls.by_name(fn))

    def result(self, handle: Any) -> object:
        return handle.get_result(block=True, timeout=RESULT_WITHIN_S * 1000)

    def close(self) -> None:
        self._worker.stop()


class TaskiqMemory(Contender):
    def __init__(self, workers: int) -> None:
        from taskiq import InMemoryBroker

        super().__init__(workers)
        self._loop = asyncio.new_event_loop()
        broker = InMemoryBroker(sync_tasks_pool_size=workers, max_stored_results=-1)
        self._task = broker.task(task_name="call")(calls.call)
        self._loop.run_until_complete(broker.startup())
        self._broker = broker

    def burst(self, fn: Fn, n: int) -> float:
        async def all_of_them() -> float:
            start = perf_counter()
            handles = [await self._task.kiq(*calls.by_name(fn)) for _ in range(n)]
            for handle in handles:
                (await handle.wait_result()).raise_for_error()
            return perf_counter() - start

        return self._loop.run_until_complete(all_of_them())

    def timed_call(self, fn: Callable[[], T], priority: int = 2) -> tuple[T, int, int]:
        async def once() -> tuple[Any, int, int]:
            before_ns = perf_counter_ns()
            result = await (await self._task.kiq(*calls.by_name(fn))).wait_result()
            return result.return_value, before_ns, perf_counter_ns()

        return self._loop.run_until_complete(once())

    def close(self) -> None:
        self._loop.run_until_complete(self._broker.shutdown())
        self._loop.close()


def _offer(name: str, kind: Callable[[int], Contender], distribution: str, can: set[str], settings: str) -> Offer:
    found = version(distribution)
    absent = "" if found else f"no {distribution} (python benchmarks/install_rivals.py)"
    slow = "poll" in settings
    return Offer(name, kind, frozenset(can), settings, absent=absent, version=found, slow=slow)


def offers() -> list[Offer]:
    polls = "consumer and results poll with growing pauses from 0.1 s (default)"
    return [
        _offer(
            "joblib threads",
            partial(Joblib, prefer="threads"),
            "joblib",
            {NOOPS, BULK},
            'Parallel(prefer="threads"), one list of calls',
        ),
        _offer(
            "joblib processes",
            partial(Joblib, prefer="processes"),
            "joblib",
            {NOOPS, CALLS, BULK},
            'Parallel(prefer="processes") (loky), one list of calls in batches of automatic size (default)',
        ),
        _offer("Dask threads", DaskThreads, "dask", {NOOPS, BULK}, 'delayed and compute(scheduler="threads")'),
        _offer(
            "Starlette BackgroundTasks",
            StarletteTasks,
            "starlette",
            {NOOPS, BULK},
            "sync functions of one response, one after the other",
        ),
        _offer("Pebble threads", PebblePool, "pebble", {NOOPS, CALLS, LATENCY, PENDING, URGENT}, "ThreadPool.schedule"),
        _offer("Pebble processes", PebbleProcesses, "pebble", {NOOPS, CALLS, LATENCY}, "ProcessPool.schedule"),
        _offer("Huey in memory", lambda workers: HueyTasks(workers, sqlite=False), "huey", {NOOPS, LATENCY}, polls),
        _offer("Huey on SQLite", lambda workers: HueyTasks(workers, sqlite=True), "huey", {NOOPS, LATENCY}, polls),
        _offer(
            "Dramatiq in memory",
            DramatiqStub,
            "dramatiq",
            {NOOPS, LATENCY},
            "StubBroker and StubBackend, results polled (default)",
        ),
        _offer(
            "taskiq in memory",
            TaskiqMemory,
            "taskiq",
            {NOOPS, LATENCY},
            "InMemoryBroker, polls every 0.2 s (default)",
        ),
    ]
