"""No-op throughput: what the machinery itself costs."""

from __future__ import annotations

from functools import partial

from harness.contender import BULK, NOOPS, POOL
from harness.scenario import Metric, Scenario, Trial
from harness.workloads import noop

WORKERS = (1, 2, 4, 8, 16)


def one_by_one(trial: Trial) -> dict[str, float]:
    with trial.open() as contender:
        return {"per_s": trial.rate(partial(contender.burst, noop))}


def in_bulk(trial: Trial) -> dict[str, float]:
    with trial.open() as contender:
        return {"per_s": trial.rate(partial(contender.bulk, noop))}


def by_workers(trial: Trial) -> dict[str, float]:
    figures = {}
    for workers in WORKERS:
        with trial.open(workers) as contender:
            figures[f"w{workers}"] = trial.rate(partial(contender.burst, noop), at_least_s=0.1)
    return figures


PER_S = Metric("per_s", "tasks/s", higher_is_better=True)
SCENARIOS = (
    Scenario(
        10,
        "noop",
        "No-op tasks, one by one from one producer, every result kept and waited for",
        (PER_S,),
        one_by_one,
        NOOPS,
    ),
    Scenario(11, "noop-bulk", "No-op tasks, each contender's own form for many at once", (PER_S,), in_bulk, BULK),
    Scenario(
        12,
        "noop-workers",
        "No-op tasks one by one, tasks/s by number of workers",
        tuple(Metric(f"w{n}", str(n), higher_is_better=True, x=n) for n in WORKERS),
        by_workers,
        POOL,
        axis="workers",
    ),
)
