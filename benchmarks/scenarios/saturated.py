"""From submit to start, by priority, while NORMAL tasks that compute for 20 us queue up faster than they run."""

from __future__ import annotations

import time
from functools import partial

from harness.contender import POOL
from harness.scenario import Metric, Scenario, Trial, micros
from harness.workloads import TASK_S, noop, spin, turns_for

BACKLOG = 2000  # tasks, 40 ms of work
PRIORITIES = ("critical", "high", "normal", "low")
LOW_EVERY = 20
LONGEST_S = 4  # where LOW tasks starve


def run(trial: Trial) -> dict[str, float]:
    turns = turns_for(TASK_S)
    done: list[None] = []
    waits: list[list[int]] = [[] for _ in PRIORITIES]
    submitted_ns = [0, 0, 0, 0]
    answered = [True] * 4
    lows = 0

    def filler() -> None:
        spin(turns)
        done.append(None)

    def probe(priority: int) -> None:
        waits[priority].append(time.perf_counter_ns() - submitted_ns[priority])
        answered[priority] = True

    probes = [partial(probe, priority) for priority in range(4)]
    wanted = 60 if trial.quick else 300
    low_wanted = 1 if trial.quick else 2
    with trial.open() as contender:
        contender.burst(noop, 100)
        fillers = 0
        end = time.monotonic() + (LONGEST_S / 3 if trial.quick else LONGEST_S)
        while (len(waits[0]) < wanted or len(waits[3]) < low_wanted) and time.monotonic() < end:
            for _ in range(BACKLOG - (fillers - len(done))):
                contender.submit(filler)
                fillers += 1
            for priority, fn in enumerate(probes):
                if answered[priority]:  # one of each at a time
                    if priority == 3 and lows >= low_wanted:
                        continue
                    lows += priority == 3
                    answered[priority] = False
                    submitted_ns[priority] = time.perf_counter_ns()
                    contender.submit_at(fn, priority)
            time.sleep(0.001)
        figures: dict[str, float] = {}
        for name, times in zip(PRIORITIES, waits, strict=True):
            if times:
                figures |= micros(times, f"{name}_")
    return figures


SCENARIOS = (
    Scenario(
        41,
        "saturated",
        "From submit to start while 40 ms of NORMAL 20 us Python tasks are always queued, by priority if there are any",
        (
            Metric("critical_p50_us", "CRITICAL p50 us"),
            Metric("critical_p99_us", "p99"),
            Metric("critical_p999_us", "p99.9"),
            Metric("high_p50_us", "HIGH p50"),
            Metric("high_p99_us", "p99"),
            Metric("normal_p50_us", "NORMAL p50"),
            Metric("normal_p99_us", "p99"),
            Metric("low_p50_us", "LOW p50"),
        ),
        run,
        POOL,
    ),
)
