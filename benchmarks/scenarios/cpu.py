"""Throughput of short CPU-bound Python tasks, and how much of the serial rate is left."""

from __future__ import annotations

from functools import partial

from harness.contender import CALLS
from harness.scenario import Metric, Scenario, Trial
from harness.workloads import TASK_S, serial, spin, turns_for


def run(trial: Trial) -> dict[str, float]:
    fn = partial(spin, turns_for(TASK_S))
    with trial.open() as contender:
        contender.burst(fn, 10)
        before = trial.rate(partial(serial, fn))
        per_s = trial.rate(partial(contender.burst, fn))
        after = trial.rate(partial(serial, fn))
    return {"per_s": per_s, "of_serial": 2 * per_s / (before + after)}


SCENARIOS = (
    Scenario(
        20,
        "cpu",
        "Python tasks that compute for 20 us each, one by one, every result waited for",
        (
            Metric("per_s", "tasks/s", higher_is_better=True),
            Metric("of_serial", "share of a plain loop", digits=2, higher_is_better=True, compared=False),
        ),
        run,
        CALLS,
    ),
)
