"""concurrent.futures.ThreadPoolExecutor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter
from typing import Any

from harness.contender import (
    ARENAS,
    AWAIT,
    BULK,
    CALLS,
    LATENCY,
    NOOPS,
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


class ThreadPool(Contender):
    def __init__(self, workers: int, **options: Any) -> None:
        super().__init__(workers)
        self._pool = ThreadPoolExecutor(workers)
        self.submit = self._pool.submit  # type: ignore[method-assign]

    def result(self, handle: Future[object]) -> object:
        return handle.result()

    def awaitable(self, fn: Fn) -> Awaitable[object]:
        return asyncio.wrap_future(self._pool.submit(fn))

    def bulk(self, fn: Fn, n: int) -> float:
        start = perf_counter()
        list(self._pool.map(lambda _: fn(), range(n)))
        return perf_counter() - start

    def tree(self, depth: int) -> float:
        # A worker that waits is lost for others: with fewer threads than inner nodes this never ends.
        with ThreadPool(2**depth) as pool:
            return super(ThreadPool, pool).tree(depth)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def offers() -> list[Offer]:
    can = frozenset({NOOPS, CALLS, LATENCY, BULK, URGENT, PENDING, POOL, WAITS, AWAIT, TREE, ARENAS, SCALES})
    settings = "max_workers as said; bulk: map; tree: as many threads as inner nodes, with fewer it never ends"
    return [Offer("ThreadPoolExecutor", ThreadPool, can, settings)]
