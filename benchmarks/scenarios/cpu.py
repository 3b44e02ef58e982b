"""Throughput of short CPU-bound Python tasks, and how much of the serial rate is left."""

from __future__ import annotations

from functools import partial
from time import perf_counter

from harness.contender import Contender
from harness.scenario import Metric, Scenario, rate

TASK_S = 20e-6


def spin(turns: int) -> int:
    total = 0
    for i in range(turns):
        total += i
    return total


def serial(fn: partial[int], n: int) -> float:
    start = perf_counter()
    for _ in range(n):
        fn()
    return perf_counter() - start


def turns_for(seconds: float) -> int:
    turns = 100
    while (once := min(serial(partial(spin, turns), 1) for _ in range(20))) < 5 * seconds:
        turns *= 2
    return max(1, round(turns * seconds / once))


def run(contender: Contender, quick: bool) -> dict[str, float]:
    fn = partial(spin, turns_for(TASK_S))
    at_least_s = 0.1 if quick else 0.4
    before = rate(partial(serial, fn), at_least_s, most=100_000)
    per_s = rate(partial(contender.burst, fn), at_least_s, most=100_000)
    after = rate(partial(serial, fn), at_least_s, most=100_000)
    return {"per_s": per_s, "of_serial": 2 * per_s / (before + after)}


SCENARIO = Scenario(
    20,
    "cpu",
    "Python tasks that compute for 20 us each, one by one, every result waited for",
    (
        Metric("per_s", "tasks/s", higher_is_better=True),
        Metric("of_serial", "share of a plain loop", digits=2, higher_is_better=True, compared=False),
    ),
    run,
)
