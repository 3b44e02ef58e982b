"""From submit to start of an urgent task, while another thread of the process computes in Python.

To its value takes longer: the thread that waits for it has to get the GIL back from the computing one.
"""

from __future__ import annotations

import threading
import time

from harness.contender import Contender
from harness.scenario import Metric, Scenario, micros

PAUSE_S = 0.002


def now_ns() -> int:
    """The task: tells when it started. The clock is the same in every process of a machine."""
    return time.perf_counter_ns()


def compute_until(stop: threading.Event) -> None:
    total = 0
    while not stop.is_set():
        for i in range(10_000):
            total += i


def run(contender: Contender, quick: bool) -> dict[str, float]:
    contender.burst(now_ns, 50)
    stop = threading.Event()
    computing = threading.Thread(target=compute_until, args=(stop,))
    computing.start()
    starts, values = [], []
    try:
        for _ in range(80 if quick else 400):
            time.sleep(PAUSE_S)
            started_ns, before_ns, after_ns = contender.timed_call(now_ns, urgent=True)
            starts.append(started_ns - before_ns)
            values.append(after_ns - before_ns)
    finally:
        stop.set()
        computing.join()
    return micros(starts) | {f"value_{key}": value for key, value in micros(values).items()}


SCENARIO = Scenario(
    40,
    "critical-latency",
    "From submit to start of a CRITICAL task (others: of any task) while another thread computes in Python",
    (
        Metric("p50_us", "p50 us", 1),
        Metric("p99_us", "p99 us", 1),
        Metric("value_p99_us", "p99 us to the value", 1, compared=False),
    ),
    run,
)
