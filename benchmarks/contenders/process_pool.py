"""concurrent.futures.ProcessPoolExecutor."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.synchronize import Event
from time import perf_counter
from typing import Any

from harness.contender import BULK, CALLS, LATENCY, NOOPS, PENDING, URGENT, Contender, Fn, Offer

_gate: Event | None = None


def _set_gate(gate: Event) -> None:
    global _gate
    _gate = gate


def _wait_at_gate() -> None:
    assert _gate is not None
    _gate.wait()


def _call(fn: Fn) -> object:
    return fn()


class ProcessPool(Contender):
    def __init__(self, workers: int, **options: Any) -> None:
        super().__init__(workers)
        self._gate = multiprocessing.Event()
        self._pool = ProcessPoolExecutor(workers, initializer=_set_gate, initargs=(self._gate,))
        self.submit = self._pool.submit  # type: ignore[method-assign]

    def result(self, handle: Future[object]) -> object:
        return handle.result()

    def bulk(self, fn: Fn, n: int) -> float:
        start = perf_counter()
        list(self._pool.map(_call, [fn] * n, chunksize=max(1, n // (4 * self.workers))))
        return perf_counter() - start

    def occupy(self) -> Fn:
        for _ in range(2 * self.workers):  # the pool hands one more to each process than runs
            self.submit(_wait_at_gate)
        return self._gate.set

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def offers() -> list[Offer]:
    settings = f"start method {multiprocessing.get_start_method()}; bulk: map in 4 chunks a worker"
    return [
        Offer("ProcessPoolExecutor", ProcessPool, frozenset({NOOPS, CALLS, LATENCY, BULK, URGENT, PENDING}), settings)
    ]
