"""No-op throughput: what the machinery itself costs."""

from __future__ import annotations

from functools import partial

from harness.contender import Contender
from harness.scenario import Metric, Scenario, rate


def noop() -> None:
    pass


def run(contender: Contender, quick: bool) -> dict[str, float]:
    burst = partial(contender.burst, noop)
    return {"per_s": rate(burst, at_least_s=0.1 if quick else 0.4, most=400_000)}


SCENARIO = Scenario(
    10,
    "noop",
    "No-op tasks, one by one from one producer, every result kept and waited for",
    (Metric("per_s", "tasks/s", higher_is_better=True),),
    run,
)
