"""Tasks that submit tasks and wait for them."""

from __future__ import annotations

from harness.contender import TREE
from harness.scenario import Metric, Scenario, Trial

DEPTH = 8


def run(trial: Trial) -> dict[str, float]:
    with trial.open() as contender:
        contender.tree(3)
        times = sorted(contender.tree(DEPTH) for _ in range(3 if trial.quick else 9))
    return {"per_s": (2 ** (DEPTH + 1) - 1) / times[len(times) // 2]}


SCENARIOS = (
    Scenario(
        61,
        "trees",
        f"Fork and join: a binary tree of {2 ** (DEPTH + 1) - 1} tasks, each waiting for the two that it submitted",
        (Metric("per_s", "tasks/s", higher_is_better=True),),
        run,
        TREE,
    ),
)
