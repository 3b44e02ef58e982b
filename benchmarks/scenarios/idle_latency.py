"""From submit to value while nothing else happens: the workers are asleep."""

from __future__ import annotations

import time

from harness.contender import Contender
from harness.scenario import Metric, Scenario, micros

PAUSE_S = 0.002  # long enough for every contender's workers to fall asleep


def noop() -> None:
    pass


def run(contender: Contender, quick: bool) -> dict[str, float]:
    contender.burst(noop, 100)
    trips = []
    for _ in range(150 if quick else 1000):
        time.sleep(PAUSE_S)
        _, before_ns, after_ns = contender.timed_call(noop)
        trips.append(after_ns - before_ns)
    return micros(trips)


SCENARIO = Scenario(
    30,
    "idle-latency",
    f"Latency from submit to value, idle system, one task every {PAUSE_S * 1e3:.0f} ms",
    (Metric("p50_us", "p50 us", 1), Metric("p99_us", "p99 us", 1)),
    run,
)
