"""The scaling study: what a task costs, by how many there are, how many workers and how many producers."""

from __future__ import annotations

import threading
from functools import partial
from time import perf_counter

from harness.contender import POOL, SCALES, Contender
from harness.scenario import Metric, Scenario, Trial
from harness.workloads import noop

TASKS = (10**3, 10**4, 10**5, 10**6, 10**7)
WORKERS = (1, 2, 4, 8, 16, 32, 64)
PRODUCERS = 4
BURST = 100_000
LONGEST_S = 30  # for one burst


def by_tasks(trial: Trial) -> dict[str, float]:
    figures = {}
    with trial.open() as contender:
        contender.burst(noop, 1000)
        for n in TASKS:
            if n > trial.most:
                break
            times = sorted(contender.burst(noop, n) / n for _ in range(max(1, min(15, 10**6 // n))))
            figures[f"n{n}"] = times[len(times) // 2] * 1e9
            if times[0] * 10 * n > LONGEST_S:
                break
    return figures


def by_workers(producers: int, trial: Trial) -> dict[str, float]:
    n = min(trial.most, BURST // 5 if trial.quick else BURST)
    figures = {}
    for workers in WORKERS:
        with trial.open(workers) as contender:
            contender.burst(noop, 2000)
            times = sorted(from_producers(contender, producers, n // producers) / n for _ in range(3))
            figures[f"w{workers}"] = times[1] * 1e9
    return figures


def from_producers(contender: Contender, producers: int, n: int) -> float:
    """Seconds until each of ``producers`` threads has had n results."""
    if producers == 1:
        return contender.burst(noop, n)
    threads = [threading.Thread(target=contender.burst, args=(noop, n)) for _ in range(producers)]
    start = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return perf_counter() - start


def _workers(rank: int, name: str, producers: int) -> Scenario:
    return Scenario(
        rank,
        name,
        f"ns for a no-op task by number of workers, {producers} producer{'s' * (producers > 1)}, results kept",
        tuple(Metric(f"w{n}", str(n), x=n) for n in WORKERS),
        partial(by_workers, producers),
        SCALES if producers == 1 else POOL,
        timeout_s=180,
        study=True,
        axis="workers",
    )


SCENARIOS = (
    Scenario(
        90,
        "scale-tasks",
        "ns for a no-op task by number of tasks at once, results kept",
        tuple(Metric(f"n{n}", f"{n:,}", x=n) for n in TASKS),
        by_tasks,
        SCALES,
        timeout_s=300,
        study=True,
        axis="tasks",
    ),
    _workers(91, "scale-workers", 1),
    _workers(92, "scale-producers", PRODUCERS),
)
