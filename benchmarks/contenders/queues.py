"""Threads and a queue of the standard library: the least that runs tasks and gives results."""

from __future__ import annotations

import itertools
import threading
from _thread import allocate_lock
from functools import partial
from queue import PriorityQueue, Queue, SimpleQueue
from typing import Any

from harness.contender import CALLS, LATENCY, NOOPS, PENDING, POOL, SCALES, URGENT, Contender, Fn, Offer


class Cell:
    __slots__ = ("args", "done", "fn", "value")

    def __init__(self, fn: Any, args: tuple[Any, ...]) -> None:
        self.fn, self.args, self.done = fn, args, allocate_lock()
        self.done.acquire()


class QueuePool(Contender):
    """No errors, cancellation, statistics or bounds: a floor to measure features against."""

    def __init__(self, workers: int, kind: Any) -> None:
        super().__init__(workers)
        self._queue = kind()
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


class PriorityPool(QueuePool):
    """With four priorities, first in first out within one."""

    def __init__(self, workers: int) -> None:
        self._count = itertools.count()
        super().__init__(workers, PriorityQueue)

    def _work(self) -> None:
        get = self._queue.get
        while (cell := get()[2]) is not None:
            cell.value = cell.fn(*cell.args)
            cell.done.release()

    def submit(self, fn: Fn, *args: Any) -> Cell:
        return self.submit_at(fn, 2)

    def submit_at(self, fn: Fn, priority: int) -> Cell:
        cell = Cell(fn, ())
        self._queue.put((priority, next(self._count), cell))
        return cell

    def close(self) -> None:
        for _ in self._threads:
            self._queue.put((9, next(self._count), None))
        for thread in self._threads:
            thread.join()


CAN = frozenset({NOOPS, CALLS, LATENCY, URGENT, PENDING, POOL})


def offers() -> list[Offer]:
    return [
        Offer(
            "SimpleQueue + lock", partial(QueuePool, kind=SimpleQueue), CAN | {SCALES}, "15 lines, no features: a floor"
        ),
        Offer("queue.Queue + lock", partial(QueuePool, kind=Queue), CAN, "the same with queue.Queue"),
        Offer("PriorityQueue + lock", PriorityPool, frozenset({URGENT, POOL}), "the same with priorities"),
    ]
