"""The submit call alone: the workers are awake and busy."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

from harness.contender import POOL
from harness.scenario import Metric, Scenario, Trial
from harness.workloads import noop

AT_ONCE = 20_000


def run(trial: Trial) -> dict[str, float]:
    costs = []
    with trial.open() as contender:
        contender.burst(noop, 1000)
        for _ in range(3 if trial.quick else 7):
            submit, handles = contender.submit, range(AT_ONCE)
            release = contender.occupy()
            start_ns = perf_counter_ns()
            kept: Any = [submit(noop) for _ in handles]
            end_ns = perf_counter_ns()
            _ = [None for _ in handles]
            loop_ns = perf_counter_ns() - end_ns
            costs.append((end_ns - start_ns - loop_ns) / AT_ONCE)
            release()
            for handle in kept:
                contender.result(handle)
    return {"ns": sorted(costs)[len(costs) // 2]}


SCENARIOS = (
    Scenario(
        13,
        "submit",
        "The submit call alone (its loop subtracted), result kept, while the workers wait inside other tasks",
        (Metric("ns", "ns/call"),),
        run,
        POOL,
    ),
)
