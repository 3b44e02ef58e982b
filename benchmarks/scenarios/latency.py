"""From submit to value while nothing else happens: the workers are asleep, or have just become idle."""

from __future__ import annotations

import time

from harness.contender import LATENCY
from harness.scenario import Metric, Scenario, Trial, micros
from harness.workloads import noop

PAUSE_S = 0.002  # long enough for every contender's workers to fall asleep


def run(trial: Trial) -> dict[str, float]:
    n = 100 if trial.quick else 500
    with trial.open() as contender:
        contender.burst(noop, 20)
        asleep, hot = [], []
        end = time.monotonic() + (2 if trial.quick or trial.offer.slow else 6)  # some contenders poll every half second
        while len(asleep) < n and (not asleep or time.monotonic() < end):
            time.sleep(PAUSE_S)
            _, before_ns, after_ns = contender.timed_call(noop)
            asleep.append(after_ns - before_ns)
        while len(hot) < 5 * n and time.monotonic() < end:
            _, before_ns, after_ns = contender.timed_call(noop)
            hot.append(after_ns - before_ns)
    return micros(asleep) | (micros(hot, "hot_") if hot else {})


SCENARIOS = (
    Scenario(
        30,
        "latency",
        f"From submit to value on an idle system: one task every {PAUSE_S * 1e3:.0f} ms, and one right after the other",
        (
            Metric("p50_us", "p50 us", 1),
            Metric("p99_us", "p99 us", 1),
            Metric("p999_us", "p99.9 us", 1, compared=False),
            Metric("hot_p50_us", "in a row p50 us", 1),
            Metric("hot_p99_us", "in a row p99 us", 1),
        ),
        run,
        LATENCY,
    ),
)
