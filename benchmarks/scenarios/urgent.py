"""From submit to start of an urgent task, while another thread of the process computes in Python.

To its value takes longer: the thread that waits for it has to get the GIL back from the computing one.
"""

from __future__ import annotations

import threading
import time

from harness.contender import URGENT
from harness.scenario import Metric, Scenario, Trial, micros
from harness.workloads import now_ns

PAUSE_S = 0.002


def compute_until(stop: threading.Event) -> None:
    total = 0
    while not stop.is_set():
        for i in range(10_000):
            total += i


def run(trial: Trial) -> dict[str, float]:
    with trial.open() as contender:
        contender.burst(now_ns, 50)
        stop = threading.Event()
        computing = threading.Thread(target=compute_until, args=(stop,))
        computing.start()
        starts, values = [], []
        try:
            for _ in range(40 if trial.quick else 120):
                time.sleep(PAUSE_S)
                started_ns, before_ns, after_ns = contender.timed_call(now_ns, priority=0)
                starts.append(started_ns - before_ns)
                values.append(after_ns - before_ns)
        finally:
            stop.set()
            computing.join()
    return micros(starts) | micros(values, "value_")


SCENARIOS = (
    Scenario(
        40,
        "urgent",
        "From submit to start of a CRITICAL task (others: of any task) while another thread computes in Python",
        (
            Metric("p50_us", "p50 us", 1),
            Metric("p99_us", "p99 us", 1),
            Metric("value_p99_us", "p99 us to the value", 1, compared=False),
        ),
        run,
        URGENT,
    ),
)
