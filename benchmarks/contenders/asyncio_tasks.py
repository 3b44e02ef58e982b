"""asyncio, both ways: a task on the loop's own thread, and run_in_executor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, perf_counter_ns
from typing import Any

from harness.contender import Contender, Fn, Offer, T


class OnLoop(Contender):
    """asyncio.create_task: nothing leaves the loop's thread, so nothing runs in the background of it."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.loop = asyncio.new_event_loop()

    def submit(self, fn: Fn) -> Any:
        return self.loop.create_task(self._call(fn))

    async def _call(self, fn: Fn) -> object:
        return fn()

    def burst(self, fn: Fn, n: int) -> float:
        async def all_of_them() -> float:
            submit = self.submit
            start = perf_counter()
            handles = [submit(fn) for _ in range(n)]
            _ = [await handle for handle in handles]
            return perf_counter() - start

        return self.loop.run_until_complete(all_of_them())

    def timed_call(self, fn: Callable[[], T], urgent: bool = False) -> tuple[T, int, int]:
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

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._pool = ThreadPoolExecutor(workers)

    def submit(self, fn: Fn) -> Any:
        return self.loop.run_in_executor(self._pool, fn)

    occupy = Contender.occupy

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        super().close()


def offers() -> list[Offer]:
    return [
        Offer("asyncio create_task", OnLoop, "runs on the submitting thread itself"),
        Offer("asyncio run_in_executor", InExecutor, "ThreadPoolExecutor"),
    ]
