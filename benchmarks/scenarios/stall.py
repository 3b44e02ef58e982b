"""How long the main thread is kept from running while tasks drain."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

from harness.contender import POOL
from harness.scenario import Metric, Scenario, Trial, micros
from harness.workloads import noop


def run(trial: Trial) -> dict[str, float]:
    n = 100_000 if trial.quick else 500_000
    handles: list[Any] = [None] * n
    done: list[bool] = []
    with trial.open() as contender:
        contender.burst(noop, 1000)
        release = contender.occupy()
        contender.fill(noop, handles)
        contender.submit(lambda: done.append(True))
        gaps = []
        before_ns = perf_counter_ns()
        release()
        over = False
        while not over:
            over = bool(done)  # looked at before the clock: what ends in a stall counts
            now_ns = perf_counter_ns()
            if now_ns - before_ns > 100_000:  # shorter ones are this loop itself
                gaps.append(now_ns - before_ns)
            before_ns = now_ns
        for handle in handles:
            contender.result(handle)
    return {"longest_ms": max(gaps, default=100_000) / 1e6, "p50_ms": micros(gaps or [100_000])["p50_us"] / 1e3}


SCENARIOS = (
    Scenario(
        62,
        "stall",
        "Stalls of over 0.1 ms of a computing main thread, while 500,000 no-op tasks (quick: 100,000) drain",
        (Metric("longest_ms", "longest ms", 2), Metric("p50_ms", "median ms", 2, compared=False)),
        run,
        POOL,
    ),
)
