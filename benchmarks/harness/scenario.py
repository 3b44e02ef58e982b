"""What a scenario measures, and the two measuring loops that several of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.contender import Contender


@dataclass(frozen=True)
class Metric:
    key: str
    title: str
    digits: int = 0
    higher_is_better: bool = False
    compared: bool = True
    """Whether a ratio to the baselines means something."""


@dataclass(frozen=True)
class Scenario:
    rank: int
    """Where its table stands among the others."""
    name: str
    title: str
    metrics: tuple[Metric, ...]
    run: Callable[[Contender, bool], dict[str, float]]
    """One measurement of a contender that was just opened; True: take the short form."""


def rate(burst: Callable[[int], float], at_least_s: float, most: int) -> float:
    """Calls per second, of the first burst of growing size that is long enough to be trusted."""
    n = 500
    while True:
        seconds = burst(n)
        if seconds >= at_least_s or n >= most:
            return n / seconds
        n = min(most, n * 4)


def percentile(sorted_values: list[int], share: float) -> float:
    """The smallest value with at least ``share`` of all values at or below it."""
    return sorted_values[max(0, -int(-share * len(sorted_values) // 1) - 1)]


def micros(nanoseconds: list[int]) -> dict[str, float]:
    ordered = sorted(nanoseconds)
    return {"p50_us": percentile(ordered, 0.50) / 1e3, "p99_us": percentile(ordered, 0.99) / 1e3}
