"""asyncio, both ways: a task on the loop's own thread, and run_in_executor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter, perf_counter_ns
from typing import Any

from harness.contender import AWAIT, BULK, CALLS, LATENCY, NOOPS, PENDING, TREE, URGENT, WAITS, Contender, Fn, Offer, T


class OnLoop(Contender):
    """asyncio.create_task: nothing leaves the loop's thread, so nothing runs in the background of it."""

    def __init__(self, workers: int, **options: Any) -> None:
        super().__init__(workers)
        self.loop = asyncio.new_event_loop()

    def submit(self, fn: Fn) -> Any:
        return self.loop.create_task(self._call(fn))

    async def _call(self, fn: Fn) -> object:
        return fn()

    def awaitable(self, fn: Fn) -> Awaitable[object]:
        return asyncio.create_task(self._call(fn))

    def burst(self, fn: Fn, n: int) -> float:
        return self._each(partial(self.submit, fn), n)

    def bulk(self, fn: Fn, n: int) -> float:
        async def gather() -> float:
            start = perf_counter()
            await asyncio.gather(*(self._call(fn) for _ in range(n)))
            return perf_counter() - start

        return self.loop.run_until_complete(gather())

    def sleeps(self, n: int, seconds: float) -> float:
        return self._each(lambda: self.loop.create_task(asyncio.sleep(seconds)), n)

    def asks(self, n: int, port: int) -> float:
        at_once = asyncio.Semaphore(256)  # what a server on this machine can accept at once

        async def ask() -> bytes:
            async with at_once:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"?\n")
                answer = await reader.readline()
                writer.close()
                await writer.wait_closed()
                return answer

        return self._each(lambda: self.loop.create_task(ask()), n)

    def tree(self, depth: int) -> float:
        async def node(depth: int) -> int:
            if not depth:
                return 1
            left, right = (asyncio.create_task(node(depth - 1)) for _ in range(2))
            return await left + await right

        start = perf_counter()
        assert self.loop.run_until_complete(node(depth)) == 2**depth
        return perf_counter() - start

    def _each(self, submit: Callable[[], Any], n: int) -> float:
        async def all_of_them() -> float:
            start = perf_counter()
            handles = [submit() for _ in range(n)]
            _ = [await handle for handle in handles]
            return perf_counter() - start

        return self.loop.run_until_complete(all_of_them())

    def timed_call(self, fn: Callable[[], T], priority: int = 2) -> tuple[T, int, int]:
        async def once() -> tuple[T, int, int]:
            before_ns = perf_counter_ns()
            value = await self.submit(fn)
            return value, before_ns, perf_counter_ns()

        return self.loop.run_until_complete(once())

    def occupy(self) -> Fn:
        return lambda: None  # the loop does not run between these calls: what is submitted is pending

    def close(self) -> None:
        async def the_rest() -> None:
            await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

        self.loop.run_until_complete(the_rest())
        self.loop.close()


class InExecutor(OnLoop):
    """loop.run_in_executor with a ThreadPoolExecutor of the given size."""

    def __init__(self, workers: int, **options: Any) -> None:
        super().__init__(workers)
        self._pool = ThreadPoolExecutor(workers)

    def submit(self, fn: Fn) -> Any:
        return self.loop.run_in_executor(self._pool, fn)

    def awaitable(self, fn: Fn) -> Awaitable[object]:
        return asyncio.get_running_loop().run_in_executor(self._pool, fn)

    occupy = Contender.occupy

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        super().close()


def offers() -> list[Offer]:
    can = frozenset({NOOPS, CALLS, LATENCY, URGENT, PENDING, AWAIT})
    return [
        Offer(
            "asyncio create_task",
            OnLoop,
            can | {BULK, WAITS, TREE},
            "runs on the submitting thread itself; bulk: gather; waits: coroutines, 256 connections at once",
        ),
        Offer("asyncio run_in_executor", InExecutor, can, "ThreadPoolExecutor"),
    ]
