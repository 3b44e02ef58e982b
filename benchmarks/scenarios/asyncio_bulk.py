"""Tasks that a coroutine submits and awaits."""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter

from harness.contender import AWAIT, Contender
from harness.scenario import Metric, Scenario, Trial
from harness.workloads import noop

TOGETHER = 1000


def run(trial: Trial) -> dict[str, float]:
    async def measure(contender: Contender) -> dict[str, float]:
        submit = partial(contender.awaitable, noop)
        n = min(trial.most, 20_000 if trial.quick else 30_000)
        for handle in [submit() for _ in range(1000)]:
            await handle
        start = perf_counter()
        for handle in [submit() for _ in range(n)]:
            await handle
        bulk_s = perf_counter() - start
        times = max(1, n // TOGETHER // 2)
        start = perf_counter()
        for _ in range(times):
            await asyncio.gather(*[submit() for _ in range(TOGETHER)])
        return {"bulk_per_s": n / bulk_s, "gather_per_s": times * TOGETHER / (perf_counter() - start)}

    with trial.open() as contender:
        loop = getattr(contender, "loop", None) or asyncio.new_event_loop()
        return loop.run_until_complete(measure(contender))


SCENARIOS = (
    Scenario(
        60,
        "asyncio",
        f"No-op tasks submitted in a coroutine: all of them, then each awaited; and gather of {TOGETHER} at a time",
        (
            Metric("bulk_per_s", "tasks/s, awaited one after the other", higher_is_better=True),
            Metric("gather_per_s", "tasks/s, gathered", higher_is_better=True),
        ),
        run,
        AWAIT,
        baselines=("asyncio run_in_executor", "asyncio create_task"),
    ),
)
