"""From submit to value of an urgent task, while another thread of the process computes in Python."""

from __future__ import annotations

import threading
import time

from harness.contender import Contender
from harness.scenario import Metric, Scenario, micros

PAUSE_S = 0.002


def noop() -> None:
    pass


def compute_until(stop: threading.Event) -> None:
    total = 0
    while not stop.is_set():
        for i in range(10_000):
            total += i


def run(contender: Contender, quick: bool) -> dict[str, float]:
    contender.burst(noop, 100)
    stop = threading.Event()
    computing = threading.Thread(target=compute_until, args=(stop,))
    computing.start()
    trips = []
    try:
        for _ in range(100 if quick else 400):
            time.sleep(PAUSE_S)
            trips.append(contender.round_trip(noop, urgent=True))
    finally:
        stop.set()
        computing.join()
    return micros(trips)


SCENARIO = Scenario(
    40,
    "critical-latency",
    "Latency of a CRITICAL task (others: of any task) while another thread computes in Python",
    (Metric("p50_us", "p50 us", 1), Metric("p99_us", "p99 us", 1)),
    run,
)
