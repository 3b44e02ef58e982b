"""The least that runs tasks on threads and gives results: SimpleQueue and one raw lock for each task."""

from __future__ import annotations

import threading
from _thread import allocate_lock
from queue import SimpleQueue
from typing import Any

from harness.contender import Contender, Fn, Offer


class Cell:
    __slots__ = ("args", "done", "fn", "value")

    def __init__(self, fn: Any, args: tuple[Any, ...]) -> None:
        self.fn, self.args, self.done = fn, args, allocate_lock()
        self.done.acquire()


class SimplePool(Contender):
    """No priorities, errors, cancellation, statistics or bounds: a floor to measure features against."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        get = self._queue.get
        while (cell := get()) is not None:
            cell.value = cell.fn(*cell.args)
            cell.done.release()

    def submit(self, fn: Fn, *args: Any) -> Cell:
        cell = Cell(fn, args)
        self._queue.put(cell)
        return cell

    def result(self, handle: Cell) -> object:
        with handle.done:
            return handle.value

    def close(self) -> None:
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()


def offers() -> list[Offer]:
    return [Offer("SimpleQueue + lock", SimplePool, "no features: a floor")]
