"""What statistics cost."""

from __future__ import annotations

from functools import partial
from statistics import median

from harness.contender import OURS
from harness.scenario import Metric, Scenario, Trial
from harness.workloads import noop

LEVELS: dict[str, bool | str] = {"off": False, "sampled": True, "full": "full"}


def run(trial: Trial) -> dict[str, float]:
    rates: dict[str, list[float]] = {level: [] for level in LEVELS}
    for _ in range(1 if trial.quick else 2):
        for level, value in LEVELS.items():
            with trial.open(1, enable_profiling=value) as contender:
                contender.burst(noop, 1000)
                rates[level].append(trial.rate(partial(contender.burst, noop)))
    per_s = {level: median(values) for level, values in rates.items()}
    ns = {level: 1e9 / value for level, value in per_s.items()}
    return {f"{level}_per_s": value for level, value in per_s.items()} | {
        "sampled_ns": ns["sampled"] - ns["off"],
        "full_ns": ns["full"] - ns["off"],
    }


SCENARIOS = (
    Scenario(
        63,
        "profiling",
        "No-op tasks/s without profiling, sampled (the default) and with every task timed; what that adds to a task",
        (
            Metric("off_per_s", "off", higher_is_better=True, compared=False),
            Metric("sampled_per_s", "sampled", higher_is_better=True, compared=False),
            Metric("full_per_s", "full", higher_is_better=True, compared=False),
            Metric("sampled_ns", "sampled +ns", compared=False),
            Metric("full_ns", "full +ns", compared=False),
        ),
        run,
        OURS,
    ),
)
