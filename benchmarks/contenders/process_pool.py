"""concurrent.futures.ProcessPoolExecutor."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.synchronize import Event

from harness.contender import Contender, Fn, Offer

_gate: Event | None = None


def _set_gate(gate: Event) -> None:
    global _gate
    _gate = gate


def _wait_at_gate() -> None:
    assert _gate is not None
    _gate.wait()


class ProcessPool(Contender):
    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._gate = multiprocessing.Event()
        self._pool = ProcessPoolExecutor(workers, initializer=_set_gate, initargs=(self._gate,))
        self.submit = self._pool.submit  # type: ignore[method-assign]

    def result(self, handle: Future[object]) -> object:
        return handle.result()

    def occupy(self) -> Fn:
        for _ in range(2 * self.workers):  # the pool hands one more to each process than runs
            self.submit(_wait_at_gate)
        return self._gate.set

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def offers() -> list[Offer]:
    return [Offer("ProcessPoolExecutor", ProcessPool, f"start method {multiprocessing.get_start_method()}")]
