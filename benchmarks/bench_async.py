"""Results that a coroutine awaits."""

from __future__ import annotations

import asyncio

N = 1000


def noop() -> None:
    pass


def on_a_loop(benchmark, coroutine):
    benchmark.extra_info["tasks"] = N
    with asyncio.Runner() as runner:
        benchmark.pedantic(lambda: runner.run(coroutine()), rounds=30, warmup_rounds=3)


def test_submit_all_then_await_each(benchmark, system):
    async def each():
        for result in [system.add_task(noop) for _ in range(N)]:
            await result

    on_a_loop(benchmark, each)


def test_gather(benchmark, system):
    async def gather():
        await asyncio.gather(*[system.add_task(noop) for _ in range(N)])

    on_a_loop(benchmark, gather)


def test_coroutine_tasks(benchmark, system):
    async def task() -> None:
        pass

    async def each():
        for result in [system.add_task(task) for _ in range(N)]:
            await result

    on_a_loop(benchmark, each)
